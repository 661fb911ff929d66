//! The admin listener: where it is, who may look, and how much it takes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::listener;
use super::table::{Table, Wrong};
use crate::config::Admin;

pub fn read(table: Table<'_>) -> Option<Admin> {
    let address =
        table.parsed("address", |text| if text == "off" { Ok(None) } else { listener::address(text).map(Some) });
    let metrics_networks = table.list("metrics_networks", network);
    let body_bytes = table.size("body_bytes").and_then(|bytes| usize::try_from(bytes).ok());
    let connections = table.integer("connections");
    table.finish();
    Some(Admin {
        address: address?,
        metrics_networks: metrics_networks?,
        body_bytes: body_bytes?,
        connections: connections?,
    })
}

/// A network, or an address as a network of its own.
pub fn network(text: &str) -> Result<IpNet, Wrong> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let wrong = || Wrong::new(format!("\"{text}\" is no network")).help("write 192.0.2.0/24 or 2001:db8::/32");
    network.map(|network| network.trunc()).map_err(|_| wrong())
}
