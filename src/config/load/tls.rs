//! `[listener.tls]`: certificates, roots, versions and ciphers that hold together.

use super::listener::{is_name, no_name};
use super::table::{Table, Wrong};
use crate::config::{
    ClientCertificatePolicy, ClientRoot, KeyPair, LegacyCipher, NamedKeyPair, Tls, TlsVersion, reference,
};

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

pub fn read(table: Table<'_>) -> Option<Tls> {
    let certificate = default_pair(&table);
    let names = names(&table);
    let client_certificate = table.choice("client_certificate", POLICIES);
    let client_ca = table.paths("client_ca");
    let client_roots = roots(&table);
    let crl = table.paths("crl");
    let allow_expired_crl = table.choice("crl_expired", &[("allow", true), ("refuse", false)]);
    let allow_expired = table.boolean("allow_expired");
    let allow_any_purpose = table.boolean("allow_any_purpose");
    let min_version = table.choice("min_version", VERSIONS);
    let max_version = table.choice("max_version", VERSIONS);
    let ciphers = table.parsed("ciphers", |text| {
        if text.trim().is_empty() { Err(Wrong::new("may not be empty")) } else { Ok(text.to_owned()) }
    });
    let legacy_ciphers = table.list("legacy_ciphers", legacy_cipher);
    let legacy = table.boolean("legacy");
    if let Some(policy) = client_certificate {
        check_roots(&table, policy, !client_roots.is_empty());
    }
    if legacy == Some(false) && legacy_ciphers.as_ref().is_some_and(|ciphers| !ciphers.is_empty()) {
        let wrong = Wrong::new("3DES and RC4 are broken, and only taken with legacy = true");
        table.problem("legacy_ciphers", wrong.help("give old phones a listener of their own"));
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
        client_roots,
        crl,
        allow_expired_crl: allow_expired_crl?,
        allow_expired: allow_expired?,
        allow_any_purpose: allow_any_purpose?,
        min_version: min_version?,
        max_version: max_version?,
        ciphers,
        legacy_ciphers: legacy_ciphers?,
        legacy: legacy?,
    })
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

/// The roots that have a name.
fn roots(tls: &Table<'_>) -> Vec<ClientRoot> {
    let mut roots: Vec<ClientRoot> = Vec::new();
    for table in tls.tables("client_root", &reference::LISTENER_TLS_CLIENT_ROOT) {
        let name = table.parsed("name", |text| match text {
            _ if !is_name(text) => Err(no_name(text)),
            _ if roots.iter().any(|other| other.name == text) => {
                Err(Wrong::new(format!("another client_root is called \"{text}\""))
                    .help("a name may have several files"))
            }
            _ => Ok(text.to_owned()),
        });
        let files = table.paths("file");
        if !table.has("file") {
            table.problem("file", Wrong::new("is missing"));
        } else if table.written_is_empty_list("file") {
            table.problem("file", Wrong::new("may not be empty"));
        }
        table.finish();
        if let Some(name) = name {
            roots.push(ClientRoot { name, files });
        }
    }
    roots
}

fn legacy_cipher(text: &str) -> Result<LegacyCipher, Wrong> {
    match text {
        "3des" => Ok(LegacyCipher::TripleDes),
        "rc4" => Ok(LegacyCipher::Rc4),
        _ => Err(Wrong::new(format!("must be 3des or rc4, not \"{text}\""))),
    }
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
fn check_roots(table: &Table<'_>, policy: ClientCertificatePolicy, has_named: bool) {
    let asked_for = policy != ClientCertificatePolicy::None;
    if asked_for && !table.has("client_ca") && !has_named {
        let wrong = Wrong::new("asks for certificates, and client_ca is missing");
        table.problem("client_certificate", wrong.help("name the PEM file of the roots that sign your phones"));
    }
    if asked_for && !has_named && table.written_is_empty_list("client_ca") {
        table.problem("client_ca", Wrong::new("may not be empty where client certificates are asked for"));
    }
    let help = "write client_certificate = \"optional\", \"required\" or \"none\"";
    for key in ["client_ca", "client_root", "crl"] {
        if table.has(key) && !table.has("client_certificate") {
            table.problem(key, Wrong::new("has no effect without client_certificate").help(help));
        }
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
