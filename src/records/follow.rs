//! Following what is changed: by this server's own API at once, by other servers and commands as soon as the database tells
//! of it, and in any case by looking at the fleet's revision now and then.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::known::{News, Records};
use crate::resync::GroupLayer;
use crate::store::{Notifications, Store, StoreError};

/// Between two looks at the fleet's revision. A notification that was lost costs no more than this.
const PERIOD: Duration = Duration::from_millis(500);

/// How long a look may take before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long fetching what is new may take: after a long time away, or a backup that was restored, that is all there is.
const LOADING: Duration = Duration::from_secs(60);

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
    /// Follows until it is dropped. `set_groups` puts groups in force; `came_back` is called when the database answers after
    /// it did not.
    pub async fn run<F: Future<Output = ()>>(
        mut self,
        records: Arc<Records>,
        set_groups: impl Fn(Vec<GroupLayer>) -> F,
        came_back: impl Fn(),
    ) {
        let mut listening = Listening::Not;
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let was_away = records.is_away();
            match look(&records).await {
                Ok(news) => {
                    if let Some(mut news) = news {
                        if let Some(groups) = news.groups.take() {
                            set_groups(groups).await;
                        }
                        records.take_in(news);
                    }
                    records.set_away(false);
                    if was_away {
                        tracing::info!("the database answers again");
                        came_back();
                    }
                    // Without notifications there is the period. What is told between this look and the first of them is
                    // found by the look that follows it.
                    listening.begin(records.store());
                }
                Err(why) => {
                    records.set_away(true);
                    listening = Listening::Not;
                    if !was_away {
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
                () = listening.heard() => {}
                () = records.doubt.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            while let Ok(done) = self.0.try_recv() {
                waiting.push(done);
            }
        }
    }
}

/// Looks for what has changed; where that fails, the database counts as away.
async fn look(records: &Records) -> Result<Option<News>, StoreError> {
    let store = records.store();
    let Some(revision) = store.in_time(PATIENCE, records.newer()).await? else { return Ok(None) };
    store.in_time(LOADING, records.since(revision)).await.map(Some)
}

/// Notifications, as far as there are any. Beginning to listen takes a connection of its own, which may hang where others
/// don't; nothing else waits for it.
enum Listening {
    Not,
    Beginning(Pin<Box<dyn Future<Output = Option<Notifications>> + Send>>),
    To(Box<Notifications>),
}

impl Listening {
    fn begin(&mut self, store: &Store) {
        if matches!(self, Self::Not) {
            let store = store.clone();
            *self = Self::Beginning(Box::pin(async move {
                match tokio::time::timeout(LOADING, store.notifications()).await {
                    Ok(Ok(Some(notifications))) => return Some(notifications),
                    // A database that has none to give.
                    Ok(Ok(None)) => std::future::pending().await,
                    Ok(Err(error)) => tracing::debug!("changes are not told at once, but found: {error}"),
                    Err(_) => tracing::debug!("changes are not told at once, but found: no answer within {LOADING:?}"),
                }
                // Not at every look again.
                tokio::time::sleep(LOADING).await;
                None
            }));
        }
    }

    /// Waits for a notification, or for what makes another look worth its while; for ever where nothing can come.
    async fn heard(&mut self) {
        match self {
            Self::Not => std::future::pending().await,
            Self::Beginning(beginning) => {
                *self = beginning.await.map_or(Self::Not, |notifications| Self::To(Box::new(notifications)));
            }
            Self::To(notifications) => {
                if !notifications.changed().await {
                    *self = Self::Not;
                }
            }
        }
    }
}
