//! Connection requests: a phone is asked to open a session now. Over HTTP; by UDP where it stands behind NAT and this server is its
//! STUN server; or by a SIP NOTIFY, which the operator's proxy brings it. Whatever it answers, it was a success only if its Inform
//! came.

mod arrivals;
pub mod challenge;
mod datagram;
mod devices;
mod here;
mod http;
mod jobs;
mod notify;
mod outcome;
pub mod policy;
pub mod sip;
pub mod stun;
mod target;
mod udp;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};

pub use arrivals::Arrivals;
pub use devices::Devices;
pub use http::Heard;
pub use jobs::{Job, Jobs};
pub use notify::Told;
pub use outcome::{NoWay, NotNow, Outcome, Report, Way};
pub use udp::{Bound, Stun};

use self::arrivals::Awaited;
use self::challenge::Credentials;
use self::datagram::Stamp;
use self::devices::secret;
use self::policy::Policy;
use self::target::{Target, wanted};
use super::phone::milliseconds;
use super::{Phone, Said};
use crate::config;
use crate::model::MacAddr;
use crate::packs::data_model::{ConnectionRequest, Quirks};
use crate::resync::{Device, Generation};
use crate::settings::Effective;
use crate::store::{AcsRow, Store, StoreError};

/// Phones of which it is known when they were asked last.
const REMEMBERED: usize = 65_536;

/// How long the database is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the phone has come to another server.
const LOOK: Duration = Duration::from_secs(1);

/// What an Inform says that was asked for.
const EVENT: &str = "6 CONNECTION REQUEST";

/// Asks phones to come. Clones share everything.
#[derive(Debug, Clone)]
pub struct Requests(Arc<Shared>);

/// What it works with.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    /// Where this server listens: it asks itself nothing.
    pub listening: Vec<SocketAddr>,
    pub stun: Option<Stun>,
    pub arrivals: Arrivals,
    pub jobs: Jobs,
    pub stopping: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Shared {
    parts: Parts,
    policy: Policy,
    notify: config::Notify,
    timeout: Duration,
    pace: Duration,
    places: Semaphore,
    /// When a phone was asked last, and the time that a datagram to it said.
    asked: Cache<MacAddr, (Instant, u64)>,
    /// Held while the time of a datagram is made: no two have the same.
    stamping: Mutex<()>,
}

/// A phone that is to come.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    pub mac: MacAddr,
    pub settings: &'c Effective,
    /// What its model hears, and how.
    pub quirks: &'c Quirks,
    /// How long it is waited for.
    pub wait: Duration,
}

impl<'c> Call<'c> {
    /// A device that is to come, with the settings that hold for it. None where no ACS manages phones of its model.
    pub fn of(generation: &'c Generation, device: &Device, settings: &'c Effective, wait: Duration) -> Option<Self> {
        let model = device.model;
        let data_model = generation.packs.get(model.pack)?.data_model.as_ref()?;
        let quirks = data_model.is_for(model.model).then(|| data_model.quirks(Some(model.model)))?;
        Some(Self { mac: device.mac, settings, quirks, wait })
    }
}

/// When a phone was asked.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    /// In milliseconds since 1970.
    clock: i64,
}

impl Requests {
    pub fn new(config: &config::ConnectionRequests, parts: Parts) -> Self {
        Self(Arc::new(Shared {
            policy: Policy::new(config),
            notify: config.notify.clone(),
            timeout: config.timeout,
            pace: config.pace,
            places: Semaphore::new(config.at_once),
            asked: Cache::new(REMEMBERED),
            stamping: Mutex::default(),
            parts,
        }))
    }

