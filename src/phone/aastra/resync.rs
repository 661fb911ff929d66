//! One resync: every file in its order, then what the phone makes of them all.
//!
//! The files make up the server's configuration afresh: what they no longer name goes back to its default. What the user
//! changed on the phone holds against it, unless the line is forced (guide 41-001343-02, pages 1-43 and 2-15).
//!
//! A file that isn't there is passed over. Anything else that goes wrong with one, and the phone keeps what it has: the guides
//! tell of a cached configuration, not of half a one. All files of a round come from one server; where they name
//! another one the phone starts over there, as it does after its restart.

use std::collections::BTreeMap;

use crate::model::Secret;
use crate::phone::exchange::{Exchange, Fetched, Machine, ROUNDS, Start, run};
use crate::phone::fetch::{Credentials, Fetch, FetchError, Request, Response};
use crate::phone::state::{Identity, Parameters, State, changes};
use crate::phone::transcript::{Refusal, Step, Transcript};

use super::files::{Base, Place, SECURITY, base, order, parameter, user_agent};
use super::grammar::{GrammarError, Parameter, folded, knows_locks, read};

/// What the guides disagree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether a locked parameter has the server's value where the user had changed it before. The guide of release 2.4 says
    /// so of locked keys (page A-226), that of 3.2.2 says the opposite (page 5-59).
    pub lock_overrides_local: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { lock_overrides_local: true }
    }
}

/// A resync under way.
#[derive(Debug)]
pub struct Resync<'p> {
    identity: &'p Identity,
    behaviour: Behaviour,
    now: i64,
    before: Parameters,
    state: State,
    transcript: Transcript,
    round: u32,
    /// Where this round's files are.
    base: String,
    /// Places still to be asked for, the next one last; [`SECURITY`] is the first of a round.
    places: Vec<Place>,
    /// Names of the place that is being asked for, the next one last.
    names: Vec<String>,
    exchange: Option<(String, Exchange)>,
    /// What this round's files said, by name in lower case.
    server: BTreeMap<String, Parameter>,
    found: bool,
}

/// Fetches the phone's files and applies them; what it now is, and how that came.
pub async fn resync<F: Fetch>(
    identity: &Identity,
    state: &State,
    start: &Start,
    behaviour: Behaviour,
    fetch: &F,
) -> (State, Transcript) {
    run(Resync::new(identity, state, start, behaviour), fetch).await.finish()
}

impl<'p> Resync<'p> {
    pub fn new(identity: &'p Identity, state: &State, start: &Start, behaviour: Behaviour) -> Self {
        let mut resync = Self {
            identity,
            behaviour,
            now: start.now,
            before: state.parameters.clone(),
            state: State { last_attempt: Some(start.now), ..state.clone() },
            transcript: Transcript::default(),
            round: 0,
            base: String::new(),
            places: Vec::new(),
            names: Vec::new(),
            exchange: None,
            server: BTreeMap::new(),
            found: false,
        };
        match (base(&state.parameters), &start.server) {
            (Some(Base::Http(url)), _) => resync.begin(url),
            (None, Some(server)) => resync.begin(server.trim_end_matches('/').to_owned()),
            (Some(Base::Other(protocol)), _) => {
                resync.transcript.push(Step::OtherProtocol { protocol });
                resync.fail();
            }
            (None, None) => {
                resync.transcript.push(Step::NoServer);
                resync.fail();
            }
        }
        resync
    }

    /// The phone after the resync.
    pub fn finish(self) -> (State, Transcript) {
        (self.state, self.transcript)
    }

    fn begin(&mut self, base: String) {
        self.round += 1;
        self.base = base;
        self.server.clear();
        self.found = false;
        self.places = vec![Place { names: vec![SECURITY.to_owned()] }];
        self.next_place();
    }

    fn next_place(&mut self) {
        match self.places.pop() {
            Some(place) => {
                self.names = place.names;
                self.names.reverse();
                self.next_name();
            }
            None => self.end_round(),
        }
    }

