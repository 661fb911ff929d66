//! A phone behind a NAT: it learns its address by STUN, tells it, keeps it open, and hears signed datagrams through it. The STUN server
//! here is the test's own, from RFC 3489 and TR-111.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use resyncd::phone::cwmp::{Step, StunError, Way};
use sha1::Sha1;
use tokio::net::UdpSocket;

use super::life::{CISCO, GRANDSTREAM, last_reason, served};
use super::listening::{HERE, LONG, events, set_up};
use crate::support::nat::Nat;

const USER: &str = "stun-1";
const PASSWORD: &[u8] = b"example-only-stun";
const REQUEST_USER: &str = "acs";
const REQUEST_PASSWORD: &[u8] = b"example-only-request";

const ADDRESS: &str = "Device.ManagementServer.UDPConnectionRequestAddress";
const DETECTED: &str = "Device.ManagementServer.NATDetected";

/// What a Binding Request said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    from: SocketAddr,
    user: String,
    is_signed: bool,
    is_changed: bool,
}

struct StunServer {
    socket: Arc<UdpSocket>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

impl StunServer {
    /// Wants every message signed.
    async fn start() -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own, log) = (socket.clone(), asked.clone());
        tokio::spawn(async move {
            let mut buffer = vec![0; 2000];
            loop {
                let (length, from) = own.recv_from(&mut buffer).await.unwrap();
                let answer = answer(&buffer[..length], from, &log);
                own.send_to(&answer, from).await.unwrap();
            }
        });
        Self { socket, asked }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// Three copies, from the STUN server's own address.
    async fn request(&self, to: SocketAddr, ts: u64, id: u32, password: &[u8]) {
        let signed = hmac_sha1(password, format!("{ts}{id}{REQUEST_USER}c0ffee").as_bytes());
        let sig: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!(
            "GET http://{to}?ts={ts}&id={id}&un={REQUEST_USER}&cn=c0ffee&sig={sig} HTTP/1.1\r\nHost: {to}\r\n\r\n"
        );
        for _ in 0..3 {
            self.socket.send_to(text.as_bytes(), to).await.unwrap();
        }
    }
}

fn answer(bytes: &[u8], from: SocketAddr, log: &Mutex<Vec<Asked>>) -> Vec<u8> {
    assert_eq!(bytes[..2], [0, 1], "no Binding Request");
    assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len() - 20);
    let mut asked = Asked { from, user: String::new(), is_signed: false, is_changed: false };
    let (mut at, mut listens) = (20, false);
    while at < bytes.len() {
        let kind = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        assert!(length.is_multiple_of(4));
        let value = &bytes[at + 4..at + 4 + length];
        match kind {
            0x0006 => asked.user = String::from_utf8(value.to_vec()).unwrap().trim_end().to_owned(),
            0x0008 => {
                let mut text = bytes[..at].to_vec();
                text.resize(text.len().next_multiple_of(64), 0);
                assert_eq!(value, hmac_sha1(PASSWORD, &text), "the signature is wrong");
                assert_eq!(at + 24, bytes.len(), "the signature is not the last");
                asked.is_signed = true;
            }
            0xC001 => {
                assert_eq!(value, b"dslforum.org/TR-111 ");
                listens = true;
            }
            0xC002 => asked.is_changed = true,
            other => panic!("attribute {other:04x}"),
        }
        at += 4 + length;
    }
    assert!(listens);
    let is_signed = asked.is_signed;
    log.lock().unwrap().push(asked);
    let (kind, attribute): ([u8; 2], Vec<u8>) = if is_signed {
        let SocketAddr::V4(seen) = from else { panic!("{from}") };
        let port = seen.port().to_be_bytes();
        ([1, 1], [&[0, 1, 0, 8, 0, 1], &port[..], &seen.ip().octets()].concat())
    } else {
        ([1, 0x11], [&[0, 9, 0, 16, 0, 0, 4, 1][..], b"Unauthorized"].concat())
    };
    let length = u16::try_from(attribute.len()).unwrap().to_be_bytes();
    [&kind[..], &length, &bytes[4..20], &attribute].concat()
}

