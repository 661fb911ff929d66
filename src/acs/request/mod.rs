//! Connection requests: a phone is asked to open a session now. Over HTTP, or by UDP where it stands behind NAT and this server is
//! its STUN server. Whatever it answers, it was a success only if its Inform came.

mod arrivals;
mod challenge;
mod datagram;
mod devices;
mod here;
mod http;
mod outcome;
pub mod policy;
pub mod stun;
mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};

pub use arrivals::Arrivals;
pub use devices::Devices;
pub use http::Heard;
pub use outcome::{NotNow, Outcome, Report, Way};
pub use udp::{Bound, Stun};

use self::arrivals::Awaited;
use self::challenge::Credentials;
use self::datagram::Stamp;
use self::devices::secret;
use self::policy::{Claim, Host, Place, Policy};
use super::Phone;
use crate::config;
use crate::model::MacAddr;
use crate::packs::data_model::ConnectionRequest;
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
    pub stopping: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Shared {
    parts: Parts,
    policy: Policy,
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
    /// What its model hears over HTTP.
    pub hears: ConnectionRequest,
    /// How long it is waited for.
    pub wait: Duration,
}

/// Where a phone is asked.
enum Target {
    Http { claim: Claim, address: SocketAddr },
    Udp { host: String, address: SocketAddr },
}

impl Target {
    fn to(&self) -> (Way, SocketAddr) {
        match self {
            Self::Http { address, .. } => (Way::Http, *address),
            Self::Udp { address, .. } => (Way::Udp, *address),
        }
    }
}

