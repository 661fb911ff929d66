//! `[listener.proxy]`: who may speak for phones, and how.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST};

use super::admin::network;
use super::table::{Table, Wrong};
use crate::config::{ClientCertificatePolicy, Proxy, ProxyProtocol, Tls};

const PROTOCOLS: &[(&str, ProxyProtocol)] = &[
    ("proxy-protocol", ProxyProtocol::Proxy),
    ("forwarded", ProxyProtocol::Forwarded),
    ("x-forwarded-for", ProxyProtocol::XForwardedFor),
];

/// `tls` is the listener's own: none where it speaks plain HTTP, or where what is written of it is wrong.
pub fn read(table: Table<'_>, tls: Option<&Option<Tls>>) -> Option<Proxy> {
    let networks = table.list("networks", |text| match network(text)? {
        network if network.prefix_len() == 0 => Err(Wrong::new(format!("\"{text}\" is the whole internet"))
            .help("name the addresses of your proxies: whoever is in it can have any address")),
        network => Ok(network),
    });
    if table.written_is_empty_list("networks") {
        table.problem("networks", Wrong::new("may not be empty").help("name the addresses of your proxies"));
    }
    let protocol = table.choice("protocol", PROTOCOLS);
    let certificate_header = table.parsed("certificate_header", header_name);
    let trusted = table.boolean("trust_forwarded_certificates").unwrap_or_default();
    let has_header = table.has("certificate_header");
    if has_header && !trusted {
        let wrong = Wrong::new("has no effect without trust_forwarded_certificates = true");
        table.problem(
            "certificate_header",
            wrong.help("write that too if whoever speaks from proxy.networks may be any phone; else remove this"),
        );
    }
    if trusted {
        check_trust(&table, has_header, protocol, tls);
    }
    table.finish();
    Some(Proxy { networks: networks?, protocol: protocol?, certificate_header })
}

/// Forwarded certificates are believed only where the proxy writes the headers itself, and verified by the listener's roots.
fn check_trust(table: &Table<'_>, has_header: bool, protocol: Option<ProxyProtocol>, tls: Option<&Option<Tls>>) {
    let key = "trust_forwarded_certificates";
    if !has_header {
        table.problem(key, Wrong::new("is set, and certificate_header is missing"));
    }
    if protocol == Some(ProxyProtocol::Proxy) {
        let wrong = Wrong::new("can't be set with the PROXY protocol: that passes on what phones send, headers too");
        table.problem(key, wrong.help("a proxy that does TLS for the phones speaks forwarded or x-forwarded-for"));
    }
    let asks = |tls: &Tls| tls.client_certificate != ClientCertificatePolicy::None;
    if tls.is_some_and(|tls| !tls.as_ref().is_some_and(asks)) {
        let wrong = Wrong::new("needs [listener.tls] with client_certificate and the roots of the phones");
        table.problem(key, wrong.help("the proxy comes to the listener by https, and its roots are those verified by"));
    }
}

fn header_name(text: &str) -> Result<String, Wrong> {
    let name = HeaderName::from_bytes(text.as_bytes());
    let name = name.map_err(|_| Wrong::new(format!("\"{text}\" is no name of a header")))?;
    if [AUTHORIZATION, COOKIE, FORWARDED, HOST].contains(&name) || name == "x-forwarded-for" {
        return Err(Wrong::new(format!("{name} means something else")).help("such as X-Client-Certificate"));
    }
    Ok(name.as_str().to_owned())
}
