//! A device's own user and password, and comparing them in a time that tells nothing.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::digest::Signed;
use crate::model::{MacAddr, Secret};
use crate::settings::{Effective, SecretSource, Setting, Value};

/// The `[credentials]` of one device. The passwords are fetched from where they stand only to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    user: Arc<str>,
    password: SecretSource,
    previous: Option<SecretSource>,
    /// The setting of the password, for messages.
    setting: &'static str,
    /// Whether the one before stands in the device's record, which can be changed here.
    pub previous_of_record: bool,
}

/// Which of the two passwords that may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Current,
    /// The one before, until the phone has used the new one.
    Previous,
}

/// Where the origins of settings in records of devices are.
const DEVICE_RECORDS: &str = "database/devices";

impl Credentials {
    /// Those that the settings have; none unless both user and password are there.
    pub fn of(settings: &Effective) -> Option<Self> {
        let secret = |setting: &Setting| match &setting.value {
            Value::Secret(source) => Some(source.clone()),
            _ => None,
        };
        let previous = settings.named("credentials.previous");
        Some(Self {
            setting: "credentials.password",
            user: settings.text("credentials.user")?.into(),
            password: settings.named("credentials.password").and_then(secret)?,
            previous: previous.and_then(secret),
            previous_of_record: previous.is_some_and(|setting| setting.origin.source.starts_with(DEVICE_RECORDS)),
        })
    }

    /// Those by which the phone shows its ACS who it is; none unless both user and password are there.
    pub fn of_acs(settings: &Effective) -> Option<Self> {
        let Value::Secret(password) = &settings.named("acs.password")?.value else { return None };
        Some(Self {
            setting: "acs.password",
            user: settings.text("acs.user")?.into(),
            password: password.clone(),
            previous: None,
            previous_of_record: false,
        })
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password in force, if it can be had.
    pub fn current(&self) -> Option<Secret> {
        self.password.text().ok()
    }

    pub fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    /// What has to be shown. `nobody` stands in for a password that isn't there.
    pub(super) fn expected(&self, nobody: &Secret) -> Expected<'_> {
        let current = self.password.text();
        let missing = current.as_ref().err().map(|error| format!("{} can't be had: {error}", self.setting));
        let previous = self.previous.as_ref().and_then(|source| source.text().ok());
        Expected {
            user: &self.user,
            has: [current.is_ok(), previous.is_some()],
            passwords: [current.ok(), previous].map(|password| password.unwrap_or_else(|| nobody.clone())),
            missing,
        }
    }
}

/// User and passwords at hand.
pub(super) struct Expected<'e> {
    user: &'e str,
    passwords: [Secret; 2],
    /// Which of them are real.
    has: [bool; 2],
    /// Why the first isn't.
    pub missing: Option<String>,
}

impl Expected<'_> {
    /// Nothing that anybody could show.
    pub fn nobody(nobody: &Secret) -> Self {
        Self { user: "", passwords: [nobody.clone(), nobody.clone()], has: [false; 2], missing: None }
    }

    pub fn basic(&self, user: &Secret, password: &Secret) -> Option<Which> {
        let named = same(self.user.as_bytes(), user.expose());
        self.which(|expected| named & same(expected.expose(), password.expose()))
    }

    pub fn digest(&self, signed: &Signed<'_>, user: &Secret, response: &Secret) -> Option<Which> {
        let named = same(self.user.as_bytes(), user.expose());
        self.which(|expected| named & signed.response(self.user, expected).expose().ct_eq(response.expose()))
    }

    /// Looks at both, whichever it is.
    fn which(&self, holds: impl Fn(&Secret) -> Choice) -> Option<Which> {
        let [current, previous] = &self.passwords;
        let found = [holds(current), holds(previous)].map(bool::from);
        match (found, self.has) {
            ([true, _], [true, _]) => Some(Which::Current),
            ([_, true], [_, true]) => Some(Which::Previous),
            _ => None,
        }
    }
}

/// Compares by digest, so that not even lengths can be told by the time.
fn same(one: &[u8], other: &[u8]) -> Choice {
    Sha256::digest(one).as_slice().ct_eq(Sha256::digest(other).as_slice())
}

/// Crockford's base 32 in lower case: every pack's format and every phone's menu takes these letters.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a password: 130 bits.
const LENGTH: usize = 26;

/// A password, from the operating system's randomness.
///
/// # Errors
/// When it has none.
pub fn new_password() -> Result<Secret, getrandom::Error> {
    let mut random = [0; LENGTH];
    getrandom::fill(&mut random)?;
    let text = random.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0'));
    random.fill(0);
    Ok(Secret::new(text))
}

/// The user that a device gets which has none.
pub fn new_user(mac: MacAddr) -> String {
    format!("phone-{mac}")
}
