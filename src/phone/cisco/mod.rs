//! A Cisco phone's provisioning, as its guides describe it: multiplatform phones (6800, 7800, 8800), and the SPA phones and
//! adapters before them.
//!
//! What parses ([`macros`], [`condition`], [`rule`], [`schedule`], [`profile`], [`alias`]) is pure, and tells where in its
//! text something is wrong; [`resync()`], [`upgrade()`] and [`report()`] act by it, through a [`Fetch`](super::Fetch), and
//! give back the phone's new state with a [`Transcript`] of all they did. Where guides disagree or say nothing,
//! [`Emulation`] has a setting. In these modules' comments "guide" is the *Cisco IP Phone 6800 Series Multiplatform Phones
//! Provisioning Guide*, "SPA guide" the *Cisco Small Business IP Telephony Devices Provisioning Guide*, and "SPA chapter"
//! the chapter on provisioning of the SPA phones' administration guide.

pub mod alias;
pub mod condition;
mod download;
mod emulation;
mod factory;
pub mod macros;
mod markup;
pub mod options;
pub mod profile;
mod random;
mod report;
mod resync;
pub mod rule;
pub mod schedule;
mod session;
pub mod target;
mod transcript;
mod upgrade;
mod variables;
pub mod version;

pub use emulation::{Emulation, Now, Phone};
pub use factory::{Family, Naming, ProductSeries};
pub use markup::MarkupError;
pub use random::{Random, SeededRandom, SystemRandom};
pub use report::report;
pub use resync::{Reason, resync};
pub use session::{Failure, Outcome};
pub use transcript::{Action, Behaviour, Next, Step, Transcript};
pub use upgrade::upgrade;
pub use variables::View;
