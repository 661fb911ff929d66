//! Secrets at rest: what the database holds of passwords and keys is sealed with the master key of the configuration
//! (AES-256-GCM), each bound to its place, so that a row copied over another opens nowhere. This module owns the form
//! of a sealed text; what keys a database has seen is in `unlock`, and sealing anew after a change of keys in `rotate`.

mod error;
mod key;
mod rotate;
mod sealed;
mod unlock;

use std::fmt;
use std::sync::Arc;

use crate::config;
use crate::document::Problem;
use crate::model::Secret;

pub use error::VaultError;
pub use key::KeyId;
pub use rotate::{Rotation, rotate};
pub use sealed::{SEALED, is_sealed};
pub use unlock::{KeyIds, Own, UnlockError, Unlocked, key_file_to_make, unlock, unlock_read_only};

use key::Key;
use sealed::Sealed;

/// The keys that secrets in the database are sealed with. Clones share them; nothing shows them, and they are wiped
/// with the last clone.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

struct Keys {
    /// Seals and opens. An error: the configuration names one that is not to be had here.
    master: Result<Option<Key>, Problem>,
    /// Only open.
    read: Vec<Key>,
    /// Why there are not more of those that only open.
    missing: Vec<Problem>,
}

impl Vault {
    /// The vault of a configuration. A key that isn't there is told when something needs it.
    pub fn new(secrets: &config::Secrets) -> Self {
        let master = match &secrets.master_key {
            Ok(Some(key)) => Key::new(key).map(Some),
            Ok(None) => Ok(None),
            Err(problem) => Err(problem.clone()),
        };
        let (mut read, mut missing) = (Vec::new(), Vec::new());
        for key in &secrets.read_keys {
            match key.as_ref().map_err(Problem::clone).and_then(Key::new) {
                Ok(key) => read.push(key),
                Err(problem) => missing.push(problem),
            }
        }
        Self(Arc::new(Keys { master, read, missing }))
    }

    /// Names the key that seals.
    ///
    /// # Errors
    /// When there is none.
    pub fn key_id(&self) -> Result<KeyId, VaultError> {
        self.master().map(Key::id)
    }

    /// Names every key that can be opened with: the master key first, if there is one.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        let master = self.0.master.as_ref().ok().and_then(Option::as_ref);
        master.into_iter().chain(&self.0.read).map(Key::id)
    }

    /// Seals a secret for one place, such as `device/000e08abcdef/lines.1.password`. Sealing it again gives another text.
    ///
    /// # Errors
    /// When there is no master key, or the system has no randomness.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<String, VaultError> {
        self.master()?.seal(place, secret).map(|sealed| sealed.to_string())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// When it was sealed with a key that isn't here, or it is damaged or from another place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, VaultError> {
        let sealed = Sealed::parse(sealed).ok_or_else(|| VaultError::Malformed { place: place.to_owned() })?;
        self.key(place, sealed.key)?.open(place, &sealed)
    }

    /// Names the key that a text was sealed with; none where it is no sealed text.
    pub fn sealed_with(sealed: &str) -> Option<KeyId> {
        Sealed::parse(sealed).map(|sealed| sealed.key)
    }

    /// Whether every key that the configuration names is to be had.
    ///
    /// # Errors
    /// The first that is not.
    fn all_are_here(&self) -> Result<(), VaultError> {
        match self.0.master.as_ref().err().or(self.0.missing.first()) {
            Some(problem) => Err(VaultError::Unavailable(problem.clone())),
            None => Ok(()),
        }
    }

    fn master(&self) -> Result<&Key, VaultError> {
        match &self.0.master {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err(VaultError::NoKey),
            Err(problem) => Err(VaultError::Unavailable(problem.clone())),
        }
    }

    /// The key of that name; else why it isn't here, as far as that can be told.
    fn key(&self, place: &str, id: KeyId) -> Result<&Key, VaultError> {
        let master = self.master();
        let own = master.as_ref().ok().copied();
        if let Some(key) = own.into_iter().chain(&self.0.read).find(|key| key.id() == id) {
            return Ok(key);
        }
        // It may well be the one that is not to be had; naming another would lead astray.
        if let Some(problem) = self.0.missing.first() {
            return Err(VaultError::Unavailable(problem.clone()));
        }
        match master {
            Err(error @ VaultError::Unavailable(_)) => Err(error),
            Err(error) if self.0.read.is_empty() => Err(error),
            _ => Err(VaultError::UnknownKey { place: place.to_owned(), key: id }),
        }
    }
}

