//! One thing broken at a time.

use std::time::{Duration, Instant};

use resyncd::store::Store;
use serde_json::json;

use super::cluster::{Cluster, Node, assert_soon, deployment, device, mac, refusal};
use crate::support::process::Process;
use crate::support::proxy::Proxy;

/// Until a server has noticed; each try is a request of its own.
const TRIES: usize = 200_000;

fn path(number: u32) -> String {
    format!("/cisco/{}.xml", mac(number))
}

/// A cluster of one, with phones that it knows of: the first it has served before.
fn one() -> Option<Cluster> {
    let cluster = Cluster::start(1)?;
    cluster.change((0..40).map(|number| device(number, json!({}))).collect());
    assert_soon("the devices are known", TRIES, || cluster.nodes[0].ask(&path(0)).status == 200);
    Some(cluster)
}

/// The flags of the events of a device, as the database has them.
fn flags(cluster: &Cluster, number: u32) -> Vec<String> {
    cluster.sql(&format!("SELECT flags FROM events WHERE target = '{}' ORDER BY time, id", path(number)))
}

fn assert_ready(node: &Node, status: u16) {
    assert_soon("/readyz tells how it is", TRIES, || node.ready() == status);
}

#[test]
fn a_network_that_swallows_everything() {
    let Some(mut cluster) = one() else { return };
    let node = &cluster.nodes[0];
    node.cable.silence();

    // Many ask at once for what is not known here. Each is told to come back, and none waits for longer than once.
    let began = Instant::now();
    let asking = (1..40).map(|number| {
        let address = node.address("http");
        let request = format!("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path(number));
        std::thread::spawn(move || crate::support::api::raw(address, &request))
    });
    for reply in asking.collect::<Vec<_>>() {
        let reply = reply.join().unwrap();
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("30")), "{}", reply.head);
    }
    eprintln!("39 resyncs at once were told to come back after {:.3?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(node.ask(&path(1)).status, 503);
    // One that is in no index may have been added meanwhile.
    assert_eq!(node.ask(&path(999)).status, 503);
    eprintln!("two more after {:.3?}", began.elapsed());
    assert_eq!(node.ask(&path(0)).status, 200);
    assert_ready(node, 503);

    // What hung arrives, and everything is as before.
    node.cable.open();
    assert_ready(node, 200);
    assert_eq!(node.ask(&path(1)).status, 200);
    assert_soon("the events are in the database", TRIES, || {
        flags(&cluster, 0).len() >= 2 && flags(&cluster, 1).len() == 3
    });
    assert!(flags(&cluster, 0).last().unwrap().contains("database-away"));
    let refused = cluster.sql("SELECT refusal FROM events WHERE refusal = 'database-away'");
    assert!(refused.len() >= 40, "{refused:?}");

    // Connections of before stay silent for ever, and new ones are answered.
    let node = &cluster.nodes[0];
    node.cable.silence();
    assert_eq!(node.ask(&path(1)).status, 200);
    assert_ready(node, 503);
    node.cable.strand();
    assert_ready(node, 200);
    cluster.change(vec![device(100, json!({}))]);
    assert_soon("a device that came since is served", TRIES, || cluster.nodes[0].ask(&path(100)).status == 200);

    // A server that is stopped meanwhile keeps its events for the next start.
    let node = cluster.nodes.remove(0);
    node.cable.silence();
    assert_ready(&node, 503);
    assert_eq!(node.ask(&path(100)).status, 200);
    let before = flags(&cluster, 100).len();
    let (status, log, deployment) = node.process.stop();
    assert!(status.success() && log.contains("they wait in the spool for the next start"), "{log}");
    node.cable.open();
    let process = Process::start(deployment);
    cluster.nodes.push(Node { process, cable: node.cable });
    assert_soon("its events are in the database", TRIES, || flags(&cluster, 100).len() > before);
}

#[test]
fn who_has_waited_once_waits_for_no_other_connection_of_before() {
    let Some(cluster) = Cluster::start(0) else { return };
    let cable = Proxy::to(cluster.postgres.port);
    let own = deployment(1, cable.port);
    let store = cluster.runtime.block_on(Store::open(&own.config().database)).unwrap();
    // Six questions at once, each on a connection of its own.
    let before = cable.accepted();
    cable.silence();
    let asking = (0..6).map(|_| {
        let store = store.clone();
        cluster.runtime.spawn(async move { store.fleet_revision().await })
    });
    let asking: Vec<_> = asking.collect();
    assert_soon("each has a connection", usize::MAX, || cable.accepted() == before + 6);
    cable.open();
    for asked in asking {
        cluster.runtime.block_on(asked).unwrap().unwrap();
    }

    // They die without a word. One question finds it out, and no other asks any of them.
    cable.silence();
    cable.strand();
    let ask = || cluster.runtime.block_on(store.in_time(Duration::from_secs(1), store.fleet_revision()));
    let said = ask().unwrap_err().to_string();
    assert!(said.contains("has left a question unanswered for 1 seconds"), "{said}");
    for _ in 0..6 {
        ask().unwrap();
    }
}

#[test]
fn a_database_that_is_restarted() {
    let Some(mut cluster) = one() else { return };
    // Its connections are ended, and it answers: nobody notices.
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'resyncd'");
    assert_eq!(cluster.nodes[0].ask(&path(1)).status, 200);
    assert_soon("the event is in the database", TRIES, || flags(&cluster, 1).len() == 1);
    assert_eq!(flags(&cluster, 1), [""]);

    cluster.postgres.stop();
    assert_ready(&cluster.nodes[0], 503);
    assert_eq!(cluster.nodes[0].ask(&path(0)).status, 200);
    assert_eq!(cluster.nodes[0].ask(&path(2)).status, 503);
    cluster.postgres.start();
    assert_ready(&cluster.nodes[0], 200);
    assert_eq!(cluster.nodes[0].ask(&path(2)).status, 200);
    assert_soon("the events are in the database", TRIES, || flags(&cluster, 2).len() == 2);
    cluster.change(vec![device(100, json!({}))]);
    assert_soon("a device that came since is served", TRIES, || cluster.nodes[0].ask(&path(100)).status == 200);
}

#[test]
fn a_server_that_starts_without_its_database() {
    let Some(mut cluster) = Cluster::start(0) else { return };
    let deployment = deployment(1, cluster.postgres.port);
    cluster.postgres.stop();
    let output = refusal(&deployment);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("does not answer: Connection refused"), "{said}");
    cluster.postgres.start();
    assert!(Process::start(deployment).is_running());
}

#[test]
fn an_older_server_beside_a_newer_schema() {
    let Some(mut cluster) = one() else { return };
    cluster.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'of a newer resyncd', TRUE, '\\x00', 0)",
    );
    // What runs goes on, with new connections too.
    cluster.postgres.stop();
    assert_ready(&cluster.nodes[0], 503);
    cluster.postgres.start();
    assert_ready(&cluster.nodes[0], 200);
    assert_eq!(cluster.nodes[0].ask(&path(3)).status, 200);
    // What starts is told.
    let output = refusal(&deployment(2, cluster.postgres.port));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("was written by a newer resyncd"), "{said}");
    let dry = cluster.nodes[0].process.deployment.run(&["migrate", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(2), "{}", String::from_utf8_lossy(&dry.stderr));
}
