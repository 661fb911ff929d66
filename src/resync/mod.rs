//! The one pipeline: a request becomes an answer and an event. Server, preview and lint all go through here.

mod cache;
mod generation;
mod pipeline;
mod profiles;
mod provenance;
mod request;
mod target;
mod upload;

pub use generation::{Generation, delivery_of};
pub use pipeline::Pipeline;
pub use profiles::{Device, Group, GroupId, Profiles};
pub use provenance::{Explained, ParameterTrace, Provenance};
pub use request::{Answer, ClientCertificate, Connection, Request, TlsSession};
pub use target::path_of;
pub use upload::{Admission, Admitted};
