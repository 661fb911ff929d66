//! The one pipeline: a request becomes an answer and an event. Server, preview and lint all go through here.

mod request;

pub use request::{ClientCertificate, Connection, TlsSession};