    fn next_name(&mut self) {
        match self.names.pop() {
            Some(name) => {
                let url = format!("{}/{name}", self.base);
                self.exchange = Some((name, Exchange::new(url, false)));
            }
            None => self.next_place(),
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let user = parameter(&self.state.parameters, "http digest username")?;
        let password = parameter(&self.state.parameters, "http digest password").unwrap_or_default();
        Some(Credentials { user: user.to_owned(), password: Secret::new(password) })
    }

    /// The files after `security.tuz`, which tells whether encrypted ones are asked for.
    fn after_security(&mut self, has_security: bool) {
        self.places = order(self.identity, has_security);
        self.places.reverse();
        self.next_place();
    }

    fn take(&mut self, name: &str, url: String, body: &[u8]) {
        if name == SECURITY {
            return self.after_security(true);
        }
        if name.ends_with(".tuz") {
            self.transcript.push(Step::Refused { url, why: GrammarError::Encrypted.into() });
            return self.next_place();
        }
        match read(body, knows_locks(&self.identity.firmware)) {
            Ok(profile) => {
                for error in profile.passed_over {
                    let (line, why) = (error.line(), Refusal::Aastra(error));
                    self.transcript.push(Step::PassedOver { url: url.clone(), line, why });
                }
                self.transcript.push(Step::Applied { url, parameters: profile.parameters.len() });
                self.server.extend(profile.parameters);
                self.found = true;
                self.next_place();
            }
            Err(error) => {
                self.transcript.push(Step::Refused { url, why: error.into() });
                self.fail();
            }
        }
    }

    fn end_round(&mut self) {
        if !self.found {
            return self.fail();
        }
        self.apply();
        match base(&self.state.parameters) {
            Some(Base::Http(to)) if to != self.base => {
                if self.round < ROUNDS {
                    self.transcript.push(Step::Redirected { to: to.clone() });
                    return self.begin(to);
                }
                self.transcript.push(Step::RedirectedTooOften { to });
            }
            Some(Base::Other(protocol)) => self.transcript.push(Step::OtherProtocol { protocol }),
            _ => {}
        }
        self.state.last_success = Some(self.now);
        self.state.failures = 0;
        let changed = changes(&self.before, &self.state.parameters);
        self.transcript.push(Step::Finished { changed });
    }

    /// The server's configuration under the user's changes.
    fn apply(&mut self) {
        let mut local: BTreeMap<String, (String, String)> = std::mem::take(&mut self.state.local)
            .into_iter()
            .map(|(name, value)| (folded(&name), (name, value)))
            .collect();
        let mut parameters = Parameters::new();
        let mut hidden = Parameters::new();
        let mut access = BTreeMap::new();
        for (key, served) in std::mem::take(&mut self.server) {
            let Parameter { name, value, mark } = served;
            if mark.locked {
                access.insert(name.clone(), "locked".to_owned());
            } else if mark.forced {
                access.insert(name.clone(), "forced".to_owned());
            }
            if mark.forced && local.remove(&key).is_some() {
                self.transcript.push(Step::TookBack { name: name.clone() });
            }
            let holds = !(mark.locked && self.behaviour.lock_overrides_local);
            match local.get(&key).filter(|_| holds) {
                Some((_, changed)) => {
                    self.transcript.push(Step::KeptLocal { name: name.clone() });
                    parameters.insert(name.clone(), changed.clone());
                    hidden.insert(name, value);
                }
                None => {
                    // A change that a lock overrides is remembered, for when the lock is gone.
                    parameters.insert(name, value);
                }
            }
        }
        for (key, (name, value)) in local {
            if !parameters.keys().any(|known| folded(known) == key) {
                parameters.insert(name.clone(), value.clone());
            }
            self.state.local.insert(name, value);
        }
        self.state.parameters = parameters;
        self.state.hidden = hidden;
        self.state.access = access;
    }

    fn fail(&mut self) {
        self.exchange = None;
        self.names.clear();
        self.places.clear();
        self.state.failures = self.state.failures.saturating_add(1);
        self.transcript.push(Step::Failed);
    }
}

impl Machine for Resync<'_> {
    fn next(&mut self) -> Option<Request> {
        let credentials = self.credentials();
        let (_, exchange) = self.exchange.as_ref()?;
        Some(exchange.request(&user_agent(self.identity), credentials.as_ref()))
    }

    fn answer(&mut self, answer: Result<Response, FetchError>) {
        let has_credentials = self.credentials().is_some();
        let Some((name, mut exchange)) = self.exchange.take() else { return };
        match exchange.answered(answer, has_credentials, &mut self.transcript) {
            Fetched::Body(body) => self.take(&name, exchange.url, &body),
            Fetched::Missing if name == SECURITY => self.after_security(false),
            Fetched::Missing => self.next_name(),
            Fetched::Failed => self.fail(),
            Fetched::AskAgain => self.exchange = Some((name, exchange)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn answers() -> impl Strategy<Value = Result<Response, FetchError>> {
        let body = prop_oneof![
            "(a: 1\n|!a: 2\n|\\^a: 3\n|http digest username: u\n|download protocol: HTTP\nhttp server: [ab]\n|x\n){0,4}"
                .prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..60),
        ];
        let status = prop_oneof![4 => Just(200_u16), 4 => Just(404), 1 => Just(401), 1 => any::<u16>()];
        let response = (status, body).prop_map(|(status, body)| {
            let challenge = ("www-authenticate".to_owned(), "Basic realm=\"a\"".to_owned());
            let duration = Duration::default();
            Response { status, headers: vec![challenge], body: body.into(), tls_version: None, duration }
        });
        prop_oneof![9 => response.prop_map(Ok), 1 => Just(Err(FetchError::TooLarge(1)))]
    }

    proptest! {
        #[test]
        fn every_resync_ends_whatever_is_answered(mut answers in proptest::collection::vec(answers(), 60)) {
            let identity = Identity {
                model: "6867i".to_owned(),
                mac: "1400e900000c".parse().unwrap(),
                serial: "EXAMPLE1".parse().unwrap(),
                firmware: "4.2.0.181-SIP".to_owned(),
                has_certificate: false,
            };
            let start = Start { server: Some("http://prov.example.com".to_owned()), now: 1000 };
            let state = State { local: [("a".to_owned(), "local".to_owned())].into(), ..State::default() };
            let mut resync = Resync::new(&identity, &state, &start, Behaviour::default());
            let mut asked = 0;
            while let Some(request) = resync.next() {
                prop_assert!(request.url.starts_with("http"));
                asked += 1;
                // Every file of every round, each with a challenge.
                prop_assert!(asked <= 3 * 2 * (1 + 2 * 4));
                resync.answer(answers.pop().unwrap());
            }
            let (after, transcript) = resync.finish();
            let ended = |step: &&Step| matches!(step, Step::Finished { .. } | Step::Failed);
            prop_assert_eq!(transcript.steps.iter().filter(ended).count(), 1);
            prop_assert!(transcript.steps.last().is_some_and(|step| ended(&step)));
            prop_assert_eq!(after.failures == 0, transcript.succeeded());
        }
    }
}
