//! The emulated Grandstream phone: which files it asks for, how it reads them, and what it then holds.
//!
//! From the maker's SIP Device Provisioning Guide (2012 and 2023 editions), XML Provisioning Guide (2011) and
//! configuration templates; the binary form from public encoders. What they leave open is decided in [`Behaviour`], or where
//! it stands in the code.

mod binary;
mod files;
mod resync;
mod schedule;
mod xml;

pub use binary::BinaryError;
pub use files::{Base, base, user_agent};
pub use resync::{Behaviour, FileError, Resync, resync};
pub use schedule::{Check, Schedule};
pub use xml::XmlError;

/// The parameters of a file in the binary form.
pub use binary::read as read_binary;
/// The parameters of an XML file.
pub use xml::read as read_xml;
