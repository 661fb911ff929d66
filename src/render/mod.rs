//! Rendering: settings become the text of a profile. Preview, lint and server all render here.
//!
//! A mapping's expressions make the list of parameters, the operator's `[params]` are laid over it, the file's template
//! lays the list out, every value is escaped for the file's format on the way, and the result is checked against the
//! format's grammar before anyone gets it.

mod acs;
mod behind;
mod check;
mod context;
mod engine;
mod error;
mod escape;
mod filters;
mod form;
mod grandstream;
mod guard;
mod parameters;
mod params;

pub use acs::{Desired, DesiredParameter, DesiredValue, Refused, Source as AcsSource, Wanting, is_managed};
pub use behind::{behind, text};
pub use context::{MASK, Shown};
pub use engine::{DeviceFacts, Engine, Job, Rendered};
pub use error::RenderError;
pub use form::{FORM_LIMIT, Form};
pub use guard::Limit;
pub use parameters::{Made, Parameter};
pub use params::SharedParams;
