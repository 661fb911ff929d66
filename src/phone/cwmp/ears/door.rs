//! Connection requests by HTTP: a GET at the URL that the phone told, with Digest. Nobody's password opens it twice: a nonce is good
//! for one answer. A phone in the midst of a session, or asked too often, says 503.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Wake, Way};

/// Bytes of a request's head.
const HEAD: usize = 8 << 10;
/// Until a head is there, or an answer is taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at a time.
const GUESTS: usize = 8;
/// Challenges that wait for their answer.
const NONCES: usize = 32;
/// Requests that are granted in a [`WINDOW`]. TR-069 wants some bound and names none.
const MOST: usize = 30;
const WINDOW: Duration = Duration::from_secs(60);
const REALM: &str = "phone";

/// What the door knows.
#[derive(Debug, Default)]
pub struct Door {
    pub path: String,
    pub user: String,
    pub password: String,
    pub asks_basic: bool,
    pub is_busy: bool,
    nonces: VecDeque<String>,
    granted: VecDeque<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Granted,
    /// The header that asks for a password.
    Challenge(String),
    Busy,
    NotFound,
    BadMethod,
    Malformed,
}

impl Door {
    /// Answers a request, of which `head` is all until the empty line.
    pub fn answer(&mut self, head: &str, now: Instant) -> Reply {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Reply::Malformed;
        };
        if !version.starts_with("HTTP/1.") {
            return Reply::Malformed;
        }
        let path = target
            .strip_prefix("http://")
            .map_or(target, |rest| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
        if path != self.path {
            return Reply::NotFound;
        }
        if method != "GET" {
            return Reply::BadMethod;
        }
        let headers = lines.filter_map(|line| line.split_once(':'));
        let mut proofs = headers.filter(|(name, _)| name.trim().eq_ignore_ascii_case("authorization"));
        let is_right = proofs.next().is_some_and(|(_, proof)| self.is_right(proof.trim(), target));
        if !is_right {
            return Reply::Challenge(self.challenge());
        }
        self.granted.retain(|at| now.duration_since(*at) < WINDOW);
        if self.is_busy || self.granted.len() >= MOST {
            return Reply::Busy;
        }
        self.granted.push_back(now);
        Reply::Granted
    }

    fn challenge(&mut self) -> String {
        if self.asks_basic {
            return format!("Basic realm=\"{REALM}\"");
        }
        let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        self.nonces.push_back(nonce.clone());
        if self.nonces.len() > NONCES {
            self.nonces.pop_front();
        }
        format!("Digest realm=\"{REALM}\", qop=\"auth\", nonce=\"{nonce}\", algorithm=MD5")
    }

    /// A phone that was given no user lets nobody in.
    fn is_right(&mut self, proof: &str, target: &str) -> bool {
        if self.user.is_empty() {
            return false;
        }
        if let Some(basic) = proof.strip_prefix("Basic ").filter(|_| self.asks_basic) {
            return STANDARD
                .decode(basic.trim())
                .is_ok_and(|pair| pair == format!("{}:{}", self.user, self.password).as_bytes());
        }
        let Some(parts) = proof.strip_prefix("Digest ") else { return false };
        let part = |name: &str| value(parts, name);
        let nonce = part("nonce").unwrap_or_default();
        let Some(at) = self.nonces.iter().position(|own| *own == nonce) else { return false };
        // Right or wrong, it was the only try.
        self.nonces.remove(at);
        let is_ours = part("username").is_some_and(|user| user == self.user)
            && part("realm").is_some_and(|realm| realm == REALM)
            && part("uri").is_some_and(|uri| uri == target)
            && part("algorithm").is_none_or(|algorithm| algorithm == "MD5");
        let who = hash(&format!("{}:{REALM}:{}", self.user, self.password));
        let what = hash(&format!("GET:{target}"));
        let expected = match (part("qop"), part("nc"), part("cnonce")) {
            (Some(qop), Some(nc), Some(cnonce)) if qop == "auth" => {
                hash(&format!("{who}:{nonce}:{nc}:{cnonce}:auth:{what}"))
            }
            (None, ..) => hash(&format!("{who}:{nonce}:{what}")),
            _ => return false,
        };
        is_ours && part("response").is_some_and(|response| response.eq_ignore_ascii_case(&expected))
    }
}

