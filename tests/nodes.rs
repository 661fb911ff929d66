//! Several servers as one: processes of `resyncd serve` on one PostgreSQL, and what breaks between them.

mod cluster;
mod example;
mod faults;
mod swarm;

use std::time::Instant;

use resyncd::fleet::{Expect, What};
use serde_json::json;

use cluster::{Cluster, assert_soon, device, mac};

/// More often than anybody asks in a second.
const TRIES: usize = 20_000;

#[test]
fn what_is_changed_on_one_is_served_by_all_at_once() {
    let Some(cluster) = Cluster::start(3) else { return };
    let (delays, etags) = change_everything(&cluster, 0);
    eprintln!("seconds from the commit until all served it: {delays:.3?}");
    assert!(etags.iter().all(|etag| etag.is_some() && *etag == etags[0]), "{etags:?}");
}

#[test]
fn a_lost_notification_costs_nothing() {
    let Some(cluster) = Cluster::start(2) else { return };
    // Nobody hears of anything: the connections end that notifications come on, and no others are had.
    cluster.nodes.iter().for_each(|node| node.cable.deafen());
    let (delays, _) = change_everything(&cluster, 0);
    eprintln!("seconds from the commit until all served it, without a notification: {delays:.3?}");
    assert!(cluster.nodes.iter().all(|node| node.ready() == 200));

    // The connections are ended by who runs the database, the one for notifications among them.
    let Some(cluster) = Cluster::start(2) else { return };
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    let (delays, _) = change_everything(&cluster, 0);
    eprintln!("seconds from the commit until all served it, connections having been ended: {delays:.3?}");
}

/// A device comes, its group changes, it goes: how long each took until every node had it, and the ETags of the first.
fn change_everything(cluster: &Cluster, number: u32) -> (Vec<f64>, Vec<Option<String>>) {
    let path = format!("/cisco/{}.xml", mac(number));
    let mut delays = Vec::new();
    let mut wait = |what: &str, is_so: &dyn Fn(u16, &str) -> bool| {
        let committed = Instant::now();
        for node in &cluster.nodes {
            assert_soon(what, TRIES, || {
                let reply = node.ask(&path);
                is_so(reply.status, &String::from_utf8_lossy(&reply.body))
            });
        }
        delays.push(committed.elapsed().as_secs_f64());
    };
    wait("unknown", &|status, _| status == 404);
    let group = |proxy: &str| json!({"settings": {"lines": {"1": {"proxy": proxy}}}});
    let both = vec![
        cluster::edit_group("acme", What::Put(cluster::object(group("one.acme.example")))),
        device(number, json!({"group": "acme"})),
    ];
    cluster.change(both);
    wait("added", &|status, body| {
        // Never without its group.
        assert!(status == 404 || body.contains("one.acme.example"), "{status}: {body}");
        status == 200
    });
    let etags = cluster.nodes.iter().map(|node| node.ask(&path).header("etag").map(str::to_owned)).collect();
    cluster.change(vec![cluster::edit_group("acme", What::Put(cluster::object(group("two.acme.example"))))]);
    wait("its group changed", &|status, body| status == 200 && body.contains("two.acme.example"));
    cluster.change(vec![cluster::edit_device(number, What::Remove, Expect::Present)]);
    wait("removed", &|status, _| status == 404);
    delays.remove(0);
    (delays, etags)
}
