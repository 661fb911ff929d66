//! All of it at once: some hundred phones come to three servers, while one loses the network to the database, one is killed, and
//! the database is restarted.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use resyncd::phone::Identity;
use resyncd::phone::network::{ClientCertificate, Options, Resolver, Roots, Stack, TlsOptions};
use resyncd::phone::swarm::{CertificateSource, Fleet, Pattern, Plan, Report, run};
use resyncd::tls::certificates::{PhoneAuthority, PhoneCertificate, PhoneKey, SubjectForm};
use serde_json::json;
use tokio::task::JoinHandle;

use super::cluster::{Cluster, MODEL, Node, assert_soon, change, device, mac};
use crate::support::api::raw;
use crate::support::process::Process;

/// Phones that try each server first; the others are their second and third address.
const PHONES: u32 = 60;

const TRIES: usize = 400_000;

/// A device of this machine, which every server has served before anything breaks.
const KNOWN: u32 = 900;

/// Devices that come while something is broken: from here on.
const NEW: u32 = 1000;

#[test]
fn phones_get_their_profiles_whatever_breaks() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let by_certificate = json!({"settings": {"lines": {"1": {"user": "1", "password": "not-a-real-password"}}}});
    let mut devices: Vec<_> = (0..3 * PHONES).map(|number| device(number, by_certificate.clone())).collect();
    devices.push(device(KNOWN, json!({})));
    cluster.change(devices);
    for node in &cluster.nodes {
        assert_soon("the devices are known", TRIES, || serves(node, KNOWN));
    }
    // Half of them were here before, and their servers know them.
    let before = end(&cluster, begin(&cluster, PHONES / 2, Pattern::AllAtOnce));
    let coming = begin(&cluster, PHONES, Pattern::RandomDelay(Duration::from_secs(15)));
    let mut acknowledged = BTreeSet::new();

    // A cable is pulled: nothing comes back, and nobody is told. Then connections end.
    cluster.nodes[0].cable.silence();
    let pending = {
        // Whatever becomes of an upload that comes just then, it is in the database if the phone is told so.
        let address = cluster.nodes[0].address("http");
        std::thread::spawn(move || upload(address, KNOWN))
    };
    assert_ready(&cluster.nodes[0], 503);
    cluster.change(vec![device(NEW, json!({}))]);
    for node in &cluster.nodes[1..] {
        assert_soon("what is added is served by those that have the database", TRIES, || serves(node, NEW));
    }
    assert_upload(&cluster.nodes[1], NEW, &mut acknowledged);
    assert!(serves(&cluster.nodes[0], KNOWN));
    cluster.nodes[0].cable.close();
    assert!(serves(&cluster.nodes[0], KNOWN));
    assert_ne!(upload(cluster.nodes[0].address("http"), KNOWN), 200, "the database is away");
    cluster.nodes[0].cable.open();
    assert_ready(&cluster.nodes[0], 200);
    assert_soon("what was added meanwhile is served", TRIES, || serves(&cluster.nodes[0], NEW));
    if (200..300).contains(&pending.join().unwrap()) {
        acknowledged.insert(mac(KNOWN));
    }

    // A server is killed.
    let killed = cluster.nodes.pop().unwrap();
    killed.process.signal("KILL");
    cluster.change(vec![device(NEW + 1, json!({}))]);
    for node in &cluster.nodes {
        assert_soon("what is added is served by the others", TRIES, || serves(node, NEW + 1));
    }
    assert_upload(&cluster.nodes[0], NEW + 1, &mut acknowledged);

    // The database is restarted.
    let fleet = cluster.fleet();
    cluster.postgres.stop();
    for node in &cluster.nodes {
        assert_ready(node, 503);
        assert!(serves(node, KNOWN));
        assert_ne!(upload(node.address("http"), KNOWN), 200, "the database is away");
    }
    let refused = cluster.runtime.block_on(change(fleet.clone(), vec![device(NEW + 2, json!({}))]));
    assert!(refused.is_err(), "nothing is acknowledged that is not written");
    cluster.postgres.start();
    for node in &cluster.nodes {
        assert_ready(node, 200);
    }
    cluster.runtime.block_on(change(fleet, vec![device(NEW + 2, json!({}))])).unwrap();
    cluster.nodes.push(revive(killed));

    let meanwhile = end(&cluster, coming);
    for node in &cluster.nodes {
        for number in [KNOWN, NEW, NEW + 1, NEW + 2] {
            assert_soon("what was acknowledged is served by all", TRIES, || serves(node, number));
        }
    }
    assert_upload(&cluster.nodes[2], NEW + 2, &mut acknowledged);
    let kept: BTreeSet<_> = cluster.sql("SELECT device FROM uploads").into_iter().collect();
    assert!(kept.is_superset(&acknowledged), "{kept:?} {acknowledged:?}");

    // Every event of those that lived is in the database, and most of the one that was killed.
    for (number, node) in [(1, &cluster.nodes[0]), (2, &cluster.nodes[1])] {
        assert_soon("every event is in the database", TRIES, || {
            cluster.events(number) == node.metric("resyncd_events_total")
        });
        assert_eq!(node.metric("resyncd_events_lost_total"), 0);
    }
    let answers: u64 = before.iter().chain(&meanwhile).flat_map(|report| report.statuses.values()).sum();
    let events = "SELECT COUNT(*)::TEXT FROM events WHERE status > 0 AND listener LIKE 'https-%'";
    let events: u64 = cluster.sql(events)[0].parse().unwrap();
    let lost = answers.saturating_sub(events);
    eprintln!("{answers} answers, {events} events of them; the server that was killed lost at least {lost}");
    for report in &meanwhile {
        eprintln!("phones were answered {:?}, and met {:?}", report.statuses, report.errors);
    }
}