fn hash(text: &str) -> String {
    Md5::digest(text).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// One value of `name="value", other=value`.
fn value(parts: &str, name: &str) -> Option<String> {
    let mut rest = parts;
    loop {
        let (own, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if own.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next.trim_start_matches([',', ' ']);
    }
}

/// Takes connection requests until the phone stops to listen.
pub async fn keep(listener: TcpListener, door: Arc<Mutex<Door>>, wakes: mpsc::Sender<Wake>) {
    let mut guests = JoinSet::new();
    loop {
        // A phone is no server of many.
        if guests.len() >= GUESTS {
            guests.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, from)) => {
                let (door, wakes) = (door.clone(), wakes.clone());
                guests.spawn(async move {
                    let _ = timeout(PATIENCE, answer(stream, from, &door, &wakes)).await;
                });
            }
            // Out of descriptors: it may be better in a moment.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
        while guests.try_join_next().is_some() {}
    }
}

async fn answer(
    mut stream: TcpStream,
    from: SocketAddr,
    door: &Mutex<Door>,
    wakes: &mpsc::Sender<Wake>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let reply =
        door.lock().unwrap_or_else(PoisonError::into_inner).answer(&String::from_utf8_lossy(&head), Instant::now());
    let (status, more) = match &reply {
        Reply::Granted => ("200 OK", String::new()),
        Reply::Challenge(challenge) => ("401 Unauthorized", format!("WWW-Authenticate: {challenge}\r\n")),
        Reply::Busy => ("503 Service Unavailable", "Retry-After: 10\r\n".to_owned()),
        Reply::NotFound => ("404 Not Found", String::new()),
        Reply::BadMethod => ("405 Method Not Allowed", "Allow: GET\r\n".to_owned()),
        Reply::Malformed => ("400 Bad Request", String::new()),
    };
    let text = format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    if reply == Reply::Granted {
        // Full: there is a session to come already.
        let _ = wakes.try_send(Wake { way: Way::Http, from });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use crate::phone::challenge::Challenge;
    use crate::phone::{Credentials, Method};

    fn door() -> Door {
        Door {
            path: "/tr69".to_owned(),
            user: "acs".to_owned(),
            password: "not-a-real-password".to_owned(),
            ..Door::default()
        }
    }

    fn proof(reply: &Reply, password: &str) -> String {
        let Reply::Challenge(header) = reply else { panic!("{reply:?}") };
        let challenge = Challenge::strongest([header.as_str()].into_iter()).unwrap();
        let credentials = Credentials { user: "acs".to_owned(), password: Secret::new(password) };
        challenge.answer(&credentials, Method::Get, "/tr69", "c", 1)
    }

    fn asked(door: &mut Door, proof: &str) -> Reply {
        door.answer(&format!("GET /tr69 HTTP/1.1\r\nHost: a\r\nAuthorization: {proof}\r\n\r\n"), Instant::now())
    }

    #[test]
    fn a_password_opens_once_by_each_nonce() {
        let mut door = door();
        let challenge = door.answer("GET /tr69 HTTP/1.0\r\n\r\n", Instant::now());
        let right = proof(&challenge, "not-a-real-password");
        assert_eq!(asked(&mut door, &right), Reply::Granted);
        assert!(matches!(asked(&mut door, &right), Reply::Challenge(_)));
        let challenge = door.answer("GET /tr69 HTTP/1.1\r\n\r\n", Instant::now());
        let wrong = asked(&mut door, &proof(&challenge, "another"));
        // The nonce of the wrong one is gone, too; that of its answer is a new one.
        assert!(matches!(asked(&mut door, &proof(&challenge, "not-a-real-password")), Reply::Challenge(_)));
        assert_eq!(asked(&mut door, &proof(&wrong, "not-a-real-password")), Reply::Granted);
    }

    #[test]
    fn what_is_no_connection_request_is_told_so() {
        let mut door = door();
        for (head, reply) in [
            ("GET /other HTTP/1.1\r\n\r\n", Reply::NotFound),
            ("POST /tr69 HTTP/1.1\r\n\r\n", Reply::BadMethod),
            ("GET /tr69\r\n\r\n", Reply::Malformed),
            ("\r\n\r\n", Reply::Malformed),
        ] {
            assert_eq!(door.answer(head, Instant::now()), reply, "{head}");
        }
        door.user.clear();
        let challenge = asked(&mut door, "Basic Og==");
        assert!(matches!(asked(&mut door, &proof(&challenge, "not-a-real-password")), Reply::Challenge(_)));
    }

    #[test]
    fn a_busy_phone_and_one_that_is_asked_too_often_say_so() {
        let mut door = Door { asks_basic: true, ..door() };
        let basic = format!("Basic {}", STANDARD.encode("acs:not-a-real-password"));
        door.is_busy = true;
        assert_eq!(asked(&mut door, &basic), Reply::Busy);
        door.is_busy = false;
        let replies: Vec<_> = (0..=MOST).map(|_| asked(&mut door, &basic)).collect();
        assert!(replies.iter().take(MOST).all(|reply| *reply == Reply::Granted));
        assert_eq!(replies[MOST], Reply::Busy);
        let later = door.answer(
            &format!("GET http://192.0.2.1:7547/tr69 HTTP/1.1\r\nauthorization: {basic}\r\n\r\n"),
            Instant::now() + WINDOW,
        );
        assert_eq!(later, Reply::Granted);
    }
}
