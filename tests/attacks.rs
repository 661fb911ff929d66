//! A server under attack: what no phone sends, over raw sockets. After each attack the server serves a phone, and an
//! event tells what came.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use serde_json::Value;

use crate::support::deployment::Deployment;
use crate::support::process::Process;

const SECRET: &str = "example-only-secret";
const PATH: &str = "/cisco/000e08000001.xml";

/// A test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    deployment.write("firmware/large", vec![0; 32 << 20]).write(
        "profiles/devices/000e08000001.toml",
        format!(
            "model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"1\"\npassword = \"{SECRET}\"\n[access]\nnetworks = [\"127.0.0.1\"]\n"
        ),
    );
    deployment
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that comes until the server closes the connection. It may do so while it is still being sent to.
fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("{error}, after {} bytes", all.len()),
        }
    }
}

/// Sends bytes and nothing more; what comes back, and the address they came from.
fn send(address: SocketAddr, bytes: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut stream = connect(address);
    let own = stream.local_addr().unwrap();
    // The server may have enough before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    (read_all(stream), own)
}

fn send_over_tls(address: SocketAddr, bytes: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = connect(address);
    let own = stream.local_addr().unwrap();
    let mut stream = connector.build().connect("localhost", stream).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    (all, own)
}

/// The status of each answer; 0 for what is none. Bodies are skipped by their length; an answer to HEAD has none.
fn statuses(mut answers: &[u8], methods: &[&str]) -> Vec<u16> {
    let mut found = Vec::new();
    let mut methods = methods.iter();
    while !answers.is_empty() {
        let Some(end) = answers.windows(4).position(|window| window == b"\r\n\r\n") else {
            found.push(0);
            break;
        };
        let head = String::from_utf8_lossy(&answers[..end]).to_lowercase();
        found.push(head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let has_body = methods.next() != Some(&"HEAD");
        answers = &answers[(end + 4 + if has_body { length.unwrap_or(0) } else { 0 }).min(answers.len())..];
    }
    found
}

/// One attack: what is sent, and what must come of it.
struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
    /// The status of each answer.
    statuses: &'static [u16],
    /// Method, status and outcome (or refusal) of each event.
    events: &'static [(&'static str, u64, &'static str)],
}

fn attack(
    name: &'static str,
    bytes: impl Into<Vec<u8>>,
    statuses: &'static [u16],
    events: &'static [(&'static str, u64, &'static str)],
) -> Attack {
    Attack { name, bytes: bytes.into(), statuses, events }
}

const GET: &str = "GET /cisco/000e08000001.xml HTTP/1.1\r\nHost: a\r\n";
const SERVED: (&str, u64, &str) = ("GET", 200, "served");
const MALFORMED: (&str, u64, &str) = ("", 0, "bad-request");
const BAD: &[(&str, u64, &str)] = &[MALFORMED];

fn with_body(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [head.as_bytes(), body.as_ref()].concat()
}

