//! Tasks: what phones are asked for beside their settings. Ordered at the command line or by the API, kept in the database until the
//! phone opens a session, done there, and answered when the phone has told how it ended.

mod diagnostic;
mod error;
mod order;
mod prepare;
mod run;
mod spec;
mod tickets;
mod transfers;
mod veil;

pub use error::TaskError;
pub use order::{Bulk, BulkOrder, Order, Ordered};
pub use prepare::Session;
pub use run::Run;
pub use spec::{Given, Mistake, Spec, shown};
pub use tickets::{Serves, Ticket};
pub use transfers::Redeemed;
pub use veil::Veil;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::fleet::Fleet;
use crate::store::StoreError;
use crate::tokens::Brake;

/// How long a task that is over is kept.
const KEEP: time::Duration = time::Duration::days(30);

/// The tasks of all phones. Clones share everything.
#[derive(Debug, Clone)]
pub struct Tasks {
    fleet: Fleet,
    /// Of those who come with tickets that open nothing.
    tickets: Arc<Brake>,
}

impl Tasks {
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet, tickets: Arc::default() }
    }

    /// Ends tasks whose time is over, and forgets those that are long over.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sweep(&self, patience: Duration) -> Result<(), StoreError> {
        let (store, now) = (self.fleet.store(), OffsetDateTime::now_utc());
        store.in_time(patience, store.expire_tasks(now)).await?;
        store.in_time(patience, store.prune_tasks(now - KEEP)).await?;
        Ok(())
    }
}
