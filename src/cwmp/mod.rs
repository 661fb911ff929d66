//! The protocol of TR-069 (CWMP), without I/O: envelopes read and written, the messages in them, and the session as a state
//! machine. It opens no connection, knows no clock, no database and no device; who calls it has those.
//!
//! * [`soap`]: bytes to [`soap::Envelope`], [`soap::Reply`] to text, with limits.
//! * [`message`]: every RPC of the guides, from the phone and to it.
//! * [`session`]: [`session::Session::step`], time limits, cookies.
//! * [`Quirks`]: what one model wants otherwise than another, as data.
//!
//! The facts are from TR-069 Amendments 1 to 6, their schemas (cwmp-1-0.xsd to cwmp-1-3.xsd) and the guides of Aastra,
//! Grandstream and Cisco. Where these leave something open, the place says what is done and why.

pub mod message;
mod moment;
mod quirks;
pub mod session;
pub mod soap;

pub use moment::Moment;
pub use quirks::{BooleanForm, Quirks, TimeForm};
