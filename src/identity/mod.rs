//! Who is asking: evidence from certificate and User-Agent, and whether it opens the file.

mod certificate;
mod subject;

pub use subject::{ParseSubjectError, Subject};
