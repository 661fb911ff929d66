//! A phone's answers to what its server asks.

use std::collections::BTreeSet;

use super::Phone;
use super::diagnostics;
use super::memory::{Event, Transfer};
use super::message::{
    INVALID_ARGUMENTS, INVALID_NAME, INVALID_TYPE, INVALID_VALUE, METHOD_NOT_SUPPORTED, NOTIFICATION_REJECTED,
    READ_ONLY, RESOURCES_EXCEEDED, Refusal, Request, SetAttribute, SetValue, UNSUPPORTED_PROTOCOL,
};
use super::soap::{array, element, value};
use super::step::{RefusedParameter, Step};
use super::tree::{Access, Entry, PARAMETER_KEY, PROFILES, instances};
use super::value::Kind;
use crate::phone::State;

/// What is done when the session is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct After {
    /// With its key.
    pub reboot: Option<String>,
    pub factory_reset: bool,
}

/// A phone at its answers.
pub struct Desk<'s> {
    pub phone: &'s Phone,
    pub state: &'s mut State,
    pub now: i64,
    pub after: &'s mut After,
    pub steps: &'s mut Vec<Step>,
}

type Answer = Result<String, Refusal>;

impl Desk<'_> {
    /// The body of the answer: that of the method, or a refusal.
    pub fn answer(&mut self, method: &str, request: Result<Request, Refusal>) -> Answer {
        let before = self.steps.len();
        let answered = self.try_answer(method, request);
        let method = method.to_owned();
        let step = match &answered {
            Ok((_, parameters)) => Step::Done { method, parameters: *parameters },
            Err(refusal) => {
                let each = |(name, code): &(String, u16)| RefusedParameter { parameter: name.clone(), code: *code };
                let parameters = refusal.parameters.iter().map(each).collect();
                Step::Refused { method, code: refusal.code, why: refusal.text().to_owned(), parameters }
            }
        };
        // Before its details.
        self.steps.insert(before, step);
        answered.map(|(body, _)| body)
    }

    fn try_answer(&mut self, method: &str, request: Result<Request, Refusal>) -> Result<(String, usize), Refusal> {
        let knows = |known: &str| known == method;
        let knowledge = self.phone.knowledge();
        if !knowledge.methods.iter().any(|own| knows(own))
            && !self.phone.habits.more_methods.iter().any(|own| knows(own))
        {
            return Err(Refusal::new(METHOD_NOT_SUPPORTED));
        }
        if let Some(fault) = self.phone.habits.faults.iter().find(|fault| fault.of == "*" || fault.of == method) {
            return Err(Refusal::new(fault.code));
        }
        let mut count = 0;
        let inner = match request? {
            Request::GetRpcMethods => self.methods(&mut count),
            Request::GetParameterValues(names) => self.values(&names, &mut count)?,
            Request::SetParameterValues { values, key } => self.set(&values, key, &mut count)?,
            Request::GetParameterNames { path, next_level } => self.names(&path, next_level, &mut count)?,
            Request::GetParameterAttributes(names) => self.attributes(&names, &mut count)?,
            Request::SetParameterAttributes(list) => self.set_attributes(&list, &mut count)?,
            Request::AddObject { object, key } => self.add(&object, key)?,
            Request::DeleteObject { object, key } => self.delete(&object, key)?,
            Request::Reboot { key } => {
                self.after.reboot = Some(key);
                String::new()
            }
            Request::FactoryReset => {
                self.after.factory_reset = true;
                String::new()
            }
            Request::ScheduleInform { delay, key } => {
                self.state.cwmp.scheduled.push((self.now.saturating_add(delay.into()), key));
                String::new()
            }
            Request::Transfer(transfer) => self.transfer(*transfer)?,
            Request::GetQueuedTransfers => self.queued(false),
            Request::GetAllQueuedTransfers => self.queued(true),
            Request::Unknown(_) => return Err(Refusal::new(METHOD_NOT_SUPPORTED)),
        };
        Ok((format!("<cwmp:{method}Response>{inner}</cwmp:{method}Response>"), count))
    }

    fn find(&self, path: &str) -> Option<&'static Entry> {
        let knowledge = self.phone.knowledge();
        knowledge.model().find(path, &self.state.cwmp, knowledge.lines(&self.phone.identity.model))
    }

    /// The parameters that a path means: one, or all below it where it ends with a dot or is empty.
    fn meant(&self, path: &str) -> Result<Vec<(String, &'static Entry)>, Refusal> {
        let refused = || Refusal::new(INVALID_NAME);
        if let Some(fault) = self.phone.habits.faults.iter().find(|fault| fault.of == path) {
            return Err(Refusal::new(fault.code));
        }
        if !path.is_empty() && !path.ends_with('.') {
            return Ok(vec![(path.to_owned(), self.find(path).ok_or_else(refused)?)]);
        }
        let knowledge = self.phone.knowledge();
        let mut all = knowledge.model().paths(&self.state.cwmp, knowledge.lines(&self.phone.identity.model));
        all.retain(|(own, _)| own.starts_with(path));
        if all.is_empty() { Err(refused()) } else { Ok(all) }
    }

    fn methods(&self, count: &mut usize) -> String {
        let own = self.phone.knowledge().methods.iter().copied();
        let (mut items, mut out) = (String::new(), String::new());
        for method in own.chain(self.phone.habits.more_methods.iter().map(String::as_str)) {
            element(&mut items, "string", method);
            *count += 1;
        }
        array(&mut out, "MethodList", "xsd:string", *count, &items);
        out
    }

    fn values(&self, names: &[String], count: &mut usize) -> Answer {
        if self.phone.knowledge().most_names.is_some_and(|most| names.len() > most) {
            return Err(Refusal::new(9002));
        }
        let (mut items, mut out) = (String::new(), String::new());
        for name in names {
            for (path, entry) in self.meant(name)? {
                written(&mut items, self.phone, self.state, &path, entry);
                *count += 1;
            }
        }
        array(&mut out, "ParameterList", "cwmp:ParameterValueStruct", *count, &items);
        Ok(out)
    }

    /// All or nothing.
    fn set(&mut self, values: &[SetValue], key: String, count: &mut usize) -> Answer {
        let (mut taken, mut refused, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
        for SetValue { name, value, kind } in values {
            let injected = self.phone.habits.faults.iter().find(|fault| fault.of == *name).map(|fault| fault.code);
            if !names.insert(name) {
                return Err(Refusal::new(INVALID_ARGUMENTS));
            }
            match (injected, self.find(name)) {
                (Some(code), _) => refused.push((name.clone(), code)),
                (None, None) => refused.push((name.clone(), INVALID_NAME)),
                (None, Some(entry)) => match takes(entry, value, kind.as_deref()) {
                    Ok(kept) => taken.push((name.clone(), kept, entry)),
                    Err(code) => refused.push((name.clone(), code)),
                },
            }
        }
        if !refused.is_empty() {
            return Err(Refusal { code: INVALID_ARGUMENTS, parameters: refused });
        }
        *count = taken.len();
        // A change of what the phone's network hangs on has to wait for its next start (Aastra's guide: "you may have to reboot").
        let waits = taken.iter().any(|(name, ..)| name.starts_with("Device.LAN.") && !name.contains("Diagnostics"));
        let names: Vec<String> = taken.iter().map(|(name, ..)| name.clone()).collect();
        diagnostics::forget(self.state, &names);
        for (parameter, kept, entry) in taken {
            let value = if entry.access == Access::Secret { "***".to_owned() } else { kept.clone() };
            self.steps.push(Step::Set { parameter: parameter.clone(), value });
            if parameter == PARAMETER_KEY {
                self.state.cwmp.parameter_key = kept;
            } else {
                self.state.cwmp.parameters.insert(parameter, kept);
            }
        }
        self.key(key);
        Ok(status(waits))
    }

    fn key(&mut self, key: String) {
        self.steps.push(Step::Keyed { parameter_key: key.clone() });
        self.state.cwmp.parameter_key = key;
    }

    fn names(&self, path: &str, next_level: bool, count: &mut usize) -> Answer {
        if next_level && !path.is_empty() && !path.ends_with('.') {
            return Err(Refusal::new(INVALID_ARGUMENTS));
        }
        let mut found: BTreeSet<(String, bool)> = BTreeSet::new();
        for (own, entry) in self.meant(path)? {
            let mut end = path.len();
            while let Some(dot) = own.get(end..).and_then(|rest| rest.find('.')) {
                end += dot + 1;
                let object = own.get(..end).unwrap_or_default();
                found.insert((object.to_owned(), self.can_change_instances(object)));
                if next_level {
                    break;
                }
            }
            let is_here = own.get(path.len()..).is_some_and(|rest| !rest.contains('.'));
            if !next_level || is_here {
                found.insert((own, entry.access != Access::ReadOnly));
            }
        }
        if !next_level && path.ends_with('.') {
            found.insert((path.to_owned(), self.can_change_instances(path)));
        }
        let (mut items, mut out) = (String::new(), String::new());
        for (name, writable) in &found {
            items.push_str("<ParameterInfoStruct>");
            element(&mut items, "Name", name);
            element(&mut items, "Writable", if *writable { "1" } else { "0" });
            items.push_str("</ParameterInfoStruct>");
        }
        *count = found.len();
        array(&mut out, "ParameterList", "cwmp:ParameterInfoStruct", found.len(), &items);
        Ok(out)
    }

    /// Whether instances can be added to an object, or it is one that can be deleted.
    fn can_change_instances(&self, object: &str) -> bool {
        self.is_addable(object) || instance(object).is_some_and(|(parent, _)| self.is_addable(parent))
    }

    fn is_addable(&self, object: &str) -> bool {
        self.phone.knowledge().addable.iter().any(|pattern| {
            let (mut own, mut other) = (pattern.split('.'), object.split('.'));
            let same = |(one, other): (&str, &str)| one == other || one == "{i}" && other.parse::<u32>().is_ok();
            own.by_ref().zip(other.by_ref()).all(same) && pattern.split('.').count() == object.split('.').count()
        })
    }

    fn attributes(&self, names: &[String], count: &mut usize) -> Answer {
        let (mut items, mut out) = (String::new(), String::new());
        for name in names {
            for (path, _) in self.meant(name)? {
                let notification = self.phone.notification(self.state, &path);
                items.push_str("<ParameterAttributeStruct>");
                element(&mut items, "Name", &path);
                element(&mut items, "Notification", &notification.to_string());
                items.push_str(
                    "<AccessList SOAP-ENC:arrayType=\"xsd:string[1]\"><string>Subscriber</string></AccessList>",
                );
                items.push_str("</ParameterAttributeStruct>");
                *count += 1;
            }
        }
        array(&mut out, "ParameterList", "cwmp:ParameterAttributeStruct", *count, &items);
        Ok(out)
    }

    fn set_attributes(&mut self, list: &[SetAttribute], count: &mut usize) -> Answer {
        let mut all = Vec::new();
        for SetAttribute { name, notification } in list {
            let Some(notification) = notification else {
                self.meant(name)?;
                continue;
            };
            for (path, _) in self.meant(name)? {
                if *notification > 0 && !self.phone.knowledge().can_notify(&path) {
                    return Err(Refusal::new(NOTIFICATION_REJECTED));
                }
                all.push((path, *notification));
            }
        }
        *count = all.len();
        for (parameter, notification) in all {
            self.steps.push(Step::Notifies { parameter: parameter.clone(), notification });
            self.state.cwmp.notifications.insert(parameter, notification);
        }
        Ok(String::new())
    }

    fn add(&mut self, object: &str, key: String) -> Answer {
        let lines = self.phone.knowledge().lines(&self.phone.identity.model);
        if !self.is_addable(object) {
            return Err(Refusal::new(INVALID_NAME));
        }
        let mut numbers = instances(object, &self.state.cwmp, lines);
        // A voice profile is one of the phone's lines.
        let most = if object == PROFILES { lines } else { 1 };
        let number = (1..=most).find(|number| !numbers.contains(number)).ok_or(Refusal::new(RESOURCES_EXCEEDED))?;
        numbers.insert(number);
        self.state.cwmp.objects.insert(object.to_owned(), numbers);
        self.key(key);
        let mut out = String::new();
        element(&mut out, "InstanceNumber", &number.to_string());
        Ok(out + &status(false))
    }

    fn delete(&mut self, object: &str, key: String) -> Answer {
        let lines = self.phone.knowledge().lines(&self.phone.identity.model);
        let found = instance(object).filter(|(parent, _)| self.is_addable(parent));
        let (parent, number) = found.ok_or(Refusal::new(INVALID_NAME))?;
        let mut numbers = instances(parent, &self.state.cwmp, lines);
        if !numbers.remove(&number) {
            return Err(Refusal::new(INVALID_NAME));
        }
        let memory = &mut self.state.cwmp;
        memory.objects.retain(|own, _| !own.starts_with(object));
        memory.objects.insert(parent.to_owned(), numbers);
        memory.parameters.retain(|own, _| !own.starts_with(object));
        memory.notifications.retain(|own, _| !own.starts_with(object));
        self.key(key);
        Ok(status(false))
    }

    /// It is done after the session, whose end the server would else wait for.
    fn transfer(&mut self, transfer: Transfer) -> Answer {
        let knowledge = self.phone.knowledge();
        let known = match transfer.direction {
            super::Direction::Download => knowledge.downloads,
            super::Direction::Upload => knowledge.uploads,
        };
        if !known.contains(&transfer.file_type.as_str()) {
            return Err(Refusal::new(INVALID_ARGUMENTS));
        }
        if !transfer.url.starts_with("http://") && !transfer.url.starts_with("https://") {
            return Err(Refusal::new(UNSUPPORTED_PROTOCOL));
        }
        self.state.cwmp.transfers.push(transfer);
        let mut out = status(true);
        element(&mut out, "StartTime", "0001-01-01T00:00:00Z");
        element(&mut out, "CompleteTime", "0001-01-01T00:00:00Z");
        Ok(out)
    }

    fn queued(&self, is_all: bool) -> String {
        let transfers = &self.state.cwmp.transfers;
        let (mut items, mut out) = (String::new(), String::new());
        let kind = if is_all { "AllQueuedTransferStruct" } else { "QueuedTransferStruct" };
        for transfer in transfers {
            items.push_str(&format!("<{kind}>"));
            element(&mut items, "CommandKey", &transfer.command_key);
            element(&mut items, "State", if transfer.ended.is_some() { "3" } else { "1" });
            if is_all {
                element(
                    &mut items,
                    "IsDownload",
                    if transfer.direction == super::Direction::Download { "1" } else { "0" },
                );
                element(&mut items, "FileType", &transfer.file_type);
                element(&mut items, "FileSize", "0");
                element(&mut items, "TargetFileName", &transfer.target);
            }
            items.push_str(&format!("</{kind}>"));
        }
        array(&mut out, "TransferList", &format!("cwmp:{kind}"), transfers.len(), &items);
        out
    }
}

