//! What a fleet costs: how many nodes its resyncs want, every day and when the power comes back, and what goes through the network,
//! into the database and into memory.
//!
//! Arithmetic only: nothing is read, asked or measured here. What a resync costs is in [`FIGURES`], each with where it was measured,
//! and each can be replaced by the reader's own. Numbers are `f64` throughout, so that no fleet is too large to be reckoned with.
//! docs/capacity.md has the formulas in words.

mod figures;
mod plan;
mod storm;

pub use figures::{FIGURES, Figure, FigureError, Figures};
pub use plan::{Bytes, Daily, Database, Memory, Plan, StormPlan, Wanted};
pub use storm::{Retry, Storm, Weathered};

/// The fleet, and what it is to be served by.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// At least 1.
    pub phones: u64,
    /// Seconds from one resync of a phone to the next; above 0.
    pub period: f64,
    /// Cores of a node; at least 1.
    pub cores: u32,
    /// Seconds over which phones spread by chance when the power is back (`Resync_Random_Delay`); above 0.
    pub delay: f64,
    /// Of all resyncs, those that take up the TLS session of the time before: 0 to 1. After a power cut none does.
    pub resumed: f64,
    /// Of all resyncs, those whose profile has to be rendered, because something has changed: 0 to 1.
    pub changed: f64,
    /// Bytes for ready profiles on each node (`cache.size`); none: as many as all profiles take.
    pub cache: Option<u64>,
    /// Seconds that events are kept (`events.keep`); none: for ever.
    pub keep: Option<f64>,
    /// When a phone comes again that was not served, after its first failure, its second and so on; the last goes for all further
    /// ones. Empty: it doesn't.
    pub retry: Vec<Retry>,
    /// Nodes that the power cut is played with; none: as many as the period wants.
    pub nodes: Option<u64>,
    pub figures: Figures,
}

impl Inputs {
    /// So many phones under the defaults of packs and configuration, with everything ready.
    pub fn of(phones: u64) -> Self {
        Self {
            phones,
            period: 3_600.0,
            cores: 2,
            delay: 600.0,
            resumed: 0.0,
            changed: 0.05,
            cache: None,
            keep: Some(90.0 * 86_400.0),
            retry: DEFAULT_RETRY.to_vec(),
            nodes: None,
            figures: Figures::default(),
        }
    }
}

/// What the packs tell Cisco phones where nothing else is set: `60+30,300+60,900+300,3600+600`.
pub const DEFAULT_RETRY: [Retry; 4] = [
    Retry { after: 60.0, spread: 30.0 },
    Retry { after: 300.0, spread: 60.0 },
    Retry { after: 900.0, spread: 300.0 },
    Retry { after: 3_600.0, spread: 600.0 },
];
