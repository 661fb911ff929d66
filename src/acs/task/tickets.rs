//! The URLs that phones fetch and send files by for a task: `/t/<ticket>/transfer/<name>`. A ticket stands where a URL's token does,
//! and is told by nobody as that is not. It is made for each try, opens one file of one device, and dies with its try; it proves who
//! comes with it as the session did in which it was given.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::model::Secret;
use crate::uploads::UploadId;

/// Bytes of randomness in a ticket: 168 bits, which nobody guesses.
const BYTES: usize = 21;

/// What stands before a ticket in a path, and after it.
const BEFORE: &str = "/t/";
const AFTER: &str = "/transfer/";

/// A ticket: 28 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(Secret);

/// What a ticket opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serves {
    /// What is at this path of the server, for its device.
    File(String),
    /// An upload, as it was kept.
    Restore(UploadId),
    /// What the phone sends is kept as this `[[upload]]` of its pack.
    Upload(String),
}

impl Ticket {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The ticket and the file's name in a path; none where it is no such path.
    pub fn of_path(path: &str) -> Option<(Self, &str)> {
        let (ticket, name) = path.strip_prefix(BEFORE)?.split_once(AFTER)?;
        let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        (bytes.len() == BYTES && !name.contains('/')).then(|| (Self(Secret::new(ticket)), name))
    }

    /// What the database knows it by: SHA-256, in hexadecimal.
    pub fn digest(&self) -> String {
        let digest = Sha256::new().chain_update(b"resyncd transfer ticket ").chain_update(self.0.expose()).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The URL of a file on the server.
    pub fn url(&self, server: &str, name: &str) -> Secret {
        let ticket = self.0.expose_text().unwrap_or_default();
        Secret::new(format!("{}{BEFORE}{ticket}{AFTER}{name}", server.trim_end_matches('/')))
    }
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {path}"),
            Self::Restore(id) => write!(f, "restore {id}"),
            Self::Upload(name) => write!(f, "upload {name}"),
        }
    }
}

impl FromStr for Serves {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, what) = text.split_once(' ').ok_or(())?;
        match word {
            "file" => Ok(Self::File(what.to_owned())),
            "restore" => what.parse().map(Self::Restore).map_err(|_| ()),
            "upload" => Ok(Self::Upload(what.to_owned())),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_a_part_of_a_url_and_shown_nowhere() {
        let ticket = Ticket::generate().unwrap();
        let url = ticket.url("https://acs.example.com:8443/", "6757i.st");
        let path = url.expose_text().unwrap().strip_prefix("https://acs.example.com:8443").unwrap().to_owned();
        assert_eq!(Ticket::of_path(&path), Some((ticket.clone(), "6757i.st")));
        for other in ["/t/x/transfer/6757i.st", "/transfer/6757i.st", &format!("{path}/more"), "/cisco/x.xml"] {
            assert_eq!(Ticket::of_path(other), None, "{other}");
        }
        assert_eq!(format!("{ticket:?} {url:?}"), "Ticket(***) ***");
        assert_ne!(Ticket::generate().unwrap().digest(), ticket.digest());
        assert_eq!(crate::resync::Target::told(&path), "/t/***/transfer/6757i.st");
    }

    #[test]
    fn what_a_ticket_opens_is_read_as_it_was_written() {
        for serves in [Serves::File("/aastra/6757i st".to_owned()), Serves::Upload("local".to_owned())] {
            assert_eq!(serves.to_string().parse(), Ok(serves));
        }
        assert_eq!("nothing".parse::<Serves>(), Err(()));
    }
}
