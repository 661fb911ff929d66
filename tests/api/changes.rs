//! Changes: who may, what they are told, what is in force then, and what is recorded.

use serde_json::{Value, json};

use super::{OURS, serve};
use crate::support::api::{Client, raw};
use crate::support::deployment::{Deployment, Running};

/// A MAC that no file has.
const NEW: &str = "000e08abcd01";
const DEVICE: &str = "/api/v1/devices/000e08abcd01";

/// The working example with a key for the secrets of the database.
fn with_key() -> Running {
    let deployment = Deployment::example();
    deployment.append_config(&format!("\n[secrets]\nmaster_key = \"{}\"\n", "07".repeat(32)));
    deployment.start()
}

fn phone() -> String {
    let lines = json!({"1": {"user": "2001", "password": "not-a-real-password", "proxy": "sip.example.com"}});
    let access = json!({"networks": ["127.0.0.0/8"]});
    json!({"model": "CP-6841-3PCC", "serial": "88012BA09999", "group": "acme-hq",
        "settings": {"lines": lines, "access": access, "delivery": {"encryption": "none", "gzip": false}}})
    .to_string()
}

/// The ETag of an answer.
fn tag(reply: &crate::support::deployment::Reply) -> String {
    format!("If-Match: {}", reply.header("etag").unwrap())
}

#[test]
fn a_device_is_made_read_changed_and_removed() {
    let running = with_key();
    let client = Client::of(&running, "write", None);
    assert_eq!(client.get(DEVICE).problem(), "not-found");
    let made = client.send("PUT", DEVICE, &["If-None-Match: *"], &phone());
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), Some(DEVICE));
    let device = made.json();
    assert_eq!((&device["mac"], &device["group"]), (&json!(NEW), &json!("acme-hq")));
    assert_eq!(
        device["settings"]["lines"]["1"],
        json!({"user": "2001", "password": "***", "proxy": "sip.example.com"})
    );
    assert_eq!(made.header("etag"), Some(&*format!("\"{}\"", device["revision"])));
    // What it has been told of is in force.
    let served = running.plain_curl(&format!("/cisco/{NEW}.xml"), &[]).unwrap();
    assert_eq!(served.status, 200);
    assert!(served.text().contains("2001") && served.text().contains("not-a-real-password"));

    // Nobody overwrites what they have not seen.
    assert_eq!(client.send("PUT", DEVICE, &[], &phone()).problem(), "needs-condition");
    assert_eq!(client.send("PUT", DEVICE, &["If-None-Match: *"], &phone()).problem(), "stale");
    let patched = client.send("PATCH", DEVICE, &[&tag(&made)], r#"{"settings": {"lines": {"1": {"user": "2002"}}}}"#);
    assert_eq!(patched.status, 200, "{}", patched.text());
    for (method, body) in [("PUT", phone()), ("PATCH", "{}".to_owned()), ("DELETE", String::new())] {
        let stale = client.send(method, DEVICE, &[&tag(&made)], &body);
        assert_eq!((stale.status, stale.problem().as_str()), (412, "stale"), "{method}");
        assert!(stale.json()["detail"].as_str().unwrap().contains(patched.header("etag").unwrap()));
    }
    // The mask that was read leaves the secret that is stored.
    let mut device = patched.json();
    device["settings"]["lines"]["1"]["label"] = json!("Front desk");
    let body = json!({"model": device["model"], "group": device["group"], "settings": device["settings"]}).to_string();
    let replaced = client.send("PUT", DEVICE, &[&tag(&patched)], &body);
    assert_eq!((replaced.status, &replaced.json()["serial"]), (200, &Value::Null), "{}", replaced.text());
    let served = running.plain_curl(&format!("/cisco/{NEW}.xml"), &[]).unwrap();
    assert!(served.text().contains("2002") && served.text().contains("not-a-real-password"));

    assert_eq!(client.ask("DELETE", DEVICE, &[], "").problem(), "needs-condition");
    let removed = client.ask("DELETE", DEVICE, &[&tag(&replaced)], "");
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    assert_eq!(client.get(DEVICE).problem(), "not-found");
    assert_eq!(running.plain_curl(&format!("/cisco/{NEW}.xml"), &[]).unwrap().status, 404);
    assert_eq!(client.send("PATCH", DEVICE, &["If-Match: *"], "{}").problem(), "not-found");
    let path = format!("/api/v1/devices/{OURS}");
    assert_eq!(client.ask("DELETE", &path, &["If-Match: *"], "").problem(), "conflict");
}

