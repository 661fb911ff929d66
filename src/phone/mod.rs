//! The emulated phone: what a real one makes of its profile, written from the makers' guides and apart from the code that
//! serves. Of that it shares only the small types of [`crate::model`] and the formats of [`crate::delivery`].
//!
//! A phone is a set of parameters and an identity. Its family's module turns a resync into fetches, and what was fetched
//! into parameters; [`Fetch`] is how a fetch is done: over the network, or straight from a pipeline in the same process.

pub mod aastra;
mod any;
mod challenge;
pub mod cisco;
pub mod cwmp;
mod exchange;
mod fetch;
pub mod grandstream;
mod in_process;
pub mod network;
mod state;
pub mod swarm;
mod transcript;
mod verdict;

pub use any::{Cause, Done, Maker, ParseMakerError, Phone, Played};
pub use exchange::{Machine, Start, run};
pub use fetch::{Credentials, Fetch, FetchError, Method, Request, Response};
pub use in_process::{InProcess, path_at};
pub use state::{Identity, Parameters, State, Upgrade, changes};
pub use transcript::{Refusal, Step, Transcript};
pub use verdict::{IN_PROCESS, Verdict, verdict};
