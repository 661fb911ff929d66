//! One resync: the files in their order, each applied as soon as it is read.
//!
//! A parameter that no file names keeps its value. The binary file is applied before the next is asked for, so it may name
//! the server or the password of the XML file (guide of 2012). The next XML file is asked for only where there was none:
//! one that was fetched and can't be taken ends the resync, a binary one that can't be taken is passed over. An answer that is
//! neither a file nor a 404 ends it too. Where the files name another server, the phone starts over there.

use std::collections::VecDeque;

use crate::delivery::{DecryptError, KeyDigest, decrypt_aes_256_cbc, is_salted, is_text};
use crate::model::Secret;
use crate::phone::exchange::{Exchange, Fetched, Machine, ROUNDS, Start, run};
use crate::phone::fetch::{Credentials, Fetch, FetchError, Request, Response};
use crate::phone::state::{Identity, Parameters, State, changes};
use crate::phone::transcript::{Refusal, Step, Transcript};

use super::files::{Base, File, base, order, user_agent, value};
use super::{BinaryError, XmlError, binary, xml};

/// What isn't public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// The digests of the key derivation that are tried, in this order. The guide gives an `openssl enc` without `-md`: that
    /// is MD5 with the OpenSSL of its day, SHA-256 with today's.
    pub digests: Vec<KeyDigest>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { digests: vec![KeyDigest::Md5, KeyDigest::Sha256] }
    }
}

