//! Whether a server's certificate names the host that was asked for, as phones see it.

use std::net::IpAddr;

use openssl::nid::Nid;
use openssl::x509::X509Ref;

/// The first name of the certificate, for a message, when none of its names is the host's.
///
/// Cisco's guides want the host's full name in the CN, where a `/` and anything after it may follow; newer phones, like
/// everyone else, go by the subject's alternative names. Either will do here: which it was depends on the firmware.
pub fn check(certificate: &X509Ref, host: &str) -> Result<(), String> {
    let address: Option<IpAddr> = host.parse().ok();
    let mut first = None;
    for name in certificate.subject_alt_names().into_iter().flatten() {
        if let (Some(octets), Some(address)) = (name.ipaddress(), address) {
            let is_same = match address {
                IpAddr::V4(address) => address.octets() == octets,
                IpAddr::V6(address) => address.octets() == octets,
            };
            if is_same {
                return Ok(());
            }
        }
        if let Some(name) = name.dnsname() {
            if address.is_none() && covers(name, host) {
                return Ok(());
            }
            first.get_or_insert_with(|| name.to_owned());
        }
    }
    for entry in certificate.subject_name().entries_by_nid(Nid::COMMONNAME) {
        let Ok(text) = entry.data().to_string() else {
            continue;
        };
        let name = text.split('/').next().unwrap_or_default();
        let is_same = if address.is_some() { name == host } else { covers(name, host) };
        if is_same {
            return Ok(());
        }
        first.get_or_insert_with(|| text.clone());
    }
    Err(first.unwrap_or_else(|| "nobody".to_owned()))
}

/// `*` stands for one whole label, the leftmost.
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.trim_end_matches('.'), host.trim_end_matches('.'));
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
        }),
        None => !name.is_empty() && name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509, X509Name};

    use super::*;

    fn certificate(common_name: &str, names: &[&str], addresses: &[&str]) -> X509 {
        let mut builder = X509::builder().unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", common_name).unwrap();
        builder.set_subject_name(&subject.build()).unwrap();
        if !names.is_empty() || !addresses.is_empty() {
            let mut extension = SubjectAlternativeName::new();
            for name in names {
                extension.dns(name);
            }
            for address in addresses {
                extension.ip(address);
            }
            let extension = extension.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(extension).unwrap();
        }
        builder.build()
    }

    #[test]
    fn the_common_name_counts_with_and_without_a_suffix() {
        for common_name in ["config.example.com", "CONFIG.example.com/acme", "*.example.com"] {
            assert_eq!(check(&certificate(common_name, &[], &[]), "config.example.com"), Ok(()), "{common_name}");
        }
        for common_name in ["example.com", "config.example.com.evil.net", "/config.example.com", "*.com", "*"] {
            let error = check(&certificate(common_name, &[], &[]), "config.example.com");
            assert_eq!(error, Err(common_name.to_owned()));
        }
        assert!(check(&certificate("*.example.com", &[], &[]), "a.b.example.com").is_err());
        assert!(check(&certificate("*.example.com", &[], &[]), "example.com").is_err());
    }

    #[test]
    fn alternative_names_and_addresses_count() {
        let both = certificate("phones", &["config.example.com"], &["127.0.0.1"]);
        assert_eq!(check(&both, "config.example.com"), Ok(()));
        assert_eq!(check(&both, "127.0.0.1"), Ok(()));
        assert_eq!(check(&both, "127.0.0.2"), Err("config.example.com".to_owned()));
        assert!(check(&certificate("phones", &["*.0.0.1"], &[]), "127.0.0.1").is_err());
    }
}
