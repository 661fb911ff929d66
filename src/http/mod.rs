//! HTTP: a request of the library's becomes the pipeline's, and its answer the library's. All answers of the phone
//! listeners are made here and in one place, so that two refusals can't differ.

mod admin;
mod brake;
mod cwmp;
mod folders;
mod phones;
mod transfer;
mod uploads;
mod work;

pub use admin::{Admin, Load};
pub use cwmp::Endpoint;
pub use folders::Folders;
pub use phones::Phones;
pub use work::Work;
