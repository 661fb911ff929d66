//! What a server's tasks have a phone do, from the factory to a phone that is upgraded, backed up, restored, rebooted and reset, and
//! ends with the settings of its record.

use resyncd::phone::cwmp::{Played, Step};
use serde_json::Value;

use super::life::{AASTRA, ALL, CISCO, GRANDSTREAM, Made, PROFILE, assert_state_holds, served, text};
use super::listening::{events, set_up};
use crate::support::deployment::Running;

const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

fn json(running: &Running, arguments: &[&str]) -> Value {
    let output = running.deployment.run(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Orders a task, and gives its id.
fn order(running: &Running, made: Made, arguments: &[&str]) -> String {
    let task = json(running, &[&["acs", "task", made.0, "--no-call"], arguments].concat());
    task["id"].as_str().unwrap().to_owned()
}

fn task(running: &Running, id: &str) -> Value {
    json(running, &["acs", "tasks", "show", id])
}

fn all_events(sessions: &[Played]) -> Vec<&str> {
    sessions.iter().flat_map(events).collect()
}

/// Served from a folder, and big enough to be a file.
fn served_with_firmware(acs: &str) -> Running {
    let running = served(acs);
    for name in ["6757i-3.3.1.8101.st", "gxp2170-1.0.11.64.bin", "sip68xx-12.0.1.loads"] {
        running.deployment.write(&format!("firmware/{name}"), "firmware of nobody");
    }
    running
}

#[test]
fn a_phone_is_upgraded_rebooted_and_reset_and_ends_with_its_record() {
    let running = served_with_firmware("");
    for (made, file, version) in [
        (AASTRA, "6757i-3.3.1.8101.st", "3.3.1.8101"),
        (GRANDSTREAM, "gxp2170-1.0.11.64.bin", "1.0.11.64"),
        (CISCO, "sip68xx-12.0.1.loads", "12.0.1"),
    ] {
        let mut life = running.block_on(set_up(&running, made));

        let upgrade = order(&running, made, &["download", "firmware", "--file", &format!("/firmware/{file}")]);
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        let told = all_events(&sessions);
        assert!(told.contains(&"M Download") && told.contains(&"7 TRANSFER COMPLETE"), "{sessions:#?}");
        assert!(told.contains(&"1 BOOT"), "{told:?}");
        assert_eq!(life.value(VERSION).as_deref(), Some(version), "{sessions:#?}");
        assert_eq!(task(&running, &upgrade)["state"], "done", "{sessions:#?}");

        let reboot = order(&running, made, &["reboot"]);
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        let told = all_events(&sessions);
        assert!(told.contains(&"1 BOOT") && told.contains(&"M Reboot"), "{sessions:#?}");
        assert_eq!(task(&running, &reboot)["state"], "done");

        let reset = order(&running, made, &["factory-reset"]);
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        assert!(sessions[0].steps.contains(&Step::FactoryReset), "{sessions:#?}");
        assert_eq!(task(&running, &reset)["state"], "done");
        // Whoever forgot its server gets its files first.
        let server = format!("https://localhost:{}", running.port("https"));
        let resynced = running.block_on(life.resync(Some(&server)));
        assert_eq!(resynced.failure, None, "{:#?}", resynced.steps);
        running.block_on(life.sessions(&[])).unwrap();
        // The firmware is none of what is forgotten.
        assert_eq!(life.value(VERSION).as_deref(), Some(version));
        assert_state_holds(&running, made, &life.state, &[]);
    }
}

#[test]
fn what_a_phone_sent_is_given_back_to_it() {
    let running = served_with_firmware("");
    let path = format!("{PROFILE}SIP.ProxyServer");
    for made in [AASTRA, GRANDSTREAM] {
        let mut life = running.block_on(set_up(&running, made));
        let before = life.value(&path);
        let backup = order(&running, made, &["upload", "configuration"]);
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        let told = all_events(&sessions);
        assert!(told.contains(&"M Upload") && told.contains(&"7 TRANSFER COMPLETE"), "{sessions:#?}");
        let backup = task(&running, &backup);
        assert_eq!(backup["state"], "done", "{backup:#}");
        let upload = backup["result"]["upload"].as_str().unwrap_or_else(|| panic!("{backup:#}")).to_owned();

        let restore = order(&running, made, &["download", "configuration", "--restore", &upload]);
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        assert!(all_events(&sessions).contains(&"M Download"), "{sessions:#?}");
        let restore = task(&running, &restore);
        assert_eq!(restore["state"], "done", "{restore:#}");
        assert_eq!(life.value(&path), before);
        assert_state_holds(&running, made, &life.state, &[]);
    }
}

#[test]
fn a_phone_reads_sets_and_lists_what_it_is_asked_for() {
    let running = served("");
    let path = format!("{PROFILE}SIP.ProxyServer");
    for made in ALL {
        let mut life = running.block_on(set_up(&running, made));
        let orders = [
            order(&running, made, &["get", &path]),
            order(&running, made, &["names", PROFILE, "--next-level"]),
            order(&running, made, &["attributes", &path, "--notification", "active"]),
            order(&running, made, &["set", "Device.LAN.DNSServers=192.0.2.53"]),
        ];
        let sessions = running.block_on(life.sessions(&[])).unwrap();
        for id in &orders {
            assert_eq!(task(&running, id)["state"], "done", "{sessions:#?}");
        }
        let held = life.value(&path).unwrap();
        assert_eq!(task(&running, &orders[0])["result"]["values"][&path], held.as_str());
        assert_eq!(life.value("Device.LAN.DNSServers").as_deref(), Some("192.0.2.53"));
        assert_eq!(life.state.cwmp.notifications[&path], 2);
    }
}

#[test]
fn a_phone_diagnoses_and_its_server_reads_what_it_found() {
    let running = served_with_firmware("");
    let mut life = running.block_on(set_up(&running, GRANDSTREAM));
    life.phone.habits.hosts = vec!["sip.example.com=192.0.2.254".parse().unwrap(), "gone=unknown".parse().unwrap()];
    let url = format!("https://localhost:{}/firmware/6757i-3.3.1.8101.st", running.port("https"));
    let made = GRANDSTREAM;
    let ping = order(&running, made, &["ping", "sip.example.com", "--count", "3"]);
    let gone = order(&running, made, &["traceroute", "gone"]);
    let download = order(&running, made, &["download-test", &url]);
    let sessions = running.block_on(life.sessions(&[])).unwrap();
    assert!(all_events(&sessions).contains(&"8 DIAGNOSTICS COMPLETE"), "{sessions:#?}");
    let (ping, download, gone) = (task(&running, &ping), task(&running, &download), task(&running, &gone));
    assert_eq!(
        (&ping["state"], &ping["result"]["diagnostic"]["SuccessCount"]),
        (&"done".into(), &"3".into()),
        "{ping:#}"
    );
    assert_eq!(download["state"], "done", "{download:#}");
    assert_eq!(download["result"]["diagnostic"]["TestBytesReceived"], "18", "{download:#}");
    assert_ne!(gone["state"], "done", "{gone:#}");
    assert!(gone.to_string().contains("Error_CannotResolveHostName"), "{gone:#}");

    let route = order(&running, made, &["traceroute", "sip.example.com"]);
    let sessions = running.block_on(life.sessions(&[])).unwrap();
    let route = task(&running, &route);
    assert_eq!(route["state"], "done", "{route:#}\n{sessions:#?}");
    assert_eq!(route["result"]["diagnostic"]["RouteHops.2.HopHost"], "sip.example.com", "{route:#}");
}