impl Requests {
    pub fn new(config: &config::ConnectionRequests, parts: Parts) -> Self {
        Self(Arc::new(Shared {
            policy: Policy::new(config),
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
        let began = Instant::now();
        let asked = self.0.asked.get(&call.mac);
        let rest = asked.map(|(at, _)| self.0.pace.saturating_sub(began.saturating_duration_since(at)));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Err(NotNow::TooSoon(rest));
        }
        let known = self.look(call.mac).await?;
        let report = match self.target(&call, known.as_ref()).await {
            Err(outcome) => Report { outcome, to: None },
            Ok(target) => {
                let to = Some(target.to());
                let outcome = self.ask(&call, &target, known.as_ref(), &mut awaited, began).await;
                Report { outcome, to }
            }
        };
        let (word, way) = (report.outcome.word(), report.to.map_or("none", |(way, _)| way.word()));
        tracing::info!(device = %call.mac, way, outcome = word, "connection request to {}: {}", call.mac, report.outcome);
        Ok(report)
    }

    async fn look(&self, mac: MacAddr) -> Result<Option<AcsRow>, StoreError> {
        let store = &self.0.parts.store;
        store.in_time(PATIENCE, store.acs_phone(mac)).await
    }

    /// Where the phone is asked: by UDP if it has told an address for that, or has shown one to the STUN server, and over HTTP
    /// otherwise.
    async fn target(&self, call: &Call<'_>, known: Option<&AcsRow>) -> Result<Target, Outcome> {
        let phone: Option<Phone> = known.and_then(|row| serde_json::from_str(&row.told).ok());
        let said = phone.ok_or(Outcome::NoAddress)?.said;
        let told = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if let Some((place, address)) = self.behind_nat(call, told(said.udp_address)).await? {
            return Ok(Target::Udp { host: place.to_string(), address });
        }
        let url = told(said.connection_request_url);
        if call.hears == ConnectionRequest::None {
            return Err(Outcome::NotHeard);
        }
        let claim = Claim::parse(&url.ok_or(Outcome::NoAddress)?).map_err(Outcome::BadUrl)?;
        let address = self.resolve(&claim.place).await?;
        Ok(Target::Http { claim, address })
    }

    async fn behind_nat(&self, call: &Call<'_>, told: Option<String>) -> Result<Option<(Place, SocketAddr)>, Outcome> {
        let Some(stun) = &self.0.parts.stun else { return Ok(None) };
        let user = call.settings.text("acs.stun_user");
        let bound = user.and_then(|user| stun.binding(user, Instant::now()));
        let Some(told) = told else {
            // Whoever knows the name of a phone can say to be it, unless that is proved.
            let Some(bound) = bound.filter(|bound| bound.is_proved) else { return Ok(None) };
            let place = place_of(bound.address);
            self.judge(bound.address)?;
            return Ok(Some((place, bound.address)));
        };
        let place = Place::parse(&told).map_err(Outcome::BadUdpAddress)?;
        let address = match bound {
            // What the phone told in a session may be older than its NAT's last whim, which leaves its address as it is.
            Some(bound) if bound.is_proved || place.host == Host::Address(bound.address.ip()) => {
                self.judge(bound.address)?;
                bound.address
            }
            _ => self.resolve(&place).await?,
        };
        Ok(Some((place, address)))
    }

    /// The address of a phone, looked at. What is connected to is this address, whatever its name comes to a moment later.
    async fn resolve(&self, place: &Place) -> Result<SocketAddr, Outcome> {
        let addresses: Vec<SocketAddr> = match &place.host {
            Host::Address(ip) => vec![SocketAddr::new(*ip, place.port)],
            Host::Name(name) => {
                let found = tokio::time::timeout(self.0.timeout, tokio::net::lookup_host((name.as_str(), place.port)));
                let found = found.await.map_err(|_| Outcome::NotFound("no answer in time".to_owned()))?;
                found.map_err(|error| Outcome::NotFound(error.to_string()))?.collect()
            }
        };
        // One that may not be asked says enough about the name.
        for address in &addresses {
            self.judge(*address)?;
        }
        addresses.first().copied().ok_or_else(|| Outcome::NotFound("it has no address".to_owned()))
    }

    fn judge(&self, address: SocketAddr) -> Result<(), Outcome> {
        let own = here::own(&self.0.parts.listening);
        let own = own.map_err(|error| Outcome::Failed(format!("this server's own networks can't be told: {error}")))?;
        self.0.policy.judge(address, &own).map_err(Outcome::NotAllowed)
    }

    async fn ask(
        &self,
        call: &Call<'_>,
        target: &Target,
        known: Option<&AcsRow>,
        awaited: &mut Awaited,
        began: Instant,
    ) -> Outcome {
        let user = call.settings.text("acs.connection_user").filter(|user| !user.is_empty());
        let credentials = user
            .zip(secret(call.settings, "acs.connection_password"))
            .map(|(user, password)| Credentials { user: user.to_owned(), password });
        let outcome = match target {
            Target::Http { claim, address } => {
                self.stamp(call.mac, began);
                let takes_basic = call.hears == ConnectionRequest::Basic;
                match http::ask(*address, claim, credentials.as_ref(), takes_basic, self.0.timeout).await {
                    Heard::Accepted => Outcome::Awaited(Way::Http),
                    other => Outcome::Heard(other),
                }
            }
            Target::Udp { host, address } => {
                let Some(credentials) = credentials else { return Outcome::NoCredentials };
                match self.call(call.mac, host, *address, &credentials, began).await {
                    Ok(()) => Outcome::Awaited(Way::Udp),
                    Err(why) => return Outcome::Failed(why),
                }
            }
        };
        // A phone may come and answer afterwards, or never.
        if awaited.has_come() {
            return Outcome::Informed;
        }
        if matches!(outcome, Outcome::Awaited(_) | Outcome::Heard(Heard::Silent)) {
            return self.wait(call, known, awaited, began, outcome).await;
        }
        outcome
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
        known: Option<&AcsRow>,
        awaited: &mut Awaited,
        began: Instant,
        otherwise: Outcome,
    ) -> Outcome {
        let elsewhere = async {
            loop {
                tokio::time::sleep(LOOK).await;
                // A database that is away is asked again.
                if let Ok(Some(now)) = self.look(call.mac).await
                    && known.is_none_or(|before| before.last_seen != now.last_seen)
                    && has_come(&now)
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
            () = tokio::time::sleep_until((began + call.wait).into()) => otherwise,
        }
    }
}

/// Whether a phone's last session was one that it was asked for.
fn has_come(row: &AcsRow) -> bool {
    let phone = serde_json::from_str::<Phone>(&row.told);
    phone.is_ok_and(|phone| phone.said.events.iter().any(|event| event == EVENT))
}

fn place_of(address: SocketAddr) -> Place {
    let ip: IpAddr = address.ip().to_canonical();
    Place { host: Host::Address(ip), port: address.port() }
}
