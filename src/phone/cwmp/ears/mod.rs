//! How a phone hears that its server wants a session: by HTTP, and behind a NAT by datagrams (TR-111 part 2).

mod datagram;
mod door;
mod stun;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use datagram::{Believed, Doubt};
use door::Door;
use stun::{Answer, Question};

/// Why a phone opens a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    pub way: Way,
    pub from: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Http,
    Udp,
    /// Nobody asked: it has to tell of another address beyond its NAT.
    Address,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Wake(Wake),
    /// A datagram that the phone does not believe.
    Doubted(SocketAddr, Doubt),
}

/// Why an address beyond a NAT could not be learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    #[error("the phone listens to nothing yet")]
    Deaf,
    #[error("{0} can't be resolved")]
    Resolve(String),
    #[error("no STUN server answers at {0}")]
    NoAnswer(SocketAddr),
    #[error("the STUN server at {0} refuses, {1}")]
    Refused(SocketAddr, u16),
    #[error("the socket: {0}")]
    Socket(String),
}

/// Who may ask, and where.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    pub path: String,
    pub user: String,
    pub password: String,
    pub asks_basic: bool,
}

/// Whom STUN asks, and as whom.
#[derive(Debug, Clone)]
pub struct StunServer {
    pub address: SocketAddr,
    pub user: String,
    pub password: String,
}

/// RFC 3489: after 100 ms, and each time twice that, up to 1.6 s; nine times in all.
const WAITS: [u64; 9] = [100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600];

/// Connection requests that came while STUN was waited for.
const MOST_WAITING: usize = 100;

/// Larger than any datagram that is understood.
const DATAGRAM: usize = 4096;

pub struct Ears {
    door: Arc<Mutex<Door>>,
    keeper: JoinHandle<()>,
    wakes: mpsc::Receiver<Wake>,
    http: SocketAddr,
    udp: UdpSocket,
    udp_address: SocketAddr,
    /// All datagrams are sent here, where there is one: a NAT that a test puts in between.
    gateway: Option<SocketAddr>,
    waiting: VecDeque<(Vec<u8>, SocketAddr)>,
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Ears {
    /// Listens at a port for HTTP (0: any), and at any for datagrams.
    ///
    /// # Errors
    /// When it can't listen there.
    pub async fn open(address: IpAddr, port: u16, gateway: Option<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((address, port)).await?;
        let udp = UdpSocket::bind((address, 0)).await?;
        let (http, udp_address) = (listener.local_addr()?, udp.local_addr()?);
        let door = Arc::new(Mutex::new(Door::default()));
        let (sender, wakes) = mpsc::channel(16);
        let keeper = tokio::spawn(door::keep(listener, door.clone(), sender));
        Ok(Self { door, keeper, wakes, http, udp, udp_address, gateway, waiting: VecDeque::new() })
    }

    /// Where connection requests are heard by HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where they are heard by datagrams, as the phone itself sees it.
    pub fn udp(&self) -> SocketAddr {
        self.udp_address
    }

    /// Tells who may ask; and whether the phone is in the midst of a session.
    pub fn set(&self, manners: Manners, is_busy: bool) {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let Manners { path, user, password, asks_basic } = manners;
        (door.path, door.user, door.password, door.asks_basic, door.is_busy) =
            (path, user, password, asks_basic, is_busy);
    }

    /// Whether somebody was let in by HTTP since the last connection request was heard; that is forgotten then.
    pub fn was_woken(&mut self) -> bool {
        std::iter::from_fn(|| self.wakes.try_recv().ok()).count() > 0
    }

    /// Waits for a connection request. `believed` is the last datagram that was one, and is another afterwards.
    pub async fn listen(&mut self, believed: &mut Option<Believed>) -> io::Result<Heard> {
        let mut buffer = vec![0; DATAGRAM];
        let (datagram, from) = match self.waiting.pop_front() {
            Some(waiting) => waiting,
            None => tokio::select! {
                Some(wake) = self.wakes.recv() => return Ok(Heard::Wake(wake)),
                received = self.udp.recv_from(&mut buffer) => {
                    let (length, from) = received?;
                    buffer.truncate(length);
                    (buffer, from)
                }
            },
        };
        let (user, password) = {
            let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
            (door.user.clone(), door.password.clone())
        };
        match datagram::read(&datagram, &user, password.as_bytes(), believed.as_ref()) {
            Ok(new) => {
                *believed = Some(new);
                Ok(Heard::Wake(Wake { way: Way::Udp, from }))
            }
            Err(doubt) => Ok(Heard::Doubted(from, doubt)),
        }
    }

    /// Asks the STUN server for the address by which others see the phone. A second question tells it where that `is_changed` from the
    /// one `before`.
    ///
    /// # Errors
    /// When it doesn't answer, or refuses.
    pub async fn bind(&mut self, server: &StunServer, before: Option<SocketAddr>) -> Result<SocketAddr, StunError> {
        let mapped = self.ask(server, false).await?;
        if before.is_none_or(|before| before == mapped) {
            return Ok(mapped);
        }
        self.ask(server, true).await
    }

    async fn ask(&mut self, server: &StunServer, is_changed: bool) -> Result<SocketAddr, StunError> {
        let mut password = None;
        loop {
            let mut id = [0; 16];
            fastrand::fill(&mut id);
            let question = Question { id, user: &server.user, password, is_changed };
            match self.exchange(server.address, &question).await? {
                Answer::Mapped(mapped) => return Ok(mapped),
                // "If the STUNUsername is empty, the CPE MUST NOT use STUN Binding Requests with message integrity".
                Answer::Refused(401) if password.is_none() && !server.user.is_empty() => {
                    password = Some(server.password.as_bytes());
                }
                Answer::Refused(code) => return Err(StunError::Refused(server.address, code)),
            }
        }
    }

    async fn exchange(&mut self, server: SocketAddr, question: &Question<'_>) -> Result<Answer, StunError> {
        let bytes = question.bytes();
        for wait in WAITS.map(Duration::from_millis) {
            let sent = self.udp.send_to(&bytes, self.gateway.unwrap_or(server)).await;
            sent.map_err(|error| StunError::Socket(error.to_string()))?;
            if let Ok(answer) = timeout(wait, self.answer(question.id)).await {
                return answer.map_err(|error| StunError::Socket(error.to_string()));
            }
        }
        Err(StunError::NoAnswer(server))
    }

    /// What else comes meanwhile is kept for later.
    async fn answer(&mut self, id: [u8; 16]) -> io::Result<Answer> {
        loop {
            let mut buffer = vec![0; DATAGRAM];
            let (length, from) = match self.udp.recv_from(&mut buffer).await {
                // A port that nobody listens at says so on Linux; it may be there the next time.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                other => other?,
            };
            buffer.truncate(length);
            match stun::read(&buffer, id) {
                Some(answer) => return Ok(answer),
                None if self.waiting.len() < MOST_WAITING => self.waiting.push_back((buffer, from)),
                None => {}
            }
        }
    }
}
