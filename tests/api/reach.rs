//! A token that is bound to a group sees and touches what is in it; everything else is as if it weren't there.

use serde_json::{Value, json};

use super::{OURS, serve};
use crate::support::api::{Client, token};
use crate::support::deployment::Running;

/// A device of globex.
const THEIRS: &str = "1400e91f03ea";

fn group_of(running: &Running, mac: &str) -> Value {
    Client::of(running, "read", None).get(&format!("/api/v1/devices/{mac}")).json()["group"].clone()
}

fn phone(group: Option<&str>) -> String {
    let settings = json!({"access": {"networks": ["127.0.0.0/8"]}, "delivery": {"encryption": "none"}});
    match group {
        Some(group) => json!({"model": "CP-6841-3PCC", "group": group, "settings": settings}).to_string(),
        None => json!({"model": "CP-6841-3PCC", "settings": settings}).to_string(),
    }
}

#[test]
fn what_is_elsewhere_is_not_there() {
    let running = serve();
    assert_eq!((group_of(&running, OURS), group_of(&running, THEIRS)), (json!("acme-hq"), json!("globex")));
    let client = Client::of(&running, "secrets", Some("acme"));
    assert_eq!(client.get(&format!("/api/v1/devices/{OURS}")).status, 200);
    let nowhere = client.get("/api/v1/devices/000e08ffffff");
    for rest in ["", "/settings", "/files", "/files/profile"] {
        let reply = client.get(&format!("/api/v1/devices/{THEIRS}{rest}"));
        // Nothing in the answer tells one that it doesn't see from one that isn't there.
        assert_eq!((reply.status, reply.text(), &reply.head), (404, nowhere.text(), &nowhere.head), "{rest}");
    }
    for (method, body) in [("PUT", phone(Some("acme"))), ("PATCH", "{}".to_owned()), ("DELETE", String::new())] {
        for condition in ["If-Match: *", "If-Match: \"0\"", "X: y"] {
            let reply = client.send(method, &format!("/api/v1/devices/{THEIRS}"), &[condition], &body);
            assert_eq!((reply.status, reply.text()), (404, nowhere.text()), "{method}");
        }
    }
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        assert_eq!(client.send(method, "/api/v1/groups/globex", &["If-Match: *"], "{}").status, 404, "{method}");
    }
    let list = client.get("/api/v1/devices").json();
    let groups: Vec<_> = list["items"].as_array().unwrap().iter().map(|device| device["group"].clone()).collect();
    assert!(!groups.is_empty() && groups.iter().all(|group| group == "acme" || group == "acme-hq"), "{groups:?}");
    assert_eq!(client.get("/api/v1/devices?group=globex").json()["items"], json!([]));
    assert_eq!(client.get(&format!("/api/v1/devices?text={THEIRS}")).json()["items"], json!([]));
    let groups = client.get("/api/v1/groups").json();
    let names: Vec<_> = groups["items"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
    assert_eq!(names, ["acme", "acme-hq"]);
    assert_eq!(client.get("/api/v1/groups?within=globex").json()["items"], json!([]));
}