/// Only which keys there are.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vault").field(&self.key_ids().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "device/000e08abcdef/lines.1.password";

    fn secrets(master: Option<u8>, read: &[u8]) -> config::Secrets {
        let key = |byte: u8| Secret::new([byte; 32]);
        config::Secrets {
            master_key: Ok(master.map(key)),
            key_file: None,
            read_keys: read.iter().map(|byte| Ok(key(*byte))).collect(),
        }
    }

    fn vault(master: Option<u8>, read: &[u8]) -> Vault {
        Vault::new(&secrets(master, read))
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place() {
        let vault = vault(Some(1), &[]);
        for secret in [&b""[..], b"not-a-real-password", "pässwörd \u{1d11e}\n\0".as_bytes(), &[0xff; 5_000]] {
            let sealed = vault.seal(PLACE, secret).unwrap();
            assert_eq!(vault.open(PLACE, &sealed).unwrap().expose(), secret);
            assert!(is_sealed(&sealed) && sealed.is_ascii(), "{sealed}");
            assert_ne!(vault.seal(PLACE, secret).unwrap(), sealed);
            let elsewhere = vault.open("device/000e08abcdee/lines.1.password", &sealed).unwrap_err();
            assert!(matches!(elsewhere, VaultError::Damaged { .. }), "{elsewhere}");
        }
    }

    #[test]
    fn a_text_sealed_by_this_version_is_opened_by_every_later_one() {
        let vault = vault(Some(1), &[]);
        let id = vault.key_id().unwrap();
        assert_eq!(id.to_string(), KNOWN.get(3..11).unwrap());
        assert_eq!(vault.open(PLACE, KNOWN).unwrap().expose(), b"not-a-real-password");
    }

    /// "not-a-real-password" for `PLACE`, with the key of 32 octets 0x01 and the nonce 00 01 … 0b; made with Python's
    /// `cryptography`, key id by `hashlib.sha256`.
    const KNOWN: &str = "v1.a3e42fb9.AAECAwQFBgcICQoL1cnhC0HTdByfBsq0QRq71MG0Dy63wsAJpxJgUX7Ux1mZK6I";

    #[test]
    fn every_changed_character_is_noticed() {
        let vault = vault(Some(1), &[2]);
        let sealed = vault.seal(PLACE, b"not-a-real-password").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character has bits that stand for nothing: such a text is none of ours either.
            assert!(vault.open(PLACE, &changed).is_err(), "{changed}");
        }
        for cut in 0..sealed.len() {
            assert!(vault.open(PLACE, &sealed[..cut]).is_err(), "{cut}");
        }
        for text in ["", "v1", "v1..", "v2.00000000.AAAA", "v1.0000000é.AAAA", "v1.00000000.====", "é", "v1.0.A.A"] {
            assert!(matches!(vault.open(PLACE, text), Err(VaultError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn keys_to_read_open_and_do_not_seal() {
        let old = vault(Some(1), &[]);
        let sealed = old.seal(PLACE, b"x").unwrap();
        let new = vault(Some(2), &[1]);
        assert_eq!(new.open(PLACE, &sealed).unwrap().expose(), b"x");
        assert_eq!(Vault::sealed_with(&sealed), Some(old.key_id().unwrap()));
        assert_eq!(Vault::sealed_with(&new.seal(PLACE, b"x").unwrap()), Some(new.key_id().unwrap()));
        let without = vault(Some(2), &[]).open(PLACE, &sealed).unwrap_err();
        assert!(matches!(without, VaultError::UnknownKey { .. }), "{without}");
        assert!(without.to_string().contains(&old.key_id().unwrap().to_string()), "{without}");
        let reading = vault(None, &[1]);
        assert_eq!(reading.open(PLACE, &sealed).unwrap().expose(), b"x");
        assert!(matches!(reading.seal(PLACE, b"x"), Err(VaultError::NoKey)));
    }

    #[test]
    fn without_a_key_the_message_tells_how_to_make_one() {
        let vault = vault(None, &[]);
        let sealed = super::tests::vault(Some(1), &[]).seal(PLACE, b"x").unwrap();
        for error in [vault.seal(PLACE, b"x").unwrap_err(), vault.open(PLACE, &sealed).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("secrets.master_key") && text.contains("openssl rand -hex 32"), "{text}");
        }
        let unavailable = Problem::file(std::path::Path::new("resyncd.toml"), "the variable X is not set");
        let secrets = config::Secrets { master_key: Err(unavailable), ..secrets(None, &[]) };
        let error = Vault::new(&secrets).seal(PLACE, b"x").unwrap_err().to_string();
        assert!(error.contains("the variable X is not set"), "{error}");
    }

    #[test]
    fn nothing_shows_a_key_or_a_secret() {
        let vault = vault(Some(0x61), &[0x62]);
        let sealed = vault.seal(PLACE, b"not-a-real-password").unwrap();
        let error = vault.open("device/x/y", &sealed).unwrap_err();
        let shown = format!("{vault:?} {error} {error:?} {sealed}");
        for hidden in ["aaaa", "6161", "97, 97", "bbbb", "6262", "password"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
}
