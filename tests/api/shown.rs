//! What is shown: previews, events, lists in pages, and never a secret that was not asked for.

use serde_json::{Value, json};

use super::{OURS, serve};
use crate::support::api::Client;

/// A secret of the working example.
const SECRET: &str = "example-only-sip-1001";

#[test]
fn previews_mask_secrets_unless_they_are_asked_for() {
    let running = serve();
    let client = Client::of(&running, "secrets", None);
    let base = format!("/api/v1/devices/{OURS}/files");
    let files = client.get(&base).json();
    let profile = files["files"].as_array().unwrap().iter().find(|file| file["name"] == "profile").unwrap().clone();
    assert_eq!((&profile["audience"], &profile["rendered"]), (&json!("device"), &json!(true)));
    assert!(profile["paths"][0].as_str().unwrap().contains(OURS));
    let masked = client.get(&format!("{base}/profile"));
    assert_eq!((masked.status, masked.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(masked.text().contains("1001") && masked.text().contains("***") && !masked.text().contains(SECRET));
    assert!(masked.header("content-security-policy").unwrap().contains("sandbox"));
    let real = client.get(&format!("{base}/profile?secrets=true"));
    assert!(real.text().contains(SECRET));
    assert_eq!(client.get(&format!("{base}/nothing")).problem(), "not-found");
    for scope in ["read", "write"] {
        let client = Client::of(&running, scope, None);
        assert_eq!(client.get(&format!("{base}/profile?secrets=true")).problem(), "forbidden");
        assert_eq!(client.get(&format!("{base}/profile?secrets=false")).body, masked.body);
    }
    let reply = client.get(&format!("{base}/profile?secrets=yes"));
    assert_eq!(reply.json()["errors"][0]["key"], "secrets");
    assert_eq!(client.ask("GET", &format!("{base}/profile"), &["Accept: application/json"], "").status, 406);
}

#[test]
fn events_are_what_the_log_tells() {
    let running = serve();
    for number in 0..5 {
        running.plain_curl(
            &format!("/nothing/{number}"),
            &["--user-agent", "Cisco-CP-6841-3PCC/11.3.4 (00:0e:08:ab:cd:ef)"],
        );
    }
    let mut log = running.events();
    log.reverse();
    let client = Client::of(&running, "read", None);
    assert_eq!(client.get("/api/v1/events").json()["items"], Value::Array(log.clone()));
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v1/events?outcome=refused&limit=2{cursor}")).json();
        found.extend(page["items"].as_array().unwrap().clone());
        assert!(found.len() <= 5);
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // A cursor is good for the list that gave it out, and no other.
        let other = client.get(&format!("/api/v1/events?limit=2&cursor={next}"));
        assert_eq!((other.status, &other.json()["errors"][0]["key"]), (422, &json!("cursor")));
    }
    assert_eq!(found, log);
    assert_eq!(client.get("/api/v1/events?outcome=served").json(), json!({"items": [], "next": null}));
    let refused = client.get("/api/v1/events?outcome=refusd").json();
    assert_eq!(refused["errors"][0]["help"], "did you mean \"refused\"?");
    for query in ["limit=0", "limit=1001", "limit=x", "since=yesterday", "device=1", "cursor=", "cursor=%FF"] {
        let reply = client.get(&format!("/api/v1/events?{query}"));
        assert!(matches!((reply.status, reply.problem().as_str()), (400, "malformed") | (422, "invalid")), "{query}");
        assert_eq!(reply.json()["errors"][0]["key"], query.split('=').next().unwrap());
    }
    let groups = client.get("/api/v1/event-groups?by=model").json();
    assert_eq!((&groups["groups"][0]["count"], &groups["groups"][0]["refused"]), (&json!(5), &json!(5)));
    assert_eq!(groups["groups"][0]["keys"]["model"], "CP-6841-3PCC");
}

#[test]
fn devices_come_in_pages_and_are_found() {
    let running = serve();
    let client = Client::of(&running, "read", None);
    let all = client.get("/api/v1/devices").json();
    let all = all["items"].as_array().unwrap();
    assert_eq!(all.len(), 7);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v1/devices?limit=3{cursor}")).json();
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(&found, all);
    let macs = |query: &str| -> Vec<String> {
        let items = client.get(&format!("/api/v1/devices?{query}")).json()["items"].clone();
        items.as_array().unwrap().iter().map(|device| device["mac"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(macs("serial=88012BA01234"), [OURS]);
    assert_eq!(macs("user=1001"), [OURS]);
    assert!(macs("group=acme").contains(&OURS.to_owned()));
    assert_eq!(macs("text=reception"), [OURS]);
    assert_eq!(macs("model=CP-6841-3PCC&group=acme-hq"), [OURS]);
    assert!(macs("group=nothing").is_empty());
    let device = client.get(&format!("/api/v1/devices/{OURS}"));
    assert_eq!((device.header("etag"), &device.json()["revision"]), (Some("\"0\""), &json!(0)));
    assert!(device.json()["file"].as_str().unwrap().ends_with("000e08abcdef.toml"));
}
