//! The STUN server, and the connection requests that leave by its socket: a NAT lets in only what comes from where the phone has
//! sent something to.
//!
//! Whoever sends datagrams can say that they come from anywhere. So an answer is small and goes back where the question came
//! from, networks have a rate, memory is bounded, and what is no question has no answer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, watch};

use super::devices::Devices;
use super::stun::{ErrorCode, LONGEST, Request};
use crate::brakes::{Counts, network};
use crate::config;

/// Networks whose datagrams are counted.
const NETWORKS: usize = 65_536;

/// The time that `stun.per_network` is about.
const MINUTE: Duration = Duration::from_secs(60);

/// Signed requests whose device is being looked up.
const LOOKUPS: usize = 64;

/// A binding that was not renewed for so long is none: NATs forget theirs sooner.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Identical copies of a connection request (TR-069, Annex G.2.2): datagrams get lost.
const COPIES: usize = 3;

/// Pause after the socket failed.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that is bound, and not served yet.
#[derive(Debug)]
pub struct Bound(std::net::UdpSocket);

impl Bound {
    /// Binds an address; `[::]` takes IPv4 too.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self(socket.into()))
    }
}

/// Where a phone's datagrams come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    pub address: SocketAddr,
    /// It was signed with the device's own password.
    pub is_proved: bool,
    at: Instant,
}

/// The STUN server. Clones share everything.
#[derive(Debug, Clone)]
pub struct Stun(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    address: SocketAddr,
    per_network: u32,
    passwords: bool,
    devices: Devices,
    datagrams: Counts<IpAddr>,
    bindings: Cache<Box<[u8]>, Binding>,
    lookups: Arc<Semaphore>,
}

impl Stun {
    /// Has to be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(bound: Bound, config: &config::Stun, devices: Devices) -> io::Result<Self> {
        let socket = UdpSocket::from_std(bound.0)?;
        Ok(Self(Arc::new(Shared {
            address: socket.local_addr()?,
            socket,
            per_network: config.per_network,
            passwords: config.passwords,
            devices,
            datagrams: Counts::new(NETWORKS, MINUTE),
            bindings: Cache::new(config.bindings),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        })))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Where the datagrams of a user come from, as far as that is known still.
    pub fn binding(&self, user: &str, now: Instant) -> Option<Binding> {
        let binding = self.0.bindings.get(user.as_bytes())?;
        (now.saturating_duration_since(binding.at) < LIFETIME).then_some(binding)
    }

    /// Sends a connection request.
    ///
    /// # Errors
    /// When the operating system refuses all of its copies.
    pub async fn call(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let to = self.reachable(to);
        let mut last = Ok(());
        let mut sent = 0;
        for _ in 0..COPIES {
            match self.0.socket.send_to(datagram, to).await {
                Ok(_) => sent += 1,
                Err(error) => last = Err(error),
            }
        }
        if sent > 0 { Ok(()) } else { last }
    }

    /// An IPv4 address as a socket for both has it.
    fn reachable(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(ip) if self.0.address.is_ipv6() => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        }
    }

    /// Answers until the server stops.
    pub async fn serve(self, mut stopping: watch::Receiver<bool>) {
        // One byte more than is read: what is longer shows.
        let mut buffer = [0; LONGEST + 1];
        loop {
            let received = tokio::select! {
                received = self.0.socket.recv_from(&mut buffer) => received,
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            match received {
                Ok((length, from)) => self.hear(buffer.get(..length).unwrap_or_default(), from).await,
                Err(error) => {
                    tracing::debug!("the STUN socket: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn hear(&self, datagram: &[u8], from: SocketAddr) {
        let source = network(from.ip());
        if from.port() == 0 || self.0.datagrams.add(source, Instant::now()) > self.0.per_network {
            return;
        }
        let Ok(request) = Request::read(datagram) else { return };
        if let Some(unknown) = request.unknown {
            return self.send(&request.refusal(ErrorCode::UnknownAttribute(unknown)), from).await;
        }
        // A phone that asks how long its NAT remembers has the answer sent to another port of its own. To send it to others would be
        // doing what anybody wants done.
        let is_own = |to: &SocketAddr| to.ip().to_canonical() == from.ip().to_canonical() && to.port() != 0;
        if request.answer_to.is_some_and(|to| !is_own(&to)) {
            return self.send(&request.refusal(ErrorCode::BadRequest), from).await;
        }
        if !self.0.passwords {
            self.remember(&request, from, false);
            return self.send(&request.answer(from, Some(self.0.address), None), self.answer_to(&request, from)).await;
        }
        let missing = match (request.is_signed(), request.user) {
            (false, _) => Some(ErrorCode::Unauthorized),
            (true, None) => Some(ErrorCode::MissingUsername),
            (true, Some(_)) => None,
        };
        if let Some(missing) = missing {
            return self.send(&request.refusal(missing), from).await;
        }
        // More than can be looked up are dropped, as any network does: phones ask again.
        let Ok(place) = self.0.lookups.clone().try_acquire_owned() else { return };
        let (stun, datagram) = (self.clone(), datagram.to_vec());
        tokio::spawn(async move {
            let _place = place;
            if let Ok(request) = Request::read(&datagram) {
                stun.prove(&request, from).await;
            }
        });
    }

    /// Answers who has signed with the password of a device.
    async fn prove(&self, request: &Request<'_>, from: SocketAddr) {
        let password = self.0.devices.stun_password(request.user.unwrap_or_default()).await;
        let way = request.signed_with(&password);
        match way {
            None => self.send(&request.refusal(ErrorCode::IntegrityCheckFailure), from).await,
            Some(way) => {
                self.remember(request, from, true);
                let answer = request.answer(from, Some(self.0.address), Some((way, &password)));
                self.send(&answer, self.answer_to(request, from)).await;
            }
        }
    }

    fn answer_to(&self, request: &Request<'_>, from: SocketAddr) -> SocketAddr {
        request.answer_to.map_or(from, |to| self.reachable(to))
    }

    fn remember(&self, request: &Request<'_>, from: SocketAddr, is_proved: bool) {
        if let Some(user) = request.user.filter(|_| request.for_connection_requests) {
            let address = SocketAddr::new(from.ip().to_canonical(), from.port());
            self.0.bindings.insert(user.into(), Binding { address, is_proved, at: Instant::now() });
        }
    }

    async fn send(&self, answer: &[u8], to: SocketAddr) {
        if let Err(error) = self.0.socket.send_to(answer, to).await {
            tracing::debug!(%to, "a STUN answer can't be sent: {error}");
        }
    }
}
