//! `resyncd drift`, end to end: an emulated phone takes its profile, reports, and is compared with what it should have.

use std::process::Output;
use std::sync::Arc;

use resyncd::delivery::KeyDigest;
use resyncd::phone::network::{Network, Options, Stack};
use resyncd::phone::{Fetch, Identity, Method, State, aastra};
use serde_json::Value;

use crate::support::deployment::{Deployment, Running};
use crate::uploads::report;

const CISCO: &str = "000e08000001";
const AASTRA: &str = "00085d1a9870";
const SECRET: &str = "example-only-secret";

fn cisco(proxy: &str) -> String {
    format!(
        "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"127.0.0.1\"]\n[lines.1]\nuser = \"1001\"\npassword = \"{SECRET}\"\n\
         proxy = \"{proxy}\"\ndisplay_name = \"R&D\"\n"
    )
}

fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    deployment.write(&format!("profiles/devices/{CISCO}.toml"), cisco("sip.example.com"));
    let aastra = "model = \"6757i\"\n[access]\nnetworks = [\"127.0.0.1\"]\n[lines.1]\nuser = \"1001\"\nproxy = \"sip.example.com\"\n";
    deployment.write(&format!("profiles/devices/{AASTRA}.toml"), aastra);
    deployment
}

fn drift(running: &Running, mac: &str, more: &[&str]) -> Output {
    // What the phone asked for is looked up in the database.
    running.block_on(running.server().recorder().flush());
    running.deployment.run(&[&["drift", mac], more].concat())
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

/// What differs: name, cause, expected and reported.
fn differing(running: &Running, mac: &str) -> Vec<[String; 4]> {
    let output = drift(running, mac, &["--format", "json"]);
    assert!(!text(&output).contains(SECRET), "{}", text(&output));
    let drift: Value = serde_json::from_slice(&output.stdout).unwrap();
    let parameters = drift["parameters"].as_array().unwrap().iter().filter(|found| found["status"] == "differs");
    let keys = ["name", "cause", "expected", "reported"];
    let found: Vec<_> = parameters.map(|found| keys.map(|key| found[key].as_str().unwrap().to_owned())).collect();
    assert_eq!(output.status.code(), Some(i32::from(!found.is_empty())), "{drift}");
    found
}

/// The parameters of the profile as it would be sent now, secrets and all.
fn profile(running: &Running) -> Vec<(String, String)> {
    let output = running.deployment.run(&["render", CISCO, "--show-secrets"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let leaves =
        document.root_element().descendants().filter(|node| node.is_element() && node.first_element_child().is_none());
    leaves.map(|leaf| (leaf.tag_name().name().to_owned(), leaf.text().unwrap_or_default().to_owned())).collect()
}

fn sent(running: &Running, rule: &str, parameters: &[(String, String)]) {
    let mut held: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    held.retain(|(name, _)| *name != "Report_Rule" && *name != "HTTP_Report_Method");
    held.push(("Report_Rule", rule));
    report(running, CISCO, KeyDigest::Md5, &held);
}

fn set(parameters: &mut [(String, String)], name: &str, value: &str) {
    parameters.iter_mut().find(|(own, _)| own == name).unwrap().1 = value.to_owned();
}

#[test]
fn a_change_on_the_phone_is_told_from_a_profile_that_it_has_not_taken() {
    let running = deployment().start();
    let (full, delta) = ("SERVER/cisco/report/$MA.xml", "[--delta]SERVER/cisco/delta/$MA.xml");
    let fetch = || assert_eq!(running.plain_curl(&format!("/cisco/{CISCO}.xml"), &[]).unwrap().status, 200);
    let none = drift(&running, CISCO, &[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none).contains("has sent no report"), "{}", text(&none));

    fetch();
    let mut held = profile(&running);
    assert!(held.iter().any(|(_, value)| value == SECRET));
    sent(&running, full, &held);
    let equal = drift(&running, CISCO, &[]);
    assert_eq!(equal.status.code(), Some(0), "{}", text(&equal));
    assert!(text(&equal).contains(" equal, 0 differ, 1 not reported"), "{}", text(&equal));
    assert!(!text(&equal).contains(SECRET));

    // Somebody changes the name on the phone.
    set(&mut held, "Display_Name_1_", "My own <b>");
    sent(&running, full, &held);
    let row = |row: [&str; 4]| row.map(str::to_owned);
    let name = row(["Display_Name_1_", "local", "R&D", "My own <b>"]);
    assert_eq!(differing(&running, CISCO), std::slice::from_ref(&name));
    let told = text(&drift(&running, CISCO, &[]));
    assert!(told.contains("Display_Name_1_: changed on the phone, an earlier report had"), "{told}");
    assert!(told.contains("not reported: Password_1_"), "secrets are left out: {told}");

    // The provider changes the proxy; the phone has not been there since.
    running.deployment.write(&format!("profiles/devices/{CISCO}.toml"), cisco("sip2.example.com"));
    running.reload().unwrap();
    let proxy = row(["Proxy_1_", "not-taken", "sip2.example.com", "sip.example.com"]);
    assert_eq!(differing(&running, CISCO), [proxy, name.clone()]);
    // It was there, and has not reported since.
    fetch();
    let proxy = row(["Proxy_1_", "unknown", "sip2.example.com", "sip.example.com"]);
    assert_eq!(differing(&running, CISCO), [proxy, name.clone()]);
    // It reports, and still holds the old one: this time it was somebody's doing.
    sent(&running, full, &held);
    let proxy = row(["Proxy_1_", "local", "sip2.example.com", "sip.example.com"]);
    assert_eq!(differing(&running, CISCO), [proxy, name]);

    // A report of changes lies over the last whole one.
    let part = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    sent(&running, delta, &part("Proxy_1_", "sip2.example.com"));
    sent(&running, delta, &part("Display_Name_1_", "R&D"));
    assert_eq!(differing(&running, CISCO), Vec::<[String; 4]>::new());
    // A phone that tells its secrets after all, right or wrong ones.
    for (value, rows) in
        [("a password of the user's", vec![row(["Password_1_", "unknown", "***", "***"])]), (SECRET, vec![])]
    {
        let report = format!(
            "<flat-profile><Password_1_>{value}</Password_1_><Proxy_1_>sip2.example.com</Proxy_1_></flat-profile>"
        );
        let reply = running.plain_curl(&format!("/cisco/delta/{CISCO}.xml"), &["--data-binary", &report]);
        assert_eq!(reply.unwrap().status, 200);
        fetch();
        assert_eq!(differing(&running, CISCO), rows);
        let told = text(&drift(&running, CISCO, &[]));
        assert!(!told.contains("of the user's") && !told.contains(SECRET), "{told}");
    }
}

#[test]
fn reports_that_cannot_be_read_are_named_and_passed_over() {
    let running = deployment().start();
    let path = format!("/cisco/report/{CISCO}.xml");
    let Some(_) = running.plain_curl(&path, &["--data-binary", "<html><script>\u{1b}[2J"]) else { return };
    let output = drift(&running, CISCO, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("no report of 000e08000001 can be read"), "{}", text(&output));
    let sealed = "Salted__12345678aaaaaaaaaaaaaaaa";
    assert_eq!(running.plain_curl(&path, &["--data-binary", sealed]).unwrap().status, 200);
    let good = "<flat-profile><Proxy_1_>x\u{85}y</Proxy_1_></flat-profile>";
    assert_eq!(running.plain_curl(&path, &["--data-binary", good]).unwrap().status, 200);
    let told = text(&drift(&running, CISCO, &[]));
    assert!(told.contains("not read: ") && told.contains("no well-formed XML"), "{told}");
    assert!(told.contains("key that is not the device's"), "{told}");
    assert!(told.contains("reported x\\u{85}y"), "{told}");
    let unknown = drift(&running, "000e08999999", &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown).contains("there is no device"), "{}", text(&unknown));
}

#[test]
fn an_aastra_is_compared_by_the_files_that_it_sends() {
    let running = deployment().start();
    let identity = Identity {
        model: "6757i".to_owned(),
        mac: AASTRA.parse().unwrap(),
        serial: "AASTRA000001".parse().unwrap(),
        firmware: "3.3.1.4300-SIP".to_owned(),
        has_certificate: false,
    };
    let network = Network::new(Arc::new(Stack::new(Options::default()).unwrap()), None);
    let send = |file: aastra::Upload| {
        let folder = format!("http://localhost:{}", running.port("http"));
        let request = file.request(&identity, Method::Put, &folder);
        assert_eq!(running.block_on(network.fetch(request)).unwrap().status, 200);
    };
    let mut state = State::default();
    state.local.insert("SIP Line1 User Name".to_owned(), "2002".to_owned());
    state.parameters.insert("sip line1 proxy ip".to_owned(), "old.example.com".to_owned());
    // What it holds of its own says nothing of the rest.
    send(aastra::local_file(&identity, &state));
    let row = |row: [&str; 4]| row.map(str::to_owned);
    let user = row(["sip line1 user name", "local", "1001", "2002"]);
    assert_eq!(differing(&running, AASTRA), std::slice::from_ref(&user));
    send(aastra::server_file(&state));
    let proxy = row(["sip line1 proxy ip", "not-taken", "sip.example.com", "old.example.com"]);
    let mut found = differing(&running, AASTRA);
    found.sort();
    assert_eq!(found, [proxy, user]);
    assert!(text(&drift(&running, AASTRA, &[])).contains("it is among the changes made on the phone"));
}
