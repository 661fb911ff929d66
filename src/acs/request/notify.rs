//! A connection request by SIP: a NOTIFY to the operator's own proxy, which knows where the phone is. It goes nowhere else, whatever
//! a phone or an answer says: no redirect is followed. It is a transaction of RFC 3261, section 17.1.2.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use super::challenge::{Challenge, Credentials};
use super::sip::{Address, Answer, BRANCH, LONGEST, Notify};
use crate::config::Transport;

/// The round trip that is reckoned with (RFC 3261, section 17.1.1.1).
const T1: Duration = Duration::from_millis(500);

/// The longest pause between two copies.
const T2: Duration = Duration::from_secs(4);

/// How long an answer is waited for at most: timer F.
pub const PATIENCE: Duration = Duration::from_secs(32);

/// Longest body of an answer over TCP that is passed over, in bytes.
const BODY: usize = 64 << 10;

/// What came of a NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// 2xx: the phone has it, or the proxy sees to it.
    Taken,
    /// 404, 410, 480: the proxy doesn't know where the phone is.
    NotRegistered,
    /// 401, 403, 407: it doesn't take a NOTIFY from this server, or not with this user and password.
    Refused,
    /// It asks who this is, and the configuration doesn't tell.
    NoCredentials,
    /// It asks in no way that is answered.
    Unanswerable,
    Status(u16),
    /// The proxy can't be reached.
    Unreachable(String),
    /// No answer came in time, or the proxy had none: perhaps the phone heard all the same.
    Silent,
}

/// What is sent, and as whom.
#[derive(Debug)]
pub struct Message<'m> {
    pub to: &'m Address,
    pub from: Option<&'m str>,
    pub event: &'m str,
    pub credentials: Option<&'m Credentials>,
}

/// Sends a NOTIFY to a proxy, and hears what it says.
pub async fn tell(proxy: SocketAddr, transport: Transport, message: &Message<'_>, timeout: Duration) -> Told {
    match tokio::time::timeout(timeout.min(PATIENCE), converse(proxy, transport, message)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => Told::Unreachable(error.to_string()),
        Err(_) => Told::Silent,
    }
}

async fn converse(proxy: SocketAddr, transport: Transport, message: &Message<'_>) -> io::Result<Told> {
    let mut line = Line::open(proxy, transport).await?;
    let (tag, call_id) = (random::<8>()?, random::<16>()?);
    let own = line.own()?;
    let mut notify = Notify {
        to: message.to,
        from: message.from,
        own,
        transport,
        tag: &tag,
        call_id: &call_id,
        branch: &branch()?,
        number: 1,
        event: message.event,
        proof: None,
    };
    let first = line.exchange(notify.write().expose(), notify.branch, notify.number).await?;
    let header = match first.status {
        401 => "Authorization",
        407 => "Proxy-Authorization",
        status => return Ok(told(status)),
    };
    let challenges = first.challenges.iter().map(String::as_str);
    // A password in clear is for nobody here.
    let Some(challenge) = Challenge::strongest(challenges, false) else { return Ok(Told::Unanswerable) };
    let Some(credentials) = message.credentials else { return Ok(Told::NoCredentials) };
    let answer = challenge.answer(credentials, "NOTIFY", &message.to.to_string(), &random::<16>()?);
    if answer.expose().iter().any(u8::is_ascii_control) {
        return Ok(Told::Unanswerable);
    }
    let branch = branch()?;
    notify.branch = &branch;
    notify.number = 2;
    notify.proof = Some((header, &answer));
    let second = line.exchange(notify.write().expose(), notify.branch, notify.number).await?;
    Ok(told(second.status))
}

fn told(status: u16) -> Told {
    match status {
        200..=299 => Told::Taken,
        401 | 403 | 407 => Told::Refused,
        404 | 410 | 480 => Told::NotRegistered,
        // The proxy has sent it on, and the phone said nothing.
        408 => Told::Silent,
        other => Told::Status(other),
    }
}

fn branch() -> io::Result<String> {
    Ok(format!("{BRANCH}{}", random::<16>()?))
}

fn random<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The way to the proxy. It ends when it is dropped.
enum Line {
    /// Connected, so that datagrams of others don't come in.
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Line {
    async fn open(proxy: SocketAddr, transport: Transport) -> io::Result<Self> {
        match transport {
            Transport::Udp => {
                let any: SocketAddr = match proxy {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(proxy).await?;
                Ok(Self::Udp(socket))
            }
            Transport::Tcp => Ok(Self::Tcp(TcpStream::connect(proxy).await?)),
        }
    }

    fn own(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
        }
    }

    /// The final answer to a request. Waits as long as it takes.
    async fn exchange(&mut self, message: &[u8], branch: &str, number: u32) -> io::Result<Answer> {
        match self {
            Self::Udp(socket) => over_udp(socket, message, branch, number).await,
            Self::Tcp(stream) => over_tcp(stream, message, branch, number).await,
        }
    }
}

/// Datagrams get lost: the same one is sent again, at growing intervals, until it is answered for good.
async fn over_udp(socket: &UdpSocket, message: &[u8], branch: &str, number: u32) -> io::Result<Answer> {
    let mut buffer = vec![0; LONGEST];
    let (mut pause, mut next) = (T1, Instant::now());
    loop {
        let received = tokio::select! {
            received = socket.recv(&mut buffer) => received?,
            () = tokio::time::sleep_until(next) => {
                socket.send(message).await?;
                next += pause;
                pause = (pause * 2).min(T2);
                continue;
            }
        };
        let read = buffer.get(..received).and_then(|datagram| Answer::read(datagram, branch, number));
        match read {
            Some(answer) if answer.is_final() => return Ok(answer),
            // It is there, and takes its time.
            Some(_) => (pause, next) = (T2, Instant::now() + T2),
            None => {}
        }
    }
}

/// Answers one after another, until the final one.
async fn over_tcp(stream: &mut TcpStream, message: &[u8], branch: &str, number: u32) -> io::Result<Answer> {
    const END: &[u8] = b"\r\n\r\n";
    stream.write_all(message).await?;
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = Vec::new();
    loop {
        // Empty lines before an answer keep a connection alive (RFC 5626).
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        bytes.drain(..blank);
        if let Some(end) = bytes.windows(END.len()).position(|window| window == END).map(|at| at + END.len()) {
            let head = bytes.get(..end).unwrap_or_default();
            let answer = Answer::read(head, branch, number).ok_or_else(|| wrong("what answers there is no SIP"))?;
            if answer.is_final() && answer.length == 0 {
                return Ok(answer);
            }
            let whole = end.saturating_add(answer.length);
            if answer.length > BODY {
                return Err(wrong("the answer is too long"));
            }
            while bytes.len() < whole {
                more(stream, &mut bytes).await?;
            }
            bytes.drain(..whole);
            if answer.is_final() {
                return Ok(answer);
            }
            continue;
        }
        if bytes.len() > LONGEST {
            return Err(wrong("the answer is too long"));
        }
        more(stream, &mut bytes).await?;
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 2048];
    let read = stream.read(&mut buffer).await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
    Ok(())
}
