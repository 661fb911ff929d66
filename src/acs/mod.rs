//! The auto-configuration server: the same phones, with the same records, settings and access, reached by CWMP (TR-069).
//!
//! [`crate::cwmp`] speaks; this decides what is said. A session begins with an Inform that [`crate::resync`] lets in as it would a
//! resync. What the phone holds is then compared with what its settings come to ([`Job`]), and the difference is set. What is known
//! of a phone from one session to the next ([`Phone`]) is in the database, so that a phone that is right costs one question. What else
//! it is asked for are its tasks ([`task`]).

mod calls;
mod drive;
mod job;
mod phone;
pub mod request;
mod server;
mod sessions;
mod summary;
pub mod task;
mod wire;

pub use calls::TaskCalls;
pub use job::{Job, Wish};
pub use phone::{Changed, Phone, RefusedParameter, Said};
pub use server::{Acs, Answered};
pub use sessions::Live;
