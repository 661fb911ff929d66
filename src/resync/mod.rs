//! The one pipeline: a request becomes an answer and an event. Server, preview and lint all go through here.

mod cache;
mod file;
mod generation;
mod groups;
mod inquiry;
mod lookup;
mod pipeline;
mod profiles;
mod proof;
mod provenance;
mod request;
mod session;
mod stopped;
mod target;
mod upload;

pub use generation::{Generation, delivery_of};
pub use groups::{Broken, Group, GroupId, GroupLayer, Groups};
pub use inquiry::Inquiry;
pub use lookup::{Bearer, DeviceKey, Found, Invited, Known, Lookup};
pub use pipeline::Pipeline;
pub use profiles::{Device, Profiles};
pub use provenance::{Explained, ParameterTrace, Provenance};
pub use request::{Answer, ClientCertificate, Connection, Request, TlsSession, Vouched};
pub use session::OpenedSession;
pub use target::Target;
pub use upload::{Admission, Admitted};
