//! What is too much is turned away, and what is not is served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{OPEN, deployment, metric};
use crate::support::deployment::Deployment;
use crate::support::process::Process;

const PATIENCE: Duration = Duration::from_secs(60);

/// A template that renders nothing, and takes its time for it.
const ENDLESS: &str = "{% for a in range(end=100000) %}{% for b in range(end=100000) %}{% if b < 0 %}x{% endif %}{% endfor %}{% endfor %}";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn begin(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// What the metrics tell.
fn gauge(process: &Process, name: &str) -> u64 {
    let text = answer(begin(process.address("admin"), "/metrics"));
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// With a file of the phone's own whose template does not end.
fn endless(more: &str) -> Deployment {
    let deployment = deployment(more);
    deployment.write("templates/tiny/profile.colon.tera", ENDLESS);
    deployment
}

#[test]
fn over_the_limit_phones_are_told_to_come_back() {
    let process = Process::start(endless("[limits]\nrequests = 1\nrender_time = \"1m\"\ndrain_timeout = \"0s\"\n"));
    let busy = begin(process.address("http"), "/t/000000000001.colon");
    while gauge(&process, "resyncd_requests_in_work") == 0 {
        std::thread::yield_now();
    }
    for path in [OPEN, "/firmware/x", "/nothing"] {
        let told = answer(begin(process.address("http"), path)).to_lowercase();
        assert!(told.starts_with("http/1.1 503 ") && told.contains("\r\nretry-after: "), "{told}");
    }
    assert_eq!(gauge(&process, "resyncd_requests_shed_total"), 3);
    // The operator is not kept out.
    assert!(answer(begin(process.address("admin"), "/readyz")).starts_with("HTTP/1.1 200 "));
    drop(busy);
}

#[test]
fn a_template_that_does_not_end_costs_one_refused_profile() {
    let mut process = Process::start(endless("[limits]\nrender_time = \"1s\"\n"));
    let slow: Vec<_> = (0..8).map(|_| begin(process.address("http"), "/t/000000000001.colon")).collect();
    while gauge(&process, "resyncd_requests_in_work") == 0 {
        std::thread::yield_now();
    }
    // More of them than this machine has threads to answer with, and yet everybody else is served.
    assert!(process.serves(OPEN));
    for slow in slow {
        let told = answer(slow);
        assert!(told.starts_with("HTTP/1.1 500 ") && told.to_lowercase().contains("content-length: 0"), "{told}");
    }
    let line = process.wait_for("limits.render_time");
    assert!(line.contains("profile.colon.tera: renders for longer than 1s"), "{line}");
    // It is not tried again, until it is mended.
    let stopped = gauge(&process, "resyncd_renders_stopped_total");
    assert!((1..=8).contains(&stopped), "{stopped}");
    assert!(answer(begin(process.address("http"), "/t/000000000001.colon")).starts_with("HTTP/1.1 500 "));
    assert_eq!(gauge(&process, "resyncd_renders_stopped_total"), stopped);
    process.deployment.write("templates/tiny/profile.colon.tera", "name: value\n");
    process.signal("HUP");
    while process.generation() != 2 {
        std::thread::yield_now();
    }
    assert!(process.serves("/t/000000000001.colon"));
}

#[test]
fn a_network_has_its_share_of_the_connections() {
    let limits = "[limits]\nconnections = 3\nconnections_per_network = 2\nheader_timeout = \"1m\"\n";
    let server = deployment(limits).start();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port("http")));
    let say = |mut stream: &TcpStream| stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let is_answered = |mut stream: &TcpStream| {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).is_ok_and(|()| answer.starts_with(b"HTTP/1.1 404"))
    };
    // Each has been answered: it has its place.
    let held = [connect(address), connect(address)];
    assert!(held.iter().all(|stream| (say(stream), is_answered(stream)).1));
    // More wait, four for each connection that there may be, and don't take others' places. One more than that is closed.
    let waiting: Vec<_> = (0..13).map(|_| connect(address)).collect();
    let from_elsewhere = server.plain_curl(OPEN, &["--interface", "127.0.0.2"]);
    assert!(from_elsewhere.is_none_or(|reply| reply.status == 404));
    while metric(&server, "resyncd_connections_shed_total") == 0 {
        std::thread::yield_now();
    }
    let event = server.events().into_iter().find(|event| event["refusal"] == "overload").unwrap();
    assert!(event["reason"].as_str().unwrap().contains("limits.connections_per_network"), "{event}");
    // Those that wait are served when there is a place.
    drop(held);
    let peer = event["peer"].as_str().unwrap();
    let waiting = waiting.into_iter().filter(|stream| stream.local_addr().unwrap().to_string() != peer);
    for stream in waiting {
        say(&stream);
        assert!(is_answered(&stream));
    }
}

#[test]
fn a_handshake_waits_for_its_turn() {
    let server = deployment("[limits]\nhandshakes = 1\nhandshake_timeout = \"2s\"\n").start();
    let address = SocketAddr::from(([127, 0, 0, 1], server.port("https")));
    // Who says nothing has no turn, and keeps nobody from it.
    let silent = connect(address);
    let Some(reply) = server.curl(None, OPEN, &[]) else { return };
    assert_eq!(reply.status, 200);
    // Who begins a handshake and does not go on has it, until its time is over.
    let mut dawdling = connect(address);
    dawdling.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    assert_eq!(server.curl(None, OPEN, &["--retry", "3", "--retry-all-errors"]).unwrap().status, 200);
    drop((silent, dawdling));
}
