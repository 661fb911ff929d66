//! Records: devices and groups as they are set at run time, the strongest layer of settings. This module reads them: from
//! the database's rows, with their secrets opened, to the [`Device`](crate::resync::Device) that the pipeline serves; keeps what was
//! read; and follows what is changed. Editing them is `fleet`'s.

mod follow;
mod group;
mod known;
mod record;
mod resolve;
mod seal;
mod snapshot;
mod tree;
mod url_tokens;

pub use follow::{Follower, Following};
pub use group::GroupRecord;
pub use known::{News, Records};
pub use record::{Record, RecordError, Stored};
pub use resolve::{device_of, group_of};
pub use seal::{open as open_tree, seal as seal_tree};
pub use snapshot::Snapshot;
pub use tree::{MASK, Tree, TreeError};
