//! `examples/attack/attack.py` against a server of our own, in small.

use std::process::Command;

use serde_json::Value;

use super::{Running, metric};
use crate::support::deployment::Deployment;
use crate::support::{program, root, run};

/// Runs an attack; none where there is no Python.
fn attack(name: &str, url: &str, arguments: &[&str]) -> Option<Value> {
    let mut python: Command = program("python3")?;
    let output = run(python.arg(root().join("examples/attack/attack.py")).args([name, url]).args(arguments));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn url(server: &Running, listener: &str) -> String {
    let scheme = if listener == "https" { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{}", server.port(listener))
}

fn server(more: &str) -> Running {
    let deployment = Deployment::example();
    deployment.append_config(more);
    deployment.certificates(&[("000e08abcdef", Some(("CP-6841-3PCC", "88012BA01234")))]);
    deployment.start()
}

const SHORT: &str = "\n[brakes]\nfailures = 5\nrefuse_after = 40\nlongest_delay = \"250ms\"\nscan_phones = 20\n";

#[test]
fn a_scan_gets_nothing_and_is_told() {
    let server = server(SHORT);
    let arguments = ["--number", "60", "--source", "127.0.0.9", "--oui", "000e08"];
    let Some(told) = attack("scan", &url(&server, "http"), &arguments) else { return };
    assert_eq!(told["profiles"], serde_json::json!([]));
    assert_eq!(told["answers"], serde_json::json!({ "404": 40, "503": 20 }), "{told}");
    assert_eq!(metric(&server, "resyncd_scans_total"), 1);
    assert_eq!(metric(&server, "resyncd_bans_total"), 2);
}

#[test]
fn guesses_get_nothing() {
    let server = server(SHORT);
    let arguments = ["--number", "60", "--source", "127.0.0.9"];
    let Some(told) = attack("guess", &url(&server, "https"), &arguments) else { return };
    assert_eq!(told["profiles"], serde_json::json!([]));
    assert_eq!(told["answers"].get("200"), None, "{told}");
    assert!(told["answers"]["503"].as_u64().is_some_and(|refused| refused >= 20), "{told}");
}

#[test]
fn what_is_one_phones_is_of_no_use_for_another() {
    let server = server("");
    let file = |end: &str| server.deployment.path(&format!("certs/dev/phone-000e08abcdef.{end}"));
    let (certificate, key) = (file("pem"), file("key"));
    let arguments = ["--certificate", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let Some(told) = attack("replay", &url(&server, "https"), &arguments) else { return };
    let expected = serde_json::json!({
        "own": 200,
        "others_by_its_certificate": 404,
        "others_by_its_etag": 404,
        "others_by_any_etag": 404,
        "own_without_certificate": 404,
        "own_by_its_etag_alone": 404,
        "known_and_unknown_look_alike": true,
    });
    assert_eq!(told, expected);
}

#[test]
fn in_a_storm_each_is_served_or_told_to_come_back() {
    let server = server("\n[limits]\nrequests = 2\n");
    let Some(told) = attack("storm", &url(&server, "http"), &["--number", "200", "--path", "/CP-6841-3PCC.xml"]) else {
        return;
    };
    let answers = told["answers"].as_object().unwrap();
    assert!(answers.keys().all(|status| ["200", "503"].contains(&status.as_str())), "{told}");
    assert!(answers["200"].as_u64().is_some_and(|served| served > 0), "{told}");
}

#[test]
fn silent_connections_keep_no_phone_away() {
    let server = server("\n[limits]\nconnections = 100\nconnections_per_network = 50\n");
    let arguments = ["--number", "150", "--source", "127.0.0.9", "--path", "/CP-6841-3PCC.xml"];
    let Some(told) = attack("silence", &url(&server, "http"), &arguments) else { return };
    assert_eq!(told["phone"], 200, "{told}");
}

#[test]
fn other_machines_are_not_attacked_by_mistake() {
    let Some(mut python) = program("python3") else { return };
    let output = run(python.arg(root().join("examples/attack/attack.py")).args(["scan", "http://192.0.2.1"]));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not this machine"));
}
