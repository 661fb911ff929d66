//! Phones behind NAT: a NAT that is played here, with sockets of its own, and the server's STUN server.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha1::Sha1;

use super::{ALLOWED, PASSWORD, URL, USER, ask, at, deployment, outcome, told, write_device};
use crate::acs::Phone;
use crate::support::deployment::{Deployment, Running};

use resyncd::acs::Said;

const UDP: &str = "Device.ManagementServer.UDPConnectionRequestAddress";
const STUN: &str =
    "stun = \"127.0.0.1\"\nstun_user = \"phone-00085d000001\"\nstun_password = \"not-a-real-stun-key\"\n";
const STUN_USER: &[u8] = b"phone-00085d000001";
const STUN_PASSWORD: &[u8] = b"not-a-real-stun-key";

const CONNECTION_REQUEST_BINDING: u16 = 0xc001;
const USERNAME: u16 = 6;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

fn with_stun(more: &str) -> Deployment {
    let deployment = deployment(ALLOWED);
    deployment.append_config(&format!("\n[stun]\naddress = \"127.0.0.1:0\"\n{more}"));
    let credentials = format!("connection_user = \"{USER}\"\nconnection_password = \"{PASSWORD}\"\n{STUN}");
    write_device(&deployment, 1, &credentials);
    deployment
}

fn socket(ip: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::from(ip), 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// A Binding Request, signed as RFC 3489 has it where there is a password.
fn request(attributes: &[(u16, &[u8])], password: Option<&[u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), b' ');
    }
    let length = body.len() + if password.is_some() { 24 } else { 0 };
    let mut message = [&[0, 1][..], &u16::try_from(length).unwrap().to_be_bytes(), &[9; 16], &body].concat();
    if let Some(password) = password {
        let mut text = message.clone();
        text.resize(text.len().next_multiple_of(64), 0);
        let mut code = Hmac::<Sha1>::new_from_slice(password).unwrap();
        code.update(&text);
        message.extend([0, 8, 0, 20]);
        message.extend(code.finalize().into_bytes());
    }
    message
}

/// What a phone sends of TR-111.
fn binding(user: &[u8], password: Option<&[u8]>) -> Vec<u8> {
    request(&[(CONNECTION_REQUEST_BINDING, b"dslforum.org/TR-111 "), (USERNAME, user)], password)
}

/// The answer to a datagram: its kind, and all of it.
fn answer(socket: &UdpSocket, server: SocketAddr, datagram: &[u8]) -> (u16, Vec<u8>) {
    socket.send_to(datagram, server).unwrap();
    let mut buffer = [0; 2_000];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, server);
    let answer = buffer[..length].to_vec();
    assert_eq!(&answer[4..20], &[9; 16]);
    (u16::from_be_bytes([answer[0], answer[1]]), answer)
}

/// What MAPPED-ADDRESS says, which comes first.
fn mapped(answer: &[u8]) -> SocketAddr {
    assert_eq!(&answer[20..26], &[0, 1, 0, 8, 0, 1]);
    let ip: [u8; 4] = answer[28..32].try_into().unwrap();
    (ip, u16::from_be_bytes([answer[26], answer[27]])).into()
}

fn error_code(answer: &[u8]) -> u16 {
    assert_eq!(&answer[20..26], &[0, 9, 0, 4, 0, 0]);
    u16::from(answer[26]) * 100 + u16::from(answer[27])
}

/// A NAT for one phone: what it sends leaves by another port, and nobody else than the STUN server comes in there.
struct Nat {
    inside: SocketAddr,
    outside: SocketAddr,
    /// Whatever was let in.
    passed: Receiver<Vec<u8>>,
}

impl Nat {
    fn of(phone: &UdpSocket, server: SocketAddr) -> Self {
        let (inside, outside) = (socket([127, 0, 0, 1]), socket([127, 0, 0, 1]));
        let addresses = (inside.local_addr().unwrap(), outside.local_addr().unwrap());
        let to = phone.local_addr().unwrap();
        let (out_in, out_out) = (inside.try_clone().unwrap(), outside.try_clone().unwrap());
        spawn(move || {
            let mut buffer = [0; 2_000];
            while let Ok((length, _)) = out_in.recv_from(&mut buffer) {
                out_out.send_to(&buffer[..length], server).unwrap();
            }
        });
        let (tell, passed) = channel();
        spawn(move || {
            let mut buffer = [0; 2_000];
            while let Ok((length, from)) = outside.recv_from(&mut buffer) {
                if from == server {
                    inside.send_to(&buffer[..length], to).unwrap();
                    // The test may have seen enough.
                    let _ = tell.send(buffer[..length].to_vec());
                }
            }
        });
        Self { inside: addresses.0, outside: addresses.1, passed }
    }