#[test]
fn a_group_is_made_read_changed_and_removed() {
    let running = serve();
    let client = Client::of(&running, "write", None);
    let group = "/api/v1/groups/lobby";
    let body = r#"{"parent": "acme-hq", "settings": {"locale": {"language": "de"}}}"#;
    let made = client.send("PUT", group, &[], body);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!((&made.json()["parent"], made.header("location")), (&json!("acme-hq"), Some(group)));
    let names = |path: &str| -> Vec<String> {
        let items = client.get(path).json()["items"].clone();
        items.as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/api/v1/groups"), ["acme", "acme-hq", "globex", "lobby"]);
    assert_eq!(names("/api/v1/groups?within=acme-hq"), ["acme-hq", "lobby"]);
    let ring = client.send("PUT", "/api/v1/groups/acme", &["If-Match: \"0\""], r#"{"parent": "lobby"}"#);
    assert_eq!((ring.status, ring.problem().as_str()), (422, "invalid"), "{}", ring.text());
    let patched = client.send("PATCH", group, &[&tag(&made)], r#"{"settings": {"locale": null}}"#);
    assert_eq!((patched.status, &patched.json()["settings"]), (200, &json!({})));
    assert_eq!(client.ask("DELETE", group, &[&tag(&made)], "").problem(), "stale");
    let device = r#"{"model": "CP-6841-3PCC", "group": "lobby", "settings": {"access": {"networks": ["127.0.0.0/8"]}, "delivery": {"encryption": "none"}}}"#;
    let made = client.send("PUT", DEVICE, &[], device);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(client.ask("DELETE", group, &[&tag(&patched)], "").problem(), "conflict");
    assert_eq!(client.ask("DELETE", DEVICE, &["If-Match: *"], "").status, 204);
    assert_eq!(client.ask("DELETE", group, &[&tag(&patched)], "").status, 204);
    assert_eq!(names("/api/v1/groups"), ["acme", "acme-hq", "globex"]);
    let nameless = client.send("PUT", "/api/v1/groups/a%20b", &[], "{}");
    assert_eq!((nameless.status, nameless.problem().as_str()), (422, "invalid"));
}

#[test]
fn what_is_wrong_with_a_body_is_told_all_at_once() {
    let running = with_key();
    let client = Client::of(&running, "write", None);
    let put = |body: &str| client.send("PUT", DEVICE, &[], body);
    let malformed = put("{\"model\":\n \"x\",}");
    assert_eq!((malformed.status, malformed.problem().as_str()), (400, "malformed"));
    assert!(malformed.json()["detail"].as_str().unwrap().contains("line 2 column 6"), "{}", malformed.text());
    let unknown = put(r#"{"modle": "x", "sreial": "y", "zzz": 1}"#).json();
    let told: Vec<_> =
        unknown["errors"].as_array().unwrap().iter().map(|error| (&error["pointer"], &error["help"])).collect();
    assert_eq!(
        told,
        [
            (&json!("/modle"), &json!("did you mean \"model\"?")),
            (&json!("/sreial"), &json!("did you mean \"serial\"?")),
            (&json!("/zzz"), &Value::Null)
        ]
    );
    assert_eq!(put(r#"{"model": 7}"#).json()["errors"][0]["pointer"], "/model");
    let wrong = put(r#"{"model": "CP-6841", "settings": {"lines": {"1": {"usr": "1", "port": 0}}, "tme": {}}}"#);
    assert_eq!((wrong.status, wrong.problem().as_str()), (422, "invalid"));
    let wrong = wrong.json();
    let keys: Vec<_> = wrong["errors"].as_array().unwrap().iter().map(|error| error["key"].as_str().unwrap()).collect();
    for key in ["lines.1.usr", "lines.1.port", "tme"] {
        assert!(keys.contains(&key), "{wrong}");
    }
    assert_eq!(
        put(r#"{"model": "CP-6841-3PCC", "group": "acme-qh"}"#).json()["errors"][0]["help"],
        "did you mean \"acme-hq\"?"
    );
    let secret =
        put(r#"{"model": "CP-6841-3PCC", "settings": {"lines": {"1": {"password": {"file": "/etc/passwd"}}}}}"#);
    assert_eq!(secret.status, 422, "{}", secret.text());
    let other = client.ask("PUT", DEVICE, &["Content-Type: text/plain"], "{}");
    assert_eq!((other.status, other.problem().as_str()), (415, "media-type"));
    assert_eq!(client.get(DEVICE).status, 404);
    assert_eq!(client.send("PUT", DEVICE, &["If-Match: 7"], "{}").json()["errors"][0]["key"], "If-Match");
    let large = client.send("PUT", DEVICE, &[], &format!("{{\"model\": \"{}\"}}", "x".repeat(2 << 20)));
    assert_eq!((large.status, large.problem().as_str()), (413, "too-large"));
    // One that says that it is larger than it may be need not be sent.
    let head = format!(
        "PUT {DEVICE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n",
        client.token.as_ref().unwrap()
    );
    assert_eq!(raw(client.address, &head).status, 413);
}

#[test]
fn secrets_need_a_key_and_say_so() {
    let running = serve();
    let client = Client::of(&running, "write", None);
    let reply = client.send("PUT", DEVICE, &[], &phone());
    assert_eq!(reply.problem(), "conflict", "{}", reply.text());
    assert!(reply.text().contains("master_key"), "{}", reply.text());
    assert!(!reply.text().contains("not-a-real-password"));
}

#[test]
fn the_same_request_again_is_answered_again_and_done_once() {
    let running = with_key();
    let client = Client::of(&running, "write", None);
    let key = "Idempotency-Key: 5b1f0c1e";
    let first = client.send("PUT", DEVICE, &[key], &phone());
    assert_eq!(first.status, 201, "{}", first.text());
    let again = client.send("PUT", DEVICE, &[key], &phone());
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!((again.body == first.body, again.header("etag")), (true, first.header("etag")));
    let other = client.send("PUT", DEVICE, &[key], "{}");
    assert_eq!((other.status, other.problem().as_str()), (422, "key-reused"));
    let elsewhere = client.send("PUT", "/api/v1/devices/000e08abcd02", &[key], &phone());
    assert_eq!(elsewhere.problem(), "key-reused");
    // Another token's keys are its own.
    let somebody = Client::of(&running, "write", None);
    assert_eq!(somebody.send("PUT", DEVICE, &[key], &phone()).problem(), "needs-condition");
    // What was refused may be tried again, mended.
    let key = "Idempotency-Key: second";
    assert_eq!(client.send("PUT", "/api/v1/devices/000e08abcd03", &[key], "{}").status, 422);
    assert_eq!(client.send("PUT", "/api/v1/groups/fresh", &[key], "{}").status, 201);
    for wrong in ["Idempotency-Key: ", "Idempotency-Key: a b", &format!("Idempotency-Key: {}", "x".repeat(256))] {
        let reply = client.send("PUT", "/api/v1/groups/other", &[wrong], "{}");
        assert_eq!(reply.json()["errors"][0]["key"], "Idempotency-Key", "{wrong}");
    }
}

#[test]
fn a_read_token_changes_nothing() {
    let running = serve();
    let client = Client::of(&running, "read", None);
    let device = format!("/api/v1/devices/{OURS}");
    for (method, path) in [
        ("PUT", &*device),
        ("PATCH", &device),
        ("PUT", "/api/v1/groups/x"),
        ("PATCH", "/api/v1/groups/acme"),
        ("POST", "/api/v1/reload"),
    ] {
        let reply = client.send(method, path, &["If-Match: *"], "{}");
        assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden"), "{method} {path}");
    }
    assert_eq!(client.ask("DELETE", &device, &["If-Match: *"], "").status, 403);
    assert_eq!(client.get("/api/v1/audit").problem(), "forbidden");
    assert_eq!(client.get(&format!("{device}?secrets=true")).problem(), "forbidden");
}

#[test]
fn every_change_is_recorded_with_who_made_it_and_no_secret() {
    let running = with_key();
    let client = Client::of(&running, "write", None);
    let made = client.send("PUT", DEVICE, &[], &phone());
    client.send("PATCH", DEVICE, &[&tag(&made)], r#"{"settings": {"lines": {"1": {"password": "another-not-real"}}}}"#);
    assert_eq!(client.ask("DELETE", DEVICE, &["If-Match: *"], "").status, 204);
    assert_eq!(client.ask("POST", "/api/v1/reload", &[], "").json(), json!({"generation": 2}));
    let audit = client.get("/api/v1/audit");
    assert!(!audit.text().contains("not-a-real-password") && !audit.text().contains("another-not-real"));
    let audit = audit.json();
    let items = audit["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| format!("{} {} {}", item["action"], item["kind"], item["name"]).replace('"', ""))
        .collect();
    let device = format!("device {NEW}");
    assert_eq!(told[0], "reload generation ");
    assert_eq!(told[1..4], [format!("remove {device}"), format!("change {device}"), format!("create {device}")]);
    assert!(told[4].starts_with("create token write-all-"), "{told:?}");
    let change = &items[2];
    assert_eq!(
        (&change["peer"], &change["before"]),
        (&json!("127.0.0.1"), &json!({"settings.lines.1.password": "***"}))
    );
    assert!(change["actor"].as_str().unwrap().starts_with("token:write-all-"));
    assert!(items[4]["actor"].as_str().unwrap().starts_with("cli:"));
    // Page by page it is the same.
    let mut path = format!("/api/v1/audit?kind=device&limit=1&name={NEW}");
    let mut found = Vec::new();
    loop {
        let page = client.get(&path).json();
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/audit?kind=device&limit=1&name={NEW}&cursor={next}");
    }
    assert_eq!(found, items[1..4]);
    let wrong = client.get("/api/v1/audit?cursor=abc").json();
    assert_eq!(wrong["errors"][0]["key"], "cursor");
}

#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let running = serve();
    let client = Client::of(&running, "write", None);
    running.deployment.write("profiles/groups/acme.toml", "[lines.1]\nprxy = \"x\"\n");
    let reply = client.ask("POST", "/api/v1/reload", &[], "");
    assert_eq!((reply.status, reply.problem().as_str()), (422, "invalid"));
    let error = &reply.json()["errors"][0];
    assert_eq!((&error["key"], &error["help"]), (&json!("lines.1.prxy"), &json!("did you mean \"proxy\"?")));
    assert!(error["message"].as_str().unwrap().contains("acme.toml:2"), "{error}");
    assert_eq!(client.get("/api/v1/health").json()["generation"], 1);
    assert_eq!(client.get("/api/v1/audit").json()["items"][0]["action"], "reload-refused");
}