fn attacks() -> Vec<Attack> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let headers: String = (0..1_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    vec![
        attack("nothing at all", "", &[], &[("", 0, "aborted")]),
        attack("half a request", GET, &[], &[("", 0, "aborted")]),
        attack("a User-Agent of 100 kB", format!("{GET}User-Agent: {}\r\n\r\n", "a".repeat(100_000)), &[431], BAD),
        attack("1,000 headers", format!("{GET}{headers}\r\n"), &[431], BAD),
        attack("a request line of 100 kB", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)), &[431], BAD),
        attack("a path that is not UTF-8", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", &[400], BAD),
        attack(
            "an escaped path that is not UTF-8",
            "GET /%ff%00 HTTP/1.1\r\nHost: a\r\n\r\n",
            &[404],
            &[("GET", 404, "bad-request")],
        ),
        attack(
            "a User-Agent that is not UTF-8",
            [GET.as_bytes(), b"User-Agent: \xff\xfe\r\n\r\n"].concat(),
            &[200],
            &[SERVED],
        ),
        attack("a User-Agent that steers a terminal", format!("{GET}User-Agent: \x1b[2J\r\n\r\n"), &[400], BAD),
        attack("a NUL in a header", format!("{GET}User-Agent: a\0b\r\n\r\n"), &[400], BAD),
        attack("a header without a name", format!("{GET}: x\r\n\r\n"), &[400], BAD),
        attack("a blank before the colon", format!("{GET}Content-Length : 5\r\n\r\n"), &[400], BAD),
        attack("a folded header", format!("{GET}User-Agent: a\r\n b\r\n\r\n"), &[400], BAD),
        attack("bare line feeds", "GET /cisco/000e08000001.xml HTTP/1.1\nHost: a\n\n", &[200], &[SERVED]),
        attack("a bare carriage return", format!("{GET}User-Agent: a\rX: b\r\n\r\n"), &[400], BAD),
        attack(
            "both a length and chunks",
            format!("{GET}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
            &[200],
            &[SERVED],
        ),
        attack(
            "two lengths",
            format!("{GET}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
            &[400],
            BAD,
        ),
        attack("a list of lengths", format!("{GET}Content-Length: 0, 5\r\n\r\n{smuggled}"), &[400], BAD),
        attack("a length with a sign", format!("{GET}Content-Length: +0\r\n\r\n{smuggled}"), &[400], BAD),
        attack(
            "chunks under another name",
            format!("{GET}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
            &[400],
            BAD,
        ),
        attack(
            "chunks that are none",
            format!("{GET}Transfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}"),
            &[200],
            &[SERVED],
        ),
        attack(
            "chunks in HTTP/1.0",
            format!("{}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}", GET.replace("1.1", "1.0")),
            &[400],
            BAD,
        ),
        attack(
            "a body of 1 MB",
            with_body(&format!("{GET}Content-Length: 1000000\r\n\r\n"), vec![b'a'; 1_000_000]),
            &[200],
            &[SERVED],
        ),
        attack(
            "a body that never comes",
            format!("{GET}Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"),
            &[200],
            &[SERVED],
        ),
        attack(
            "a request within a body",
            with_body(&format!("{GET}Content-Length: {}\r\n\r\n", smuggled.len()), smuggled),
            &[200],
            &[SERVED],
        ),
        attack(
            "requests one after the other",
            format!("{GET}\r\n").repeat(3),
            &[200, 200, 200],
            &[SERVED, SERVED, SERVED],
        ),
        attack(
            "HEAD before GET",
            format!("{}\r\n{GET}\r\n", GET.replace("GET", "HEAD")),
            &[200, 200],
            &[("HEAD", 200, "served"), SERVED],
        ),
        attack(
            "garbage after a request",
            format!("{GET}\r\n\u{1}\u{2}\u{3} garbage\r\n\r\n"),
            &[200, 400],
            &[SERVED, MALFORMED],
        ),
        attack("HTTP/0.9", "GET /cisco/000e08000001.xml\r\n", &[400], BAD),
        attack("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[], BAD),
        attack("HTTP/9.9", "GET / HTTP/9.9\r\n\r\n", &[400], BAD),
        attack(
            "a whole URL",
            format!("GET http://elsewhere.example{PATH} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &[200],
            &[SERVED],
        ),
        attack(
            "a path that is none",
            "GET nothing HTTP/1.1\r\nHost: a\r\n\r\n",
            &[404],
            &[("GET", 404, "bad-request")],
        ),
        attack("GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[404], &[("GET", 404, "bad-request")]),
        attack("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[405], &[("OPTIONS", 405, "method")]),
        attack(
            "CONNECT",
            "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            &[405],
            &[("CONNECT", 405, "method")],
        ),
        attack("a method of its own", "EVIL / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], &[("EVIL", 405, "method")]),
        attack(
            "steps upwards",
            "GET /firmware/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
            &[404],
            &[("GET", 404, "bad-request")],
        ),
        attack(
            "a range of nonsense",
            "GET /firmware/large HTTP/1.1\r\nHost: a\r\nRange: bytes=9-1,-0,99999999999999999999-\r\n\r\n",
            &[416],
            &[("GET", 416, "bad-request")],
        ),
        attack("garbage", [0_u8, 1, 2, 255, 254, 10, 13, 10, 13, 10], &[400], BAD),
        attack("a TLS handshake", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".to_vec(), &[400], BAD),
    ]
}

/// What events say of a connection: method, status, and refusal or outcome. Two listeners may see the same port of the
/// peer's: to the system these are different connections.
fn told(events: &[Value], listener: &str, peer: SocketAddr) -> Vec<(String, u64, String)> {
    let own = events.iter().filter(|event| event["peer"] == peer.to_string() && event["listener"] == listener);
    let mut told: Vec<_> = own
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let what = if event["refusal"].is_string() { text("refusal") } else { text("outcome") };
            assert!(what == "served" || !text("reason").is_empty(), "{event}");
            (text("method"), event["status"].as_u64().unwrap_or_default(), what)
        })
        .collect();
    // A connection's own event has the time at which it began.
    told.sort();
    told
}

fn serves_a_phone(process: &Process) -> bool {
    let (answer, _) = send(process.address("http"), format!("{GET}\r\n").as_bytes());
    statuses(&answer, &["GET"]) == [200] && String::from_utf8_lossy(&answer).contains(SECRET)
}

fn events_of(deployment: &Deployment) -> Vec<Value> {
    let output = deployment.run(&["log", "--limit", "10000", "--format", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn no_request_does_harm_and_each_is_told() {
    let process = Process::start(deployment());
    let mut sent = Vec::new();
    let mut wrong = Vec::new();
    for attack in attacks() {
        for listener in ["http", "https"] {
            let (answer, peer) = match listener {
                "http" => send(process.address(listener), &attack.bytes),
                _ => send_over_tls(process.address(listener), &attack.bytes),
            };
            let methods: Vec<_> = attack.events.iter().map(|(method, ..)| *method).collect();
            let found = statuses(&answer, &methods);
            if found != attack.statuses {
                wrong.push(format!("{} ({listener}): answered {found:?}", attack.name));
            }
            assert!(serves_a_phone(&process), "after {}", attack.name);
            sent.push((listener, peer, attack.name, attack.events));
        }
    }
    let (status, log, deployment) = process.stop();
    assert!(status.success(), "{log}");
    let events = events_of(&deployment);
    for (listener, peer, name, expected) in sent {
        let found = told(&events, listener, peer);
        let mut expected: Vec<_> = expected.iter().map(|(m, s, w)| ((*m).to_owned(), *s, (*w).to_owned())).collect();
        expected.sort();
        if found != expected {
            wrong.push(format!("{name} ({listener}): told {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let of = |method: &str| events.iter().find(|event| event["method"] == method).unwrap();
    assert_eq!(of("CONNECT")["target"], "elsewhere.example:443");
    assert_eq!(of("OPTIONS")["target"], "*");
    assert!(!log.contains(SECRET), "a secret in the log");
    assert!(!events.iter().any(|event| event.to_string().contains(SECRET)), "a secret in an event");
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.chars().all(|character| character == '\n' || !character.is_control()), "the log steers a terminal");
}

/// What comes to a TLS listener and is no TLS.
#[test]
fn what_is_no_handshake_is_told() {
    let process = Process::start(deployment());
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("nothing", Vec::new(), "closed the connection"),
        ("plain HTTP", format!("{GET}\r\n").into(), "https://"),
        ("a proxy's request", b"CONNECT a:443 HTTP/1.1\r\n\r\n".to_vec(), "https://"),
        ("garbage", vec![0, 1, 2, 3, 255, 10, 13, 0, 0, 0], "not TLS"),
        ("half a handshake", hello.to_vec(), "closed the connection"),
        ("an alert", b"\x15\x03\x01\x00\x02\x02\x28".to_vec(), ""),
        ("1 MB of zeros", vec![0; 1_000_000], "not TLS"),
    ];
    let mut sent = Vec::new();
    for (name, bytes, reason) in cases {
        sent.push((name, send(process.address("https"), &bytes).1, reason));
        assert!(serves_a_phone(&process), "after {name}");
    }
    let (_, log, deployment) = process.stop();
    let events = events_of(&deployment);
    for (name, peer, reason) in sent {
        assert_eq!(told(&events, "https", peer), [(String::new(), 0, "handshake".to_owned())], "{name}");
        let of = |event: &&Value| event["peer"] == peer.to_string() && event["listener"] == "https";
        let event = events.iter().find(of).unwrap();
        assert!(event["reason"].as_str().unwrap().contains(reason), "{name}: {event}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

/// The one place for a connection is taken by a peer that keeps it as long as it can: it is given to the phone in the end.
#[test]
fn who_dawdles_loses_his_place() {
    let limits =
        "[limits]\nconnections = 1\nhandshake_timeout = \"1s\"\nheader_timeout = \"1s\"\nresponse_timeout = \"1s\"\n";
    let deployment = deployment();
    deployment.append_config(limits);
    let process = Process::start(deployment);

    let mut silent = connect(process.address("http"));
    let silent_peer = silent.local_addr().unwrap();
    assert!(serves_a_phone(&process), "after one that says nothing");
    assert_eq!(read_all(&mut silent), b"");

    let mut trickling = connect(process.address("http"));
    let trickling_peer = trickling.local_addr().unwrap();
    let pace = Duration::from_millis(50);
    trickling.set_read_timeout(Some(pace)).unwrap();
    // A byte at a time, as slowly as nothing comes back; the header's end never comes.
    let mut left = 0;
    for byte in GET.bytes().chain(std::iter::repeat_n(b'a', 4_000)) {
        let mut answer = [0; 1];
        if trickling.write_all(&[byte]).is_err() || trickling.read(&mut answer).is_ok_and(|length| length == 0) {
            break;
        }
        left += 1;
    }
    assert!(left < 1_000, "{left} bytes were waited for");
    assert!(serves_a_phone(&process), "after one that trickles");

    let mut deaf = connect(process.address("http"));
    deaf.write_all(b"GET /firmware/large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(serves_a_phone(&process), "while one does not read");
    drop(deaf);

    let handshaking = connect(process.address("https"));
    let handshaking_peer = handshaking.local_addr().unwrap();
    assert!(serves_a_phone(&process), "after one that begins no handshake");

    let (status, log, deployment) = process.stop();
    assert!(status.success());
    let events = events_of(&deployment);
    for peer in [silent_peer, trickling_peer] {
        assert_eq!(told(&events, "http", peer), [(String::new(), 0, "aborted".to_owned())], "{log}");
    }
    assert_eq!(told(&events, "https", handshaking_peer), [(String::new(), 0, "handshake".to_owned())], "{log}");
}
