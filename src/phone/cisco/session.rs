//! What a resync, an upgrade and a report have in common: a phone at work, its state as it changes, and what it writes
//! down.

use crate::delivery::{DecryptError, GunzipError};
use crate::model::ParseKeyError;
use crate::phone::{Fetch, FetchError, State};

use super::alias::AliasError;
use super::emulation::{Now, Phone};
use super::macros;
use super::options::Arguments;
use super::profile::{Change, ProfileError, Target};
use super::random::Random;
use super::rule::{Alternative, Assignment, Kind, Rule, RuleError};
use super::target::Location;
use super::transcript::{Behaviour, Next, Step, Transcript};
use super::variables::View;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub state: State,
    pub transcript: Transcript,
    /// Whether all that was to be done was done; so it is where nothing was.
    pub succeeded: bool,
    /// What the phone does next: nothing of itself where this is empty.
    pub next: Vec<Next>,
}

/// Why a rule failed; its text is `$ERR`. The guide's table of internal error codes, X00 to X60, is of SIP alone and
/// has nothing for a resync; of `$ERR` it gives one example, "http_get failed".
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the rule is not valid: {0}")]
    Rule(#[from] RuleError),
    #[error("the rule names no server, and DHCP gave none")]
    NoServer,
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("file not found (HTTP 404)")]
    NotFound,
    #[error("HTTP {0}")]
    Status(u16),
    #[error("HTTP {0}, and the rule has no --uid and --pwd for this server")]
    NoCredentials(u16),
    #[error("HTTP {0}, with no challenge that the phone can answer (Basic, Digest with MD5 or SHA-256)")]
    NoChallenge(u16),
    #[error("HTTP {0} again, after {1} retries with user and password")]
    Unauthorized(u16, u32),
    #[error("HTTP {0} with no location that the phone can go to")]
    NoLocation(u16),
    #[error("more than {0} redirects")]
    Redirects(u32),
    #[error("corrupt file: encrypted by aes128gcm, and IKM_HTTP_Encrypt_Content is empty or not as it is written: {0}")]
    KeyingMaterial(#[source] ParseKeyError),
    #[error("corrupt file: {0}")]
    Decrypt(#[from] DecryptError),
    #[error("corrupt file: {0}")]
    Gunzip(#[from] GunzipError),
    #[error("corrupt file: it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("corrupt file: {0}")]
    Profile(#[from] ProfileError),
    #[error("the alias map in GPP_{0} is not valid: {1}")]
    Alias(char, #[source] AliasError),
    #[error("--post needs an http or https URL")]
    PostByTftp,
    #[error("Downgrade_Rev_Limit {0} refuses the earlier firmware {1}")]
    Downgrade(String, String),
    #[error("Downgrade_Rev_Limit {0} and the firmware {1} don't compare")]
    Incomparable(String, String),
    #[error("the firmware file is empty")]
    NoFirmware,
    #[error("the report can't be encrypted: {0}")]
    Encrypt(String),
}

impl Failure {
    pub fn behaviour(&self) -> Behaviour {
        match self {
            Self::NotFound
            | Self::KeyingMaterial(_)
            | Self::Decrypt(_)
            | Self::Gunzip(_)
            | Self::TooLarge(_)
            | Self::Profile(_)
            | Self::NoFirmware => Behaviour::B,
            _ => Behaviour::C,
        }
    }
}

/// A phone at work.
pub(super) struct Session<'a, F, R> {
    pub phone: &'a Phone,
    pub fetch: &'a F,
    pub random: &'a mut R,
    pub now: Now,
    pub state: State,
    pub transcript: Transcript,
    pub provisioning_state: i8,
    /// Where the last request went.
    pub location: Option<Location>,
    /// What came of it.
    pub error: String,
}

impl<F: Fetch, R: Random> Session<'_, F, R> {
    pub fn view(&self) -> View<'_> {
        View {
            phone: self.phone,
            state: &self.state,
            now: self.now,
            provisioning_state: self.provisioning_state,
            location: self.location.as_ref(),
            error: &self.error,
        }
    }

    pub fn parameter(&self, name: &str) -> &str {
        self.state.parameters.get(name).map_or("", String::as_str)
    }

    /// A yes or no; what is neither counts as the default.
    pub fn is_set(&self, name: &str, default: bool) -> bool {
        match self.parameter(name).trim().to_ascii_lowercase().as_str() {
            "yes" | "1" => true,
            "no" | "0" => false,
            _ => default,
        }
    }

    /// The parameter's rule, expanded and read; what there is to be shown of it is written down.
    pub fn rule(&mut self, parameter: &str, written: &str, kind: Kind) -> Result<Rule, Failure> {
        let expanded = macros::expand_rule(written, &self.view());
        let rule = Rule::parse(&expanded, kind);
        let mut shown = (Arguments::masked(written), Arguments::masked(&expanded));
        for assignment in rule.iter().flat_map(|rule| &rule.alternatives).flat_map(|one| &one.assignments) {
            if self.phone.known.is_secret(&assignment.name) && !assignment.value.is_empty() {
                let value = format!("\"{}\"", assignment.value);
                shown = (shown.0.replace(&value, "\"***\""), shown.1.replace(&value, "\"***\""));
            }
        }
        let (written, expanded) = shown;
        self.transcript.push(Step::Rule { parameter: parameter.to_owned(), written, expanded });
        Ok(rule?)
    }

    /// The alternative that is taken; the conditions up to it are written down.
    pub fn choose<'r>(&mut self, rule: &'r Rule) -> Option<&'r Alternative> {
        for alternative in &rule.alternatives {
            let Some(condition) = &alternative.condition else { return Some(alternative) };
            let holds = condition.holds();
            self.transcript.push(Step::Condition { text: alternative.condition_text.clone(), holds });
            if holds {
                return Some(alternative);
            }
        }
        None
    }

    pub fn assign(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            let effect = self.target(|target| target.assign(&assignment.name, &assignment.value));
            let change = Change { name: assignment.name.clone(), at: assignment.at, effect, access: None };
            self.transcript.push(Step::Assigned(change));
        }
    }

    /// Does something to the phone's parameters.
    pub fn target<T>(&mut self, act: impl FnOnce(&mut Target<'_>) -> T) -> T {
        let defaults = self.phone.family.parameters();
        act(&mut Target {
            parameters: &mut self.state.parameters,
            access: &mut self.state.access,
            known: &self.phone.known,
            defaults: &defaults,
            empty_element: self.phone.emulation.empty_element,
            empty_value: self.phone.emulation.empty_value,
        })
    }

    /// A message of the phone's syslog; one that is cleared is not sent.
    pub fn log(&mut self, parameter: &str) {
        let message = macros::expand(self.parameter(parameter), &self.view());
        if !message.trim().is_empty() {
            self.transcript.push(Step::Log { message });
        }
    }

    pub fn failed(&mut self, parameter: &str, failure: &Failure) {
        let step = Step::Failed {
            parameter: parameter.to_owned(),
            behaviour: failure.behaviour(),
            error: failure.to_string(),
        };
        self.transcript.push(step);
    }

    pub fn end(mut self, succeeded: bool, next: Vec<Next>) -> Outcome {
        for next in &next {
            self.transcript.push(Step::Next(next.clone()));
        }
        Outcome { state: self.state, transcript: self.transcript, succeeded, next }
    }
}
