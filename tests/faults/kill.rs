//! `kill -9` at any moment, again and again: what was acknowledged is there, what wasn't is there whole or not at all.
//!
//! `FAULT_ROUNDS` kills so often, `FAULT_SEED` at the same moments and with the same content as a run before.

use std::collections::{HashMap, HashSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use fastrand::Rng;
use serde_json::{Value, json};

use super::site::*;
use crate::support::api;
use crate::support::database::Scratch;
use crate::support::deployment::{Deployment, Reply};
use crate::support::process::Process;
use crate::support::{resyncd, run};

/// Changed by the API, each by a thread of its own.
const CHANGED: [&str; 2] = ["000e08fa0020", "000e08fa0021"];
/// Whose password is made anew again and again.
const ROTATED: &str = "000e08fa0030";
/// The first of those that are imported together.
const IMPORTED: u32 = 0x40;
const IMPORTS: u32 = 20;

#[test]
fn what_was_acknowledged_is_there_after_a_kill_on_sqlite() {
    kill_again_and_again(None, rounds(12));
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_on_postgres() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(scratch) = runtime.block_on(Scratch::postgres()) else { return };
    kill_again_and_again(Some(&scratch.url), rounds(4));
}

pub fn rounds(usual: usize) -> usize {
    std::env::var("FAULT_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// Chance that can be had again.
pub fn chance() -> Rng {
    let seed = std::env::var("FAULT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("FAULT_SEED={seed}");
    Rng::with_seed(seed)
}

/// What has been acknowledged so far.
#[derive(Default)]
struct Known {
    /// Digests of uploads, and those of them that were found whole.
    uploads: Vec<String>,
    whole: HashSet<String>,
    /// The number that was last set by the API, of each that is changed.
    changed: HashMap<&'static str, u64>,
    imported: u64,
    password: Option<String>,
    revision: u64,
    /// For the first contact: used; and not known to be used.
    used: Vec<String>,
    open: Vec<String>,
    /// What profiles have led on to in the last round.
    led_to: Vec<String>,
}

/// What all who put load on a server share.
struct Load {
    http: std::net::SocketAddr,
    https: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    token: String,
    /// Things that were acknowledged.
    done: AtomicUsize,
    dead: AtomicBool,
    /// The process of an import that is under way; else 0.
    importing: AtomicU32,
}

impl Load {
    fn api(&self, method: &str, path: &str, body: &str) -> Option<Reply> {
        let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token);
        let reply = ask(self.admin, &request(method, path, &head, body.as_bytes()))?;
        if reply.status != 428 {
            return Some(reply);
        }
        // It is there already.
        ask(self.admin, &request(method, path, &format!("{head}If-Match: *\r\n"), body.as_bytes()))
    }

    fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

fn kill_again_and_again(database: Option<&str>, rounds: usize) {
    let mut random = chance();
    let mut deployment = deployment(database, "[uploads]\nper_device = 100000\n");
    let url = database.map_or_else(|| sqlite(&deployment), str::to_owned);
    let (mut known, mut token) = (Known::default(), None);
    for round in 0..=rounds {
        let mut process = Process::start(deployment);
        let token =
            token.get_or_insert_with(|| api::token(&process.deployment, &["--name", "faults", "--scope", "secrets"]));
        let load = Arc::new(Load {
            http: process.address("http"),
            https: process.address("https"),
            admin: process.address("admin"),
            token: token.clone(),
            done: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            importing: AtomicU32::new(0),
        });
        verify(&load, &process.deployment, &url, &mut known);
        if round == rounds {
            let (status, log, _deployment) = process.stop();
            assert!(status.success() && !log.contains("panicked"), "{log}");
            assert_whole(&url);
            return;
        }
        prepare(&load, &mut known);
        let (moment, spins) = (random.usize(1..60), random.u32(..300_000));
        let working = begin(&load, &process.deployment, &known, &mut random);
        until("so much is acknowledged", || load.done.load(Ordering::Relaxed) >= moment);
        for _ in 0..spins {
            std::hint::spin_loop();
        }
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &process.id().to_string()]);
        let importing = load.importing.load(Ordering::SeqCst);
        if importing != 0 {
            kill.arg(importing.to_string());
        }
        // The import may have ended by itself.
        run(&mut kill);
        load.dead.store(true, Ordering::SeqCst);
        for worker in working {
            worker.join().unwrap()(&mut known);
        }
        deployment = std::mem::replace(&mut process.deployment, Deployment::nowhere());
        drop(process);
        assert_whole(&url);
    }
}

/// Makes tokens for first contacts.
fn prepare(load: &Load, known: &mut Known) {
    for mac in TOKENS {
        let made = load.api("POST", &format!("/api/v1/devices/{mac}/tokens"), "{}").unwrap();
        assert_eq!(made.status, 201, "{}", made.text());
        known.open.push(path_of(made.json()["url"].as_str().unwrap()));
    }
}

/// Adds to what is known what a worker has been told.
type Told = Box<dyn FnOnce(&mut Known) + Send>;

fn begin(load: &Arc<Load>, deployment: &Deployment, known: &Known, random: &mut Rng) -> Vec<JoinHandle<Told>> {
    let mut working = Vec::new();
    for _ in 0..2 {
        let (load, random) = (load.clone(), random.fork());
        working.push(spawn(move || upload_on(&load, random)));
    }
    for mac in CHANGED {
        let (load, begin) = (load.clone(), known.changed.get(mac).copied().unwrap_or_default());
        working.push(spawn(move || change_on(&load, mac, begin)));
    }
    let (asking, rotating, contacting) = (load.clone(), load.clone(), load.clone());
    working.push(spawn(move || {
        while ask(asking.http, &request("GET", &profile(PHONE), "", b"")).is_some() {
            asking.count();
        }
        nothing()
    }));
    working.push(spawn(move || rotate_on(&rotating)));
    let open = known.open.clone();
    working.push(spawn(move || contact(&contacting, &open)));
    let (load, begin) = (load.clone(), known.imported);
    let config = deployment.path("resyncd.toml");
    working.push(spawn(move || import_on(&load, &config, begin)));
    working
}

/// Who only asks has nothing to tell.
fn nothing() -> Told {
    Box::new(|_| {})
}

fn upload_on(load: &Load, mut random: Rng) -> Told {
    let mut taken = Vec::new();
    loop {
        let length = if random.bool() { random.usize(1..2_000) } else { random.usize(1..300_000) };
        let content: Vec<u8> = (0..length).map(|_| random.u8(b'a'..=b'z')).collect();
        match upload(load.http, &content) {
            None => break,
            Some(200) => {
                taken.push(sha256(&content));
                load.count();
            }
            Some(_) => {}
        }
    }
    Box::new(move |known| known.uploads.extend(taken))
}

/// A device whose display name is a number.
fn record(number: u64) -> String {
    let lines = json!({"1": {"user": "2001", "display_name": format!("n{number}")}});
    let settings = json!({"lines": lines, "access": {"networks": ["127.0.0.1"]}});
    json!({"model": MODEL, "settings": settings}).to_string()
}

fn change_on(load: &Load, mac: &'static str, begin: u64) -> Told {
    let (mut last, mut revision) = (begin, 0);
    for number in begin + 1.. {
        match load.api("PUT", &format!("/api/v1/devices/{mac}"), &record(number)) {
            None => break,
            Some(reply) if reply.status < 300 => {
                last = number;
                revision = reply.header("etag").unwrap().trim_matches('"').parse().unwrap();
                load.count();
            }
            Some(reply) => assert_eq!(reply.status, 503, "{}", reply.text()),
        }
    }
    Box::new(move |known| {
        known.changed.insert(mac, last);
        known.revision = known.revision.max(revision);
    })
}

fn rotate_on(load: &Load) -> Told {
    let mut last = None;
    let path = format!("/api/v1/devices/{ROTATED}");
    if load.api("GET", &path, "").is_some_and(|reply| reply.status == 404) {
        load.api("PUT", &path, &record(0));
    }
    while let Some(reply) = load.api("POST", &format!("{path}/credentials?secrets=true&force=true"), "") {
        if reply.status == 200 {
            last = reply.json()["password"].as_str().map(str::to_owned);
            load.count();
        }
    }
    Box::new(move |known| known.password = last.or(known.password.take()))
}

fn contact(load: &Load, open: &[String]) -> Told {
    let (mut used, mut led_to) = (Vec::new(), Vec::new());
    for path in open {
        let Some(reply) = secure_get(load.https, None, path) else { break };
        if reply.status == 200 {
            used.push(path.clone());
            let mac = path.rsplit('/').next().unwrap().trim_end_matches(".xml");
            led_to.push(leads_to(&reply, mac));
            load.count();
        }
    }
    Box::new(move |known| {
        known.open.retain(|path| !used.contains(path));
        (known.led_to, _) = (led_to, known.used.extend(used));
    })
}

fn import_on(load: &Load, config: &std::path::Path, begin: u64) -> Told {
    let file = config.with_file_name("import.csv");
    let mut last = begin;
    for number in begin + 1.. {
        let row = |n: u32| format!("000e08fa{n:04x},{MODEL},imported,{n},n{number}\n");
        let rows: String = (IMPORTED..IMPORTED + IMPORTS).map(row).collect();
        std::fs::write(&file, format!("mac,model,group,user,lines.1.display_name\n{rows}")).unwrap();
        let mut command = resyncd();
        command.arg("--config").arg(config).args(["device", "import"]).arg(&file);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        load.importing.store(child.id(), Ordering::SeqCst);
        if load.dead.load(Ordering::SeqCst) {
            // It began when everything else had ended.
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        load.importing.store(0, Ordering::SeqCst);
        if status.success() {
            last = number;
            load.count();
        }
        if load.dead.load(Ordering::SeqCst) {
            break;
        }
    }
    Box::new(move |known| known.imported = last)
}

/// Looks whether all that is known is there, after a start.
fn verify(load: &Load, deployment: &Deployment, url: &str, known: &mut Known) {
    let number = |value: &Value| value.as_str().unwrap().trim_start_matches('n').parse::<u64>().unwrap();
    // Changes, and the revision that they were made at.
    for (mac, last) in &mut known.changed {
        let there = load.api("GET", &format!("/api/v1/devices/{mac}"), "").unwrap();
        if *last == 0 && there.status == 404 {
            continue;
        }
        let there = there.json();
        let there = number(&there["settings"]["lines"]["1"]["display_name"]);
        assert!((*last..=*last + 1).contains(&there), "{mac}: {there} is there, {last} was acknowledged");
        let served = get(load.http, &profile(mac), "a");
        assert!(served.status == 200 && served.text().contains(&format!("n{there}<")), "{}", served.text());
        *last = there;
    }
    let revision: u64 = sql(url, "SELECT CAST(revision AS TEXT) FROM fleet")[0].parse().unwrap();
    assert!(revision >= known.revision, "{revision} is there, {} was acknowledged", known.revision);
    known.revision = revision;

    // Imports: all of one or all of the other.
    let macs: Vec<_> = (IMPORTED..IMPORTED + IMPORTS).map(|n| format!("'000e08fa{n:04x}'")).collect();
    let imported = sql(url, &format!("SELECT settings FROM devices WHERE mac IN ({})", macs.join(", ")));
    let names = imported.iter().map(|settings| {
        let settings: Value = serde_json::from_str(settings).unwrap();
        number(&settings["lines"]["1"]["display_name"])
    });
    let names: Vec<_> = names.collect();
    match names.first() {
        None => assert_eq!(known.imported, 0),
        Some(first) => {
            assert!(names.len() == IMPORTS as usize && names.iter().all(|name| name == first), "{names:?}");
            assert!(*first >= known.imported, "{first} is there, {} was acknowledged", known.imported);
            known.imported = *first;
        }
    }

    // The password that was told, or the next one that nobody was told.
    if let Some(last) = &known.password {
        let there = load.api("GET", &format!("/api/v1/devices/{ROTATED}/credentials?secrets=true"), "").unwrap();
        let there = there.json();
        assert!(there["password"] == **last || there["previous"] == **last, "{there}");
        known.password = there["password"].as_str().map(str::to_owned);
        assert_eq!(get(load.http, &profile(ROTATED), "a").status, 200);
    }

    // Tokens: none twice, and what a profile has led on to is good.
    for path in known.used.iter().rev().take(8) {
        assert_eq!(secure_get(load.https, None, path).unwrap().status, 404, "a token was used twice");
    }
    for path in known.led_to.drain(..) {
        assert_eq!(secure_get(load.https, None, &path).unwrap().status, 200, "a token was forgotten");
    }
    for path in known.open.drain(..) {
        let served = [(); 2].map(|()| secure_get(load.https, None, &path).unwrap().status);
        assert!(matches!(served, [200 | 404, 404]), "{served:?}");
        known.used.push(path);
    }

    // Uploads: what is told is whole, and there is nothing else.
    let rows = sql(url, "SELECT id || ' ' || sha256 FROM uploads ORDER BY id");
    let rows: HashMap<_, _> = rows.iter().map(|row| row.split_once(' ').unwrap()).map(|(id, sum)| (sum, id)).collect();
    for sum in &known.uploads {
        assert!(rows.contains_key(sum.as_str()), "an upload is lost");
    }
    for (sum, id) in rows.iter().filter(|(sum, _)| known.whole.insert((**sum).to_owned())) {
        let content = load.api("GET", &format!("/api/v1/uploads/{id}/content"), "").unwrap();
        assert_eq!((content.status, &sha256(&content.body)), (200, &(*sum).to_owned()));
    }
    let stored = if url.starts_with("sqlite:") { rows.len() } else { 0 };
    let (mut files, mut others) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(deployment.path("data")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(deployment.path("data")).unwrap().display().to_string();
            if name.starts_with("uploads/") && name != "uploads/lock" {
                files += 1;
            } else {
                others.push(name);
            }
        }
    }
    assert_eq!(files, stored);
    let expected = ["etag.key", "resyncd.db", "resyncd.db-shm", "resyncd.db-wal", "uploads/lock"];
    others.retain(|name| !expected.contains(&name.as_str()) && !name.starts_with("spool/"));
    assert_eq!(others, Vec::<String>::new(), "what was never finished is left");
    let twice = sql(url, "SELECT id FROM events GROUP BY id HAVING COUNT(*) > 1");
    assert_eq!(twice, Vec::<String>::new());
}
