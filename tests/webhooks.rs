//! Webhooks: what receivers are told, that it is signed, tried again, survives a restart, and that one holds up no other.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use resyncd::model::Secret;
use resyncd::webhooks::signature;
use serde_json::{Value, json};

use crate::support::api::Client;
use crate::support::certificates::{Leaf, Pair, authority};
use crate::support::deployment::{Deployment, Running};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// How long something may keep a test waiting: far longer than any takes, so that a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver: takes what is posted to it, and answers what it was told to, or 200.
struct Receiver {
    port: u16,
    told: mpsc::Receiver<Told>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

struct Told {
    head: String,
    body: String,
}

impl Receiver {
    fn new(answers: &[&'static str]) -> Self {
        Self::start(answers, None)
    }

    fn start(answers: &[&'static str], tls: Option<SslAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (send, told) = channel();
        let answering = answers.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (send, answers, tls) = (send.clone(), answering.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &send, &answers),
                    // A handshake that fails is the sender's to tell of.
                    Some(tls) => tls.accept(stream).map_or((), |stream| serve(stream, &send, &answers)),
                });
            }
        });
        Self { port, told, answers }
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// The next message, whose signature has to be right.
    fn message(&self) -> Value {
        self.next().message()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?a=b", self.port)
    }
}

fn serve(mut stream: impl Read + Write, send: &mpsc::Sender<Told>, answers: &Mutex<VecDeque<&'static str>>) {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = header(&head, "content-length").unwrap().parse::<usize>().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = answers.lock().unwrap().pop_front().unwrap_or("200 OK");
    // Whoever listens is told first: an answer may end what is waited for.
    let _ = send.send(Told { head, body: String::from_utf8(body).unwrap() });
    if answer == "nothing" {
        std::thread::park();
    }
    let _ = write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Told {
    fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn message(&self) -> Value {
        assert!(self.head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{}", self.head);
        assert_eq!(self.header("content-type"), "application/json");
        assert!(self.header("user-agent").starts_with("resyncd/"));
        let key = Secret::new(STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap());
        let time = self.header("webhook-timestamp").parse().unwrap();
        assert_eq!(self.header("webhook-signature"), signature(&key, self.header("webhook-id"), time, &self.body));
        serde_json::from_str(&self.body).unwrap()
    }
}

fn webhook(name: &str, url: &str, events: &str, more: &str) -> String {
    format!("\n[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = [{events}]\n{more}\n")
}

fn serve_with(webhooks: &[String]) -> Running {
    let deployment = Deployment::example();
    deployment.append_config(&webhooks.concat());
    deployment.start()
}

/// Stops the server, which finishes what is under way first, and gives what was counted; 0 where nothing was.
fn counted(running: Running, webhook: &str, result: &str) -> u64 {
    let metrics = running.server().recorder().metrics().clone();
    let (_deployment, _) = running.stop();
    let start = format!("resyncd_webhook_messages_total{{webhook=\"{webhook}\",result=\"{result}\"}} ");
    let metrics = metrics.encode();
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |value| value.parse().unwrap())
}

fn phone(group: &str) -> String {
    let settings = json!({"access": {"networks": ["127.0.0.0/8"]}, "delivery": {"encryption": "none"}});
    json!({"model": "CP-6841-3PCC", "group": group, "settings": settings}).to_string()
}

fn put(client: &Client, mac: &str, group: &str) {
    let reply = client.send("PUT", &format!("/api/v1/devices/{mac}"), &[], &phone(group));
    assert_eq!(reply.status, 201, "{}", reply.text());
}

#[test]
fn changes_are_told_and_signed() {
    let receiver = Receiver::new(&[]);
    let running = serve_with(&[webhook("crm", &receiver.url(), "\"device\", \"group\"", "")]);
    let client = Client::of(&running, "write", None);
    let device = "/api/v1/devices/000e08abcd01";
    put(&client, "000e08abcd01", "acme");
    let created = receiver.message();
    assert_eq!(created["type"], "device.created");
    let revision = created["data"]["revision"].as_i64().unwrap();
    assert_eq!(created["data"], json!({"mac": "000e08abcd01", "revision": revision, "group": "acme"}));
    assert!(created["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(client.send("PATCH", device, &["If-Match: *"], r#"{"group": "globex"}"#).status, 200);
    let changed = receiver.message();
    assert_eq!((&changed["type"], &changed["data"]["group"]), (&json!("device.changed"), &json!("globex")));
    assert_eq!(client.ask("DELETE", device, &["If-Match: *"], "").status, 204);
    assert_eq!(receiver.message()["type"], "device.removed");
    assert_eq!(client.send("PUT", "/api/v1/groups/lobby", &[], "{}").status, 201);
    let group = receiver.message();
    assert_eq!((&group["type"], &group["data"]["name"]), (&json!("group.created"), &json!("lobby")));
}

#[test]
fn a_webhook_of_a_group_is_told_of_that_only() {
    let (acme, all) = (Receiver::new(&[]), Receiver::new(&[]));
    let running = serve_with(&[
        webhook("acme", &acme.url(), "\"device\", \"resync\"", "group = \"acme\""),
        webhook("all", &all.url(), "\"device\"", ""),
    ]);
    let client = Client::of(&running, "write", None);
    put(&client, "000e08abcd01", "globex");
    put(&client, "000e08abcd02", "acme-hq");
    let told = acme.message();
    assert_eq!((&told["data"]["mac"], &told["data"]["group"]), (&json!("000e08abcd02"), &json!("acme-hq")));
    // What leaves the group is told, and where it went is not.
    let moved = client.send("PATCH", "/api/v1/devices/000e08abcd02", &["If-Match: *"], r#"{"group": "globex"}"#);
    assert_eq!(moved.status, 200);
    let left = acme.message();
    assert_eq!((&left["type"], &left["data"]["group"]), (&json!("device.left"), &Value::Null));
    // Nor is what globex' phones do, or what is nobody's.
    running.plain_curl("/cisco/000e08abcd01.xml", &[]);
    running.plain_curl("/nothing", &[]);
    running.plain_curl("/cisco/000e08abcdef.xml", &[]);
    assert_eq!(acme.message()["data"]["device"], "000e08abcdef");
    // They need not come in their order.
    let mut macs: Vec<_> = (0..3).map(|_| all.message()["data"]["mac"].to_string()).collect();
    macs.sort();
    assert_eq!(macs, ["\"000e08abcd01\"", "\"000e08abcd02\"", "\"000e08abcd02\""]);
}

#[test]
fn outcomes_of_resyncs_are_told_as_they_are_chosen() {
    let receiver = Receiver::new(&[]);
    let running = serve_with(&[webhook("noc", &receiver.url(), "\"resync.refused\"", "")]);
    let client = Client::of(&running, "write", None);
    put(&client, "000e08abcd01", "acme");
    assert_eq!(running.plain_curl("/cisco/000e08abcd01.xml", &[]).unwrap().status, 200);
    assert_eq!(running.plain_curl("/cisco/000e08abcdef.xml", &[]).unwrap().status, 404);
    let told = receiver.message();
    assert_eq!((&told["type"], &told["data"]["refusal"]), (&json!("resync.refused"), &json!("no-proof")));
    assert_eq!(told["data"], running.last_event());
}

#[test]
fn what_is_not_taken_is_tried_again_and_redirects_are_not_followed() {
    let elsewhere = Receiver::new(&[]);
    let redirect = format!("302 Found\r\nLocation: http://127.0.0.1:{}/hook", elsewhere.port);
    let receiver = Receiver::new(&[redirect.leak()]);
    let running = serve_with(&[webhook("crm", &receiver.url(), "\"device\"", "")]);
    put(&Client::of(&running, "write", None), "000e08abcd01", "acme");
    let (first, second) = (receiver.next(), receiver.next());
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!((first.message(), &first.body), (second.message(), &second.body));
    assert!(elsewhere.told.try_recv().is_err());
    assert_eq!(counted(running, "crm", "failed"), 1);
}

#[test]
fn what_is_tried_too_often_is_given_up_and_counted() {
    let receiver = Receiver::new(&["500 Internal Server Error"]);
    let running = serve_with(&[webhook("crm", &receiver.url(), "\"device\"", "max_tries = 1")]);
    let client = Client::of(&running, "write", None);
    put(&client, "000e08abcd01", "acme");
    receiver.message();
    put(&client, "000e08abcd02", "acme");
    // That one is taken; the other is gone by then.
    assert_eq!(receiver.message()["data"]["mac"], "000e08abcd02");
    assert_eq!(counted(running, "crm", "given-up"), 1);
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody_else() {
    let (stuck, other) = (Receiver::new(&["nothing"; 100]), Receiver::new(&[]));
    let running = serve_with(&[
        webhook("stuck", &stuck.url(), "\"device\"", "timeout = \"1s\""),
        webhook("other", &other.url(), "\"device\"", ""),
    ]);
    let client = Client::of(&running, "write", None);
    for number in 1..=9 {
        put(&client, &format!("000e08abcd0{number}"), "acme");
    }
    let mut macs: Vec<_> = (0..9).map(|_| other.message()["data"]["mac"].to_string()).collect();
    macs.sort();
    macs.dedup();
    assert_eq!(macs.len(), 9);
    stuck.message();
}

#[test]
fn nothing_is_lost_over_a_restart() {
    let receiver = Receiver::new(&["503 Service Unavailable"; 3]);
    let running = serve_with(&[webhook("crm", &receiver.url(), "\"device\"", "")]);
    let client = Client::of(&running, "write", None);
    put(&client, "000e08abcd01", "acme");
    receiver.message();
    put(&client, "000e08abcd02", "acme");
    put(&client, "000e08abcd03", "acme");
    // Whatever of it had come to the outbox, and whatever had not.
    let (deployment, _) = running.stop();
    receiver.answers.lock().unwrap().clear();
    let _running = deployment.start();
    let mut macs = std::collections::BTreeSet::new();
    while macs.len() < 3 {
        macs.insert(receiver.message()["data"]["mac"].as_str().unwrap().to_owned());
    }
    assert_eq!(macs.into_iter().collect::<Vec<_>>(), ["000e08abcd01", "000e08abcd02", "000e08abcd03"]);
}

#[test]
fn of_two_servers_one_tells() {
    let receiver = Receiver::new(&[]);
    let hook = webhook("crm", &receiver.url(), "\"device\"", "");
    let first = serve_with(std::slice::from_ref(&hook));
    let second = Deployment::example();
    let database = first.deployment.path("data/resyncd.db");
    second.append_config(&format!("{hook}\n[database]\nurl = \"sqlite:{}\"\n", database.display()));
    let second = second.start();
    let clients = [Client::of(&first, "write", None), Client::of(&second, "write", None)];
    for number in 10..30 {
        put(&clients[number % 2], &format!("000e08abcd{number}"), "acme");
    }
    let mut ids: Vec<_> = (0..20).map(|_| receiver.next().header("webhook-id").to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20, "one was told twice");
}

/// A receiver with this certificate, and the folder that its CA is in.
fn tls_receiver(pair: &Pair, folder: &std::path::Path) -> Receiver {
    let files = pair.write(folder, "receiver");
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate_chain_file(&files.certificate).unwrap();
    acceptor.set_private_key_file(&files.key, SslFiletype::PEM).unwrap();
    Receiver::start(&[], Some(acceptor.build()))
}

#[test]
fn a_receiver_has_to_prove_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority("receivers"), authority("others"));
    let leaf = Leaf { names: &["localhost"], ..Leaf::of(&[("CN", "localhost")]) };
    let ca = ours.write_certificate(folder.path(), "ca");
    let good = tls_receiver(&ours.sign(&leaf), &mkdir(folder.path(), "good"));
    let foreign = tls_receiver(&other.sign(&leaf), &mkdir(folder.path(), "foreign"));
    let elsewhere = Leaf { names: &["example.com"], ..Leaf::of(&[("CN", "example.com")]) };
    let misnamed = tls_receiver(&ours.sign(&elsewhere), &mkdir(folder.path(), "misnamed"));
    let more = format!("ca = \"{}\"\nmax_tries = 1", ca.display());
    let url = |receiver: &Receiver| format!("https://localhost:{}/hook?a=b", receiver.port);
    let running = serve_with(&[
        webhook("foreign", &url(&foreign), "\"device\"", &more),
        webhook("misnamed", &url(&misnamed), "\"device\"", &more),
        webhook("good", &url(&good), "\"device\"", &more),
    ]);
    let client = Client::of(&running, "write", None);
    put(&client, "000e08abcd01", "acme");
    assert_eq!(good.message()["data"]["mac"], "000e08abcd01");
    // The server stops once all that is under way is done.
    let metrics = running.server().recorder().metrics().clone();
    let (_deployment, _) = running.stop();
    let metrics = metrics.encode();
    for name in ["foreign", "misnamed"] {
        let line = format!("resyncd_webhook_messages_total{{webhook=\"{name}\",result=\"given-up\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(foreign.told.try_recv().is_err() && misnamed.told.try_recv().is_err());
}

fn mkdir(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn a_webhook_that_can_not_be_signed_is_no_reason_to_start_without() {
    let deployment = Deployment::example();
    let hook = webhook("crm", "https://crm.example.com/", "\"device\"", "");
    deployment.append_config(&hook.replace(&format!("\"{SECRET}\""), "{ env = \"NOT_SET\" }"));
    let error = deployment.try_start().err().unwrap().to_string();
    assert!(error.contains("webhook.secret") && error.contains("NOT_SET is not set"), "{error}");
}
