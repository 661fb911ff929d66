//! Certificates and revocation lists that run out while the server runs: told in the log and by a metric.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::events::Metrics;
use crate::tls::{Acceptor, End};

/// How often they are looked at, since the clock may have been set; an end that comes sooner is waited for.
const PAUSE: Duration = Duration::from_secs(60);

/// What is not mended is told again.
const AGAIN: time::Duration = time::Duration::DAY;

/// A listener's name, and its TLS.
pub type Named = (Arc<str>, Arc<Acceptor>);

/// Tells of what ends.
pub struct Expiry {
    listeners: Vec<Named>,
    /// An end that is nearer than this is told of.
    notice: time::Duration,
    /// Whether it was told as over, and when.
    told: HashMap<(PathBuf, String), (bool, OffsetDateTime)>,
}

impl Expiry {
    /// `now` is the start: what is over by then has been told by the listeners themselves.
    pub fn new(listeners: Vec<Named>, notice: Duration, now: OffsetDateTime) -> Self {
        let notice = time::Duration::try_from(notice).unwrap_or(time::Duration::MAX);
        let mut expiry = Self { listeners, notice, told: HashMap::new() };
        for end in expiry.ends().into_iter().filter(|end| end.at <= now) {
            expiry.told.insert((end.file, end.name), (true, now));
        }
        expiry
    }

    /// Looks again and again, and when other files were loaded, for as long as it is polled.
    pub async fn keep_told(mut self, metrics: Arc<Metrics>, reloaded: Arc<Notify>) {
        loop {
            let now = OffsetDateTime::now_utc();
            self.measure(&metrics);
            for message in self.tell(now) {
                tracing::warn!("{message}");
            }
            let next = self.ends().into_iter().map(|end| end.at - now).filter(|left| left.is_positive()).min();
            let next = next.and_then(|left| Duration::try_from(left).ok()).unwrap_or(PAUSE);
            // A second more, because an end is the last moment that is still good.
            tokio::select! {
                () = tokio::time::sleep(PAUSE.min(next + Duration::from_secs(1))) => {}
                () = reloaded.notified() => {}
            }
        }
    }

    fn ends(&self) -> Vec<End> {
        self.listeners.iter().flat_map(|(_, acceptor)| acceptor.ends()).collect()
    }

    /// Sets the metric of each end.
    pub fn measure(&self, metrics: &Metrics) {
        let all = self.listeners.iter().flat_map(|(name, acceptor)| {
            acceptor.ends().into_iter().map(move |end| (name.to_string(), end.file.display().to_string(), end.at))
        });
        metrics.set_ends(all);
    }

    /// What is to be told at this moment, each thing once a day.
    pub fn tell(&mut self, now: OffsetDateTime) -> Vec<String> {
        let mut messages = Vec::new();
        for end in self.ends() {
            let is_over = end.at < now;
            if !is_over && end.at - now > self.notice {
                continue;
            }
            let key = (end.file.clone(), end.name.clone());
            let known = self.told.get(&key).is_some_and(|(over, at)| *over == is_over && (now - *at).abs() < AGAIN);
            if known {
                continue;
            }
            self.told.insert(key, (is_over, now));
            let (what, then) = match (end.is_certificate, is_over) {
                (true, true) => ("the certificate", "phones that look at dates refuse this server"),
                (true, false) => ("the certificate", "put a new one in its place, and reload"),
                (false, true) => ("the revocation list of", "what was revoked since is not known"),
                (false, false) => ("the revocation list of", "fetch a new one, and reload"),
            };
            let verb = if is_over { "expired" } else { "expires" };
            messages.push(format!("{}: {what} {} {verb} on {}: {then}", end.file.display(), end.name, end.at));
        }
        messages
    }
}
