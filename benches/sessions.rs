//! What a session of CWMP costs. `cargo bench --bench sessions` plays phones (`BENCH_DEVICES`, 10,000) against the real program over
//! real connections: each is set up in a first session; then come sessions in which nothing changes, as most are, each on a connection
//! of its own, and connections with a handshake and nothing more, to know what of it the session is. Told are the program's processor
//! time, the messages and the bytes. With `BENCH_POSTGRES` (the URL of an empty database) the same on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that meets the unexpected should stop, and its numbers are small"
)]

mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use program::{Deployment, Serving};
use resyncd::tls::certificates::ensure_development_certificates;

/// Phones that are played at a time.
const LANES: usize = 8;

const CONFIG: &str = r#"
[limits]
sessions = 100000
requests = 1000

[[listener]]
name = "http"
address = "127.0.0.1:0"
cwmp = "/cwmp"

[[listener]]
name = "https"
address = "127.0.0.1:0"
cwmp = "/cwmp"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
"#;

const DEVICE: &str = "model = \"6867i\"\n[access]\nnetworks = [\"127.0.0.0/8\"]\n[lines.1]\nuser = \"1001\"\npassword = \"not-a-real-password\"\n\
                      display_name = \"Reception\"\nproxy = \"sip.example.com\"\n";

fn mac(number: usize) -> String {
    format!("00085d{number:06x}")
}

/// A connection, and what went over it.
trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// What was played.
#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// Posts a message and gives the answer's status and body.
fn post(wire: &mut dyn Wire, cookie: &mut String, body: &str, counts: &Counts) -> (u16, String) {
    let request = format!(
        "POST /cwmp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml; charset=utf-8\r\nSOAPAction: \"\"\r\nUser-Agent: Aastra\r\n\
         {cookie}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::with_capacity(4096);
    let mut buffer = [0; 16384];
    loop {
        let count = wire.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..count]);
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if answer.len() < end + 4 + length {
            continue;
        }
        if let Some(set) = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")) {
            // Its value is as the server wrote it.
            let at = end.min(head.find(set).unwrap());
            let value = String::from_utf8_lossy(&answer[at..end]);
            *cookie = format!("Cookie: {}\r\n", value.split([';', '\r']).next().unwrap());
        }
        counts.messages.fetch_add(2, Ordering::Relaxed);
        counts.bytes.fetch_add((request.len() + answer.len()) as u64, Ordering::Relaxed);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        return (status, String::from_utf8(answer.split_off(end + 4)).unwrap());
    }
}

