//! What a phone that asks for plain files did in a resync, step by step: for people, for programs and for tests. It names
//! files and parameters, and holds no value of any. The steps of phones with rules and conditions are their own.

use std::fmt;

use serde::{Serialize, Serializer};

use super::aastra::GrammarError;
use super::fetch::FetchError;
use super::grandstream::FileError;

/// The steps of one resync, in the order in which they happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Transcript {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// The phone knows no server to ask: neither by its parameters nor by what it was told from outside.
    NoServer,
    /// The parameters name a server that this phone can't fetch from, by a protocol that isn't HTTP.
    OtherProtocol { protocol: String },
    /// A request and the answer to it, whatever its status.
    Asked {
        url: String,
        status: u16,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        tls: Option<String>,
        milliseconds: u64,
    },
    /// A request without an answer.
    Unanswered {
        url: String,
        #[serde(serialize_with = "text")]
        error: FetchError,
    },
    /// There is no such file; the phone goes on to its next one.
    Missing { url: String },
    /// The server wants a user and a password; the phone asks once more where it has them.
    Challenged { url: String, answered: bool },
    /// The file was encrypted, and could be opened; `how` names cipher and digest.
    Decrypted { url: String, how: String },
    /// What was answered is nothing that the phone takes.
    Refused {
        url: String,
        #[serde(serialize_with = "text")]
        why: Refusal,
    },
    /// A part of a file that is passed over; the rest of the file holds.
    PassedOver {
        url: String,
        line: u32,
        #[serde(serialize_with = "text")]
        why: Refusal,
    },
    /// The file's parameters were taken.
    Applied { url: String, parameters: usize },
    /// A parameter keeps the value that the user gave it on the phone.
    KeptLocal { name: String },
    /// The user's change of a parameter was taken back.
    TookBack { name: String },
    /// The files name another server than the one they came from: the phone starts over there.
    Redirected { to: String },
    /// The files keep naming other servers; the phone stays with the last one and gives up following.
    RedirectedTooOften { to: String },
    /// The end: the names of the parameters whose values are now others.
    Finished { changed: Vec<String> },
    /// The end: the phone keeps what it had.
    Failed,
}

/// Why a phone doesn't take what it fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("HTTP status {0}")]
    Status(u16),
    #[error(transparent)]
    Aastra(#[from] GrammarError),
    #[error(transparent)]
    Grandstream(#[from] FileError),
}

impl Transcript {
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether the phone now holds what the server wanted it to.
    pub fn succeeded(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Finished { .. }))
    }

    /// The parameters whose values this resync changed.
    pub fn changed(&self) -> &[String] {
        self.steps
            .iter()
            .find_map(|step| if let Step::Finished { changed } = step { Some(changed.as_slice()) } else { None })
            .unwrap_or_default()
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
            Self::NoServer => f.write_str("the phone knows of no server"),
            Self::OtherProtocol { protocol } => {
                write!(f, "the server is to be asked by {protocol}, which is not emulated")
            }
            Self::Asked { url, status, bytes, tls, milliseconds } => {
                write!(f, "GET {url}: {status}, {bytes} bytes, {milliseconds} ms")?;
                tls.as_ref().map_or(Ok(()), |tls| write!(f, ", {tls}"))
            }
            Self::Unanswered { url, error } => write!(f, "GET {url}: {error}"),
            Self::Missing { .. } => f.write_str("  there is none: on to the next"),
            Self::Challenged { answered: true, .. } => f.write_str("  asked for a password: once more, with it"),
            Self::Challenged { answered: false, .. } => {
                f.write_str("  asked for a password that the phone doesn't have")
            }
            Self::Decrypted { how, .. } => write!(f, "  decrypted by {how}"),
            Self::Refused { why, .. } => write!(f, "  refused: {why}"),
            Self::PassedOver { why, .. } => write!(f, "  passed over: {why}"),
            Self::Applied { parameters, .. } => write!(f, "  taken: {parameters} parameters"),
            Self::KeptLocal { name } => write!(f, "  {name} stays as the user set it"),
            Self::TookBack { name } => write!(f, "  {name}: the user's change is taken back"),
            Self::Redirected { to } => write!(f, "starting over at {to}"),
            Self::RedirectedTooOften { to } => write!(f, "not following to {to}: sent on too often"),
            Self::Finished { changed } => write!(f, "done: {} parameters changed", changed.len()),
            Self::Failed => f.write_str("failed: the phone keeps what it has"),
        }
    }
}

fn text<S: Serializer>(error: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}
