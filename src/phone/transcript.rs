//! What a phone did in a resync, step by step: typed, so that tests compare it and a command prints it. It names files
//! and parameters, and holds no value of any.

use std::time::Duration;

use super::aastra::GrammarError;
use super::fetch::{FetchError, Method};
use super::grandstream::FileError;

/// The steps of one resync, in the order in which they happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The phone knows no server to ask: neither by its parameters nor by what it was told from outside.
    NoServer,
    /// The parameters name a server that this phone can't fetch from, by a protocol that isn't HTTP.
    OtherProtocol { protocol: String },
    /// A request and the answer to it, whatever its status.
    Asked { method: Method, url: String, status: u16, octets: usize, tls_version: Option<String>, duration: Duration },
    /// A request without an answer.
    Unanswered { method: Method, url: String, error: FetchError },
    /// There is no such file; the phone goes on to its next one.
    Missing { url: String },
    /// The server wants a user and a password; the phone asks once more where it has them.
    Challenged { url: String, answered: bool },
    /// The file was encrypted, and could be opened; `how` names cipher and digest.
    Decrypted { url: String, how: String },
    /// What was answered is nothing that the phone takes.
    Refused { url: String, why: Refusal },
    /// A part of a file that is passed over; the rest of the file holds.
    PassedOver { url: String, line: u32, why: Refusal },
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
