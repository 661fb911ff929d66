//! Those who ask in vain are braked and those with a proof are not; scans are told; what is too much is turned away; a
//! template that does not end costs nobody else anything.

#[path = "brakes/attack.rs"]
mod attack;
#[path = "brakes/ban.rs"]
mod ban;
#[path = "brakes/isolation.rs"]
mod isolation;
#[path = "brakes/limits.rs"]
mod limits;

use crate::support::deployment::{Deployment, Reply, Running, copy};
use crate::support::root;

/// Opened to 127.0.0.1, and asked for by others.
const OPEN: &str = "/t/000000000001.xml";
/// There, and opened to nobody here.
const SHUT: &str = "/t/000000000002.xml";
/// Not there.
const UNKNOWN: &str = "/t/000000000003.xml";

/// A small pack of its own, so that a test can change its templates, and two phones.
fn deployment(brakes: &str) -> Deployment {
    let deployment = Deployment::empty();
    copy(&root().join("tests/golden/tiny/templates"), &deployment.path("templates"));
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace(root().join("templates").to_str().unwrap(), "templates");
    deployment.write("resyncd.toml", format!("{config}\n{brakes}\n"));
    deployment.write("profiles/defaults.toml", "[provisioning]\nurl = \"https://prov.example\"\n");
    let device = |network: &str| format!("model = \"T-1\"\n[access]\nnetworks = [\"{network}\"]\n");
    deployment.write("profiles/devices/000000000001.toml", device("127.0.0.1"));
    deployment.write("profiles/devices/000000000002.toml", device("192.0.2.1"));
    deployment
}

/// Delays that don't keep a test waiting.
const SHORT: &str = "[brakes]\nfailures = 2\nrefuse_after = 4\nlongest_delay = \"250ms\"\nscan_phones = 5\n";

/// Asks from one of this machine's many addresses.
fn ask(server: &Running, from: &str, path: &str) -> Option<Reply> {
    server.plain_curl(path, &["--interface", from])
}

fn metric(server: &Running, name: &str) -> u64 {
    let text = server.server().recorder().metrics().encode();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn a_proof_that_holds_is_served_whatever_its_network_did() {
    let server = deployment(SHORT).start();
    for status in [404, 404, 404, 404, 503, 503] {
        let Some(reply) = ask(&server, "127.0.0.1", UNKNOWN) else { return };
        assert_eq!(reply.status, status, "{}", reply.head);
        assert_eq!(reply.header("retry-after").is_some(), status == 503, "{}", reply.head);
        // The office's other phone.
        assert_eq!(ask(&server, "127.0.0.1", OPEN).unwrap().status, 200);
    }
    // And who asks from elsewhere is not braked.
    assert_eq!(ask(&server, "127.0.0.2", "/t/000000000004.xml").unwrap().status, 404);
    assert_eq!(
        (metric(&server, "resyncd_brake_delayed_total"), metric(&server, "resyncd_brake_refused_total")),
        (2, 2)
    );
    let braked: Vec<_> = server.events().iter().map(|event| event["flags"].to_string().contains("braked")).collect();
    // The last is one of too many to have an event each.
    assert_eq!(braked.iter().filter(|braked| **braked).count(), 3);
}

#[test]
fn the_brakes_tell_nothing_of_which_phones_there_are() {
    let told = |path: &str| {
        let server = deployment(SHORT).start();
        (0..6).map(|_| ask(&server, "127.0.0.9", path)).collect::<Option<Vec<_>>>()
    };
    let Some(known) = told(SHUT) else { return };
    let statuses: Vec<_> = known.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [404, 404, 404, 404, 503, 503]);
    // Retry-After tells the seconds that are left, and those pass.
    let without = |replies: Vec<Reply>| -> Vec<Reply> {
        let is_time = |line: &&str| !line.to_lowercase().starts_with("retry-after:");
        let head = |reply: &Reply| reply.head.lines().filter(is_time).collect::<Vec<_>>().join("\n");
        replies.into_iter().map(|reply| Reply { head: head(&reply), ..reply }).collect()
    };
    assert_eq!(without(known), without(told(UNKNOWN).unwrap()));
}

#[test]
fn uploads_are_braked_like_downloads() {
    let server = deployment(SHORT).start();
    let send = |path: &str| server.plain_curl(path, &["--interface", "127.0.0.9", "--data-binary", "x"]);
    for status in [404, 404, 404, 404, 503] {
        let Some(reply) = send(SHUT) else { return };
        assert_eq!(reply.status, status, "{}", reply.head);
    }
    assert_eq!(send(UNKNOWN).unwrap().status, 503);
}

#[test]
fn a_scan_is_one_event_with_count_and_range() {
    let server = deployment(&SHORT.replace("refuse_after = 4", "refuse_after = 1000").replace("= 2", "= 1000")).start();
    for number in 16..28 {
        let Some(reply) = ask(&server, "127.0.0.9", &format!("/t/0000000000{number:02x}.xml")) else { return };
        assert_eq!(reply.status, 404);
    }
    assert_eq!(ask(&server, "127.0.0.9", SHUT).unwrap().status, 404);
    let events = server.events();
    let scans: Vec<_> = events.iter().filter(|event| event["kind"] == "scan").collect();
    let [scan] = scans.as_slice() else { panic!("{events:?}") };
    assert_eq!((&scan["refusal"], &scan["status"]), (&"scan".into(), &0.into()));
    let reason = scan["reason"].as_str().unwrap();
    assert!(reason.starts_with("5 phones of 000000 were asked for in vain from 127.0.0.9, "), "{reason}");
    assert!(reason.contains("000000000010 to 000000000014, by 5 requests"), "{reason}");
    assert!(scan["peer"].as_str().unwrap().starts_with("127.0.0.9:"), "{scan}");
    // Those before it, and the phone that there is.
    let refused: Vec<_> = events.iter().filter(|event| event["kind"] == "resync").collect();
    assert_eq!(refused.len(), 6, "{refused:?}");
    assert_eq!(refused.last().unwrap()["device"], "000000000002");
    // All are counted.
    assert_eq!((metric(&server, "resyncd_scans_total"), metric(&server, "resyncd_scan_requests_total")), (1, 8));
    let text = server.server().recorder().metrics().encode();
    let refusals =
        text.lines().filter(|line| line.starts_with("resyncd_events_total") && line.contains("unknown-device"));
    let counted: u64 = refusals.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(counted, 12);
}

/// A refusal that waits ends with the server.
#[test]
fn nobody_waits_beyond_the_end_of_the_server() {
    let server =
        deployment("[brakes]\nfailures = 1\nlongest_delay = \"1m\"\n[limits]\ndrain_timeout = \"1h\"\n").start();
    let brakes = server.server().brakes().clone();
    let Some(mut curl) = crate::support::program("curl") else { return };
    let now = std::time::Instant::now();
    (0..20).for_each(|_| drop(brakes.failed("127.0.0.1".parse().unwrap(), None, now)));
    let url = format!("http://127.0.0.1:{}{UNKNOWN}", server.port("http"));
    let mut waiting = curl.args(["--silent", "--noproxy", "*", "--output", "/dev/null", &url]).spawn().unwrap();
    while brakes.waiting() == 0 {
        std::thread::yield_now();
    }
    server.stop();
    assert!(waiting.wait().unwrap().success());
}