    fn next(&self) -> Vec<u8> {
        self.passed.recv_timeout(LONG).expect("something came from the server")
    }
}

/// Whether a datagram is a connection request for a phone that holds these credentials.
fn assert_signed(datagram: &[u8], host: SocketAddr) {
    let text = std::str::from_utf8(datagram).unwrap();
    let rest = text.strip_prefix(&format!("GET http://{host}?")).unwrap_or_else(|| panic!("{text}"));
    let query = rest.strip_suffix(&format!(" HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap_or_else(|| panic!("{text}"));
    let values: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    let [("ts", time), ("id", id), ("un", user), ("cn", cnonce), ("sig", signature)] = values[..] else {
        panic!("{query}")
    };
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000 && id.parse::<u32>().is_ok() && !cnonce.is_empty(), "{query}");
    assert_eq!(user, USER);
    let mut code = Hmac::<Sha1>::new_from_slice(PASSWORD.as_bytes()).unwrap();
    code.update(format!("{time}{id}{user}{cnonce}").as_bytes());
    let code: String = code.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, code);
}

fn server(running: &Running) -> SocketAddr {
    running.server().stun_address().unwrap()
}

#[test]
fn a_phone_behind_nat_is_asked_through_it_and_comes() {
    let running = with_stun("").start();
    let server = server(&running);
    let phone_socket = socket([127, 0, 0, 1]);
    let nat = Nat::of(&phone_socket, server);
    let mut phone = Phone::new();
    // The phone's own address is one behind its NAT.
    phone.tells = vec![(URL, "http://192.168.1.7:7547/".to_owned()), (UDP, nat.outside.to_string())];
    let (kind, answered) = {
        phone_socket.send_to(&binding(STUN_USER, None), nat.inside).unwrap();
        let answer = nat.next();
        (u16::from_be_bytes([answer[0], answer[1]]), answer)
    };
    assert_eq!((kind, mapped(&answered)), (0x0101, nat.outside));
    if !phone.session(&running, &["4 VALUE CHANGE"]) {
        return;
    }
    let told_at = nat.outside;
    // The NAT forgets, and takes another port: the phone's next datagram tells the server, before any session.
    let nat = Nat::of(&phone_socket, server);
    phone_socket.send_to(&binding(STUN_USER, None), nat.inside).unwrap();
    assert_eq!(mapped(&nat.next()), nat.outside);
    let asked = ask(&running, 1, 60);
    let copies = [nat.next(), nat.next(), nat.next()];
    assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
    assert_signed(&copies[0], told_at);
    assert!(phone.session(&running, &["6 CONNECTION REQUEST"]));
    let told = outcome(&asked.join().unwrap());
    assert_eq!((&told["outcome"], &told["way"]), (&json!("informed"), &json!("udp")), "{told}");
    assert_eq!(told["address"], nat.outside.to_string());
}

#[test]
fn who_says_to_be_a_phone_gets_nothing_of_it() {
    let running = with_stun("").start();
    let server = server(&running);
    let (phone, stranger) = (socket([127, 0, 0, 1]), socket([127, 0, 0, 2]));
    let address = phone.local_addr().unwrap();
    let said = Said { udp_address: Some(address.to_string()), ..at("http://192.168.1.7:7547/") };
    told(&running, 1, said);
    assert_eq!(mapped(&answer(&stranger, server, &binding(STUN_USER, None)).1), stranger.local_addr().unwrap());
    let told = outcome(&ask(&running, 1, 0).join().unwrap());
    assert_eq!((&told["outcome"], &told["address"]), (&json!("sent"), &json!(address.to_string())), "{told}");
    let mut buffer = [0; 2_000];
    let (length, from) = phone.recv_from(&mut buffer).unwrap();
    assert_eq!(from, server);
    assert_signed(&buffer[..length], address);
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv_from(&mut buffer).is_err(), "it was asked");
}