fn envelope(id: &str, body: &str) -> String {
    format!(
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><SOAP-ENV:Header>\
         <cwmp:ID SOAP-ENV:mustUnderstand=\"1\">{id}</cwmp:ID></SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

/// What stands between two texts, each time.
fn between<'t>(text: &'t str, before: &'t str, after: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

/// One session of a phone; its ParameterKey afterwards.
fn session(wire: &mut dyn Wire, mac: &str, event: &str, key: &str, counts: &Counts) -> String {
    let parameter = |name: &str, value: &str| {
        format!(
            "<ParameterValueStruct><Name>Device.{name}</Name><Value xsi:type=\"xsd:string\">{value}</Value></ParameterValueStruct>"
        )
    };
    let parameters = [
        ("DeviceInfo.SoftwareVersion", "3.3.1.4305"),
        ("DeviceInfo.HardwareVersion", "0"),
        ("ManagementServer.ConnectionRequestURL", "http://192.0.2.7:7547/"),
        ("ManagementServer.ParameterKey", key),
    ];
    let parameters: String = parameters.iter().map(|(name, value)| parameter(name, value)).collect();
    let inform = format!(
        "<cwmp:Inform><DeviceId><Manufacturer>Aastra</Manufacturer><OUI>00085D</OUI><ProductClass>6867i</ProductClass><SerialNumber>{mac}</SerialNumber>\
         </DeviceId><Event><EventStruct><EventCode>{event}</EventCode><CommandKey/></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes>\
         <CurrentTime>2026-01-31T12:00:00</CurrentTime><RetryCount>0</RetryCount><ParameterList>{parameters}</ParameterList></cwmp:Inform>"
    );
    let (mut cookie, mut key) = (String::new(), key.to_owned());
    let (status, answer) = post(wire, &mut cookie, &envelope("1", &inform), counts);
    assert!(status == 200 && answer.contains("InformResponse"), "{status} {answer}");
    let mut body = String::new();
    loop {
        let (status, asked) = post(wire, &mut cookie, &body, counts);
        if status == 204 {
            return key;
        }
        assert_eq!(status, 200, "{asked}");
        let id = between(&asked, "mustUnderstand=\"1\">", "<").next().unwrap();
        let method = between(&asked, "Body><cwmp:", ">").next().unwrap();
        let response = match method.split([' ', '/']).next().unwrap() {
            "GetRPCMethods" => {
                let known = ["GetRPCMethods", "GetParameterValues", "SetParameterValues"];
                let known: String = known.iter().map(|name| format!("<string>{name}</string>")).collect();
                format!("<cwmp:GetRPCMethodsResponse><MethodList>{known}</MethodList></cwmp:GetRPCMethodsResponse>")
            }
            "GetParameterValues" => {
                let all =
                    between(&asked, "<string>", "<").map(|name| parameter(name.trim_start_matches("Device."), ""));
                let all: String = all.collect();
                format!(
                    "<cwmp:GetParameterValuesResponse><ParameterList>{all}</ParameterList></cwmp:GetParameterValuesResponse>"
                )
            }
            "SetParameterValues" => {
                key = between(&asked, "<ParameterKey>", "<").next().unwrap().to_owned();
                "<cwmp:SetParameterValuesResponse><Status>0</Status></cwmp:SetParameterValuesResponse>".to_owned()
            }
            other => panic!("asked for {other}"),
        };
        body = envelope(id, &response);
    }
}

/// User and system time of the program so far, in microseconds.
fn used(serving: &Serving) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/stat", serving.child.id())).unwrap();
    let fields: Vec<_> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    // Ticks are 10 ms on every Linux that this runs on.
    [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap() * 10_000.0).sum()
}

/// What a phase came to.
struct Phase {
    name: &'static str,
    count: usize,
    took: Duration,
    cpu: f64,
    messages: u64,
    bytes: u64,
}

/// Does something for each phone, on several connections at a time.
fn phase(name: &'static str, serving: &Serving, phones: usize, play: impl Fn(usize, &Counts) + Sync) -> Phase {
    let (next, counts) = (AtomicUsize::new(0), Counts::default());
    let (began, before) = (Instant::now(), used(serving));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= phones {
                        break;
                    }
                    play(number, &counts);
                }
            });
        }
    });
    Phase {
        name,
        count: phones,
        took: began.elapsed(),
        cpu: used(serving) - before,
        messages: counts.messages.into_inner(),
        bytes: counts.bytes.into_inner(),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn measure(database: &str, url: Option<&str>, phones: usize) {
    let config = url.map_or_else(|| CONFIG.to_owned(), |url| format!("{CONFIG}\n[database]\nurl = \"{url}\"\n"));
    let deployment = Deployment::new(&config);
    ensure_development_certificates(&deployment.path("certs"), &[], &[]).unwrap();
    for number in 0..phones {
        deployment.write(&format!("profiles/devices/{}.toml", mac(number)), DEVICE);
    }
    let serving = deployment.serve();
    let (plain, secure) = (serving.address("http"), serving.address("https"));
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let connector = builder.build();
    let handshake =
        || connector.configure().unwrap().verify_hostname(false).connect("localhost", connect(secure)).unwrap();

    let keys: Vec<_> = (0..phones).map(|_| std::sync::Mutex::new(String::new())).collect();
    let set_up = phase("set up for the first time", &serving, phones, |number, counts| {
        let key = session(&mut connect(plain), &mac(number), "0 BOOTSTRAP", "", counts);
        *keys[number].lock().unwrap() = key;
    });
    assert_eq!(deployment.run(&["acs", "list", "--troubled", "--format", "json"]).trim(), "[]");
    let again = |wire: &mut dyn Wire, number: usize, counts: &Counts| {
        let key = keys[number].lock().unwrap().clone();
        assert_eq!(session(wire, &mac(number), "2 PERIODIC", &key, counts), key);
    };
    let nothing =
        phase("nothing changes, HTTP", &serving, phones, |number, counts| again(&mut connect(plain), number, counts));
    let bare = phase("a full handshake alone", &serving, phones, |_, _| drop(handshake()));
    let over_tls =
        phase("nothing changes, HTTPS", &serving, phones, |number, counts| again(&mut handshake(), number, counts));
    let beyond = (over_tls.cpu - bare.cpu) / phones as f64;
    for phase in [set_up, nothing, bare, over_tls] {
        let each = |sum: f64| sum / phase.count as f64;
        println!(
            "| {database} | {} | {:.0} | {:.0} | {:.1} | {:.0} |",
            phase.name,
            each(phase.cpu),
            phase.count as f64 / phase.took.as_secs_f64(),
            each(phase.messages as f64),
            each(phase.bytes as f64)
        );
    }
    println!("\n{database}: beyond the handshake a session in which nothing changes takes {beyond:.0} µs\n");
}

fn main() {
    // `cargo test --benches` and clippy only want to see that it is there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let phones = std::env::var("BENCH_DEVICES").map_or(10_000, |count| count.parse().expect("a number of devices"));
    println!("{phones} phones, {LANES} at a time\n");
    println!("| database | session | processor time, µs | a second | messages | bytes |");
    println!("| --- | --- | --- | --- | --- | --- |");
    measure("SQLite", None, phones);
    if let Ok(url) = std::env::var("BENCH_POSTGRES") {
        measure("PostgreSQL", Some(&url), phones);
    }
}
