//! A phone's life, step by step: it gets its files, learns of its server from them, has its sessions, and listens in between.
//!
//! What is pending is told by [`Life::is_pending`]: a phone that fetched firmware, was asked for a diagnosis or heard a connection request
//! opens its next session at once. Time is what [`Life::now`] says; nothing here waits but [`Life::woken`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::answers;
use super::ears::{Ears, Heard, Manners, StunError, StunServer, Wake, Way};
use super::memory::Event;
use super::step::{Step, shown};
use super::tree::{connection_request, parameter};
use super::{NoServer, Phone, Played, Server, UDP_ADDRESS, configuration, play};
use crate::phone::cisco::{Emulation, Random, target};
use crate::phone::network::{self, Network, Target};
use crate::phone::{Cause, Fetch as _, Maker, Method, Request, State};

/// A phone that is switched on.
pub struct Life<R> {
    pub phone: Phone,
    pub state: State,
    /// Seconds since 1970.
    pub now: i64,
    network: Network,
    random: R,
    ears: Option<Ears>,
    /// Why the next session is opened, beside what the phone remembers.
    reasons: Vec<Event>,
    /// What happened since the last session, to be told with the next.
    steps: Vec<Step>,
    /// Whether the last session left something to be told at once.
    is_pending: bool,
}

/// What STUN found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Where connection requests reach the phone.
    pub address: SocketAddr,
    pub is_behind_nat: bool,
    /// It is another than before.
    pub is_changed: bool,
    /// The server asked to be told at once, and is, by the next session.
    pub is_told: bool,
}

/// What a phone makes of a SIP NOTIFY for `check-sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckSync {
    /// It looks at its files.
    Resync,
    /// It opens a session.
    Inform,
}

/// The session that a phone opens at once leads to another at once, and so on: a server in a circle is not followed for ever.
const MOST_AT_ONCE: usize = 20;

/// Of what happened between two sessions: nobody makes a phone remember without an end.
const MOST_STEPS: usize = 200;

/// After so many resyncs a phone's files must have settled.
const RESYNCS: u32 = 6;

const STUN_ENABLE: &str = "Device.ManagementServer.STUNEnable";
const NAT_DETECTED: &str = "Device.ManagementServer.NATDetected";

impl<R: Random> Life<R> {
    /// One fresh from the factory.
    pub fn new(phone: Phone, network: Network, random: R, now: i64) -> Self {
        let state = of_files(&phone, None).factory_state();
        Self::with_state(phone, state, network, random, now)
    }

    /// One that goes on from where it was left.
    pub fn with_state(phone: Phone, state: State, network: Network, random: R, now: i64) -> Self {
        let (reasons, steps) = (Vec::new(), Vec::new());
        Self { phone, state, now, network, random, ears: None, reasons, steps, is_pending: true }
    }

    /// Gets its files as it does when it is switched on, and again until they change nothing. `server` is what DHCP tells it. What a file
    /// says anew wins over what a session had set; on Aastra's phones it doesn't, as what their users change.
    pub async fn resync(&mut self, server: Option<&str>) -> crate::phone::Played {
        let phone = of_files(&self.phone, server);
        let mut round = 0;
        loop {
            let cause = if round == 0 { Cause::PowerUp } else { Cause::Due };
            let played = phone.resync(&self.state, &cause, server, self.now, &self.network, &mut self.random).await;
            self.network.close();
            self.state = played.state.clone();
            if self.phone.maker != Maker::Aastra {
                configuration::forget(&self.phone, &mut self.state, played.changed.iter());
            }
            round += 1;
            if played.failure.is_some() || played.changed.is_empty() || round == RESYNCS {
                self.settle(false);
                return played;
            }
        }
    }

    /// Whom it would open a session with.
    ///
    /// # Errors
    /// When it knows of nobody.
    pub fn server(&self) -> Result<Server, NoServer> {
        Server::of(&self.phone, &self.state)
    }

    /// One session, and what is to be done after it. `events`: why it is opened, beside what it has to tell.
    ///
    /// # Errors
    /// When it knows of no server.
    pub async fn session(&mut self, events: &[Event]) -> Result<Played, NoServer> {
        let server = self.server()?;
        let mut reasons = std::mem::take(&mut self.reasons);
        reasons.extend_from_slice(events);
        self.settle(true);
        // Who asked before it began is served by it, too.
        if self.ears.as_mut().is_some_and(Ears::was_woken) {
            reasons.push(Event::new("6 CONNECTION REQUEST"));
        }
        let mut played =
            play(&self.phone, &self.state, &server, &reasons, self.now, &self.network, &mut self.random).await;
        // The next session has a connection of its own.
        self.network.close();
        self.state = played.state.clone();
        played.steps.splice(0..0, std::mem::take(&mut self.steps));
        self.is_pending = played.next == Some(0);
        self.settle(false);
        Ok(played)
    }

