//! User and password as a proof: asked for, read, and compared with one device's own.
//!
//! What is answered and how long it takes tells nothing of the device: whether phones are asked is the listener's to say, a
//! challenge is the same for all, and whatever is shown is compared, be there a device to compare it with or not.

mod authorization;
mod credentials;
mod digest;
mod nonce;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use time::OffsetDateTime;
use tokio::sync::mpsc;

pub(crate) use authorization::parameter;
pub use authorization::{Authorization, AuthorizationError};
pub use credentials::{Credentials, Which, new_password, new_user};
pub use digest::{Algorithm, Signed};
use nonce::{Nonce, Nonces};

use crate::config::{Config, Listener};
use crate::events::Refusal;
use crate::model::{MacAddr, Secret};

/// How many used passwords may wait for what is done about them. One that finds no room is noticed at its next use.
const WAITING: usize = 1024;

/// What the server asks for, and how it knows the answers.
#[derive(Debug)]
pub struct Passwords {
    realm: String,
    /// By the listener's name: those that ask.
    listeners: HashMap<Arc<str>, Asking>,
    nonces: Nonces,
    /// Stands in where there is nothing to compare with.
    nobody: Secret,
    settled: mpsc::Sender<Settled>,
}

/// How a listener asks.
#[derive(Debug, Clone, Copy)]
struct Asking {
    /// Whether Basic is taken.
    basic: bool,
}

/// A phone has used its new password: the one before can go.
#[derive(Debug)]
pub struct Settled {
    pub mac: MacAddr,
    /// The one that it used.
    pub password: Secret,
}

/// A request, as far as a proof by password depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'c> {
    /// The listener's name.
    pub listener: &'c str,
    pub method: &'c str,
    /// Path and query as they were sent.
    pub target: &'c str,
    /// The `Authorization` header; an empty one for several.
    pub authorization: Option<&'c Secret>,
    pub time: OffsetDateTime,
}

/// What a request showed on a listener that asks.
#[derive(Debug)]
pub struct Claim {
    shown: Shown,
    /// What it answers is none of ours, too old or used: it may try again.
    stale: bool,
    basic: bool,
    method: String,
    time: OffsetDateTime,
    /// Whether the nonce was used up for this request: a request with a form is decided on twice.
    taken: OnceLock<bool>,
}

#[derive(Debug)]
enum Shown {
    Nothing,
    /// Too many wrong ones came before it.
    Distrusted,
    Unreadable(AuthorizationError),
    /// Basic where it isn't taken.
    InClear,
    Basic(Secret, Secret),
    Digest(Box<authorization::DigestAnswer>, Option<Nonce>),
}

/// What a claim comes to for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No user and no password were sent.
    Silent,
    Holds(Which),
    Fails(Refusal, String),
}

impl Claim {
    /// Whether it is a guess at a password, as far as that can be told without looking at any device.
    pub fn is_try(&self) -> bool {
        matches!(self.shown, Shown::Basic(..) | Shown::Digest(..)) && !self.stale
    }

    /// Lets it hold for nobody: whoever sent it has guessed too often.
    pub fn distrust(&mut self) {
        self.shown = Shown::Distrusted;
    }
}

