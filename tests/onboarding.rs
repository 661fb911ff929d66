//! Phones that become devices by themselves: by the code of an invitation, and by approval.

use std::collections::BTreeMap;
use std::time::Duration;

use resyncd::fleet::{Actor, Query};
use resyncd::onboarding::{Invitation, Onboarding};
use resyncd::records::Tree;
use serde_json::{Value, json};

use crate::support::deployment::{Deployment, Running};

const MAC: &str = "000e08d0d0d0";
const MODEL: &str = "CP-6841-3PCC";
const PASSWORD: &str = "not-a-real-password";

/// A provider's server: no device yet, a group for a customer, a key for secrets.
fn shop() -> Deployment {
    let deployment = Deployment::empty();
    deployment.write("profiles/defaults.toml", "[access]\ncertificate = true\n");
    deployment.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"sip.acme.example\"\n");
    // Wrong codes have a brake of their own.
    deployment.append_config("\n[brakes]\nfailures = 1000\nrefuse_after = 1000\n");
    deployment.append_config("\n[secrets]\nmaster_key = { file = \"data/master.key\" }\n");
    deployment.certificates(&[(MAC, Some((MODEL, "FCH2047F24A"))), ("000e08d0d0d1", Some((MODEL, "FCH2047F24B")))]);
    deployment
}

fn start(deployment: Deployment) -> Running {
    let url = |port: u16| format!("[access]\ncertificate = true\n[provisioning]\nurl = \"https://localhost:{port}\"\n");
    let running = deployment.start();
    running.deployment.write("profiles/defaults.toml", url(running.port("https")));
    running.reload().unwrap();
    running
}

fn actor() -> Actor {
    Actor { name: "cli:test".to_owned(), peer: None }
}

fn invitation(device: Value) -> Invitation {
    let Value::Object(device) = device else { panic!("an object") };
    let day = Duration::from_secs(86_400);
    Invitation { mac: None, device: Tree::new(device), takes_over: false, uses: 1, valid: day }
}

fn customer() -> Value {
    json!({"group": "acme", "settings": {"lines": {"1": {"user": "2001", "password": PASSWORD}}}})
}

/// Makes an invitation, and gives the path that the phone asks for.
fn invite(running: &Running, invitation: &Invitation) -> String {
    let (code, _) = running.block_on(onboarding(running).invite(invitation, &actor())).unwrap();
    format!("/cisco-init/{}", code.written())
}

fn onboarding(running: &Running) -> Onboarding {
    running.server().onboarding().clone()
}

