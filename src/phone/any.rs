//! A phone of any family: which one a model is, and one resync of it in terms that all families share.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::cisco::{self, Emulation, Now, Random, Reason};
use super::fetch::{Credentials, Fetch};
use super::state::{Identity, State};
use super::{Start, aastra, grandstream};

/// The families that are emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    Cisco,
    Aastra,
    Grandstream,
}

/// A text that names no family, or a model of none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no family that is emulated: cisco, aastra or grandstream")]
pub struct ParseMakerError(String);

impl Maker {
    /// By the model's name, as on the box.
    pub fn of(model: &str) -> Option<Self> {
        let upper = model.to_ascii_uppercase();
        let begins = |names: &[&str]| names.iter().any(|name| upper.starts_with(name));
        if begins(&["CP-", "SPA", "PAP2"]) || upper.ends_with("-3PCC") {
            Some(Self::Cisco)
        } else if begins(&["GXP", "GRP", "GXV", "GAC", "GXW", "HT", "DP7", "BT"]) {
            Some(Self::Grandstream)
        } else if begins(&["67", "68", "69", "91", "94"]) {
            Some(Self::Aastra)
        } else {
            None
        }
    }
}

impl FromStr for Maker {
    type Err = ParseMakerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cisco" => Ok(Self::Cisco),
            "aastra" => Ok(Self::Aastra),
            "grandstream" => Ok(Self::Grandstream),
            other => Err(ParseMakerError(other.to_owned())),
        }
    }
}

/// A phone, apart from what it remembers.
#[derive(Debug, Clone)]
pub enum Phone {
    Cisco(Box<cisco::Phone>),
    Aastra(Identity, aastra::Behaviour),
    Grandstream(Identity, grandstream::Behaviour),
}

/// Why a resync is to be done, as far as families share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    PowerUp,
    /// The time that the last resync set has come.
    Due,
    /// A SIP NOTIFY.
    Notify,
    /// A person, with a profile rule in the place of the phone's own where one is given; only Cisco phones take one.
    Command(Option<String>),
}

/// One thing that a phone did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    pub text: String,
    /// The same for programs: the family's own step.
    pub step: Value,
    /// Whether the real phone's syslog would have it.
    pub is_log: bool,
}

/// What came of a resync.
#[derive(Debug, Clone)]
pub struct Played {
    pub state: State,
    /// Why it failed as the phone sees it; none for a success.
    pub failure: Option<String>,
    pub steps: Vec<Done>,
    /// Names of parameters whose values are others now.
    pub changed: Vec<String>,
    /// Seconds until the phone looks again by itself; none for never.
    pub next: Option<u64>,
}

impl Phone {
    pub fn new(maker: Maker, identity: Identity, emulation: Emulation) -> Self {
        match maker {
            Maker::Cisco => Self::Cisco(Box::new(cisco::Phone::new(identity, emulation))),
            Maker::Aastra => Self::Aastra(identity, aastra::Behaviour::default()),
            Maker::Grandstream => Self::Grandstream(identity, grandstream::Behaviour::default()),
        }
    }

    /// What a factory-new one remembers.
    pub fn factory_state(&self) -> State {
        match self {
            Self::Cisco(phone) => phone.family.new_phone(),
            Self::Aastra(..) | Self::Grandstream(..) => State::default(),
        }
    }

    /// Tells it user and password for its server, as a person does in its menu before its first resync. A rule of a Cisco phone
    /// that names its own keeps them.
    pub fn tell_credentials(&self, state: &mut State, credentials: &Credentials) {
        let password = credentials.password.expose_text().unwrap_or_default().to_owned();
        let parameters = &mut state.parameters;
        let mut set = |name: &str, value: String| parameters.insert(name.to_owned(), value);
        match self {
            Self::Cisco(_) => {
                set("GPP_SB", credentials.user.clone());
                set("GPP_SC", password);
                let rule = parameters.entry("Profile_Rule".to_owned()).or_default();
                *rule = with_options(rule);
            }
            Self::Aastra(..) => {
                set("http digest username", credentials.user.clone());
                set("http digest password", password);
            }
            Self::Grandstream(..) => {
                set("P1360", credentials.user.clone());
                set("P1361", password);
            }
        }
    }

    /// A rule for a Cisco phone that was told user and password by [`Self::tell_credentials`].
    pub fn rule_with_credentials(&self, rule: &str) -> String {
        if matches!(self, Self::Cisco(_)) { with_options(rule) } else { rule.to_owned() }
    }

