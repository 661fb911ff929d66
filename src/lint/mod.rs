//! Lint: what is wrong with configuration, packs and settings, before a phone sees it.
//!
//! A rule is a file under `rules/`; its documentation stands on its type. What rules look at is made once for all of
//! them ([`Deployment`], [`DeviceView`]), devices run side by side, and what many of them share is told once.
//! Findings are data; how they are written is the command line's matter.

mod allow;
mod cisco;
mod collect;
mod comments;
mod finding;
mod levels;
mod loading;
mod provenance;
mod rule;
mod rules;
mod run;
mod served;
mod spans;
pub mod values;
mod view;
mod written;

pub use collect::{FEW, Report};
pub use finding::{Finding, Mark, Severity, Source};
pub use levels::Levels;
pub use rule::{About, Findings, Rule};
pub use run::{Options, check_loaded, look_at, run};
pub use spans::SecretNames;
pub use view::{Deployment, DeviceView, FileView, ParameterView, Profile, PublicFile};
pub use written::Written;

/// What is told of every rule, by their ids: those that look at a deployment, at what can't be loaded, and at comments.
pub fn abouts() -> Vec<&'static About> {
    let mut abouts: Vec<&'static About> = rules::all().iter().map(|rule| rule.about()).collect();
    abouts.extend(loading::ABOUTS);
    abouts.extend(comments::ABOUTS);
    abouts.sort_by_key(|about| about.id);
    abouts
}