impl Passwords {
    /// Asks by the listeners that are to. `key` signs nonces. What comes out at the other end has to be received, or is lost.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(config: &Config, key: Secret) -> Result<(Self, mpsc::Receiver<Settled>), getrandom::Error> {
        let asks = |listener: &&Listener| listener.passwords;
        let listeners = config.listeners.iter().filter(asks).map(|listener| {
            let basic = listener.tls.is_some() || listener.basic_without_tls;
            (Arc::from(listener.name.as_str()), Asking { basic })
        });
        let settings = &config.passwords;
        let (settled, receiver) = mpsc::channel(WAITING);
        let passwords = Self {
            realm: settings.realm.clone(),
            listeners: listeners.collect(),
            nonces: Nonces::new(key, &settings.realm, settings.nonce_lifetime, settings.nonces)?,
            nobody: new_password()?,
            settled,
        };
        Ok((passwords, receiver))
    }

    /// For playing phones against their own files: on the one listener that there is then, asked for as the configuration's
    /// listeners ask.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn played(config: &Config, listener: &str) -> Result<Self, getrandom::Error> {
        let (mut passwords, _) = Self::new(config, new_password()?)?;
        let basic = passwords.listeners.values().any(|asking| asking.basic);
        let asks = !passwords.listeners.is_empty();
        passwords.listeners = asks.then(|| (Arc::from(listener), Asking { basic })).into_iter().collect();
        Ok(passwords)
    }

    /// What a request shows; none on a listener that doesn't ask.
    pub fn claim(&self, carried: &Carried<'_>) -> Option<Claim> {
        let asking = self.listeners.get(carried.listener)?;
        let (mut shown, mut stale) = (Shown::Nothing, false);
        if let Some(header) = carried.authorization {
            shown = match Authorization::parse(header.expose()) {
                Err(error) => Shown::Unreadable(error),
                Ok(Authorization::Basic { .. }) if !asking.basic => Shown::InClear,
                Ok(Authorization::Basic { user, password }) => Shown::Basic(user, password),
                Ok(Authorization::Digest(answer)) => match self.misdirected(&answer, carried) {
                    Some(error) => Shown::Unreadable(error),
                    None => {
                        let nonce = self.nonces.read(&answer.nonce, carried.time);
                        stale = nonce.is_none_or(|nonce| self.nonces.is_used(nonce, answer.count));
                        Shown::Digest(answer, nonce)
                    }
                },
            };
        }
        let (method, time) = (carried.method.to_owned(), carried.time);
        Some(Claim { shown, stale, basic: asking.basic, method, time, taken: OnceLock::new() })
    }

    /// Whether an answer is to another question than this request.
    fn misdirected(&self, answer: &authorization::DigestAnswer, carried: &Carried<'_>) -> Option<AuthorizationError> {
        if answer.realm != self.realm {
            return Some(AuthorizationError::Unsupported("realm"));
        }
        (path_of(&answer.uri) != carried.target).then_some(AuthorizationError::Unsupported("uri"))
    }

    /// The challenges of a refusal, each the value of a `WWW-Authenticate`, the strongest first. The same for everyone, but
    /// for the nonce. Whether the nonce that was answered is stale, too, is the same whoever answered and for which device.
    pub fn challenges(&self, claim: &Claim) -> Vec<String> {
        let nonce = self.nonces.issue(OffsetDateTime::now_utc());
        let (realm, stale) = (&self.realm, if claim.stale { ", stale=true" } else { "" });
        let mut challenges: Vec<String> = [Algorithm::Sha256, Algorithm::Md5]
            .iter()
            .map(|algorithm| {
                let name = algorithm.name();
                format!("Digest realm=\"{realm}\", qop=\"auth\", algorithm={name}, nonce=\"{nonce}\"{stale}")
            })
            .collect();
        if claim.basic {
            challenges.push(format!("Basic realm=\"{realm}\""));
        }
        challenges
    }

    /// Compares a claim with a device's credentials; none: with nothing that could hold, at the same cost. `repeats_nc`: the
    /// model may use a nonce again with the same count.
    pub fn verify(&self, claim: &Claim, credentials: Option<&Credentials>, repeats_nc: bool) -> Verdict {
        let expected = credentials.map(|credentials| credentials.expected(&self.nobody));
        let missing = expected.as_ref().and_then(|expected| expected.missing.clone());
        let nobody = || credentials::Expected::nobody(&self.nobody);
        let expected = expected.unwrap_or_else(nobody);
        let which = match &claim.shown {
            Shown::Nothing => return Verdict::Silent,
            Shown::Distrusted => {
                let reason = "too many wrong passwords came from this network for this phone: none is looked at";
                return Verdict::Fails(Refusal::WrongPassword, reason.to_owned());
            }
            Shown::Unreadable(error) => return Verdict::Fails(Refusal::BadCredentials, error.to_string()),
            Shown::InClear => {
                let reason = "Basic came without TLS, and the listener doesn't take that (basic_without_tls)";
                return Verdict::Fails(Refusal::ClearPassword, reason.to_owned());
            }
            Shown::Basic(user, password) => expected.basic(user, password),
            Shown::Digest(answer, _) => {
                let signed = Signed {
                    algorithm: answer.algorithm,
                    realm: &self.realm,
                    method: &claim.method,
                    uri: &answer.uri,
                    nonce: &answer.nonce,
                    nc: &answer.nc,
                    cnonce: &answer.cnonce,
                };
                expected.digest(&signed, &answer.user, &answer.response)
            }
        };
        let Some(which) = which.filter(|_| credentials.is_some()) else {
            let reason = missing.unwrap_or_else(|| "user or password is not the device's own".to_owned());
            return Verdict::Fails(Refusal::WrongPassword, reason);
        };
        let Shown::Digest(answer, nonce) = &claim.shown else { return Verdict::Holds(which) };
        let Some(nonce) = nonce else {
            let reason = "the digest answers a nonce that is too old, or another server's";
            return Verdict::Fails(Refusal::StaleNonce, reason.to_owned());
        };
        if *claim.taken.get_or_init(|| self.nonces.take(*nonce, answer.count, repeats_nc, claim.time)) {
            return Verdict::Holds(which);
        }
        let reason = format!(
            "the digest came before: nc {} of its nonce was used already, or so long ago that it can't be told",
            answer.nc
        );
        Verdict::Fails(Refusal::ReplayedNonce, reason)
    }

    /// Says that a phone has used its new password while the one before still holds.
    pub fn settle(&self, mac: MacAddr, credentials: &Credentials) {
        if let Some(password) = credentials.current() {
            // Full: its next use tells it again.
            let _ = self.settled.try_send(Settled { mac, password });
        }
    }
}

/// The path and query of a digest's `uri`, which may be an absolute one.
fn path_of(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return uri;
    }
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

#[cfg(test)]
mod tests;
