//! Who is asking: evidence from certificate and User-Agent, and whether it opens the file.

mod access;
mod certificate;
pub mod password;
mod sightings;
mod subject;
pub mod url_token;

pub use access::{Access, Asked, Denied, Evidence, Proof, TokenEvidence, decide};
pub use certificate::{NoCertificates, subjects_of_pem};
pub use sightings::Sightings;
pub use subject::{ParseSubjectError, Subject};
