//! Tokens in the place of secrets: equal where the secrets are, and worth nothing to anyone.

use sha2::{Digest, Sha256};

use super::Side;
use crate::model::Secret;
use crate::settings::{Effective, SecretSource};

/// Makes tokens with a key that nobody knows and that lives as long as one comparison.
#[derive(Debug)]
pub struct Sealer {
    key: Secret,
}

impl Sealer {
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { key: Secret::new(key) })
    }

    /// The settings with a token in the place of each secret. What stands elsewhere is not fetched: another place is
    /// another secret.
    pub fn seal(&self, mut settings: Effective, side: &Side<'_>) -> Effective {
        settings.replace_secrets(|source| match source {
            SecretSource::Text(text) => self.token(b't', text.expose()),
            SecretSource::Hex(text, _) => self.token(b'h', text.expose()),
            SecretSource::Base64Url(text, _) => self.token(b'b', text.expose()),
            SecretSource::Env(name) => self.token(b'e', name.as_bytes()),
            SecretSource::File(path) => {
                let below = path.strip_prefix(side.profiles).or_else(|_| path.strip_prefix(side.templates));
                self.token(b'f', below.unwrap_or(path).as_os_str().as_encoded_bytes())
            }
        });
        settings
    }

    /// Digits only: nothing else fits every place that a format or a phone has for a password.
    fn token(&self, kind: u8, secret: &[u8]) -> Secret {
        let digest = Sha256::new().chain_update(self.key.expose()).chain_update([kind]).chain_update(secret).finalize();
        let number = digest.iter().take(16).fold(0_u128, |number, octet| number << 8 | u128::from(*octet));
        Secret::new(format!("{number:039}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    #[test]
    fn tokens_tell_secrets_apart_and_nothing_else() {
        let (one, other) = (Sealer::new().unwrap(), Sealer::new().unwrap());
        assert_eq!(one.token(b't', b"1001"), one.token(b't', b"1001"));
        assert_ne!(one.token(b't', b"1001"), one.token(b't', b"1002"));
        assert_ne!(one.token(b't', b"1001"), one.token(b'e', b"1001"));
        assert_ne!(one.token(b't', b"1001"), other.token(b't', b"1001"));
        let token = one.token(b't', b"1001");
        assert!(token.expose().len() == 39 && token.expose().iter().all(u8::is_ascii_digit));
    }
}