#[test]
fn nothing_is_moved_out_or_in() {
    let running = serve();
    let client = Client::of(&running, "write", Some("acme"));
    let path = "/api/v1/devices/000e08abcd01";
    for group in [Some("globex"), Some("nothing"), None] {
        let reply = client.send("PUT", path, &[], &phone(group));
        assert_eq!((reply.status, reply.problem().as_str()), (422, "invalid"), "{}", reply.text());
        let error = &reply.json()["errors"][0];
        assert_eq!((&error["key"], &error["help"]), (&json!("group"), &json!("name \"acme\", or a group within it")));
        // One that is elsewhere is refused in the same words as one that isn't there.
        assert_eq!(
            error["message"],
            group.map_or("is missing".to_owned(), |group| format!("there is no group \"{group}\""))
        );
    }
    assert_eq!(client.send("PUT", path, &[], &phone(Some("acme"))).status, 201);
    for body in [r#"{"group": "globex"}"#, r#"{"group": null}"#] {
        let reply = client.send("PATCH", path, &["If-Match: *"], body);
        assert_eq!(reply.json()["errors"][0]["key"], "group", "{body}");
    }
    assert_eq!(client.send("PATCH", path, &["If-Match: *"], r#"{"group": "acme-hq"}"#).json()["group"], "acme-hq");
    assert_eq!(group_of(&running, "000e08abcd01"), "acme-hq");
    // A device that has a file in the group may be changed, and stays.
    let ours = format!("/api/v1/devices/{OURS}");
    let reply = client.send("PUT", &ours, &["If-Match: \"0\""], r#"{"settings": {"vars": {"floor": 3}}}"#);
    assert_eq!((reply.status, &reply.json()["group"]), (200, &json!("acme-hq")), "{}", reply.text());
}

#[test]
fn groups_stay_within_the_tokens_own() {
    let running = serve();
    let all = Client::of(&running, "write", None);
    assert_eq!(all.send("PUT", "/api/v1/groups/reseller", &[], r#"{"parent": "globex"}"#).status, 201);
    assert_eq!(all.send("PUT", "/api/v1/groups/customer", &[], r#"{"parent": "reseller"}"#).status, 201);
    let client = Client::new(all.address, Some(&token_without_file(&running, "reseller")));
    let own = client.get("/api/v1/groups/reseller");
    assert_eq!(own.json()["parent"], Value::Null);
    for (name, body) in
        [("new", "{}"), ("new", r#"{"parent": "globex"}"#), ("customer", r#"{"parent": "acme"}"#), ("customer", "{}")]
    {
        let reply = client.send(
            "PUT",
            &format!("/api/v1/groups/{name}"),
            &if name == "new" { vec![] } else { vec!["If-Match: *"] },
            body,
        );
        assert_eq!(reply.json()["errors"][0]["key"], "parent", "{name} {body}: {}", reply.text());
    }
    assert_eq!(client.send("PATCH", "/api/v1/groups/customer", &["If-Match: *"], r#"{"parent": null}"#).status, 422);
    assert_eq!(client.send("PUT", "/api/v1/groups/new", &[], r#"{"parent": "customer"}"#).status, 201);
    // Its own it may change, but not move or remove.
    let settings = r#"{"settings": {"vars": {"a": 1}}}"#;
    for method in ["PUT", "PATCH"] {
        assert_eq!(client.send(method, "/api/v1/groups/reseller", &["If-Match: *"], settings).status, 200);
        assert_eq!(all.get("/api/v1/groups/reseller").json()["parent"], "globex");
        let moved = client.send(method, "/api/v1/groups/reseller", &["If-Match: *"], r#"{"parent": "customer"}"#);
        assert_eq!(moved.problem(), "forbidden");
    }
    assert_eq!(client.ask("DELETE", "/api/v1/groups/reseller", &["If-Match: *"], "").problem(), "forbidden");
}

/// A token of a group that is set at run time.
fn token_without_file(running: &Running, group: &str) -> String {
    token(&running.deployment, &["--name", "bound", "--scope", "write", "--group", group])
}

#[test]
fn the_whole_fleet_is_none_of_its_business() {
    let running = serve();
    let client = Client::of(&running, "secrets", Some("acme"));
    for path in ["/api/v1/event-groups?by=model", "/api/v1/audit", "/metrics"] {
        let status = client.get(path).status;
        assert!(status == 403 || path == "/metrics" && status == 200, "{path}");
    }
    assert_eq!(client.ask("POST", "/api/v1/reload", &[], "").problem(), "forbidden");
    let health = client.get("/api/v1/health").json();
    assert_eq!((&health["device_files"], &health["device_records"]), (&Value::Null, &Value::Null));
    // Serial numbers of others' devices are refused without saying whose they are.
    let all = Client::of(&running, "write", None);
    let body = json!({"model": "CP-6841-3PCC", "group": "globex", "serial": "88012BA07777",
        "settings": {"access": {"networks": ["127.0.0.0/8"]}, "delivery": {"encryption": "none"}}});
    let made = all.send("PUT", "/api/v1/devices/000e08abcd01", &[], &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    let mut body = body;
    body["group"] = json!("acme");
    let reply = client.send("PUT", "/api/v1/devices/000e08abcd02", &[], &body.to_string());
    assert_eq!(reply.problem(), "conflict", "{}", reply.text());
    assert!(!reply.text().contains("000e08abcd01"), "{}", reply.text());
}

#[test]
fn its_events_are_those_of_its_devices() {
    let running = serve();
    for path in [format!("/cisco/{OURS}.xml"), format!("/cisco/{THEIRS}.xml"), "/nothing".to_owned()] {
        for _ in 0..3 {
            running.plain_curl(&path, &[]).unwrap();
        }
    }
    running.events();
    let client = Client::of(&running, "read", Some("acme"));
    let events = client.get("/api/v1/events").json();
    let devices: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| event["device"].clone()).collect();
    assert_eq!(devices, vec![json!(OURS); 3], "{events}");
    // Page by page it is the same.
    let mut path = "/api/v1/events?limit=2".to_owned();
    let mut found = Vec::new();
    loop {
        let page = client.get(&path).json();
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/events?limit=2&cursor={next}");
    }
    assert_eq!(json!(found), events["items"]);
    assert_eq!(client.get(&format!("/api/v1/events?device={THEIRS}")).status, 404);
    assert_eq!(client.get(&format!("/api/v1/events?device={OURS}")).json()["items"].as_array().unwrap().len(), 3);
    assert_eq!(Client::of(&running, "read", None).get("/api/v1/events").json()["items"].as_array().unwrap().len(), 9);
}
