//! What a phone did, step by step, for people and for programs. Keys and passwords are not in it.

use std::fmt;

use serde::Serialize;

use super::profile::Change;
use super::resync::Reason;
use super::target::Location;

/// The steps in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Transcript {
    pub steps: Vec<Step>,
}

/// How a phone goes on after an answer (guide: "HTTP Status Code Handling on Resync and Upgrade").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Behaviour {
    /// Success: the periodic schedule goes on.
    A,
    /// The file is not there, or corrupt: the error schedule.
    B,
    /// Any other failure: the error schedule.
    C,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    Begin {
        reason: Reason,
    },
    /// Nothing is done, for this reason.
    Refused {
        why: String,
    },
    /// A phone would wait so long before it goes on; the emulation does not.
    Wait {
        parameter: &'static str,
        seconds: u64,
    },
    Trigger {
        parameter: String,
        expanded: String,
        holds: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A rule as it is written, and after expansion.
    Rule {
        parameter: String,
        written: String,
        expanded: String,
    },
    Condition {
        text: String,
        holds: bool,
    },
    /// Nothing of the rule applies.
    Skipped {
        parameter: String,
        why: String,
    },
    Request {
        method: &'static str,
        location: Location,
        #[serde(skip_serializing_if = "Option::is_none")]
        authorization: Option<&'static str>,
    },
    Response {
        status: u16,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        tls: Option<String>,
        milliseconds: u64,
    },
    Redirect {
        location: Location,
    },
    /// A 401 or 407, and by what it is answered.
    Challenge {
        status: u16,
        scheme: &'static str,
        retry: u32,
    },
    Decrypted {
        by: &'static str,
        bytes: usize,
    },
    Unzipped {
        bytes: usize,
    },
    /// A parameter of a profile.
    Parameter(Change),
    /// An assignment of a rule.
    Assigned(Change),
    /// A line as the phone's syslog has it.
    Log {
        message: String,
    },
    Succeeded {
        parameter: String,
    },
    Failed {
        parameter: String,
        behaviour: Behaviour,
        error: String,
    },
    /// The firmware that the phone has from now on.
    Upgraded {
        firmware: String,
    },
    Next(Next),
}

/// What a phone does next, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    pub action: Action,
    /// Seconds from now.
    pub after: u64,
    /// The parameter that says so.
    pub by: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Resync,
    /// A resync because the last one failed.
    Retry,
    Upgrade,
    /// Firmware was put in; the resync after an upgrade comes then, if the parameters allow it.
    Reboot,
}

impl Transcript {
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The lines of the phone's syslog.
    pub fn log(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Log { message } => Some(message.as_str()),
            _ => None,
        })
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { reason } => write!(f, "{reason}"),
            Self::Refused { why } => write!(f, "nothing is done: {why}"),
            Self::Wait { parameter, seconds } => write!(f, "{parameter}: a phone waits {seconds} s first"),
            Self::Trigger { parameter, expanded, error: Some(error), .. } => {
                write!(f, "{parameter}: {expanded}: {error}")
            }
            Self::Trigger { parameter, expanded, holds, .. } => write!(f, "{parameter}: {expanded}: {}", held(*holds)),
            Self::Rule { parameter, expanded, .. } => write!(f, "{parameter}: {expanded}"),
            Self::Condition { text, holds } => write!(f, "  ({text})? {}", held(*holds)),
            Self::Skipped { parameter, why } => write!(f, "{parameter}: skipped, {why}"),
            Self::Request { method, location, authorization: Some(by) } => write!(f, "  {method} {location} with {by}"),
            Self::Request { method, location, authorization: None } => write!(f, "  {method} {location}"),
            Self::Response { status, bytes, tls, milliseconds } => {
                write!(f, "  {status}, {bytes} bytes, {milliseconds} ms")?;
                tls.as_ref().map_or(Ok(()), |tls| write!(f, ", {tls}"))
            }
            Self::Redirect { location } => write!(f, "  redirected to {location}"),
            Self::Challenge { status, scheme, retry } => write!(f, "  {status} answered by {scheme}, retry {retry}"),
            Self::Decrypted { by, bytes } => write!(f, "  decrypted by {by}: {bytes} bytes"),
            Self::Unzipped { bytes } => write!(f, "  unzipped: {bytes} bytes"),
            Self::Parameter(change) => write!(f, "  {change}"),
            Self::Assigned(change) => write!(f, "  assigned by the rule: {change}"),
            Self::Log { message } => write!(f, "  syslog: {message}"),
            Self::Succeeded { parameter } => write!(f, "{parameter}: done"),
            Self::Failed { parameter, behaviour, error } => write!(f, "{parameter}: failed ({behaviour:?}): {error}"),
            Self::Upgraded { firmware } => write!(f, "upgraded to {firmware}"),
            Self::Next(next) => write!(f, "{next}"),
        }
    }
}

fn held(holds: bool) -> &'static str {
    if holds { "true" } else { "false" }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Resync => "resync",
            Action::Retry => "retry of the resync",
            Action::Upgrade => "upgrade",
            Action::Reboot => "reboot",
        };
        write!(f, "next: {action} in {} s ({})", self.after, self.by)
    }
}