fn serves(node: &Node, number: u32) -> bool {
    node.ask(&format!("/cisco/{}.xml", mac(number))).status == 200
}

fn assert_ready(node: &Node, status: u16) {
    assert_soon("/readyz tells how it is", TRIES, || node.ready() == status);
}

/// A phone reports; the status of the answer, 0 where there was none.
fn upload(address: SocketAddr, number: u32) -> u16 {
    let body = "<flat-profile/>";
    let head = format!("POST /cisco/report/{}.xml HTTP/1.1\r\nHost: a\r\nConnection: close", mac(number));
    raw(address, &format!("{head}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len())).status
}

fn assert_upload(node: &Node, number: u32, acknowledged: &mut BTreeSet<String>) {
    let status = upload(node.address("http"), number);
    assert!((200..300).contains(&status), "{status}");
    acknowledged.insert(mac(number));
}

/// Starts a killed server again, where it left off.
fn revive(node: Node) -> Node {
    let (_, _, deployment) = node.process.stopped();
    Node { process: Process::start(deployment), cable: node.cable }
}

/// Phones begin to come to all servers, each to its own first.
fn begin(cluster: &Cluster, phones: u32, pattern: Pattern) -> Vec<JoinHandle<Report>> {
    let addresses: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.address("https")).collect();
    let certificates = cluster.nodes[0].process.deployment.path("certs/dev");
    let signed = signed_by(
        PhoneAuthority::read(&certificates.join("phone-ca.pem"), &certificates.join("phone-ca.key")).unwrap(),
    );
    let plans = (0..3_u32).map(|first| {
        let mut addresses = addresses.clone();
        addresses.rotate_left(first as usize);
        let roots = Roots::File(certificates.join("server-ca.pem"));
        let tls = TlsOptions { roots, ..TlsOptions::default() };
        let options = Options { resolver: Resolver::Fixed(addresses), tls, ..Options::default() };
        Plan {
            server: "https://localhost".to_owned(),
            fleet: Fleet::new(phones, mac(first * PHONES).parse().unwrap(), MODEL.parse().unwrap(), None).unwrap(),
            stack: Arc::new(Stack::new(options).unwrap()),
            certificates: Some(signed.clone()),
            strangers: None,
            pattern,
            acs: None,
            error_retry: "1+1".parse().unwrap(),
            faults: "drop=0".parse().unwrap(),
            slow_pause: Duration::ZERO,
            // It ends when every phone was served.
            duration: Duration::from_secs(600),
            most_at_once: 20,
            seed: 1,
        }
    });
    plans
        .map(|plan| cluster.runtime.spawn(async { run(plan, std::future::pending(), |_| {}).await.unwrap() }))
        .collect()
}

/// Waits until all have come; every one of them was served.
fn end(cluster: &Cluster, begun: Vec<JoinHandle<Report>>) -> Vec<Report> {
    let reports: Vec<Report> = begun.into_iter().map(|report| cluster.runtime.block_on(report).unwrap()).collect();
    for report in &reports {
        assert_eq!(report.phones_served, report.phones, "{report:#?}");
        // What is not served for now is 503, and nobody is told that there is no such phone.
        assert!(report.statuses.keys().all(|status| matches!(status, 200 | 503)), "{report:#?}");
    }
    reports
}

fn signed_by(authority: PhoneAuthority) -> CertificateSource {
    let key = PhoneKey::Ec.make().unwrap();
    Arc::new(move |phone: &Identity| {
        let form = SubjectForm::Cisco { model: phone.model.clone(), serial: phone.serial.clone() };
        let certificate = authority.sign(&PhoneCertificate { mac: phone.mac, form }, &key).unwrap();
        Ok(ClientCertificate { certificate, chain: Vec::new(), key: key.clone() })
    })
}
