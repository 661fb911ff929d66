//! The words that outcomes, refusals, flags and kinds are written with, in logs, database, metrics and on the command
//! line, and one sentence on each. They are an interface: scripts match on them, so they are added to and never changed.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Flag, Kind, Outcome, Refusal};

/// A word that names none of the things that it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is no {what}")]
pub struct ParseWordError {
    what: &'static str,
    word: String,
}

/// Gives an enum its words, and everything that follows from them.
macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident $word:literal $explanation:literal)+) => {
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word, in kebab-case.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What the word means, as one sentence for the operator.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = ParseWordError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ParseWordError { what: $what, word: word.to_owned() }),
                }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

words! { Kind, "kind of event",
    Resync "resync" "A phone asked for a file of its pack."
    Upload "upload" "A phone sent a file."
    Static "static" "A file of a folder was asked for: firmware, a ring tone, a dictionary."
    Scan "scan" "Many phones were asked for in vain: told once, and again when ten times as much was asked for."
    Session "session" "A phone had a session with the ACS, or wanted one."
    Connection "connection" "A connection ended before any request came."
}

words! { Refusal, "refusal",
    UnknownPath "unknown-path" "No pack and no folder answers to the path."
    Method "method" "Nothing is done with this method at this path."
    UnknownDevice "unknown-device" "There is no device of that MAC or serial number."
    NotForModel "not-for-model" "The device's pack has no such file, or not for its model."
    NoProof "no-proof" "None of the device's access rules held."
    Challenged "challenged" "The phone sent no user and password, and was asked for them."
    BadCredentials "bad-credentials" "What the phone sent as user and password can't be read, or is the answer to another request."
    WrongPassword "wrong-password" "User or password is not the device's own."
    StaleNonce "stale-nonce" "The password is right, by a nonce that is too old; the phone was given a new one."
    ReplayedNonce "replayed-nonce" "The password is right, by a nonce that was used so before; the phone was given a new one."
    ClearPassword "clear-password" "Basic came without TLS, and the listener does not take that."
    WrongCertificate "wrong-certificate" "The client certificate is valid, and another phone's."
    WrongToken "wrong-token" "The token in the URL is good, and another phone's."
    BrokenRecord "broken-record" "The device's record names a model or group that is not there any more, or holds what can't be read."
    Invitation "invitation" "The phone came with a code that it can't become a device by."
    DatabaseAway "database-away" "The device's record is not known here, and the database does not answer; the phone was told to come back."
    NoFile "no-file" "The folder holds no such file."
    BadRequest "bad-request" "The request is malformed."
    Overload "overload" "Too much was asked for at a time."
    TooLarge "too-large" "What the phone sends is larger than is taken, packed or unpacked."
    WrongKey "wrong-key" "What the phone sent doesn't open with the device's key, and nothing else proves who sent it."
    TooSlow "too-slow" "What the phone sends did not come to an end in time."
    Handshake "handshake" "The TLS handshake failed."
    Scan "scan" "Many phones of one maker were asked for, each in vain."
}

words! { Flag, "flag",
    ModelDiffers "model-differs" "The User-Agent names another model than the device's record."
    MacDiffers "mac-differs" "The User-Agent or certificate names another MAC than the one asked for."
    SerialDiffers "serial-differs" "The User-Agent or certificate names another serial number than the device's record."
    CertificateDates "certificate-dates" "The client certificate is expired or not yet valid; the listener allows that."
    DatabaseAway "database-away" "The database did not answer; the device's record was known here, or it has none."
    CertificatePurpose "certificate-purpose" "The client certificate is not made for clients; the listener allows that."
    Password "password" "The phone proved itself by user and password."
    PreviousPassword "previous-password" "The phone proved itself by the password before; it has not used the new one yet."
    Braked "braked" "The refusal was delayed, or became a 503, because the network or the phone had many before."
    CertificateShared "certificate-shared" "The same client certificate was seen within an hour for another MAC, or from another network."
    Sealed "sealed" "What the phone sent is encrypted, and does not open with the device's key; it is kept as it came."
}