#[test]
fn a_phone_behind_a_nat_tells_where_it_is_reached_and_hears_datagrams() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stun = runtime.block_on(StunServer::start());
    let running = served(&format!(
        "stun = \"{}\"\nstun_user = \"{USER}\"\nstun_password = \"example-only-stun\"\nconnection_user = \"{REQUEST_USER}\"\n\
         connection_password = \"example-only-request\"\n",
        stun.address()
    ));
    let nat = Nat::to(stun.address());
    running.block_on(async {
        let mut life = set_up(&running, GRANDSTREAM).await;
        life.listen(HERE, Some(0), Some(nat.inside)).await.unwrap();

        let bound = life.bind().await.unwrap().unwrap();
        assert_eq!((bound.address, bound.is_behind_nat, bound.is_told), (nat.outside(), true, true));
        let asked = stun.last();
        assert_eq!((asked.from, asked.user.as_str(), asked.is_signed), (nat.outside(), USER, true));
        let told = life.session(&[]).await.unwrap();
        assert_eq!(events(&told), ["4 VALUE CHANGE"], "{:#?}", told.steps);
        assert_eq!(life.value(ADDRESS), Some(nat.outside().to_string()));
        assert_eq!(life.value(DETECTED).as_deref(), Some("1"));

        // A stranger can't write through the router, and nobody can without the password.
        let stranger = StunServer::start().await;
        stranger.request(bound.address, 1_769_860_900, 1, REQUEST_PASSWORD).await;
        stun.request(bound.address, 1_769_860_900, 2, b"another").await;
        stun.request(bound.address, 1_769_860_901, 3, REQUEST_PASSWORD).await;
        let wake = life.woken(LONG).await.unwrap().unwrap();
        assert_eq!((wake.way, wake.from), (Way::Udp, nat.inside));
        let session = life.session(&[]).await.unwrap();
        assert_eq!(events(&session), ["6 CONNECTION REQUEST"]);
        let doubts = session.steps.iter().filter(|step| matches!(step, Step::Doubted { .. })).count();
        assert_eq!(doubts, 3, "{:#?}", session.steps);

        // Its copies are no further requests, and what was sent before is older: only the next is heard.
        stun.request(bound.address, 1_769_860_901, 4, REQUEST_PASSWORD).await;
        stun.request(bound.address, 1_769_860_902, 5, REQUEST_PASSWORD).await;
        assert!(life.woken(LONG).await.unwrap().is_some());
        let session = life.session(&[]).await.unwrap();
        let doubts = session.steps.iter().filter(|step| matches!(step, Step::Doubted { .. })).count();
        assert_eq!(doubts, 5, "{:#?}", session.steps);

        // The router takes another port: the phone says so, with and without its ACS.
        nat.reboot();
        let moved = life.bind().await.unwrap().unwrap();
        assert_eq!((moved.address, moved.is_changed, moved.is_told), (nat.outside(), true, true));
        assert_ne!(moved.address, bound.address);
        assert!(stun.last().is_changed, "{:?}", stun.last());
        assert_eq!(events(&life.session(&[]).await.unwrap()), ["4 VALUE CHANGE"]);
        let again = life.bind().await.unwrap().unwrap();
        assert!(!again.is_changed && !stun.last().is_changed);
    });
    assert!(last_reason(&running).starts_with("4 VALUE CHANGE"), "{}", last_reason(&running));
}

#[test]
fn a_phone_without_a_stun_user_is_refused_by_a_server_that_wants_signatures() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stun = runtime.block_on(StunServer::start());
    let running = served(&format!("stun = \"{}\"\n", stun.address()));
    running.block_on(async {
        let mut life = set_up(&running, GRANDSTREAM).await;
        assert_eq!(life.bind().await, Err(StunError::Refused(stun.address(), 401)));
        // One that its server didn't tell of STUN asks nobody.
        let mut cisco = set_up(&running, CISCO).await;
        assert_eq!(cisco.bind().await, Ok(None));
    });
}
