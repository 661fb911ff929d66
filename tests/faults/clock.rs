//! The clock jumps while the server runs: an hour back, a year on, and back again.

use std::path::{Path, PathBuf};
use std::process::Command;

use resyncd::identity::password::{Algorithm, Signed};
use resyncd::model::Secret;
use resyncd::store::{Message, Store, UrlTokenRow};
use serde_json::json;
use time::OffsetDateTime;

use super::site::*;
use crate::store::on_each_database;
use crate::support::api;
use crate::support::database::Scratch;
use crate::support::deployment::Deployment;
use crate::support::process::Process;
use crate::support::resyncd;

pub const HOUR: i64 = 3_600;
pub const YEAR: i64 = 365 * 24 * HOUR;

/// The clock of a process. What a timer measures is not touched, as with a real one that is set.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// None where libfaketime is not installed; that is said.
    pub fn new(deployment: &Deployment) -> Option<Self> {
        let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
        let places = folders.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
        let found = places.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file());
        let Some(library) = found else {
            assert!(std::env::var_os("CI").is_none(), "faketime is not installed, and CI has to have it");
            eprintln!("SKIPPED: faketime is not installed");
            return None;
        };
        let clock = Self { library, file: deployment.path("clock") };
        clock.set(0);
        Some(clock)
    }

    /// Sets it to so many seconds from what it really is.
    pub fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    /// A server by this clock.
    pub fn start(&self, deployment: Deployment) -> Process {
        let mut command: Command = resyncd();
        command.args(["--config", deployment.path("resyncd.toml").to_str().unwrap(), "serve"]);
        command.current_dir(deployment.path(""));
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.envs([("FAKETIME_NO_CACHE", "1"), ("NO_FAKE_STAT", "1")]);
        command.envs([("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        Process::start_by(deployment, command)
    }
}

/// The challenge's nonce, if it is one.
fn nonce(head: &str) -> &str {
    head.split("nonce=\"").nth(1).unwrap_or_else(|| panic!("{head}")).split('"').next().unwrap()
}

fn digest(nonce: &str, count: u32) -> String {
    let (nc, algorithm, uri) = (format!("{count:08x}"), Algorithm::Sha256, profile(PASSWORD));
    let signed = Signed { algorithm, realm: "resyncd", method: "GET", uri: &uri, nonce, nc: &nc, cnonce: "c" };
    let response = signed.response("fault", &Secret::new("first-password"));
    let response = response.expose_text().unwrap();
    format!(
        "Authorization: Digest username=\"fault\", realm=\"resyncd\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm=SHA-256, response=\"{response}\", qop=auth, nc={nc}, cnonce=\"c\"\r\n"
    )
}

#[test]
fn a_clock_that_jumps_takes_no_profile_away_and_deletes_nothing() {
    // Room for so little that old uploads are looked for with each.
    let deployment = with_aastra(deployment(None, "[uploads]\nper_device = 3\ntotal = \"1 MiB\"\n"));
    let Some(clock) = Clock::new(&deployment) else { return };
    let mut process = clock.start(deployment);
    let (http, https) = (process.address("http"), process.address("https"));
    let url = sqlite(&process.deployment);
    let token = api::token(&process.deployment, &["--name", "faults", "--scope", "secrets"]);
    let client = client(&process, &token);
    let ask_as = |authorization: &str| ask(http, &request("GET", &profile(PASSWORD), authorization, b"")).unwrap();
    let mut last = ask_as("");
    for (step, seconds) in [0, -HOUR, 0, YEAR, 0, -HOUR].into_iter().enumerate() {
        clock.set(seconds);
        let agent = format!("step-{step}");
        // Phones are served, whoever they are, and who isn't is told at once.
        for path in [profile(PHONE), format!("/{AASTRA}.cfg")] {
            assert_eq!(get(http, &path, &agent).status, 200, "{agent} {path}");
        }
        for _ in 0..12 {
            assert_eq!(get(http, &profile(STRANGER), "stranger").status, 401, "{agent}");
        }
        // A nonce of before holds or is stale; the one that comes then holds.
        let answered = ask_as(&digest(nonce(&last.head), 1));
        let served = match answered.status {
            200 => answered,
            401 => {
                assert!(answered.head.contains("stale=true"), "{agent}: {}", answered.head);
                ask_as(&digest(nonce(&answered.head), 1))
            }
            status => panic!("{agent}: {status}"),
        };
        assert_eq!(served.status, 200, "{agent}: {}", served.head);
        last = ask_as("");

        // What is changed is in force, and what is sent is kept: the newest, by whatever clock.
        let lines = json!({"1": {"user": "2001", "display_name": agent}});
        let record = json!({"model": MODEL, "settings": {"lines": lines, "access": {"networks": ["127.0.0.1"]}}});
        let over: &[&str] = if step == 0 { &[] } else { &["If-Match: *"] };
        let changed = client.send("PUT", "/api/v1/devices/000e08fa0050", over, &record.to_string());
        assert!(changed.status < 300, "{agent}: {}", changed.text());
        assert!(get(http, &profile("000e08fa0050"), "a").text().contains(&agent));
        for number in 0..2 {
            let content = format!("{agent} {number} {}", "x".repeat(20 << 10));
            assert_eq!(upload(http, content.as_bytes()), Some(200), "{agent}");
            let there = sql(&url, "SELECT sha256 FROM uploads");
            assert!(there.contains(&sha256(content.as_bytes())), "{agent}: an upload is gone at once");
            assert_eq!(there.len(), 3.min(step * 2 + number + 1), "{agent}");
        }
        // A token that was made at this time is good at this time.
        let made = client.send("POST", &format!("/api/v1/devices/{}/tokens", TOKENS[0]), &[], "{}");
        let path = path_of(made.json()["url"].as_str().unwrap_or_else(|| panic!("{}", made.text())));
        let served = secure_get(https, None, &path).unwrap();
        assert_eq!(served.status, 200, "{agent}");
        assert_eq!(secure_get(https, None, &leads_to(&served, TOKENS[0])).unwrap().status, 200, "{agent}");
        assert_eq!(client.get("/readyz").status, 200);

        // The clock has jumped, and the events tell it so.
        let statement = format!("SELECT CAST(time AS TEXT) FROM events WHERE user_agent = '{agent}'");
        until("the events are in the database", || sql(&url, &statement).len() == 2);
        let told: i64 = sql(&url, &statement)[0].parse::<i64>().unwrap() / 1_000;
        let expected = OffsetDateTime::now_utc().unix_timestamp() + seconds;
        assert!((told - expected).abs() < HOUR / 2, "{agent}: {told}, and not {expected}");
    }
    let first = sql(&url, "SELECT id FROM events WHERE user_agent = 'step-0'");
    assert_eq!(first.len(), 2, "events of before the jump");
    assert!(process.is_running());
    let (status, log, _deployment) = process.stop();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

#[test]
fn a_start_by_a_wrong_clock_deletes_nothing() {
    let deployment = deployment(None, "");
    let Some(clock) = Clock::new(&deployment) else { return };
    let process = clock.start(deployment);
    let url = sqlite(&process.deployment);
    assert_eq!(get(process.address("http"), &profile(PHONE), "before").status, 200);
    assert_eq!(upload(process.address("http"), b"before"), Some(200));
    let (_, _, deployment) = process.stop();
    let statement = "SELECT id FROM events WHERE user_agent = 'before'";
    let first = sql(&url, statement);
    assert_eq!(first.len(), 1);

    // It is said, and a phone is a phone by any clock.
    clock.set(YEAR);
    let mut process = clock.start(deployment);
    process.wait_for("nothing is deleted for its age");
    assert!(process.serves(&profile(PHONE)));
    clock.set(0);
    assert!(process.serves(&profile(PHONE)));
    // With an upload old ones are looked for.
    assert_eq!(upload(process.address("http"), b"after"), Some(200));
    assert_eq!(sql(&url, statement), first);
    let kept = sql(&url, "SELECT path FROM uploads");
    assert!(kept.len() == 2 && kept.iter().all(|path| is_there(&process.deployment.path("data/uploads"), path)));
}

on_each_database! {
    what_a_clock_dated_that_ran_ahead_is_in_nobodys_way
}

async fn what_a_clock_dated_that_ran_ahead_is_in_nobodys_way(scratch: &Scratch) {
    let store = Store::open(&scratch.database).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let ahead = now + time::Duration::seconds(YEAR);
    let minute = time::Duration::MINUTE;

    // A message that was under way when the clock was put right, or was put off then, is told now.
    let message = Message { id: "m".to_owned(), body: "{}".to_owned(), created: now };
    store.lay_out("w", &[message]).await.unwrap();
    assert_eq!(store.claim_messages("w", ahead, ahead + minute, 8).await.unwrap().len(), 1);
    assert_eq!(store.claim_messages("w", now, now + minute, 8).await.unwrap().len(), 1);
    // One that was put off by as much as there is waits.
    store.put_off("m", 9, now + minute * 60 * 7).await.unwrap();
    assert_eq!(store.claim_messages("w", now, now + minute, 8).await.unwrap().len(), 0);

    // A token is not taken for an old one at once.
    let mac = TOKENS[0].parse().unwrap();
    let token = |number: usize, time| UrlTokenRow::new(format!("{number:064x}"), mac, time, "test");
    for number in 0..9 {
        store.add_url_token(&token(number, ahead)).await.unwrap();
    }
    for number in 20..22 {
        store.add_url_token(&token(number, now)).await.unwrap();
        let there = store.url_tokens(mac).await.unwrap();
        assert!(there.iter().any(|row| row.digest == token(number, now).digest), "{there:?}");
    }
}

fn is_there(folder: &Path, path: &str) -> bool {
    folder.join(path).is_file()
}