impl Refusal {
    /// Whether it is for want of a proof: what brakes count. Whatever can be answered for a phone that is known has to count
    /// as what is answered for one that is not.
    pub fn is_failure(self) -> bool {
        match self {
            Self::UnknownDevice
            | Self::NotForModel
            | Self::NoProof
            | Self::Challenged
            | Self::BadCredentials
            | Self::WrongPassword
            | Self::StaleNonce
            | Self::ReplayedNonce
            | Self::ClearPassword
            | Self::WrongCertificate
            | Self::WrongToken
            | Self::BrokenRecord
            | Self::Invitation
            | Self::WrongKey => true,
            Self::UnknownPath
            | Self::Method
            | Self::DatabaseAway
            | Self::NoFile
            | Self::BadRequest
            | Self::Overload
            | Self::TooLarge
            | Self::TooSlow
            | Self::Handshake
            | Self::Scan => false,
        }
    }
}

impl Outcome {
    /// Every word, whatever the refusal.
    pub const WORDS: &'static [&'static str] = &["served", "not-modified", "stored", "refused", "failed", "aborted"];

    /// The word, in kebab-case. A refusal's own word stands beside it: see [`Outcome::refusal`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::NotModified => "not-modified",
            Self::Stored => "stored",
            Self::Refused(_) => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    pub fn refusal(self) -> Option<Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// What the outcome means, as one sentence for the operator.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Served => "The file was sent.",
            Self::NotModified => "The phone asked conditionally and has it already.",
            Self::Stored => "What the phone sent is kept.",
            Self::Refused(refusal) => refusal.explanation(),
            Self::Failed => {
                "The profile could not be made, and the phone keeps the one that it has; or what it sent could not be kept."
            }
            Self::Aborted => "The connection ended before the answer was written, or before a request came.",
        }
    }

    /// The outcome of two words, as they are stored.
    pub fn from_words(outcome: &str, refusal: Option<&str>) -> Result<Self, ParseWordError> {
        match outcome {
            "served" => Ok(Self::Served),
            "not-modified" => Ok(Self::NotModified),
            "stored" => Ok(Self::Stored),
            "refused" => refusal.unwrap_or_default().parse().map(Self::Refused),
            "failed" => Ok(Self::Failed),
            "aborted" => Ok(Self::Aborted),
            _ => Err(ParseWordError { what: "outcome", word: outcome.to_owned() }),
        }
    }
}

/// Two keys, `outcome` and `refusal`: made to be flattened into what the outcome belongs to.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = serializer.serialize_struct("Outcome", 2)?;
        words.serialize_field("outcome", self.as_str())?;
        words.serialize_field("refusal", &self.refusal())?;
        words.end()
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Words {
            outcome: String,
            refusal: Option<String>,
        }
        let words = Words::deserialize(deserializer)?;
        Self::from_words(&words.outcome, words.refusal.as_deref()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kebab(word: &str) -> bool {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    }

    fn sentence(text: &str) -> bool {
        text.starts_with(char::is_uppercase) && text.ends_with('.')
    }

    #[test]
    fn every_word_is_kebab_case_explained_and_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse().as_ref(), Ok(kind));
            assert!(kebab(kind.as_str()) && sentence(kind.explanation()), "{kind}");
        }
        for flag in Flag::ALL {
            assert_eq!(flag.as_str().parse().as_ref(), Ok(flag));
            assert!(kebab(flag.as_str()) && sentence(flag.explanation()), "{flag}");
        }
        for refusal in Refusal::ALL {
            let outcome = Outcome::Refused(*refusal);
            assert_eq!(Outcome::from_words(outcome.as_str(), Some(refusal.as_str())), Ok(outcome));
            assert!(kebab(refusal.as_str()) && sentence(outcome.explanation()), "{refusal}");
        }
        for word in Outcome::WORDS {
            let outcome = Outcome::from_words(word, Some("no-proof")).unwrap();
            assert_eq!(outcome.as_str(), *word);
            assert!(kebab(word) && sentence(outcome.explanation()), "{word}");
        }
    }

    #[test]
    fn an_unknown_word_is_named() {
        assert_eq!("nope".parse::<Flag>().unwrap_err().to_string(), "\"nope\" is no flag");
        assert!(Outcome::from_words("refused", None).is_err());
    }
}