#[test]
fn a_phone_that_signs_is_known_by_it_alone() {
    let running = with_stun("passwords = true\n").start();
    let server = server(&running);
    let (phone, stranger) = (socket([127, 0, 0, 1]), socket([127, 0, 0, 2]));
    let refused = |datagram: &[u8]| {
        let (kind, answer) = answer(&stranger, server, datagram);
        assert_eq!(kind, 0x0111);
        error_code(&answer)
    };
    assert_eq!(refused(&binding(STUN_USER, None)), 401);
    assert_eq!(refused(&request(&[], Some(STUN_PASSWORD))), 432);
    // Another password, and users whom nobody knows, or who have another name, look the same.
    assert_eq!(refused(&binding(STUN_USER, Some(b"another"))), 431);
    assert_eq!(refused(&binding(b"phone-00085dffffff", Some(STUN_PASSWORD))), 431);
    assert_eq!(refused(&binding(b"00085d000001", Some(STUN_PASSWORD))), 431);
    assert_eq!(refused(&binding(b"00085d000002", Some(STUN_PASSWORD))), 431);
    assert_eq!(refused(&binding(b"nobody", Some(STUN_PASSWORD))), 431);
    let (kind, answered) = answer(&phone, server, &binding(STUN_USER, Some(STUN_PASSWORD)));
    assert_eq!((kind, mapped(&answered)), (0x0101, phone.local_addr().unwrap()));
    assert_eq!(&answered[answered.len() - 24..answered.len() - 20], &[0, 8, 0, 20]);
    // What is proved needs not be told in a session.
    told(&running, 1, at("http://192.168.1.7:7547/"));
    let told = outcome(&ask(&running, 1, 0).join().unwrap());
    assert_eq!(told["address"], phone.local_addr().unwrap().to_string(), "{told}");
    let mut buffer = [0; 2_000];
    let (length, _) = phone.recv_from(&mut buffer).unwrap();
    assert_signed(&buffer[..length], phone.local_addr().unwrap());
}

#[test]
fn the_stun_server_is_of_no_use_against_others() {
    let running = with_stun("per_network = 5\n").start();
    let server = server(&running);
    let (asker, victim, other) = (socket([127, 0, 0, 1]), socket([127, 0, 0, 3]), socket([127, 0, 0, 2]));
    let attribute = |to: SocketAddr| {
        let SocketAddr::V4(to) = to else { panic!("{to}") };
        [&[0, 1][..], &to.port().to_be_bytes(), &to.ip().octets()].concat()
    };
    // An answer goes to another port of who asks, and to nobody else.
    let elsewhere = attribute(victim.local_addr().unwrap());
    let (kind, refused) = answer(&asker, server, &request(&[(2, &elsewhere)], None));
    assert_eq!((kind, error_code(&refused)), (0x0111, 400));
    let second = socket([127, 0, 0, 1]);
    let own = attribute(second.local_addr().unwrap());
    asker.send_to(&request(&[(2, &own)], None), server).unwrap();
    let mut buffer = [0; 2_000];
    let (length, _) = second.recv_from(&mut buffer).unwrap();
    assert_eq!(mapped(&buffer[..length]), asker.local_addr().unwrap());
    let (_, refused) = answer(&asker, server, &request(&[(3, &[0, 0, 0, 6])], None));
    assert_eq!(error_code(&refused), 420);
    // What is no request has no answer, and from a network comes so much in a minute. Datagrams are looked at in their order.
    asker.send_to(b"GET / HTTP/1.1\r\n\r\n", server).unwrap();
    let (kind, answered) = answer(&asker, server, &request(&[], None));
    assert_eq!((kind, answered.len()), (0x0101, 32));
    for _ in 0..3 {
        asker.send_to(&request(&[], None), server).unwrap();
    }
    assert_eq!(answer(&other, server, &request(&[], None)).0, 0x0101);
    for silent in [&asker, &victim] {
        silent.set_nonblocking(true).unwrap();
        assert!(silent.recv_from(&mut buffer).is_err(), "it was sent something");
    }
}

#[test]
fn a_phone_behind_nat_is_looked_at_like_any_other() {
    let running = with_stun("").start();
    for (address, word) in [
        ("169.254.169.254:8080", "link-local"),
        ("10.0.0.7:53", "port"),
        ("10.0.0.7", "port"),
        ("255.255.255.255:7547", "broadcast"),
    ] {
        told(&running, 1, Said { udp_address: Some(address.to_owned()), ..at("http://127.0.0.1:7547/") });
        let told = outcome(&ask(&running, 1, 0).join().unwrap());
        assert_eq!((&told["rule"], &told["way"]), (&json!(word), &json!(null)), "{address}: {told}");
    }
    told(&running, 1, Said { udp_address: Some("a@b".to_owned()), ..at("http://127.0.0.1:7547/") });
    assert_eq!(outcome(&ask(&running, 1, 0).join().unwrap())["outcome"], "bad-address");
    // Without a user and password nothing can be signed.
    let address = socket([127, 0, 0, 1]).local_addr().unwrap().to_string();
    write_device(&running.deployment, 1, STUN);
    running.reload().unwrap();
    told(&running, 1, Said { udp_address: Some(address), ..at("http://127.0.0.1:7547/") });
    assert_eq!(outcome(&ask(&running, 1, 0).join().unwrap())["outcome"], "no-credentials");
}