    /// Does a resync. `server` is what DHCP or a person tells a phone that knows no server itself.
    pub async fn resync(
        &self,
        state: &State,
        cause: &Cause,
        server: Option<&str>,
        now: i64,
        fetch: &impl Fetch,
        random: &mut impl Random,
    ) -> Played {
        let start = Start { server: server.map(str::to_owned), now };
        let (played, transcript, next) = match self {
            Self::Cisco(phone) => return cisco_resync(phone, state, cause, now, fetch, random).await,
            Self::Aastra(identity, behaviour) => {
                let (after, transcript) = aastra::resync(identity, state, &start, *behaviour, fetch).await;
                let next = aastra::Schedule::of(&after.parameters).next(now, now, random.up_to(u32::MAX));
                (after, transcript, next)
            }
            Self::Grandstream(identity, behaviour) => {
                let (after, transcript) = grandstream::resync(identity, state, &start, behaviour.clone(), fetch).await;
                let next =
                    grandstream::Schedule::of(identity, &after.parameters).next(now, now, random.up_to(u32::MAX));
                (after, transcript, next)
            }
        };
        let steps: Vec<Done> = transcript.steps.iter().map(|step| done(step, step.to_string(), false)).collect();
        // The last step says that it failed, the one before it why.
        let why = steps.iter().rev().nth(1).map_or("the resync failed", |step| step.text.as_str());
        Played {
            changed: super::changes(&state.parameters, &played.parameters),
            state: played,
            failure: (!transcript.succeeded()).then(|| why.to_owned()),
            steps,
            next: next.and_then(|at| u64::try_from(at - now).ok()),
        }
    }
}

/// A profile rule that names user and password, which stand in GPP_SB and GPP_SC (guide: "uid and pwd").
fn with_options(rule: &str) -> String {
    match rule.trim_start() {
        rule if rule.contains("--uid") => rule.to_owned(),
        rule if rule.starts_with('[') => rule.replacen('[', "[--uid $SB --pwd $SC ", 1),
        rule => format!("[--uid $SB --pwd $SC] {rule}"),
    }
}

async fn cisco_resync(
    phone: &cisco::Phone,
    state: &State,
    cause: &Cause,
    now: i64,
    fetch: &impl Fetch,
    random: &mut impl Random,
) -> Played {
    let reason = match cause {
        Cause::PowerUp => Reason::PowerUp,
        Cause::Due if state.failures > 0 => Reason::Retry,
        Cause::Due => Reason::Periodic,
        Cause::Notify => Reason::Notify,
        Cause::Command(rule) => Reason::Command(rule.clone()),
    };
    let clock = Now { unix: now, utc_offset: 0 };
    let outcome = cisco::resync(phone, state.clone(), reason, clock, fetch, random).await;
    let why = outcome.transcript.steps.iter().rev().find_map(|step| match step {
        cisco::Step::Failed { parameter, error, .. } => Some(format!("{parameter}: {error}")),
        _ => None,
    });
    let steps = outcome.transcript.steps.iter().map(|step| match step {
        cisco::Step::Log { message } => done(step, message.clone(), true),
        other => done(other, other.to_string(), false),
    });
    Played {
        changed: super::changes(&state.parameters, &outcome.state.parameters),
        failure: (!outcome.succeeded).then(|| why.unwrap_or_else(|| "the resync failed".to_owned())),
        steps: steps.collect(),
        next: outcome.next.iter().map(|next| next.after).min(),
        state: outcome.state,
    }
}

fn done(step: &impl Serialize, text: String, is_log: bool) -> Done {
    Done { text, step: serde_json::to_value(step).unwrap_or_default(), is_log }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cisco => "cisco",
            Self::Aastra => "aastra",
            Self::Grandstream => "grandstream",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Maker;

    #[test]
    fn a_model_tells_its_maker() {
        for (model, maker) in [
            ("CP-6841-3PCC", Maker::Cisco),
            ("6841-3PCC", Maker::Cisco),
            ("SPA504G", Maker::Cisco),
            ("PAP2T", Maker::Cisco),
            ("6757i", Maker::Aastra),
            ("6920", Maker::Aastra),
            ("9480i", Maker::Aastra),
            ("GXP2170", Maker::Grandstream),
            ("HT801", Maker::Grandstream),
        ] {
            assert_eq!(Maker::of(model), Some(maker), "{model}");
        }
        assert_eq!(Maker::of("T46G"), None);
    }
}
