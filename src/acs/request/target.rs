//! Where and by which way a phone is asked: by UDP if it has told an address for that, or has shown one to the STUN server; over HTTP;
//! or by SIP. What a phone has told is looked at here, and nothing is sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::jobs::Job;
use super::outcome::{NoWay, Outcome, Way};
use super::policy::{Claim, Host, Place};
use super::sip::{Address, AddressError};
use super::{Call, Requests, here};
use crate::acs::Said;
use crate::packs::data_model::ConnectionRequest;

/// Where a phone is asked.
pub enum Target {
    Http { claim: Claim, address: SocketAddr },
    Udp { host: String, address: SocketAddr },
    Notify { to: Address, event: String, proxy: SocketAddr, job: Option<Job> },
}

impl Target {
    pub fn to(&self) -> (Way, SocketAddr) {
        match self {
            Self::Http { address, .. } => (Way::Http, *address),
            Self::Udp { address, .. } => (Way::Udp, *address),
            Self::Notify { proxy, .. } => (Way::Notify, *proxy),
        }
    }

    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Notify { job, .. } => job.as_ref(),
            _ => None,
        }
    }
}

/// The way that a device's settings want; none: whichever there is.
pub fn wanted(call: &Call<'_>) -> Option<Way> {
    [Way::Http, Way::Udp, Way::Notify]
        .into_iter()
        .find(|way| call.settings.text("acs.connection_way") == Some(way.word()))
}

impl Requests {
    /// Where the phone is asked first.
    pub(super) async fn target(&self, call: &Call<'_>, said: Option<Said>) -> Result<Target, Outcome> {
        let asked = match wanted(call) {
            Some(Way::Notify) => return self.by_notify(call).await,
            Some(Way::Http) => self.over_http(call, said).await,
            Some(Way::Udp) => match self.by_udp(call, said).await {
                Ok(None) if self.0.parts.stun.is_none() => Err(Outcome::NoWay(NoWay::Stun)),
                Ok(None) => Err(Outcome::NoAddress),
                Ok(Some(target)) => Ok(target),
                Err(outcome) => Err(outcome),
            },
            None => match self.by_udp(call, said.clone()).await {
                Ok(None) => self.over_http(call, said).await,
                Ok(Some(target)) => Ok(target),
                Err(outcome) => Err(outcome),
            },
        };
        match asked {
            // Where there is no way by SIP either, the nearer reason is told.
            Err(outcome) if wanted(call).is_none() => self.by_notify(call).await.map_err(|_| outcome),
            other => other,
        }
    }

    async fn over_http(&self, call: &Call<'_>, said: Option<Said>) -> Result<Target, Outcome> {
        let said = said.ok_or(Outcome::NoAddress)?;
        if call.quirks.connection_request == ConnectionRequest::None {
            return Err(Outcome::NoWay(NoWay::Http));
        }
        let url = told(said.connection_request_url).ok_or(Outcome::NoAddress)?;
        let claim = Claim::parse(&url).map_err(Outcome::BadUrl)?;
        let address = self.resolve(&claim.place).await?;
        Ok(Target::Http { claim, address })
    }

    async fn by_udp(&self, call: &Call<'_>, said: Option<Said>) -> Result<Option<Target>, Outcome> {
        let Some(said) = said else { return Ok(None) };
        let found = self.behind_nat(call, told(said.udp_address)).await?;
        Ok(found.map(|(place, address)| Target::Udp { host: place.to_string(), address }))
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

    /// By the operator's SIP proxy. A phone that would take the NOTIFY for another thing is not sent one: some start anew.
    pub(super) async fn by_notify(&self, call: &Call<'_>) -> Result<Target, Outcome> {
        let config = &self.0.notify;
        let (host, port) = config.proxy.as_ref().ok_or(Outcome::NoWay(NoWay::Proxy))?;
        let event = call.quirks.notify.as_deref().ok_or(Outcome::NoWay(NoWay::Model))?;
        let calls = match call.settings.text("acs.check_sync") {
            Some("inform") => false,
            Some("inform-and-call") => true,
            _ => return Err(Outcome::NoWay(NoWay::CheckSync)),
        };
        let text = |setting| call.settings.text(setting).filter(|text| !text.trim().is_empty());
        let to = match (text("acs.notify_to"), text("lines.1.user"), text("lines.1.proxy")) {
            (Some(to), ..) => Address::parse(to),
            (None, Some(user), Some(registrar)) => Address::of(user, registrar),
            (None, ..) => Err(AddressError::User),
        };
        let to = to.map_err(Outcome::BadSipAddress)?;
        let addresses = tokio::time::timeout(self.0.timeout, tokio::net::lookup_host((host.as_str(), *port))).await;
        let proxy = addresses.ok().and_then(|found| found.ok()?.next()).ok_or(Outcome::NoWay(NoWay::NoSuchProxy))?;
        let job = match call.quirks.notify_job.as_deref().filter(|_| calls) {
            None => None,
            Some(name) => {
                let job = self.0.parts.jobs.begin(call.mac, Instant::now());
                let job = job.map_err(|error| {
                    Outcome::Failed(format!("the operating system gives no random numbers: {error}"))
                })?;
                Some((name, job))
            }
        };
        let event = match &job {
            None => event.to_owned(),
            Some((name, job)) => format!("{event};{name}={job}"),
        };
        Ok(Target::Notify { to, event, proxy, job: job.map(|(_, job)| job) })
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
}

fn told(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn place_of(address: SocketAddr) -> Place {
    let ip: IpAddr = address.ip().to_canonical();
    Place { host: Host::Address(ip), port: address.port() }
}
