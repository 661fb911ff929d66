//! Following what is changed: by this server's own API at once, by other servers and commands as soon as the database tells
//! of it, and in any case by looking at the fleet's revision now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::known::Records;
use crate::resync::GroupLayer;
use crate::store::Notifications;

/// Between two looks at the fleet's revision. A notification that was lost costs no more than this.
const PERIOD: Duration = Duration::from_millis(500);

/// How long a look may take before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the one that follows to look at once.
#[derive(Debug, Clone)]
pub struct Follower(mpsc::Sender<oneshot::Sender<()>>);

/// The other end: what is to be followed with.
#[derive(Debug)]
pub struct Following(mpsc::Receiver<oneshot::Sender<()>>);

impl Follower {
    pub fn new() -> (Self, Following) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), Following(receiver))
    }

    /// Returns once everything that was committed before is in force here.
    pub async fn take_in(&self) {
        let (done, taken_in) = oneshot::channel();
        if self.0.send(done).await.is_ok() {
            // An error means that nobody follows any more: the server is stopping.
            let _ = taken_in.await;
        }
    }
}

impl Following {
    /// Follows until it is dropped. `set_groups` puts groups in force.
    pub async fn run<F: Future<Output = ()>>(
        mut self,
        records: Arc<Records>,
        set_groups: impl Fn(Vec<GroupLayer>) -> F,
    ) {
        let mut notifications: Option<Notifications> = None;
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            if notifications.is_none() && !records.is_away() {
                // Without them there is the period.
                let listening = tokio::time::timeout(PATIENCE, records.store().notifications()).await;
                notifications = listening.ok().and_then(Result::ok).flatten();
            }
            let was_away = records.is_away();
            match tokio::time::timeout(PATIENCE, records.take_in()).await {
                Ok(Ok(taken)) => {
                    if let Some(groups) = taken.groups {
                        set_groups(groups).await;
                    }
                    records.set_away(false);
                    if was_away {
                        tracing::info!("the database answers again");
                    }
                }
                failed => {
                    records.set_away(true);
                    notifications = None;
                    if !was_away {
                        let why = failed.map_or_else(
                            |_| format!("no answer within {PATIENCE:?}"),
                            |result| result.err().map(|error| error.to_string()).unwrap_or_default(),
                        );
                        tracing::error!("the database does not answer; what is known here goes on being served: {why}");
                    }
                }
            }
            for done in waiting.drain(..) {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            tokio::select! {
                asked = self.0.recv() => match asked {
                    Some(done) => waiting.push(done),
                    // Nobody can ask any more; the period goes on.
                    None => tokio::time::sleep(PERIOD).await,
                },
                heard = changed(notifications.as_mut()) => if !heard { notifications = None },
                () = records.doubt.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            while let Ok(done) = self.0.try_recv() {
                waiting.push(done);
            }
        }
    }
}

/// Waits for a notification; for ever where none can come. False when none can come any more.
async fn changed(notifications: Option<&mut Notifications>) -> bool {
    match notifications {
        Some(notifications) => notifications.changed().await,
        None => std::future::pending().await,
    }
}
