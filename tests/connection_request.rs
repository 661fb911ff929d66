//! Connection requests: phones that are played here, on real sockets, and asked to open a session by the API.

mod notify;
mod phone;
mod proxy;
mod stun;

use std::net::{Ipv4Addr, TcpListener};
use std::thread::{JoinHandle, spawn};

use resyncd::acs::{Phone as Known, Said};
use resyncd::model::MacAddr;
use resyncd::store::Store;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::acs::{MAC, Phone};
use crate::support::api::Client;
use crate::support::deployment::{Deployment, Reply, Running};

use phone::{Played, Reaction, answer, digest_holds};

const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const USER: &str = "acs-of-00085d000001";
const PASSWORD: &str = "not-a-real-password";
const ALLOWED: &str = "allow = [\"127.0.0.0/8\"]\ntimeout = \"1s\"\n";

/// A server with some phones, for whose connection requests these lines of the configuration hold.
fn deployment(requests: &str) -> Deployment {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\""));
    deployment.append_config(&format!("\n[connection_requests]\n{requests}"));
    for number in 1..=20 {
        let more = format!("connection_user = \"{USER}\"\nconnection_password = \"{PASSWORD}\"\n");
        write_device(&deployment, number, &more);
    }
    deployment
}

fn mac(number: u32) -> String {
    format!("00085d{number:06x}")
}

fn write_device(deployment: &Deployment, number: u32, acs: &str) {
    let device = format!("model = \"6867i\"\n[access]\nnetworks = [\"127.0.0.0/8\"]\n[acs]\n{acs}");
    deployment.write(&format!("profiles/devices/{}.toml", mac(number)), device);
}

/// What a phone told in a session, without playing one.
fn told(running: &Running, number: u32, said: Said) {
    let config = running.deployment.config();
    running.block_on(async {
        let store = Store::open(&config.database).await.unwrap();
        let told = serde_json::to_string(&Known { said, ..Known::default() }).unwrap();
        let mac: MacAddr = mac(number).parse().unwrap();
        store.keep_acs_phone(mac, &told, OffsetDateTime::now_utc()).await.unwrap();
    });
}

/// In milliseconds since 1970.
fn now() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap()
}

fn at(url: impl Into<String>) -> Said {
    Said { connection_request_url: Some(url.into()), ..Said::default() }
}

fn path(mac: &str, wait: u32) -> String {
    format!("/api/v1/devices/{mac}/connection-request?wait={wait}")
}

/// Asks a phone to come, and goes on meanwhile.
fn ask(running: &Running, number: u32, wait: u32) -> JoinHandle<Reply> {
    let client = Client::of(running, "write", None);
    spawn(move || client.ask("POST", &path(&mac(number), wait), &[], ""))
}

fn outcome(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{} {}", reply.head, reply.text());
    assert!(!reply.text().contains(PASSWORD), "{}", reply.text());
    reply.json()
}

#[test]
fn a_phone_that_is_asked_to_come_comes() {
    for (algorithm, reaction) in
        [("MD5", Reaction::KeepsOpen), ("SHA-256", Reaction::KeepsOpen), ("MD5", Reaction::Closes)]
    {
        let running = deployment(ALLOWED).start();
        let played = Played::start(reaction, move |head| {
            if digest_holds(head, USER, PASSWORD) {
                return Some(answer("204 No Content", ""));
            }
            let challenge = "WWW-Authenticate: Digest realm=\"phone\", nonce=\"abc\", qop=\"auth\", algorithm=";
            Some(answer("401 Unauthorized", &format!("{challenge}{algorithm}\r\n")))
        });
        let mut phone = Phone::new();
        phone.tells = vec![(URL, format!("http://{}/aastra", played.address))];
        if !phone.session(&running, &["1 BOOT"]) {
            return;
        }
        let asked = ask(&running, 1, 60);
        let heads = [played.next(), played.next()];
        assert!(heads.iter().all(|head| head.starts_with("GET /aastra HTTP/1.1\r\n")), "{heads:?}");
        assert!(digest_holds(&heads[1], USER, PASSWORD), "{heads:?}");
        // That it comes for another reason is not what was asked for.
        assert!(phone.session(&running, &["2 PERIODIC"]));
        assert!(!asked.is_finished());
        assert!(phone.session(&running, &["6 CONNECTION REQUEST"]));
        let told = outcome(&asked.join().unwrap());
        assert_eq!((&told["outcome"], &told["way"]), (&json!("informed"), &json!("http")), "{told}");
        assert_eq!(told["address"], played.address.to_string());
        // It is not asked again at once, and who asked is known.
        let client = Client::of(&running, "write", None);
        let again = client.ask("POST", &path(MAC, 0), &[], "");
        assert_eq!((again.status, again.problem().as_str()), (429, "too-many"));
        assert!(again.header("retry-after").is_some(), "{}", again.head);
        let audit = client.get("/api/v1/audit?kind=device").json();
        assert_eq!(audit["items"][0]["action"], "connection-request", "{audit}");
        assert_eq!(audit["items"][0]["after"]["outcome"], "informed", "{audit}");
    }
}

