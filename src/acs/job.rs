//! What one session does: asks the phone what it can, compares what it holds with what it should hold, and sets the difference.
//!
//! Pure: [`Job::next_request`] gives the next request, [`Job::answered`] takes what came of it. In this order, each only where it is wanted:
//! GetRPCMethods, GetParameterValues of what can be read, one SetParameterValues with all that differs and the revision as
//! ParameterKey, GetParameterAttributes, SetParameterAttributes. Then its tasks, those after which nothing can follow last, and of
//! these one.
//!
//! A phone sets all values of a message or none. So where it refuses some by name, the message goes again without them; where it
//! doesn't say which, halves of it go, until those stand alone that it doesn't take. What is refused is kept with its fault, and
//! tried again when settings or software change.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::phone::{Changed, Phone, cut};
use super::task::{Run, Veil};
use crate::cwmp::message::{
    Fault, FaultCode, Method, Notification, ParameterAttribute, ParameterValue, Request, Response,
    SetParameterAttribute, SetParameterValues, Value,
};
use crate::cwmp::session::Failure;
use crate::model::Secret;
use crate::packs::data_model::Kind;

/// Most methods that are kept of what a phone says it knows: there are fifteen, and some of makers' own.
const METHODS: usize = 64;

/// Most requests of one session: what comes after is for the next one.
const REQUESTS: usize = 500;

/// What a phone is to hold.
#[derive(Debug, Default)]
pub struct Wish {
    pub parameters: Vec<WantedValue>,
    pub notifications: Vec<(Arc<str>, Notification)>,
    /// Most names of a GetParameterValues or GetParameterAttributes; none: any number.
    pub get_batch: Option<usize>,
    /// Most values of a SetParameterValues or SetParameterAttributes.
    pub set_batch: Option<usize>,
    /// What was changed on the phone is left as it is.
    pub keeps_changes: bool,
}

/// One parameter that it is to hold.
#[derive(Debug)]
pub struct WantedValue {
    pub path: Arc<str>,
    pub value: Value,
    /// As it is compared; none where it can't be read back: a password.
    pub readable: Option<(String, Kind)>,
}

/// The work of one session.
#[derive(Debug)]
pub struct Job {
    phone: Phone,
    revision: String,
    /// None: the phone holds what it should.
    wish: Option<Wish>,
    stage: Stage,
    asks: VecDeque<Ask>,
    out: Option<Ask>,
    requests: usize,
    /// Whether it held all of this revision when the session began: what differs then was changed on the phone.
    held: bool,
    differing: BTreeSet<usize>,
    done: Done,
    /// The methods that the family knows, for phones that don't say; none: nothing is known of them.
    family: Option<Vec<Method>>,
    runs: Vec<Run>,
    /// The task whose request is out, and what that is.
    out_run: Option<(usize, Method)>,
    veil: Veil,
}

/// What was done, for the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub set: usize,
    pub notifications: usize,
    /// Paths that were changed on the phone and set back.
    pub restored: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Beginning,
    Methods,
    Reading,
    Setting,
    ReadingAttributes,
    SettingAttributes,
    Tasks,
    LastTask,
    Finished,
}

/// A request, by what it is about: places in the wish's lists.
#[derive(Debug, Clone)]
enum Ask {
    Methods,
    Values(Vec<usize>),
    /// `key`: the last of them, after which the phone holds the revision.
    Set {
        places: Vec<usize>,
        key: bool,
    },
    Attributes(Vec<usize>),
    SetAttributes(Vec<usize>),
}

impl Job {
    /// `must_look`: what is known of the phone may not hold any more. `wish` is asked for only where it has to be looked at. `veil` hides what
    /// of the phone's words nobody may see.
    ///
    /// # Errors
    /// Those of `wish`.
    pub fn new<E>(
        mut phone: Phone,
        revision: String,
        must_look: bool,
        family: Option<Vec<Method>>,
        mut veil: Veil,
        wish: impl FnOnce() -> Result<Option<Wish>, E>,
    ) -> Result<Self, E> {
        phone.refusals_at(&revision);
        let held = phone.holds.as_deref() == Some(revision.as_str());
        let wish = if held && !must_look { None } else { wish()? };
        let blind = wish.iter().flat_map(|wish| &wish.parameters).filter(|wanted| wanted.readable.is_none());
        veil.hide(blind.map(|wanted| Secret::new(wanted.value.text(&crate::cwmp::Quirks::default()).as_bytes())));
        Ok(Self {
            phone,
            revision,
            wish,
            stage: Stage::Beginning,
            asks: VecDeque::new(),
            out: None,
            requests: 0,
            held,
            differing: BTreeSet::new(),
            done: Done::default(),
            family,
            runs: Vec::new(),
            out_run: None,
            veil,
        })
    }

