//! `[connection_requests]` and `[stun]`: phones that are asked to open a session.

use super::table::Table;
use super::{admin, listener};
use crate::config::{ConnectionRequests, Stun};

pub fn connection_requests(table: Table<'_>) -> Option<ConnectionRequests> {
    let (allow, deny) = (table.list("allow", admin::network), table.list("deny", admin::network));
    let times = (table.time("timeout"), table.time("pace"));
    let (lowest_port, at_once) = (table.integer("lowest_port"), table.integer("at_once"));
    table.finish();
    Some(ConnectionRequests {
        allow: allow?,
        deny: deny?,
        lowest_port: lowest_port?,
        timeout: times.0?,
        pace: times.1?,
        at_once: at_once?,
    })
}

pub fn stun(table: Table<'_>) -> Option<Stun> {
    let address = table.parsed("address", listener::address);
    let (passwords, bindings) = (table.boolean("passwords"), table.integer("bindings"));
    let per_network = table.integer("per_network");
    table.finish();
    Some(Stun { address, passwords: passwords?, bindings: bindings?, per_network: per_network? })
}
