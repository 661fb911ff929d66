//! The emulated Aastra and Mitel phone: which files it asks for, how it reads them, and what it then holds.
//!
//! From the administrator guides of the 6700i, 9000i and 6800i (41-001343-02, 41-001160-03) and the TR-069 guide. What they
//! leave open is decided in [`Behaviour`], or where it stands in the code.

mod files;
mod grammar;
mod resync;
mod schedule;
mod upload;

pub use files::{Base, base, parameter, user_agent};
pub use grammar::{GrammarError, Mark, Parameter, Profile, read};
pub use resync::{Behaviour, Resync, resync};
pub use schedule::{Mode, Schedule};
pub use upload::{Upload, local_file, server_file};