    /// A session, and those that it opens at once after it: what was fetched, sent, diagnosed or rebooted for is told in them.
    ///
    /// # Errors
    /// When it knows of no server.
    pub async fn sessions(&mut self, events: &[Event]) -> Result<Vec<Played>, NoServer> {
        let mut all = vec![self.session(events).await?];
        while self.is_pending && all.len() < MOST_AT_ONCE {
            all.push(self.session(&[]).await?);
        }
        Ok(all)
    }

    /// Whether it opens a session at once.
    pub fn is_pending(&self) -> bool {
        self.is_pending || !self.reasons.is_empty()
    }

    /// What happened since the last session, which would else be told with the next.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// What it holds in a parameter of its data model.
    pub fn value(&self, path: &str) -> Option<String> {
        self.phone.value(&self.state, path)
    }

    /// A person changes a value on the phone. True where the server asked to be told.
    ///
    /// # Errors
    /// When the phone doesn't take it.
    pub fn change(&mut self, path: &str, value: &str) -> Result<bool, super::ChangeError> {
        let is_told = self.phone.change(&mut self.state, path, value)?;
        self.settle(false);
        Ok(is_told)
    }

    /// Loses its power, and gets it back.
    pub fn power_cycle(&mut self) {
        answers::reboot(&mut self.state, None);
        self.is_pending = true;
    }

    /// Listens for connection requests from now on, at an address of this machine, which is the phone's own then; at `port`, or where
    /// none is given at the one that its files say. 0: at any, which it tells its server. All datagrams go by the `gateway`, where there
    /// is one.
    ///
    /// A task of the runtime answers at the door: it has to run for somebody to be let in.
    ///
    /// # Errors
    /// When it can't listen there.
    pub async fn listen(
        &mut self,
        address: IpAddr,
        port: Option<u16>,
        gateway: Option<SocketAddr>,
    ) -> std::io::Result<()> {
        let port = port.unwrap_or_else(|| connection_request(&self.phone, &self.state).0);
        self.ears = None;
        let ears = Ears::open(address, port, gateway).await?;
        let (http, udp) = (ears.http(), ears.udp());
        self.phone.habits.address = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        self.phone.habits.connection_port = Some(http.port());
        self.ears = Some(ears);
        self.steps.push(Step::Listening { http: http.to_string(), udp: udp.to_string() });
        self.settle(false);
        Ok(())
    }

    /// Where it hears connection requests by HTTP and by datagrams, on this machine.
    pub fn ears(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.ears.as_ref().map(|ears| (ears.http(), ears.udp()))
    }

    /// Learns its address beyond a NAT, if its server wants it to (`STUNEnable`), and holds it in `UDPConnectionRequestAddress` and
    /// `NATDetected`. None: its server doesn't want it, or it listens to nothing.
    ///
    /// # Errors
    /// When the STUN server can't be asked.
    pub async fn bind(&mut self) -> Result<Option<Bound>, StunError> {
        if self.value(STUN_ENABLE).as_deref() != Some("1") || self.ears.is_none() {
            return Ok(None);
        }
        let server = self.stun_server().await?;
        let before = self.value(UDP_ADDRESS).and_then(|address| address.parse().ok());
        let Some(ears) = &mut self.ears else { return Err(StunError::Deaf) };
        let address = ears.bind(&server, before).await?;
        let is_behind_nat = address != ears.udp();
        let told = [
            self.learn(UDP_ADDRESS, address.to_string()),
            self.learn(NAT_DETECTED, u8::from(is_behind_nat).to_string()),
        ];
        let is_told = told.contains(&true);
        self.is_pending |= is_told;
        let bound = Bound { address, is_behind_nat, is_changed: before != Some(address), is_told };
        if bound.is_changed {
            self.steps.push(Step::Bound { address: address.to_string(), is_behind_nat });
        }
        Ok(Some(bound))
    }

    /// Keeps what it found out itself. True where it is told at once.
    fn learn(&mut self, path: &str, value: String) -> bool {
        if self.value(path).is_none_or(|held| held == value) {
            return false;
        }
        self.state.cwmp.parameters.insert(path.to_owned(), value);
        let notification = self.phone.notification(&self.state, path);
        if notification > 0 {
            self.state.cwmp.changed.insert(path.to_owned());
        }
        notification == 2
    }