/// Why a file or a part of it isn't taken. Never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("it is encrypted, and the phone has no password for it (P1359)")]
    NoPassword,
    #[error("it can't be decrypted with the phone's password (P1359): {0}")]
    Decrypt(#[from] DecryptError),
    #[error("<{0}> is no parameter")]
    NoParameter(String),
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
    /// Of the server that the phone was set up with, for parameters that name a server but no protocol.
    scheme: String,
    /// Where the last file was asked for.
    base: String,
    places: VecDeque<Vec<File>>,
    files: VecDeque<File>,
    exchange: Option<(File, Exchange)>,
    /// Whether anything of this round was applied.
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
        let server = start.server.as_deref().map(|server| server.trim_end_matches('/')).unwrap_or_default();
        let scheme = server.split_once("://").map_or("https", |(scheme, _)| scheme);
        let mut resync = Self {
            identity,
            behaviour,
            now: start.now,
            before: state.parameters.clone(),
            state: State { last_attempt: Some(start.now), ..state.clone() },
            transcript: Transcript::default(),
            round: 0,
            scheme: scheme.to_owned(),
            base: server.to_owned(),
            places: VecDeque::new(),
            files: VecDeque::new(),
            exchange: None,
            found: false,
        };
        if server.is_empty() && base(&state.parameters, scheme).is_none() {
            resync.transcript.push(Step::NoServer);
            resync.fail();
        } else {
            resync.begin();
        }
        resync
    }

    /// The phone after the resync.
    pub fn finish(self) -> (State, Transcript) {
        (self.state, self.transcript)
    }

    fn begin(&mut self) {
        self.round += 1;
        self.found = false;
        self.places = order(self.identity, &self.state.parameters).into();
        self.next_place();
    }

    fn next_place(&mut self) {
        match self.places.pop_front() {
            Some(place) => {
                self.files = place.into();
                self.next_file();
            }
            None => self.end_round(),
        }
    }

    /// By the parameters as they now are: the last file may have changed them.
    fn next_file(&mut self) {
        let Some(file) = self.files.pop_front() else { return self.next_place() };
        match base(&self.state.parameters, &self.scheme) {
            Some(Base::Http(url)) => self.base = url,
            Some(Base::Other(protocol)) => {
                self.transcript.push(Step::OtherProtocol { protocol: protocol.to_owned() });
                return self.fail();
            }
            None => {}
        }
        let url = format!("{}/{}", self.base, file.name(self.identity, &self.state.parameters));
        let unasked = value(&self.state.parameters, "P20713") == Some("1");
        self.exchange = Some((file, Exchange::new(url, unasked)));
    }

    fn credentials(&self) -> Option<Credentials> {
        let user = value(&self.state.parameters, "P1360")?;
        let password = value(&self.state.parameters, "P1361").unwrap_or_default();
        Some(Credentials { user: user.to_owned(), password: Secret::new(password) })
    }

    fn take(&mut self, file: File, url: String, body: &[u8]) {
        let read = if file.is_binary() {
            binary::read(body, self.identity.mac).map_err(FileError::from)
        } else {
            self.read_xml(&url, body)
        };
        match read {
            Ok(parameters) => {
                self.transcript.push(Step::Applied { url, parameters: parameters.len() });
                self.state.parameters.extend(parameters);
                self.found = true;
                self.next_place();
            }
            Err(error) => {
                self.transcript.push(Step::Refused { url, why: error.into() });
                if file.is_binary() { self.next_place() } else { self.fail() }
            }
        }
    }

    fn read_xml(&mut self, url: &str, body: &[u8]) -> Result<Parameters, FileError> {
        // A phone with a password takes files that aren't encrypted too: the password is set to be used, not to be asked for.
        let opened = if is_salted(body) { Some(self.decrypt(url, body)?) } else { None };
        let profile = xml::read(opened.as_deref().unwrap_or(body), self.identity.mac)?;
        for (line, name) in profile.passed_over {
            let why = Refusal::Grandstream(FileError::NoParameter(name));
            self.transcript.push(Step::PassedOver { url: url.to_owned(), line, why });
        }
        Ok(profile.parameters)
    }

    fn decrypt(&mut self, url: &str, body: &[u8]) -> Result<Vec<u8>, FileError> {
        let password = value(&self.state.parameters, "P1359").ok_or(FileError::NoPassword)?;
        let password = Secret::new(password);
        let mut last = DecryptError::WrongKeyOrDigest;
        for digest in &self.behaviour.digests {
            match decrypt_aes_256_cbc(body, &password, *digest) {
                // One wrong digest in 256 looks right by the padding alone.
                Ok(content) if is_text(&content) => {
                    let how = format!("aes-256-cbc, {digest}");
                    self.transcript.push(Step::Decrypted { url: url.to_owned(), how });
                    return Ok(content);
                }
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    fn end_round(&mut self) {
        if !self.found {
            return self.fail();
        }
        match base(&self.state.parameters, &self.scheme) {
            Some(Base::Http(to)) if to != self.base => {
                if self.round < ROUNDS {
                    self.transcript.push(Step::Redirected { to });
                    return self.begin();
                }
                self.transcript.push(Step::RedirectedTooOften { to });
            }
            Some(Base::Other(protocol)) => {
                self.transcript.push(Step::OtherProtocol { protocol: protocol.to_owned() });
            }
            _ => {}
        }
        self.state.last_success = Some(self.now);
        self.state.failures = 0;
        let changed = changes(&self.before, &self.state.parameters);
        self.transcript.push(Step::Finished { changed });
    }

    fn fail(&mut self) {
        self.exchange = None;
        self.files.clear();
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
        let Some((file, mut exchange)) = self.exchange.take() else { return };
        match exchange.answered(answer, has_credentials, &mut self.transcript) {
            Fetched::Body(body) => self.take(file, exchange.url, &body),
            Fetched::Missing => self.next_file(),
            Fetched::Failed => self.fail(),
            Fetched::AskAgain => self.exchange = Some((file, exchange)),
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
            "<gs_provision><config>(<P1>a</P1>|<P212>[0-3]</P212>|<P237>[ab]</P237>|<P1360>u</P1360>|<P8467>1</P8467>){0,4}</config></gs_provision>"
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
                model: "GXP2170".to_owned(),
                mac: "000b82a00016".parse().unwrap(),
                serial: "EXAMPLE1".parse().unwrap(),
                firmware: "1.0.11.46".to_owned(),
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
                prop_assert!(asked <= 3 * 2 * 5);
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
