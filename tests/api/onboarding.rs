//! Invitations and phones that wait, by the API and by the command line.

use serde_json::json;

use super::serve;
use crate::support::api::Client;
use crate::support::deployment::Deployment;

const STRANGER: &str = "000e08d0d0d0";

#[test]
fn an_invitation_is_made_used_and_withdrawn() {
    let deployment = Deployment::example();
    deployment.append_config("\n[secrets]\nmaster_key = { file = \"data/master.key\" }\n");
    deployment.certificates(&[(STRANGER, Some(("CP-6841-3PCC", "FCH2047F24A")))]);
    let running = deployment.start();
    let client = Client::of(&running, "write", None);
    let body = json!({"group": "acme-hq", "settings": {"lines": {"1": {"user": "7", "password": "not-a-real-one"}}}});
    let made = client.send("POST", "/api/v1/invitations", &["Idempotency-Key: a"], &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    let code = made.json()["code"].as_str().unwrap().to_owned();
    // Sent again, it makes no second one; and the code is told no second time.
    assert_ne!(client.send("POST", "/api/v1/invitations", &["Idempotency-Key: a"], &body.to_string()).status, 201);

    let listed = client.get("/api/v1/invitations").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((&listed["items"][0]["state"], &listed["items"][0]["code"]), (&json!("open"), &json!(null)));
    if let Some(reply) = running.curl(Some(STRANGER), &format!("/cisco-init/{code}"), &[]) {
        assert_eq!(reply.status, 200);
        let device = client.get(&format!("/api/v1/devices/{STRANGER}")).json();
        assert_eq!((&device["group"], &device["model"]), (&json!("acme-hq"), &json!("CP-6841-3PCC")));
        assert_eq!(device["settings"]["lines"]["1"]["password"], "***");
        assert_eq!(client.get("/api/v1/invitations").json()["items"][0]["state"], "used");
    }
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(client.ask("DELETE", &format!("/api/v1/invitations/{id}"), &[], "").status, 204);
    assert_eq!(client.ask("DELETE", &format!("/api/v1/invitations/{id}"), &[], "").status, 404);
}

#[test]
fn a_reseller_invites_for_itself_only() {
    let running = serve();
    let ours = Client::of(&running, "write", Some("acme"));
    let all = Client::of(&running, "write", None);
    let invite = |client: &Client, body| client.send("POST", "/api/v1/invitations", &[], &format!("{body}"));
    assert_eq!(invite(&ours, json!({"group": "acme-hq"})).status, 201);
    assert_eq!(invite(&all, json!({"group": "globex"})).status, 201);
    for body in [json!({}), json!({"group": "globex"})] {
        assert_eq!(invite(&ours, body).problem(), "invalid");
    }
    assert_eq!(invite(&ours, json!({"group": "acme", "take_over": true})).status, 403);
    assert_eq!(invite(&all, json!({"days": 0})).problem(), "invalid");
    let wrong = invite(&all, json!({"settings": {"lines": {"1": {"usr": "7"}}}}));
    assert!(wrong.text().contains("did you mean"), "{}", wrong.text());
    assert_eq!(ours.get("/api/v1/invitations").json()["items"].as_array().unwrap().len(), 1);
    let theirs = all.get("/api/v1/invitations").json()["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ours.ask("DELETE", &format!("/api/v1/invitations/{theirs}"), &[], "").status, 404);
    assert_eq!(ours.get("/api/v1/waiting").status, 403);
    let reader = Client::of(&running, "read", None);
    assert_eq!(invite(&reader, json!({"group": "acme"})).status, 403);
}

#[test]
fn a_phone_that_waits_is_approved() {
    let deployment = Deployment::example();
    deployment.append_config("\n[onboarding]\nstaging_networks = [\"127.0.0.0/8\"]\n");
    let running = deployment.start();
    let client = Client::of(&running, "write", None);
    let agent = format!("Cisco-CP-6841-3PCC/11.3.1 ({STRANGER})(FCH2047F24A)");
    let Some(_) = running.plain_curl(&format!("/cisco/{STRANGER}.xml"), &["--user-agent", &agent]) else { return };
    let waiting = client.get("/api/v1/waiting").json();
    assert_eq!(
        (&waiting["items"][0]["mac"], &waiting["items"][0]["serial"]),
        (&json!(STRANGER), &json!("FCH2047F24A"))
    );
    let listed = running.deployment.run(&["device", "waiting"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(STRANGER));
    let approve = format!("/api/v1/waiting/{STRANGER}/approve");
    assert_eq!(client.send("POST", &approve, &[], "{\"group\": \"acmee\"}").problem(), "invalid");
    assert_eq!(client.send("POST", &approve, &[], "{\"group\": \"acme\"}").status, 204);
    assert_eq!(client.send("POST", &approve, &[], "{}").status, 404);
    assert_eq!(client.get(&format!("/api/v1/devices/{STRANGER}")).json()["group"], "acme");
}

#[test]
fn the_command_line_invites_and_withdraws() {
    let deployment = Deployment::example();
    let made = deployment.run(&["device", "invite", "--group", "acme", "lines.1.user=7", "--expires", "1d"]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let code = String::from_utf8(made.stdout).unwrap();
    assert_eq!(code.trim_end().len(), 19);
    let listed = deployment.run(&["device", "invites", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["state"], &listed[0]["group"]), (&json!("open"), &json!("acme")));
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(deployment.run(&["device", "withdraw", id]).status.code(), Some(0));
    assert_eq!(deployment.run(&["device", "withdraw", id]).status.code(), Some(1));
    let wrong = deployment.run(&["device", "invite", "--group", "acmee"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean \"acme\"?"));
    assert_eq!(deployment.run(&["device", "approve", STRANGER]).status.code(), Some(1));
}
