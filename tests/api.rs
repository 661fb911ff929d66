//! The admin API: who may ask, what is answered, and what is refused in which words.

mod changes;
mod onboarding;
mod reach;
mod schema;
mod shown;

use serde_json::json;

use crate::support::api::{Client, raw, token};
use crate::support::deployment::{Deployment, Running};

/// A device of the working example, in acme-hq, which lies within acme.
const OURS: &str = "000e08abcdef";

fn serve() -> Running {
    Deployment::example().start()
}

fn anybody(running: &Running) -> Client {
    Client::new(running.server().admin_address().unwrap(), None)
}

#[test]
fn without_a_token_there_is_health_and_nothing_else() {
    let running = serve();
    let client = anybody(&running);
    assert_eq!((client.get("/healthz").status, client.get("/readyz").status), (200, 200));
    // From loopback.
    assert_eq!(client.get("/metrics").status, 200);
    for path in
        ["/", "/api", "/api/v1", "/api/v1/health", "/api/v1/openapi.json", "/api/v1/devices", "/nothing", "/api/v1/x"]
    {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD"] {
            let reply = client.ask(method, path, &[], "");
            assert_eq!(reply.status, 401, "{method} {path}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"resyncd\""));
        }
        assert_eq!(client.get(path).problem(), "no-token");
    }
}

#[test]
fn a_token_that_does_not_hold_is_refused_alike() {
    let running = serve();
    let address = running.server().admin_address().unwrap();
    let good = Client::of(&running, "read", None);
    let altered = good.token.as_ref().unwrap().replace("rsy_", "rsy-");
    let revoked = token(&running.deployment, &["--name", "gone", "--scope", "read"]);
    assert_eq!(Client::new(address, Some(&revoked)).get("/api/v1/health").status, 200);
    let output = running.deployment.run(&["token", "revoke", "gone"]);
    assert!(output.status.success());
    let unknown = format!("rsy_{}", "A".repeat(43));
    for wrong in [&altered, &revoked, &unknown] {
        let reply = Client::new(address, Some(wrong)).get("/api/v1/health");
        assert_eq!((reply.status, reply.problem().as_str()), (401, "wrong-token"));
        assert!(reply.header("www-authenticate").unwrap().contains("invalid_token"));
        assert!(!reply.text().contains(wrong.as_str()));
    }
    for header in ["Authorization: Basic cnN5Og==", "Authorization: Bearer", "Authorization: "] {
        assert_eq!(anybody(&running).ask("GET", "/api/v1/health", &[header], "").status, 401);
    }
    let twice = format!("Authorization: Bearer {}", good.token.as_ref().unwrap());
    assert_eq!(good.ask("GET", "/api/v1/health", &[&twice], "").status, 401);
    assert_eq!(good.get("/api/v1/health").status, 200);
}

#[test]
fn who_tries_too_often_is_not_listened_to_and_others_are() {
    let running = serve();
    let good = Client::of(&running, "read", None);
    assert_eq!(good.get("/api/v1/health").status, 200);
    let wrong = Client::new(good.address, Some(&format!("rsy_{}", "A".repeat(43))));
    let statuses: Vec<u16> = (0..22).map(|_| wrong.get("/api/v1/health").status).collect();
    assert_eq!((statuses[0], statuses[19], statuses[20], statuses[21]), (401, 401, 429, 429));
    let reply = wrong.get("/api/v1/health");
    assert_eq!(reply.problem(), "too-many");
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() <= 61);
    // Behind the same address, but it was right before.
    assert_eq!(good.get("/api/v1/health").status, 200);
    assert_eq!(anybody(&running).get("/healthz").status, 200);
}

#[test]
fn metrics_are_for_those_in_the_networks_or_with_a_token() {
    let deployment = Deployment::example();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("[admin]\n", "[admin]\nmetrics_networks = []\n"));
    let running = deployment.start();
    assert_eq!(anybody(&running).get("/metrics").status, 401);
    let reply = Client::of(&running, "read", None).get("/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("resyncd_generation 1"));
    assert_eq!(Client::of(&running, "read", Some("acme")).get("/metrics").problem(), "forbidden");
}

#[test]
fn every_answer_is_json_that_nobody_keeps() {
    let running = serve();
    let client = Client::of(&running, "read", None);
    let reply = client.get("/api/v1/health");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    let health = reply.json();
    assert_eq!((&health["status"], &health["generation"]), (&json!("ok"), &json!(1)));
    assert!(health["device_files"].as_u64().unwrap() > 0);
    let reply = client.get("/api/v1/nothing");
    assert_eq!((reply.status, reply.problem().as_str()), (404, "not-found"));
    let reply = client.ask("DELETE", "/api/v1/health", &[], "");
    assert_eq!((reply.status, reply.problem().as_str()), (405, "method"));
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    assert_eq!(client.ask("GET", "/api/v1/health", &["Accept: text/html"], "").problem(), "not-acceptable");
    assert_eq!(client.ask("HEAD", "/api/v1/health", &[], "").body, b"");
    // A document that says of itself what it is.
    let document = client.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/health"]["get"].is_object());
}

#[test]
fn settings_are_told_with_the_layers_that_set_them() {
    let running = serve();
    let client = Client::of(&running, "secrets", None);
    let settings = client.get(&format!("/api/v1/devices/{OURS}/settings?under=lines.1"));
    assert_eq!(settings.status, 200, "{}", settings.text());
    let settings = settings.json();
    let of = |key: &str| {
        settings["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).cloned().unwrap()
    };
    let user = of("lines.1.user");
    assert_eq!(user["value"], "1001");
    let source = user["layers"][0]["source"].as_str().unwrap();
    assert!(source.ends_with(&format!("{OURS}.toml")), "{user}");
    assert!(user["layers"][0]["line"].as_u64().unwrap() > 0);
    assert_ne!(of("lines.1.password")["value"], json!("not-a-real-password"));
    let all = client.get("/api/v1/devices/00:0E:08:AB:CD:EF/settings").json();
    assert!(all["settings"].as_array().unwrap().len() > settings["settings"].as_array().unwrap().len());
    assert_eq!(client.get("/api/v1/devices/000e08ffffff/settings").problem(), "not-found");
    let reply = client.get("/api/v1/devices/nothing/settings");
    assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"));
    assert_eq!(reply.json()["errors"][0]["key"], "mac");
    let reply = client.get(&format!("/api/v1/devices/{OURS}/settings?undr=lines"));
    assert_eq!(
        reply.json()["errors"][0],
        json!({"key": "undr", "message": "unknown parameter", "help": "did you mean \"under\"?"})
    );
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let running = serve();
    let address = running.server().admin_address().unwrap();
    assert_eq!(raw(address, "nonsense\r\n\r\n").status, 400);
    let long = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(raw(address, &long).status, 431);
}
