//! `[connection_requests]` and `[stun]`: phones that are asked to open a session.

use std::net::IpAddr;

use super::table::{Table, Wrong};
use super::{admin, listener, reference, secret};
use crate::config::{ConnectionRequests, Notify, Stun, Transport};
use crate::document::Problem;
use crate::model::Secret;

/// The port of SIP (RFC 3261, section 19.1.2).
const SIP_PORT: u16 = 5060;

pub fn connection_requests(table: Table<'_>) -> Option<ConnectionRequests> {
    let (allow, deny) = (table.list("allow", admin::network), table.list("deny", admin::network));
    let times = (table.time("timeout"), table.time("pace"));
    let (lowest_port, at_once) = (table.integer("lowest_port"), table.integer("at_once"));
    let notify = notify(table.table("notify", &reference::CONNECTION_REQUESTS_NOTIFY));
    table.finish();
    Some(ConnectionRequests {
        allow: allow?,
        deny: deny?,
        lowest_port: lowest_port?,
        timeout: times.0?,
        pace: times.1?,
        at_once: at_once?,
        notify: notify?,
    })
}

fn notify(table: Table<'_>) -> Option<Notify> {
    let proxy = table.parsed("proxy", sip_proxy);
    let transport = table.choice("transport", &[("udp", Transport::Udp), ("tcp", Transport::Tcp)]);
    let from = table.parsed("from", sip_address);
    let user = table.parsed("user", user);
    let password = password(&table);
    if user.is_some() != table.has("password") {
        let (there, missing) = if user.is_some() { ("user", "password") } else { ("password", "user") };
        table
            .problem(missing, Wrong::new(format!("is missing, and {there} is written")).help("write both, or neither"));
    }
    table.finish();
    Some(Notify { proxy, transport: transport?, from, user, password })
}

/// Host and port; 5060 where there is none.
fn sip_proxy(text: &str) -> Result<(String, u16), Wrong> {
    let wrong =
        || Wrong::new(format!("\"{text}\" is no host and port")).help("write HOST, HOST:PORT or [ADDRESS]:PORT");
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<IpAddr>().map_err(|_| wrong())?.to_string(), port),
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if host.is_empty() || !is_name {
                return Err(wrong());
            }
            (host.to_owned(), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => SIP_PORT,
        digits => digits.and_then(|digits| digits.parse().ok()).filter(|port| *port > 0).ok_or_else(wrong)?,
    };
    Ok((host, port))
}

/// It stands in a header as it is.
fn sip_address(text: &str) -> Result<String, Wrong> {
    let rest = text.strip_prefix("sip:").and_then(|rest| rest.split_once('@'));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    match rest.filter(|(user, host)| is_plain && !user.is_empty() && !host.is_empty()) {
        Some(_) => Ok(text.to_owned()),
        None => Err(Wrong::new(format!("\"{text}\" is no SIP address")).help("write sip:USER@HOST")),
    }
}

fn user(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Wrong::new("may not be empty, nor hold control characters"));
    }
    Ok(text.to_owned())
}

/// None where it isn't written, or after a mistake, which is reported.
fn password(table: &Table<'_>) -> Option<Result<Secret, Problem>> {
    let text = match table.overridden("password") {
        Some((_, Some(text))) => text.to_owned().into(),
        Some((_, None)) => {
            table.problem("password", Wrong::new("is not UTF-8"));
            return None;
        }
        None => match secret::text(table, "password") {
            Ok(text) => text?,
            Err(problem) => return Some(Err(problem)),
        },
    };
    if text.is_empty() {
        table.problem("password", Wrong::new("may not be empty"));
        return None;
    }
    Some(Ok(Secret::new(text.as_bytes())))
}

pub fn stun(table: Table<'_>) -> Option<Stun> {
    let address = table.parsed("address", listener::address);
    let (passwords, bindings) = (table.boolean("passwords"), table.integer("bindings"));
    let per_network = table.integer("per_network");
    table.finish();
    Some(Stun { address, passwords: passwords?, bindings: bindings?, per_network: per_network? })
}
