//! Which connections of the pool may still be used. After a network has swallowed what was sent, the connections of before
//! may stay silent for a quarter of an hour, until the system gives them up, while new ones would be answered at once. So
//! whoever has waited for the database in vain withdraws the trust in all connections that there are then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::any::AnyTransactionManager;
use sqlx::{AnyConnection, Connection};
use sqlx_core::transaction::TransactionManager;

/// How long a connection that is given back may take to say that it is in order. Until then it is in the way of others.
const PATIENCE: Duration = Duration::from_secs(2);

/// Since when connections are trusted. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Trust(Arc<Mutex<Option<Instant>>>);

impl Trust {
    /// From now on no connection is used that there is already.
    pub fn withdraw(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age is trusted.
    fn holds(&self, age: Duration) -> bool {
        let withdrawn = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        withdrawn.is_none_or(|withdrawn| withdrawn.elapsed() > age)
    }

    /// Whether a connection may be used. Whoever wants it has a limit of time.
    pub async fn of_idle(self, connection: &mut AnyConnection, age: Duration) -> bool {
        self.holds(age) && connection.ping().await.is_ok()
    }

    /// Whether a connection may be kept that is given back. Nobody waits for it, so that the limit is set here.
    pub async fn of_released(self, connection: &mut AnyConnection, age: Duration) -> bool {
        self.holds(age)
            && matches!(tokio::time::timeout(PATIENCE, connection.ping()).await, Ok(Ok(())))
            && is_out_of_transactions(connection).await
    }
}

/// A full disk makes SQLite roll back by itself. sqlx then rolls back in vain, believes for ever that there is a transaction, and
/// begins none on this connection any more. So it is given one that it can roll back. To close the connection instead may take
/// the files beside the database away, for which there is then no room any more, and nothing could be read.
async fn is_out_of_transactions(connection: &mut AnyConnection) -> bool {
    if !connection.is_in_transaction() {
        return true;
    }
    // Where there is a transaction after all, this fails.
    let begun = sqlx::raw_sql("BEGIN").execute(&mut *connection).await.is_ok();
    begun && AnyTransactionManager::rollback(connection).await.is_ok() && !connection.is_in_transaction()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_withdrawn_from_those_that_are_there() {
        let (trust, second) = (Trust::default(), Duration::from_secs(1));
        assert!(trust.holds(second));
        trust.withdraw();
        assert!(!trust.holds(second) && trust.clone().holds(Duration::ZERO));
    }
}
