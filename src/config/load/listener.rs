//! Listeners: names and addresses that don't clash, and TLS that holds together.

use std::net::SocketAddr;

use super::table::{Table, Wrong};
use super::{proxy, tls};
use crate::config::{Listener, reference};

/// Longest name of a listener or webhook, in characters: it stands in every event and metric.
const NAME_LENGTH: usize = 32;

/// All listeners. `admin` is the address that is taken already.
pub fn listeners(top: &Table<'_>, admin: Option<SocketAddr>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for table in top.tables("listener", &reference::LISTENER) {
        let name = table.parsed("name", |text| unused_name(text, &listeners));
        let table = match &name {
            Some(name) => table.overridden_as(&format!("listener.{name}")),
            None => table,
        };
        let address = table.parsed("address", |text| unused_address(text, admin, &listeners));
        let title_case_headers = table.boolean("title_case_headers").unwrap_or_default();
        let cwmp = table.parsed("cwmp", cwmp_path);
        let tls = table.table("tls", &reference::LISTENER_TLS);
        let (passwords, basic) = (table.boolean("passwords"), table.boolean("basic_without_tls"));
        check_basic(&table, passwords, basic, tls.is_written());
        let tls = if tls.is_written() { tls::read(tls).map(Some) } else { Some(None) };
        let proxy = table.table("proxy", &reference::LISTENER_PROXY);
        let proxy = if proxy.is_written() { proxy::read(proxy, tls.as_ref()).map(Some) } else { Some(None) };
        table.finish();
        let asks = passwords.zip(basic);
        if let (Some(name), Some(address), Some(tls), Some(proxy), Some((passwords, basic_without_tls))) =
            (name, address, tls, proxy, asks)
        {
            listeners.push(Listener {
                name,
                address,
                tls,
                passwords,
                basic_without_tls,
                title_case_headers,
                cwmp,
                proxy,
            });
        }
    }
    if top.written("listener").is_none() || top.written_is_empty_list("listener") {
        let wrong = Wrong::new("there is no listener, so no phone could ask for anything");
        top.problem("listener", wrong.help("write [[listener]] with a name and an address"));
    }
    listeners
}

/// Whether a text can name a listener or a webhook.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What is said of a text that can't.
pub fn no_name(text: &str) -> Wrong {
    Wrong::new(format!("must be 1 to {NAME_LENGTH} letters, digits, \"-\" and \"_\", not \"{text}\""))
}

/// A path that requests can name, and nothing but a path.
fn cwmp_path(text: &str) -> Result<String, Wrong> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
    if is_path && text.len() <= 128 {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("\"{text}\" is no path for sessions")).help("write one such as /cwmp"))
}

fn unused_name(text: &str, others: &[Listener]) -> Result<String, Wrong> {
    if !is_name(text) {
        return Err(no_name(text));
    }
    // Names that differ only in what a variable can't express would share their variables.
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    match others.iter().find(|other| plain(&other.name) == plain(text)) {
        Some(other) if other.name == text => Err(Wrong::new(format!("another listener is called \"{text}\""))),
        Some(other) => Err(Wrong::new(format!("\"{text}\" and \"{}\" are too much alike", other.name))
            .help("names have to differ in more than case, \"-\" and \"_\"")),
        None => Ok(text.to_owned()),
    }
}

/// An address, in words that say what one looks like where it isn't one.
pub fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(format!("\"{text}\" is no address")).help("write IP:PORT, such as 0.0.0.0:8443 or [::]:8443")
    })
}

fn unused_address(text: &str, admin: Option<SocketAddr>, others: &[Listener]) -> Result<SocketAddr, Wrong> {
    let address = address(text)?;
    if admin.is_some_and(|admin| clash(admin, address)) {
        return Err(Wrong::new(format!("{address} is taken by the admin listener")));
    }
    match others.iter().find(|other| clash(other.address, address)) {
        Some(other) => Err(Wrong::new(format!("{address} is taken by the listener \"{}\"", other.name))),
        None => Ok(address),
    }
}

/// Whether the operating system would refuse the second. Port 0 asks for any free one.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = a.ip() == b.ip() || same_family && (a.ip().is_unspecified() || b.ip().is_unspecified());
    a.port() != 0 && a.port() == b.port() && overlap
}

/// What allows passwords in clear has to mean something, so that nobody finds it later where it does.
fn check_basic(table: &Table<'_>, passwords: Option<bool>, basic: Option<bool>, has_tls: bool) {
    if basic != Some(true) {
        return;
    }
    if passwords == Some(false) {
        let wrong = Wrong::new("has no effect without passwords = true");
        table.problem("basic_without_tls", wrong.help("write passwords = true, or remove it"));
    } else if has_tls {
        let wrong = Wrong::new("has no effect on a listener with TLS, which takes Basic anyway");
        table.problem("basic_without_tls", wrong.help("remove it"));
    }
}