#[test]
fn what_a_phone_answers_is_told_and_nothing_else_is_believed() {
    let running = deployment(ALLOWED).start();
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = format!("Location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let digest = "WWW-Authenticate: Digest realm=\"phone\", nonce=\"abc\", qop=\"auth\"\r\n";
    let cases: [(&str, Option<String>, usize); 11] = [
        ("accepted", Some(answer("200 OK", "")), 1),
        ("accepted", Some(answer("204 No Content", "")), 1),
        ("busy", Some(answer("503 Service Unavailable", "")), 1),
        ("refused", Some(answer("401 Unauthorized", digest)), 2),
        // A password in clear is for models only that take nothing else.
        ("refused", Some(answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"phone\"\r\n")), 1),
        ("refused", Some(answer("401 Unauthorized", "")), 1),
        ("status", Some(answer("302 Found", &to)), 1),
        ("status", Some(answer("404 Not Found", "")), 1),
        ("unreachable", Some("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()), 1),
        ("unreachable", Some(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000))), 1),
        ("no-answer", None, 1),
    ];
    for (number, (word, reaction, requests)) in (1..).zip(cases) {
        let played = Played::start(Reaction::Closes, move |_| reaction.clone());
        told(&running, number, at(format!("http://{}/", played.address)));
        let told = outcome(&ask(&running, number, 0).join().unwrap());
        assert_eq!(told["outcome"], word, "{number}: {told}");
        for _ in 0..requests {
            let head = played.next();
            assert!(!head.contains("Basic") && !head.contains(PASSWORD), "{head}");
        }
    }
    assert!(elsewhere.accept().is_err(), "a redirect was followed");
    // Nobody listens there.
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    told(&running, 12, at(format!("http://{gone}/")));
    assert_eq!(outcome(&ask(&running, 12, 0).join().unwrap())["outcome"], "unreachable");
    // Nobody knows where.
    assert_eq!(outcome(&ask(&running, 13, 0).join().unwrap())["outcome"], "no-address");
    told(&running, 14, Said::default());
    assert_eq!(outcome(&ask(&running, 14, 0).join().unwrap())["outcome"], "no-address");
}

#[test]
fn basic_is_answered_where_the_model_asks_for_nothing_else_and_no_password_where_there_is_none() {
    let deployment = deployment(ALLOWED);
    let packs = deployment.path("templates");
    crate::support::deployment::copy(&crate::support::root().join("templates"), &packs);
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let ours = crate::support::root().join("templates");
    deployment.write("resyncd.toml", config.replace(ours.to_str().unwrap(), packs.to_str().unwrap()));
    let model = std::fs::read_to_string(packs.join("aastra/tr069.toml")).unwrap();
    assert!(!model.contains("connection_request"), "the test has to change another line");
    let model = model.replacen("[quirks]\n", "[quirks]\nconnection_request = \"basic\"\n", 1);
    assert!(model.contains("\"basic\""), "tr069.toml has no [quirks]");
    deployment.write("templates/aastra/tr069.toml", model);
    write_device(&deployment, 2, "");
    let running = deployment.start();
    for (number, word) in [(1, "accepted"), (2, "no-credentials")] {
        let played = Played::start(Reaction::KeepsOpen, |head| {
            // acs-of-00085d000001:not-a-real-password
            let is_ours = head.contains("Basic YWNzLW9mLTAwMDg1ZDAwMDAwMTpub3QtYS1yZWFsLXBhc3N3b3Jk");
            let challenge = "WWW-Authenticate: Basic realm=\"phone\"\r\n";
            Some(if is_ours { answer("200 OK", "") } else { answer("401 Unauthorized", challenge) })
        });
        told(&running, number, at(format!("http://{}/", played.address)));
        assert_eq!(outcome(&ask(&running, number, 0).join().unwrap())["outcome"], word);
    }
}