    /// Asks a phone to come, and waits for it.
    ///
    /// # Errors
    /// When it is not asked now: it was just now, or too many others are, or the database is away.
    pub async fn request(&self, call: Call<'_>) -> Result<Report, NotNow> {
        let Ok(_place) = self.0.places.try_acquire() else { return Err(NotNow::TooMany) };
        let Some(mut awaited) = self.0.parts.arrivals.await_one(call.mac) else { return Err(NotNow::UnderWay) };
        let began = Began { at: Instant::now(), clock: milliseconds(OffsetDateTime::now_utc()) };
        let asked = self.0.asked.get(&call.mac);
        let rest = asked.map(|(at, _)| self.0.pace.saturating_sub(began.at.saturating_duration_since(at)));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Err(NotNow::TooSoon(rest));
        }
        let said = self.look(call.mac).await?.and_then(|row| said(&row));
        let report = match self.target(&call, said).await {
            Err(outcome) => Report { outcome, to: None, job: None },
            Ok(target) => self.ask(&call, target, &mut awaited, began).await,
        };
        let (word, way) = (report.outcome.word(), report.to.map_or("none", |(way, _)| way.word()));
        tracing::info!(device = %call.mac, way, outcome = word, "connection request to {}: {}", call.mac, report.outcome);
        Ok(report)
    }

    async fn look(&self, mac: MacAddr) -> Result<Option<AcsRow>, StoreError> {
        let store = &self.0.parts.store;
        store.in_time(PATIENCE, store.acs_phone(mac)).await
    }

    /// Asks, and waits for the phone if there is hope.
    async fn ask(&self, call: &Call<'_>, target: Target, awaited: &mut Awaited, began: Began) -> Report {
        let (mut target, mut outcome) = (Some(target), Outcome::NoAddress);
        let (mut to, mut job) = (None, None);
        while let Some(now) = target.take() {
            (to, job) = (Some(now.to()), now.job().cloned());
            outcome = self.send(call, &now, awaited, began).await;
            // A phone may come and answer afterwards, or never.
            if awaited.has_come() {
                return Report { outcome: Outcome::Informed, to, job };
            }
            let is_deaf = matches!(outcome, Outcome::Heard(Heard::Unreachable(_) | Heard::Silent));
            if is_deaf && wanted(call).is_none() {
                // Its address may be one behind a NAT: the proxy knows the way.
                target = self.by_notify(call).await.ok();
            }
        }
        if outcome.may_come() {
            let takes_any = matches!(to, Some((Way::Notify, _)));
            outcome = self.wait(call, takes_any, awaited, began, outcome).await;
        }
        Report { outcome, to, job }
    }

    /// Asks, and hears what is answered.
    async fn send(&self, call: &Call<'_>, target: &Target, awaited: &Awaited, began: Began) -> Outcome {
        let user = call.settings.text("acs.connection_user").filter(|user| !user.is_empty());
        let credentials = user
            .zip(secret(call.settings, "acs.connection_password"))
            .map(|(user, password)| Credentials { user: user.to_owned(), password });
        match target {
            Target::Http { claim, address } => {
                self.stamp(call.mac, began.at);
                let takes_basic = call.quirks.connection_request == ConnectionRequest::Basic;
                match http::ask(*address, claim, credentials.as_ref(), takes_basic, self.0.timeout).await {
                    Heard::Accepted => Outcome::Awaited(Way::Http),
                    other => Outcome::Heard(other),
                }
            }
            Target::Udp { host, address } => {
                let Some(credentials) = credentials else { return Outcome::NoCredentials };
                match self.call(call.mac, host, *address, &credentials, began.at).await {
                    Ok(()) => Outcome::Awaited(Way::Udp),
                    Err(why) => Outcome::Failed(why),
                }
            }
            Target::Notify { to, event, proxy, .. } => {
                self.stamp(call.mac, began.at);
                // No guide says which event the Inform then tells.
                awaited.take_any();
                let config = &self.0.notify;
                let password = config.password.as_ref().and_then(|password| password.as_ref().ok());
                let credentials =
                    config.user.clone().zip(password.cloned()).map(|(user, password)| Credentials { user, password });
                let (from, credentials) = (config.from.as_deref(), credentials.as_ref());
                let message = notify::Message { to, from, event, credentials };
                match notify::tell(*proxy, config.transport, &message, self.0.timeout).await {
                    Told::Taken => Outcome::Awaited(Way::Notify),
                    other => Outcome::Told(other),
                }
            }
        }
    }

    async fn call(
        &self,
        mac: MacAddr,
        host: &str,
        address: SocketAddr,
        credentials: &Credentials,
        now: Instant,
    ) -> Result<(), String> {
        let stun = self.0.parts.stun.as_ref().ok_or("there is no STUN server here")?;
        let no_randomness = |error| format!("the operating system gives no random numbers: {error}");
        let id = getrandom::u32().map_err(no_randomness)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(no_randomness)?;
        let cnonce = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let stamp = Stamp { time: self.stamp(mac, now), id, cnonce };
        let datagram = datagram::write(host, &stamp, credentials).ok_or("the password makes no key")?;
        let sent = stun.call(address, datagram.as_bytes()).await;
        sent.map_err(|error| format!("nothing can be sent to {address}: {error}"))
    }

    /// Notes that a phone is asked now. Gives the seconds since 1970, and more than the last time whatever the clock says.
    fn stamp(&self, mac: MacAddr, now: Instant) -> u64 {
        let _one_at_a_time = self.0.stamping.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
        let last = self.0.asked.get(&mac).map_or(0, |(_, time)| time);
        let time = clock.max(last.saturating_add(1));
        self.0.asked.insert(mac, (now, time));
        time
    }

    /// Until the phone comes, here or to another server of the same database.
    async fn wait(
        &self,
        call: &Call<'_>,
        takes_any: bool,
        awaited: &mut Awaited,
        began: Began,
        otherwise: Outcome,
    ) -> Outcome {
        let elsewhere = async {
            loop {
                tokio::time::sleep(LOOK).await;
                // A database that is away is asked again.
                if let Ok(Some(row)) = self.look(call.mac).await
                    && said(&row).is_some_and(|said| has_come(&said, began.clock, takes_any))
                {
                    break;
                }
            }
        };
        let mut stopping = self.0.parts.stopping.clone();
        tokio::select! {
            biased;
            () = awaited.come() => Outcome::Informed,
            () = elsewhere => Outcome::Informed,
            // An error means that the server is gone: a reason to stop as well.
            _ = stopping.wait_for(|stop| *stop) => Outcome::Stopping,
            () = tokio::time::sleep_until((began.at + call.wait).into()) => otherwise,
        }
    }
}

/// What a phone told in its last session; none where another version wrote it.
fn said(row: &AcsRow) -> Option<Said> {
    serde_json::from_str::<Phone>(&row.told).ok().map(|phone| phone.said)
}

/// Whether a phone's last session is one that it was asked for: it began after that, and says so. One that began before is written
/// down when it ends, which may be later.
fn has_come(said: &Said, began: i64, takes_any: bool) -> bool {
    said.began >= began && (takes_any || said.events.iter().any(|event| event == EVENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_had_begun_before_is_not_what_was_asked_for() {
        let said = |began, event: &str| Said { began, events: vec![event.to_owned()], ..Said::default() };
        for (said, takes_any, has) in [
            (said(1_000, EVENT), false, true),
            (said(999, EVENT), false, false),
            (said(1_001, "2 PERIODIC"), false, false),
            (said(1_001, "2 PERIODIC"), true, true),
            (said(999, "2 PERIODIC"), true, false),
            (Said::default(), true, false),
        ] {
            assert_eq!(has_come(&said, 1_000, takes_any), has, "{said:?}");
        }
    }
}
