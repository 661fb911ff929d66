//! Webhooks: where they go, and the secret that signs them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;

use super::listener::{is_name, no_name};
use super::table::{Table, Wrong};
use super::{reference, secret};
use crate::config::{Webhook, WebhookEvents};
use crate::document::{Problem, nearest};
use crate::model::Secret;

/// What Standard Webhooks asks of a symmetric key, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

pub fn webhooks(top: &Table<'_>) -> Vec<Webhook> {
    let mut webhooks: Vec<Webhook> = Vec::new();
    for table in top.tables("webhook", &reference::WEBHOOK) {
        let name = table.parsed("name", |text| unused_name(text, &webhooks));
        let url = table.parsed("url", url);
        let secret = key(&table);
        let events = table.list("events", event);
        if table.written_is_empty_list("events") {
            table.problem("events", Wrong::new("names nothing that it would be told of"));
        }
        let group = table.parsed("group", |text| {
            if text.is_empty() { Err(Wrong::new("may not be empty")) } else { Ok(text.to_owned()) }
        });
        let ca = table.path("ca");
        let (timeout, max_age) = (table.time("timeout"), table.time("max_age"));
        let (max_tries, queue) = (table.integer("max_tries"), table.integer("queue"));
        table.finish();
        let made = (|| {
            Some(Webhook {
                name: name?,
                url: url?,
                secret: secret?,
                events: events?,
                group,
                ca,
                timeout: timeout?,
                max_tries: max_tries?,
                max_age: max_age?,
                queue: queue?,
            })
        })();
        webhooks.extend(made);
    }
    webhooks
}

fn unused_name(text: &str, others: &[Webhook]) -> Result<String, Wrong> {
    if !is_name(text) {
        return Err(no_name(text));
    }
    if others.iter().any(|other| other.name == text) {
        return Err(Wrong::new(format!("another webhook is called \"{text}\"")));
    }
    Ok(text.to_owned())
}

/// The URL is not shown where it may hold a password.
fn url(text: &str) -> Result<Uri, Wrong> {
    let help = "write https://HOST/PATH, or http://127.0.0.1:PORT/PATH for a program on this machine";
    let uri: Uri = text.parse().map_err(|_| Wrong::new("is no URL").help(help))?;
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(Wrong::new("names no host").help(help));
    };
    if authority.as_str().contains('@') {
        return Err(Wrong::new("may hold no user and no password").help("the receiver knows us by the signature"));
    }
    let port = authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest).split_once(':');
    if port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(Wrong::new("has a port that is none").help(help));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_own => Ok(uri),
        Some("http") => Err(Wrong::new("must be https: what is sent names your customers' phones").help(help)),
        _ => Err(Wrong::new("is no URL that can be posted to").help(help)),
    }
}

fn event(text: &str) -> Result<WebhookEvents, Wrong> {
    let words = WebhookEvents::WORDS.map(|(word, _)| word);
    match WebhookEvents::WORDS.iter().find(|(word, _)| *word == text) {
        Some((_, events)) => Ok(*events),
        None => Err(Wrong::new(format!("\"{text}\" is nothing that a webhook is told of")).help(
            match nearest(text, words) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write any of {}", words.join(", ")),
            },
        )),
    }
}

/// None after a mistake, which is reported.
fn key(table: &Table<'_>) -> Option<Result<Secret, Problem>> {
    let text = match secret::text(table, "secret") {
        Err(problem) => return Some(Err(problem)),
        Ok(Some(text)) => text,
        Ok(None) => {
            if !table.has("secret") {
                table.problem("secret", Wrong::new("is missing"));
            }
            return None;
        }
    };
    let bytes = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    match bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())) {
        Some(bytes) => Some(Ok(Secret::new(bytes))),
        None => {
            let wrong = Wrong::new("must be whsec_ and 24 to 64 bytes in base64");
            table.problem("secret", wrong.help("make one with: echo whsec_$(openssl rand -base64 32)"));
            None
        }
    }
}