#[test]
fn a_phone_can_not_have_the_server_ask_whomever_it_likes() {
    let running = deployment("").start();
    let inside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    for (number, (url, word, rule)) in (1..).zip([
        (format!("http://127.0.0.1:{port}/"), "not-allowed", Some("loopback")),
        (format!("http://localhost:{port}/"), "not-allowed", Some("loopback")),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "not-allowed", Some("loopback")),
        ("http://169.254.169.254:8080/latest/meta-data/".to_owned(), "not-allowed", Some("link-local")),
        ("http://10.0.0.7:22/".to_owned(), "not-allowed", Some("port")),
        ("http://224.0.0.1:7547/".to_owned(), "not-allowed", Some("multicast")),
        (format!("https://127.0.0.1:{port}/"), "bad-address", None),
        (format!("http://user:word@127.0.0.1:{port}/"), "bad-address", None),
        (format!("http://2130706433:{port}/"), "bad-address", None),
        ("http://nowhere.invalid:7547/".to_owned(), "unreachable", None),
    ]) {
        told(&running, number, at(&url));
        let told = outcome(&ask(&running, number, 0).join().unwrap());
        assert_eq!((&told["outcome"], &told["rule"]), (&json!(word), &json!(rule)), "{url}: {told}");
        assert_eq!((&told["way"], &told["address"]), (&Value::Null, &Value::Null), "{told}");
    }
    assert!(inside.accept().is_err(), "somebody was asked");
}

#[test]
fn a_phone_that_comes_to_another_server_has_come() {
    let running = deployment(ALLOWED).start();
    let played = Played::start(Reaction::KeepsOpen, |_| Some(answer("200 OK", "")));
    let url = format!("http://{}/", played.address);
    let came = |event: &str| Said { began: now(), events: vec![event.to_owned()], ..at(&url) };
    told(&running, 1, came("6 CONNECTION REQUEST"));
    let asked = ask(&running, 1, 300);
    played.next();
    // One phone is asked once at a time.
    assert_eq!(ask(&running, 1, 0).join().unwrap().problem(), "conflict");
    told(&running, 1, came("6 CONNECTION REQUEST"));
    assert_eq!(outcome(&asked.join().unwrap())["outcome"], "informed");
}

#[test]
fn who_may_ask_a_phone_to_come() {
    let deployment = deployment(ALLOWED);
    deployment.write("profiles/groups/acme.toml", "");
    let running = deployment.start();
    told(&running, 1, at("http://192.0.2.7:7547/"));
    let writing = Client::of(&running, "write", None);
    let post = |client: &Client, mac: &str, wait: u32| client.ask("POST", &path(mac, wait), &[], "");
    assert_eq!(post(&Client::of(&running, "read", None), MAC, 0).problem(), "forbidden");
    assert_eq!(post(&Client::of(&running, "write", Some("acme")), MAC, 0).problem(), "not-found");
    assert_eq!(post(&writing, "00085dffffff", 0).problem(), "not-found");
    assert_eq!(post(&writing, MAC, 301).problem(), "malformed");
    assert_eq!(writing.get(&path(MAC, 0)).status, 405);
    assert_eq!(outcome(&post(&writing, MAC, 0))["rule"], "documentation");
}