    /// Adds what the phone is to be asked for beside its settings, and what it is given by that and nobody may see.
    pub fn add(&mut self, runs: Vec<Run>, secrets: Vec<Secret>) {
        self.runs.extend(runs);
        self.veil.hide(secrets);
    }

    /// What the phone told of itself.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// What is known of the phone by now, what was done, and its tasks.
    pub fn into_parts(self) -> (Phone, Done, Vec<Run>) {
        (self.phone, self.done, self.runs)
    }

    /// The next request; none when there is nothing more to do.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.requests >= REQUESTS {
            return None;
        }
        loop {
            if let Some(ask) = self.asks.pop_front() {
                let request = self.request(&ask);
                self.out = Some(ask);
                self.requests += 1;
                return Some(request);
            }
            self.stage = match self.stage {
                Stage::Beginning => self.ask_methods(),
                Stage::Methods => self.read(),
                Stage::Reading => self.set(),
                Stage::Setting => self.read_attributes(),
                Stage::ReadingAttributes => self.set_attributes(),
                Stage::SettingAttributes => self.finish(),
                stage @ (Stage::Tasks | Stage::LastTask) => match self.task(stage == Stage::LastTask) {
                    Some(request) => return Some(request),
                    None if stage == Stage::Tasks => Stage::LastTask,
                    None => Stage::Finished,
                },
                Stage::Finished => return None,
            };
        }
    }

    /// The next request of a task. `last`: of one after which nothing can follow.
    fn task(&mut self, last: bool) -> Option<Request> {
        for place in 0..self.runs.len() {
            let mut runs = std::mem::take(&mut self.runs);
            let request = runs.get_mut(place).filter(|run| run.is_last() == last);
            let request = request.and_then(|run| run.next_request(|method| self.knows(method)));
            self.runs = runs;
            let Some(mut request) = request else { continue };
            // What a task changes is none of the settings, so that the phone holds those as before.
            let key = &self.phone.parameter_key;
            match &mut request {
                Request::SetParameterValues(set) => set.parameter_key.clone_from(key),
                Request::AddObject(change) | Request::DeleteObject(change) => change.parameter_key.clone_from(key),
                _ => {}
            }
            self.out_run = Some((place, request.method()));
            self.requests += 1;
            return Some(request);
        }
        None
    }

    fn ask_methods(&mut self) -> Stage {
        if (self.wish.is_some() || !self.runs.is_empty()) && self.phone.methods.is_none() {
            self.asks.push_back(Ask::Methods);
        }
        Stage::Methods
    }

    /// Whether the phone knows a method: by its own word, or by its family's where it gave none.
    fn knows(&self, method: Method) -> bool {
        match (&self.phone.methods, &self.family) {
            (Some(own), _) => own.iter().any(|name| name == method.name()),
            (None, Some(family)) => family.contains(&method),
            (None, None) => true,
        }
    }

    fn read(&mut self) -> Stage {
        let Some(wish) = &self.wish else { return Stage::Tasks };
        // What is wanted no more was not changed either.
        self.phone.changed.retain(|changed| wish.parameters.iter().any(|wanted| *wanted.path == *changed.path));
        let is_asked = |place: &usize| {
            let wanted = wish.parameters.get(*place);
            wanted.is_some_and(|wanted| wanted.readable.is_some() && !self.phone.has_refused(&wanted.path))
        };
        let places: Vec<_> = (0..wish.parameters.len()).filter(is_asked).collect();
        if self.knows(Method::GetParameterValues) {
            self.asks.extend(batches(&places, wish.get_batch).map(Ask::Values));
        } else {
            // It can't be looked at; setting what is there already does no harm.
            self.differing = places.into_iter().collect();
        }
        Stage::Reading
    }

    fn set(&mut self) -> Stage {
        let Some(wish) = &self.wish else { return Stage::Tasks };
        // What can't be read back goes again with every new revision, and to a phone that has lost its key.
        let has_key = self.phone.parameter_key == self.revision;
        let blind = wish.parameters.iter().enumerate().filter(|(_, wanted)| wanted.readable.is_none() && !has_key);
        let mut places: BTreeSet<_> = blind.map(|(place, _)| place).collect();
        places.append(&mut self.differing);
        let path = |place: &usize| wish.parameters.get(*place).map(|wanted| &*wanted.path);
        places.retain(|place| path(place).is_some_and(|path| !self.phone.has_refused(path)));
        let places: Vec<_> = places.into_iter().collect();
        if self.knows(Method::SetParameterValues) {
            let mut sets: Vec<_> = batches(&places, wish.set_batch).collect();
            let last = sets.pop().map(|places| Ask::Set { places, key: true });
            self.asks.extend(sets.into_iter().map(|places| Ask::Set { places, key: false }));
            self.asks.extend(last);
        }
        Stage::Setting
    }

    fn read_attributes(&mut self) -> Stage {
        let Some(wish) = &self.wish else { return Stage::Tasks };
        let is_asked =
            |place: &usize| wish.notifications.get(*place).is_some_and(|(path, _)| !self.phone.has_refused(path));
        let places: Vec<_> = (0..wish.notifications.len()).filter(is_asked).collect();
        if self.knows(Method::GetParameterAttributes) {
            self.asks.extend(batches(&places, wish.get_batch).map(Ask::Attributes));
        } else {
            // They can't be looked at; setting what is there already does no harm.
            self.differing = places.into_iter().collect();
        }
        Stage::ReadingAttributes
    }

    fn set_attributes(&mut self) -> Stage {
        let Some(wish) = &self.wish else { return Stage::Tasks };
        let places: Vec<_> = std::mem::take(&mut self.differing).into_iter().collect();
        let batches = batches(&places, wish.set_batch);
        if self.knows(Method::SetParameterAttributes) {
            self.asks.extend(batches.map(Ask::SetAttributes));
        }
        Stage::SettingAttributes
    }

    fn finish(&mut self) -> Stage {
        self.phone.holds = Some(self.revision.clone());
        Stage::Tasks
    }

    fn request(&self, ask: &Ask) -> Request {
        let values = |places: &[usize]| places.iter().filter_map(|place| self.value(*place)).collect::<Vec<_>>();
        let notifications = |places: &[usize]| {
            let all = self.wish.as_ref().map(|wish| wish.notifications.as_slice()).unwrap_or_default();
            places.iter().filter_map(|place| all.get(*place)).collect::<Vec<_>>()
        };
        match ask {
            Ask::Methods => Request::GetRpcMethods,
            Ask::Values(places) => {
                Request::GetParameterValues(values(places).iter().map(|wanted| wanted.path.to_string()).collect())
            }
            Ask::Set { places, key } => {
                let value = |wanted: &&WantedValue| ParameterValue {
                    name: wanted.path.to_string(),
                    value: wanted.value.clone(),
                };
                let key = if *key { &self.revision } else { &self.phone.parameter_key };
                Request::SetParameterValues(SetParameterValues {
                    values: values(places).iter().map(value).collect(),
                    parameter_key: key.clone(),
                })
            }
            Ask::Attributes(places) => Request::GetParameterAttributes(
                notifications(places).iter().map(|(path, _)| path.to_string()).collect(),
            ),
            Ask::SetAttributes(places) => {
                let set = |(path, notification): &&(Arc<str>, Notification)| SetParameterAttribute {
                    name: path.to_string(),
                    notification: Some(*notification),
                    access_list: None,
                };
                Request::SetParameterAttributes(notifications(places).iter().map(set).collect())
            }
        }
    }

    fn value(&self, place: usize) -> Option<&WantedValue> {
        self.wish.as_ref()?.parameters.get(place)
    }

    /// The path that a place of an ask is about.
    fn path(&self, ask: &Ask, place: usize) -> Option<Arc<str>> {
        match ask {
            Ask::Attributes(_) | Ask::SetAttributes(_) => {
                self.wish.as_ref()?.notifications.get(place).map(|(path, _)| path.clone())
            }
            _ => self.value(place).map(|wanted| wanted.path.clone()),
        }
    }

    /// Takes what came of the request that was given last.
    pub fn answered(&mut self, outcome: Result<Response, Failure>) {
        if let Some((place, method)) = self.out_run.take() {
            if let Some(run) = self.runs.get_mut(place) {
                run.answered(method, outcome, &self.veil);
            }
            return;
        }
        let Some(ask) = self.out.take() else { return };
        match (ask, outcome) {
            (Ask::Methods, Ok(Response::GetRpcMethods(methods))) => {
                self.phone.methods = Some(methods.iter().take(METHODS).map(|method| cut(method).to_owned()).collect());
            }
            (Ask::Values(places), Ok(Response::GetParameterValues(values))) => self.compare(&places, &values),
            (Ask::Set { places, key }, Ok(Response::SetParameterValues(_))) => {
                self.done.set += places.len();
                if key {
                    self.phone.parameter_key.clone_from(&self.revision);
                }
            }
            (Ask::Attributes(places), Ok(Response::GetParameterAttributes(attributes))) => {
                self.compare_attributes(&places, &attributes);
            }
            (Ask::SetAttributes(places), Ok(Response::SetParameterAttributes)) => {
                self.done.notifications += places.len();
            }
            (ask, Err(Failure::Fault(fault))) => self.refused(ask, &fault),
            // The session is over, and the next one begins with what is known now.
            _ => {}
        }
    }

    fn compare(&mut self, places: &[usize], values: &[ParameterValue]) {
        for place in places {
            let Some(wanted) = self.wish.as_ref().and_then(|wish| wish.parameters.get(*place)) else { continue };
            let path = wanted.path.clone();
            let Some(found) = values.iter().find(|value| *value.name == *path) else {
                self.phone.refuse(&path, FaultCode::INVALID_PARAMETER_NAME, "it is not in the phone's answer");
                continue;
            };
            let Some((text, kind)) = &wanted.readable else { continue };
            let held = found.value.text(&crate::cwmp::Quirks::default());
            let is_same = kind.equal(text, &held);
            let held = cut(&held).to_owned();
            let keeps = self.wish.as_ref().is_some_and(|wish| wish.keeps_changes);
            self.phone.changed.retain(|changed| changed.path != *path);
            if is_same {
                continue;
            }
            if self.held && keeps {
                self.phone.changed.push(Changed { path: path.to_string(), value: Some(held) });
                continue;
            }
            if self.held {
                self.done.restored.push(path.to_string());
            }
            self.differing.insert(*place);
        }
    }

    fn compare_attributes(&mut self, places: &[usize], attributes: &[ParameterAttribute]) {
        let Some(wish) = &self.wish else { return };
        for place in places {
            let Some((path, wanted)) = wish.notifications.get(*place) else { continue };
            // Of an object all that is below it is told.
            let is_about = |attribute: &&ParameterAttribute| {
                attribute.name == **path || path.ends_with('.') && attribute.name.starts_with(&**path)
            };
            let mut about = attributes.iter().filter(is_about).peekable();
            if about.peek().is_none() || about.any(|attribute| attribute.notification != *wanted) {
                self.differing.insert(*place);
            }
        }
    }

    /// The phone has refused a request.
    fn refused(&mut self, ask: Ask, fault: &Fault) {
        let places = match &ask {
            Ask::Methods => return,
            Ask::Values(places) | Ask::Attributes(places) | Ask::SetAttributes(places) => places.clone(),
            Ask::Set { places, .. } => places.clone(),
        };
        let again = |places: Vec<usize>, is_last: bool| match &ask {
            Ask::Values(_) | Ask::Methods => Ask::Values(places),
            Ask::Attributes(_) => Ask::Attributes(places),
            Ask::SetAttributes(_) => Ask::SetAttributes(places),
            Ask::Set { key, .. } => Ask::Set { places, key: *key && is_last },
        };
        if let Ask::Set { .. } = &ask {
            let named = |place: &usize| {
                let path = self.path(&ask, *place)?;
                fault.parameters.iter().find(|parameter| *parameter.name == *path)
            };
            let (by_name, rest): (Vec<usize>, Vec<usize>) = places.iter().partition(|place| named(place).is_some());
            if !by_name.is_empty() {
                let told: Vec<_> =
                    by_name.iter().filter_map(|place| Some((self.path(&ask, *place)?, named(place)?))).collect();
                for (path, parameter) in told {
                    let words = self.veil.text(&parameter.text);
                    self.phone.refuse(&path, parameter.code, &words);
                }
                if !rest.is_empty() {
                    self.asks.push_front(again(rest, true));
                }
                return;
            }
        }
        match places.as_slice() {
            [] => {}
            [place] => {
                if let Some(path) = self.path(&ask, *place) {
                    let words = self.veil.text(&fault.text);
                    self.phone.refuse(&path, fault.code, &words);
                }
            }
            several => {
                let (first, second) = several.split_at(several.len() / 2);
                self.asks.push_front(again(second.to_vec(), true));
                self.asks.push_front(again(first.to_vec(), false));
            }
        }
    }
}

/// What goes into one message each.
fn batches(places: &[usize], most: Option<usize>) -> impl Iterator<Item = Vec<usize>> + use<'_> {
    places.chunks(most.unwrap_or(usize::MAX).max(1)).map(<[usize]>::to_vec)
}