/// Plays the phone with `resyncd phone resync`; what it holds then.
fn play(running: &Running, rule: Option<&str>) -> BTreeMap<String, String> {
    let (state, certs) = (running.deployment.path("state.json"), running.deployment.path("certs/dev"));
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let mut arguments: Vec<String> = [
        "phone",
        "resync",
        "--model",
        MODEL,
        "--mac",
        MAC,
        "--serial",
        "FCH2047F24A",
        "--firmware",
        "sip68xx.11-3-1MPP-577",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(["--certificate".to_owned(), file(&format!("phone-{MAC}.pem"))]);
    arguments.extend(["--key".to_owned(), file(&format!("phone-{MAC}.key")), "--ca".to_owned(), file("server-ca.pem")]);
    arguments.extend(["--state".to_owned(), state.to_str().unwrap().to_owned()]);
    arguments.extend(rule.into_iter().flat_map(|rule| ["--profile-rule".to_owned(), rule.to_owned()]));
    let output = running.deployment.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let state: Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    serde_json::from_value(state["parameters"].clone()).unwrap_or_else(|_| panic!("{state}"))
}

#[test]
fn a_phone_from_a_shop_goes_from_its_code_to_its_own_profile() {
    let running = start(shop());
    let path = invite(&running, &invitation(customer()));
    let port = running.port("https");
    let held = play(&running, Some(&format!("https://localhost:{port}{path}")));
    assert_eq!(held["User_ID_1_"], "2001");
    assert_eq!(held["Proxy_1_"], "sip.acme.example");
    assert_eq!(held["Profile_Rule"], format!("https://localhost:{port}/cisco/$MA.xml"));

    // From then on it comes by its permanent URL, and its certificate is what opens it.
    let again = play(&running, None);
    assert_eq!(again["Password_1_"], PASSWORD);
    let events = running.events();
    let last = events.last().unwrap();
    assert_eq!((&last["outcome"], &last["target"]), (&json!("served"), &json!(format!("/cisco/{MAC}.xml"))));

    let entry = running.block_on(onboarding(&running).fleet().device(MAC.parse().unwrap())).unwrap().unwrap();
    assert_eq!((entry.model.as_deref(), entry.group.as_deref()), (Some(MODEL), Some("acme")));
    // Neither log nor database tells the code.
    let code = path.rsplit('/').next().unwrap();
    assert!(events.iter().all(|event| !event.to_string().contains(code)), "{events:#?}");
    assert!(events.iter().any(|event| event["target"] == "/cisco-init/{code}"));
    let database = std::fs::read(running.deployment.path("data/resyncd.db")).unwrap();
    for secret in [code, &code.replace('-', ""), PASSWORD] {
        assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn a_code_is_good_for_one_phone_once_and_whatever_is_wrong_looks_alike() {
    let running = start(shop());
    let path = invite(&running, &invitation(customer()));
    let other = invite(&running, &Invitation { mac: Some("000e08d0d0d1".parse().unwrap()), ..invitation(customer()) });
    let expired = invite(&running, &Invitation { valid: Duration::ZERO, ..invitation(customer()) });
    let Some(first) = running.curl(Some(MAC), &path, &[]) else { return };
    assert_eq!(first.status, 200, "{}", first.text());
    // The answer was lost on its way: the phone comes again.
    assert_eq!(running.curl(Some(MAC), &path, &[]).unwrap().body, first.body);

    let unknown = running.curl(Some(MAC), "/cisco/nothing.xml", &[]).unwrap();
    let refused = [
        ("used by another", running.curl(Some("000e08d0d0d1"), &path, &[])),
        ("for another phone", running.curl(Some(MAC), &other, &[])),
        ("expired", running.curl(Some(MAC), &expired, &[])),
        ("no certificate", running.curl(None, &path, &[])),
        ("never given out", running.curl(Some(MAC), "/cisco-init/0000-0000-0000-0000", &[])),
        ("no code", running.curl(Some(MAC), "/cisco-init/1234abcd", &[])),
        ("not over TLS", running.plain_curl(&path, &[])),
    ];
    for (why, reply) in refused {
        let reply = reply.unwrap();
        assert_eq!((reply.status, &reply.head, &reply.body), (404, &unknown.head, &unknown.body), "{why}");
    }
    let refusals: Vec<Value> = running.events().iter().map(|event| event["refusal"].clone()).collect();
    assert_eq!(refusals.iter().filter(|refusal| **refusal == "invitation").count(), 7);
}

#[test]
fn who_tries_codes_has_to_wait() {
    let running = start(shop());
    let path = invite(&running, &invitation(customer()));
    for _ in 0..20 {
        let Some(reply) = running.curl(Some(MAC), "/cisco-init/0000-0000-0000-0001", &[]) else { return };
        assert_eq!(reply.status, 404);
    }
    assert_eq!(running.curl(Some(MAC), &path, &[]).unwrap().status, 404);
    assert!(running.last_event()["reason"].as_str().unwrap().contains("too many wrong codes"));
}

#[test]
fn somebody_s_phone_changes_hands_only_if_the_invitation_says_so() {
    let deployment = shop();
    deployment.write(&format!("profiles/devices/{MAC}.toml"), format!("model = \"{MODEL}\"\n"));
    let running = start(deployment);
    let path = invite(&running, &invitation(customer()));
    let Some(reply) = running.curl(Some(MAC), &path, &[]) else { return };
    assert_eq!(reply.status, 404);
    assert!(running.last_event()["reason"].as_str().unwrap().contains("is a device already"));
    let path = invite(&running, &Invitation { takes_over: true, ..invitation(customer()) });
    assert_eq!(running.curl(Some(MAC), &path, &[]).unwrap().status, 200);
}

#[test]
fn an_invitation_of_nonsense_is_not_made() {
    let running = start(shop());
    for (device, part) in [
        (json!({"group": "acmee"}), "did you mean \"acme\"?"),
        (json!({"settings": {"lines": {"1": {"usr": "1"}}}}), "did you mean \"user\"?"),
        (json!({"model": "CP-6841-3PC"}), "did you mean"),
        (json!({"mac": MAC}), "unknown key"),
    ] {
        let made = running.block_on(onboarding(&running).invite(&invitation(device), &actor()));
        let error = made.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

const USER_AGENT: &str = "Cisco-CP-6841-3PCC/11.3.1 (000e08d0d0d0)(FCH2047F24A)";

#[test]
fn an_unknown_phone_in_the_staging_network_waits_for_approval() {
    let deployment = shop();
    deployment.append_config("\n[onboarding]\nstaging_networks = [\"127.0.0.0/8\"]\nwaiting = 1\n");
    let running = start(deployment);
    let ask = |mac: &str, agent: &str| running.plain_curl(&format!("/cisco/{mac}.xml"), &["--user-agent", agent]);
    let Some(reply) = ask(MAC, USER_AGENT) else { return };
    assert_eq!(reply.status, 404);
    ask(MAC, USER_AGENT);
    // There is room for one; and who says to be another phone than it asks for is none to wait.
    ask("000e08d0d0d1", "Cisco-CP-6841-3PCC/11.3.1 (000e08d0d0d1)");
    ask("000e08d0d0d2", USER_AGENT);
    let onboarding = onboarding(&running);
    let waiting = running.block_on(onboarding.waiting()).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].mac.to_string().as_str(), waiting[0].model.as_str()), (MAC, MODEL));

    let Value::Object(device) = customer() else { panic!("an object") };
    let approved = running.block_on(onboarding.approve(MAC.parse().unwrap(), device, &actor())).unwrap().unwrap();
    assert_eq!(approved.created, 1);
    assert!(running.block_on(onboarding.waiting()).unwrap().is_empty());
    assert_eq!(running.curl(Some(MAC), &format!("/cisco/{MAC}.xml"), &[]).unwrap().status, 200);
    let found = running.block_on(onboarding.fleet().find(&Query::default(), None, 10)).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn a_phone_from_the_internet_never_waits() {
    let deployment = shop();
    deployment.append_config("\n[onboarding]\nstaging_networks = [\"192.0.2.0/24\"]\n");
    let running = start(deployment);
    let Some(_) = running.plain_curl(&format!("/cisco/{MAC}.xml"), &["--user-agent", USER_AGENT]) else { return };
    assert!(running.block_on(onboarding(&running).waiting()).unwrap().is_empty());
}
