//! Two passwords at once, and the old one gone when the phone has used the new one, whichever server it used it on.

use serde_json::Value;

use super::*;
use crate::store::on_each_database;
use crate::support::api::Client;
use crate::support::database::Scratch;

/// More often than anybody asks in a few seconds.
const TRIES: usize = 500;

/// A master key of nothing but these tests.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

on_each_database! {
    a_rotation_ends_when_the_phone_has_used_the_new_one
    the_api_rotates_too
}

/// A deployment on a database, with one device of records. The test runs on a runtime, and a server wants its own.
async fn apart<T: Send + 'static>(scratch: &Scratch, test: impl FnOnce(Vec<Deployment>) -> T + Send + 'static) -> T {
    let made = (0..2).map(|_| on(scratch)).collect();
    tokio::task::spawn_blocking(move || test(made)).await.unwrap()
}

fn on(scratch: &Scratch) -> Deployment {
    let deployment = deployment();
    one_pack(&deployment);
    let is_postgres = scratch.url.starts_with("postgres");
    let url = if is_postgres { scratch.url.clone() } else { "sqlite:data/resyncd.db".to_owned() };
    deployment.append_config(&format!("\n[database]\nurl = \"{url}\"\n[secrets]\nmaster_key = \"{KEY}\"\n"));
    deployment
}

fn fine(deployment: &Deployment, arguments: &[&str]) -> String {
    let output = deployment.run(arguments);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

fn credentials(deployment: &Deployment) -> Value {
    let told = fine(deployment, &["device", "credentials", ONE, "--show-secrets", "--format", "json"]);
    serde_json::from_str(&told).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Asks by Digest, the challenge from one server and the answer to another.
fn by_digest(from: SocketAddr, to: SocketAddr, password: &str) -> Reply {
    let nonce = nonce(&ask(from, "GET", &path(ONE), None));
    ask(to, "GET", &path(ONE), Some(&digest(&nonce, "one", password, "GET", &path(ONE), 1)))
}

fn assert_soon(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!((0..TRIES).any(|_| is_so()), "not so after {TRIES} tries: {what}");
}

async fn a_rotation_ends_when_the_phone_has_used_the_new_one(scratch: &Scratch) {
    let is_postgres = scratch.url.starts_with("postgres");
    apart(scratch, move |made| rotate(made, is_postgres)).await;
}

fn rotate(mut made: Vec<Deployment>, is_postgres: bool) {
    // Before there is a server, so that what it begins with is known.
    let first = made.remove(0);
    let shown = fine(&first, &["device", "credentials", ONE, "--rotate", "--format", "json"]);
    assert!(shown.contains("***") && !shown.contains(PASSWORD), "{shown}");
    let rotated = credentials(&first);
    let new = text(&rotated["password"]);
    assert_eq!((&rotated["user"], &rotated["previous"], new.len()), (&"one".into(), &PASSWORD.into(), 26));
    let again = first.run(&["device", "credentials", ONE, "--rotate"]);
    assert_eq!(again.status.code(), Some(1));
    let why = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(why.contains("has not used its new password yet"), "{why}");
    assert_eq!(credentials(&first), rotated);

    let one = first.start();
    // Several servers share a PostgreSQL; a SQLite has one.
    let two = is_postgres.then(|| made.remove(0).start());
    let (here, there) = (plain(&one), two.as_ref().map_or_else(|| plain(&one), plain));
    // The phone still has the old one, and gets the new one by it.
    let reply = by_digest(here, there, PASSWORD);
    assert_eq!(reply.status, 200, "{}", reply.head);
    assert!(reply.text().contains(&new), "the next profile has it");
    assert!(!reply.text().contains(PASSWORD));
    let event = two.as_ref().unwrap_or(&one).last_event();
    assert_eq!(event["flags"], serde_json::json!(["previous-password"]));
    assert_eq!(by_digest(here, there, PASSWORD).status, 200, "as often as it likes");
    assert_eq!(credentials(&one.deployment)["previous"], PASSWORD);

    // A restart in the middle.
    let one = one.stop().0.start();
    let here = plain(&one);
    let there = two.as_ref().map_or(here, plain);
    assert_eq!(by_digest(here, there, &new).status, 200);
    assert_soon("the old one is taken away", || credentials(&one.deployment)["previous"].is_null());
    for address in [here, there] {
        assert_soon("the old one opens nothing any more", || by_digest(address, address, PASSWORD).status == 401);
        assert_eq!(by_digest(address, address, &new).status, 200);
    }
    let audit = fine(&one.deployment, &["audit", "--format", "json"]);
    assert!(!audit.contains(&new) && !audit.contains(PASSWORD), "{audit}");
    let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
    let by_phone = audit.iter().filter(|row| row["actor"] == format!("phone:{ONE}"));
    assert_eq!(by_phone.count(), 1, "{audit:#?}");
    // It can begin anew.
    fine(&one.deployment, &["device", "credentials", ONE, "--rotate"]);
    assert_eq!(credentials(&one.deployment)["previous"], new.as_str());
    drop(two.map(Running::stop));
}

async fn the_api_rotates_too(scratch: &Scratch) {
    apart(scratch, |mut made| by_api(made.remove(0))).await;
}

fn by_api(deployment: Deployment) {
    let running = deployment.start();
    let target = format!("/api/v1/devices/{ONE}/credentials");
    let (reader, writer) = (Client::of(&running, "read", None), Client::of(&running, "write", None));
    let secrets = Client::of(&running, "secrets", None);
    let before = reader.get(&target);
    assert_eq!((before.status, &before.json()["password"]), (200, &"***".into()), "{}", before.text());
    assert_eq!(reader.send("POST", &target, &[], "").status, 403);
    assert_eq!(writer.get(&format!("{target}?secrets=true")).status, 403);
    assert_eq!(writer.send("POST", "/api/v1/devices/000e08000099/credentials", &[], "").status, 404);
    let made = writer.send("POST", &target, &[], "").json();
    assert_eq!((&made["password"], &made["previous"], &made["opens"]), (&"***".into(), &"***".into(), &true.into()));
    assert_eq!(writer.send("POST", &target, &[], "").problem(), "conflict");
    let shown = secrets.get(&format!("{target}?secrets=true")).json();
    assert_eq!(shown["previous"], PASSWORD);
    // The phone may use either; by force the old one stops at once.
    let address = plain(&running);
    assert_eq!(by_digest(address, address, PASSWORD).status, 200);
    assert_eq!(writer.send("POST", &format!("{target}?force=true"), &[], "").status, 200);
    assert_eq!(by_digest(address, address, PASSWORD).status, 401);
    assert_eq!(by_digest(address, address, &text(&shown["password"])).status, 200);
    let last = secrets.get(&format!("{target}?secrets=true")).json();
    assert_eq!(last["previous"], shown["password"]);
}
