//! Listeners: names and addresses that don't clash, and TLS that holds together.

use std::net::SocketAddr;

use super::table::{Table, Wrong};
use crate::config::{ClientCertificatePolicy, KeyPair, Listener, NamedKeyPair, Tls, TlsVersion, reference};

/// Longest name of a listener or webhook, in characters: it stands in every event and metric.
const NAME_LENGTH: usize = 32;

const VERSIONS: &[(&str, TlsVersion)] = &[
    ("1.0", TlsVersion::Tls1_0),
    ("1.1", TlsVersion::Tls1_1),
    ("1.2", TlsVersion::Tls1_2),
    ("1.3", TlsVersion::Tls1_3),
];

const POLICIES: &[(&str, ClientCertificatePolicy)] = &[
    ("none", ClientCertificatePolicy::None),
    ("optional", ClientCertificatePolicy::Optional),
    ("required", ClientCertificatePolicy::Required),
];

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
        let tls = table.table("tls", &reference::LISTENER_TLS);
        let (passwords, basic) = (table.boolean("passwords"), table.boolean("basic_without_tls"));
        check_basic(&table, passwords, basic, tls.is_written());
        let tls = if tls.is_written() { read_tls(tls).map(Some) } else { Some(None) };
        table.finish();
        let asks = passwords.zip(basic);
        if let (Some(name), Some(address), Some(tls), Some((passwords, basic_without_tls))) = (name, address, tls, asks)
        {
            listeners.push(Listener { name, address, tls, passwords, basic_without_tls });
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

fn read_tls(table: Table<'_>) -> Option<Tls> {
    let certificate = default_pair(&table);
    let names = names(&table);
    let client_certificate = table.choice("client_certificate", POLICIES);
    let client_ca = table.paths("client_ca");
    let allow_expired = table.boolean("allow_expired");
    let allow_any_purpose = table.boolean("allow_any_purpose");
    let min_version = table.choice("min_version", VERSIONS);
    let max_version = table.choice("max_version", VERSIONS);
    let ciphers = table.parsed("ciphers", |text| {
        if text.trim().is_empty() { Err(Wrong::new("may not be empty")) } else { Ok(text.to_owned()) }
    });
    let legacy = table.boolean("legacy");
    if let Some(policy) = client_certificate {
        check_roots(&table, policy);
    }
    if let (Some(min), Some(max), Some(legacy)) = (min_version, max_version, legacy) {
        check_versions(&table, min, max, legacy);
    }
    table.finish();
    Some(Tls {
        certificate: certificate?,
        names,
        client_certificate: client_certificate?,
        client_ca,
        allow_expired: allow_expired?,
        allow_any_purpose: allow_any_purpose?,
        min_version: min_version?,
        max_version: max_version?,
        ciphers,
        legacy: legacy?,
    })
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

/// A certificate without its key, or the other way round, would be paired with the development one.
fn default_pair(table: &Table<'_>) -> Option<KeyPair> {
    for (written, missing) in [("certificate", "key"), ("key", "certificate")] {
        if table.has(written) && !table.has(missing) {
            table.problem(written, Wrong::new(format!("is written without {missing}: the two belong together")));
        }
    }
    let (certificate, key) = (table.path("certificate"), table.path("key"));
    Some(KeyPair { certificate: certificate?, key: key? })
}

fn names(tls: &Table<'_>) -> Vec<NamedKeyPair> {
    let mut names: Vec<NamedKeyPair> = Vec::new();
    for table in tls.tables("name", &reference::LISTENER_TLS_NAME) {
        let server_name = table.parsed("server_name", |text| unused_server_name(text, &names));
        let (certificate, key) = (table.path("certificate"), table.path("key"));
        table.finish();
        if let (Some(server_name), Some(certificate), Some(key)) = (server_name, certificate, key) {
            names.push(NamedKeyPair { server_name, pair: KeyPair { certificate, key } });
        }
    }
    names
}

/// A host name in lower case, as it is compared with what phones send.
fn unused_server_name(text: &str, others: &[NamedKeyPair]) -> Result<String, Wrong> {
    let name = text.to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !labels.split('.').all(is_label) {
        return Err(Wrong::new(format!("\"{text}\" is no host name")).help("write prov.example.com or *.example.com"));
    }
    if others.iter().any(|other| other.server_name == name) {
        return Err(Wrong::new(format!("\"{name}\" has a certificate already")));
    }
    Ok(name)
}

/// Client certificates that are asked for have to be checked against something, and roots that are given are meant to be
/// used.
fn check_roots(table: &Table<'_>, policy: ClientCertificatePolicy) {
    let asked_for = policy != ClientCertificatePolicy::None;
    if asked_for && !table.has("client_ca") {
        let wrong = Wrong::new("asks for certificates, and client_ca is missing");
        table.problem("client_certificate", wrong.help("name the PEM file of the roots that sign your phones"));
    }
    if asked_for && table.written_is_empty_list("client_ca") {
        table.problem("client_ca", Wrong::new("may not be empty where client certificates are asked for"));
    }
    if table.has("client_ca") && !table.has("client_certificate") {
        let wrong = Wrong::new("has no effect without client_certificate");
        table.problem("client_ca", wrong.help("write client_certificate = \"optional\", \"required\" or \"none\""));
    }
}

fn check_versions(table: &Table<'_>, min: TlsVersion, max: TlsVersion, legacy: bool) {
    if min > max {
        let key = if table.has("max_version") { "max_version" } else { "min_version" };
        table.problem(key, Wrong::new(format!("min_version {} is above max_version {}", word(min), word(max))));
    }
    if min < TlsVersion::Tls1_2 && !legacy {
        let wrong = Wrong::new(format!("TLS {} is broken, and only taken with legacy = true", word(min)));
        table.problem("min_version", wrong.help("give old phones a listener of their own"));
    }
}

fn word(version: TlsVersion) -> &'static str {
    VERSIONS.iter().find(|(_, other)| *other == version).map_or("?", |(word, _)| *word)
}
