//! Envelopes: bytes of a phone to an [`Envelope`], and a [`Reply`] to the text that it is sent.
//!
//! The reader is streaming and has limits for everything ([`Limits`]); it keeps nothing that it doesn't know. No document type,
//! no entities but the five of XML, no processing instructions, UTF-8 only. Elements are matched by their local names, since
//! phones use any prefix and some declare none; counts in `arrayType` are not looked at, since some lie.

mod envelope;
mod error;
mod limits;
mod namespace;
mod reader;
mod writer;

pub use envelope::{Envelope, Reply};
pub use error::{Problem, ReadError, Refusal};
pub use limits::Limits;
pub use namespace::CwmpNamespace;
pub use writer::can_hold;

pub(in crate::cwmp) use reader::{Element, Reader, read_boolean};
pub(in crate::cwmp) use writer::Writer;