    /// "If empty and STUNEnable is true, the CPE MUST use the address of the ACS".
    async fn stun_server(&self) -> Result<StunServer, StunError> {
        let held = |name: &str| self.value(&format!("Device.ManagementServer.{name}")).unwrap_or_default();
        let mut host = held("STUNServerAddress");
        if host.is_empty() {
            let url = self.server().map(|server| server.url).unwrap_or_else(|_| held("URL"));
            host = Target::parse(&url).map(|target| target.origin.host.clone()).unwrap_or_default();
        }
        let port = held("STUNServerPort").parse().ok().filter(|port| *port > 0).unwrap_or(3478);
        let found = network::look_up(&host, port).await.map_err(|_| StunError::Resolve(host.clone()))?;
        let address = found.into_iter().find(SocketAddr::is_ipv4).ok_or(StunError::Resolve(host))?;
        Ok(StunServer { address, user: held("STUNUsername"), password: held("STUNPassword") })
    }

    /// Listens until a connection request comes, or it has to tell of another address; none: nothing came within the time. Its address
    /// is kept open meanwhile, as often as `STUNMinimumKeepAlivePeriod` says. The next session says why it is opened.
    ///
    /// # Errors
    /// When the sockets fail.
    pub async fn woken(&mut self, limit: Duration) -> std::io::Result<Option<Wake>> {
        let until = Instant::now() + limit;
        let period = self.value("Device.ManagementServer.STUNMinimumKeepAlivePeriod");
        let period = period.and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0).unwrap_or(20);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(ears) = &mut self.ears else { return Ok(None) };
            let listening = ears.listen(&mut self.state.cwmp.believed);
            match timeout(left.min(Duration::from_secs(period)), listening).await {
                Ok(heard) => match heard? {
                    Heard::Wake(wake) => {
                        self.steps.push(Step::Woken { way: wake.way, from: wake.from.to_string() });
                        self.reasons.push(Event::new("6 CONNECTION REQUEST"));
                        return Ok(Some(wake));
                    }
                    Heard::Doubted(from, doubt) => {
                        if self.steps.len() < MOST_STEPS {
                            self.steps.push(Step::Doubted { from: from.to_string(), why: doubt.to_string() });
                        }
                        if until <= Instant::now() {
                            return Ok(None);
                        }
                    }
                },
                Err(_) if until <= Instant::now() => return Ok(None),
                Err(_) => {
                    // It is asked again after the next period.
                    if let Ok(Some(bound)) = self.bind().await
                        && bound.is_told
                    {
                        return Ok(Some(Wake { way: Way::Address, from: bound.address }));
                    }
                }
            }
        }
    }

    /// A SIP NOTIFY for `check-sync` came. Aastra's guide: by `tr69 check sync` it looks at its files, opens a session, or opens one and calls
    /// `action uri tr69 check sync`, with the job's number in the place of `$$JOBID$$`. Where the number comes from isn't said.
    pub async fn check_sync(&mut self, job: &str) -> CheckSync {
        let way = parameter(&self.state, "tr69 check sync").unwrap_or("0").to_owned();
        if !matches!(way.as_str(), "1" | "2") {
            return CheckSync::Resync;
        }
        self.reasons.push(Event::new("6 CONNECTION REQUEST"));
        let url = parameter(&self.state, "action uri tr69 check sync").filter(|url| !url.is_empty());
        if let Some(url) = url.filter(|_| way == "2").map(|url| url.replace("$$JOBID$$", job)) {
            let request = Request {
                method: Method::Get,
                url: url.clone(),
                user_agent: self.phone.user_agent(),
                headers: Vec::new(),
                body: bytes::Bytes::new(),
                content_type: None,
            };
            let status = self.network.fetch(request).await.ok().map(|response| response.status);
            self.network.close();
            self.steps.push(Step::Called { url: shown(&url), status });
        }
        CheckSync::Inform
    }

    /// After anything that may have changed what the phone is: its firmware, and who may knock at its door.
    fn settle(&mut self, is_busy: bool) {
        if let Some(firmware) = &self.state.upgrade.firmware {
            self.phone.identity.firmware.clone_from(firmware);
        }
        let held =
            |name: &str| self.value(&format!("Device.ManagementServer.ConnectionRequest{name}")).unwrap_or_default();
        if let Some(ears) = &self.ears {
            let manners = Manners {
                path: connection_request(&self.phone, &self.state).1,
                user: held("Username"),
                password: held("Password"),
                asks_basic: self.phone.habits.asks_basic,
            };
            ears.set(manners, is_busy);
        }
    }
}

/// The same phone, as it gets its files. A server that is no URL is none to it, either.
fn of_files(phone: &Phone, server: Option<&str>) -> crate::phone::Phone {
    let origin = server.and_then(|server| target::Origin::parse(server).ok());
    crate::phone::Phone::new(phone.maker, phone.identity.clone(), Emulation { origin, ..Emulation::default() })
}
