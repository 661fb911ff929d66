//! The small types that everything else is built from. Each refuses a wrong value when it is made, so that nothing
//! further in has to check again.

pub mod data_path;
mod escape;
mod fingerprint;
mod key_encoding;
mod lexical;
mod mac;
mod secret;
mod serial;

pub use escape::{Escaped, steers};
pub use fingerprint::fingerprint;
pub use key_encoding::{KeyEncoding, ParseKeyEncodingError, ParseKeyError};
pub use lexical::lexical;
pub use mac::{MacAddr, ParseMacError};
pub use secret::Secret;
pub use serial::{ParseSerialError, Serial};