/// Whether a parameter takes a value: as it is kept, or why not.
pub(super) fn takes(entry: &Entry, value: &str, kind: Option<&str>) -> Result<String, u16> {
    if entry.access == Access::ReadOnly {
        return Err(READ_ONLY);
    }
    if kind.is_some_and(|kind| kind != entry.kind.name()) {
        return Err(INVALID_TYPE);
    }
    // "When writing, the only allowed value is Requested".
    if diagnostics::is_state(&entry.pattern) && value != diagnostics::REQUESTED {
        return Err(INVALID_VALUE);
    }
    entry.kind.take(value, &entry.limit).ok_or(INVALID_VALUE)
}

/// A parameter as the phone tells it.
pub(super) fn written(out: &mut String, phone: &Phone, state: &State, path: &str, entry: &Entry) {
    let text = match entry.access {
        Access::Secret => String::new(),
        Access::ReadOnly | Access::ReadWrite => entry.value(path, phone, state),
    };
    let text = match (entry.kind, phone.knowledge().writes_words, text.as_str()) {
        (Kind::Boolean, true, "1") => "true".to_owned(),
        (Kind::Boolean, true, _) => "false".to_owned(),
        _ => text,
    };
    value(out, path, entry.kind.name(), &text);
}

/// Whether what was asked is done by now.
fn status(waits: bool) -> String {
    format!("<Status>{}</Status>", u8::from(waits))
}

/// `….VoiceProfile.3.` is instance 3 of `….VoiceProfile.`.
fn instance(object: &str) -> Option<(&str, u32)> {
    let (parent, number) = object.strip_suffix('.')?.rsplit_once('.')?;
    let number = number.parse().ok()?;
    Some((object.get(..=parent.len())?, number))
}

/// What a reboot has told in the next session.
pub(super) fn reboot(state: &mut State, key: Option<&str>) {
    state.cwmp.tell(Event::new("1 BOOT"));
    if let Some(key) = key {
        state.cwmp.tell(Event::with_key("M Reboot", key));
    }
}
