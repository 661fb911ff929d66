//! Where the phone's files are, what they are called, and in which order it asks for them.

use crate::phone::state::{Identity, Parameters};

/// The folder that files are fetched from, without a slash at the end: `https://prov.example.com:8443/phones/aastra`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Http(String),
    /// TFTP or FTP, which the emulated phone doesn't speak; the protocol as it is set.
    Other(String),
}

/// A parameter's value, whatever the case of its name.
pub fn parameter<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p str> {
    let found = parameters
        .get(name)
        .or_else(|| parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    found.map(String::as_str).filter(|value| !value.is_empty())
}

/// The folder that the phone's parameters name; none where they name no server: a server of 0.0.0.0 is none.
///
/// `download protocol` chooses among `tftp server`, `ftp server`, `http server` and `https server`, each with a path, the
/// last two with a port (guide 41-001343-02, appendix A).
pub fn base(parameters: &Parameters) -> Option<Base> {
    let protocol = parameter(parameters, "download protocol").unwrap_or("TFTP").to_ascii_uppercase();
    let kind = protocol.to_ascii_lowercase();
    let server = parameter(parameters, &format!("{kind} server")).filter(|server| *server != "0.0.0.0")?;
    let usual_port = match kind.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return Some(Base::Other(protocol)),
    };
    let path = parameter(parameters, &format!("{kind} path")).unwrap_or_default().trim_matches('/');
    let port = parameter(parameters, &format!("{kind} port")).unwrap_or(usual_port);
    let mut url = format!("{kind}://{server}");
    if port != usual_port {
        url.push(':');
        url.push_str(port);
    }
    if !path.is_empty() {
        url.push('/');
        url.push_str(path);
    }
    Some(Base::Http(url))
}

/// `6.4.0.140-SIP` is 6. From 4 on the phones are named after Mitel, and their first file is `startup.cfg`; a firmware that
/// doesn't say which it is, is a new one.
fn major(firmware: &str) -> u32 {
    firmware.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

/// `Aastra6731i MAC:00-08-5D-23-74-29 V:3.2.0.70-SIP`, `Mitel6920 MAC:14-00-E9-1F-03-EA V:6.4.0.140-SIP`, as seen.
pub fn user_agent(identity: &Identity) -> String {
    let vendor = if major(&identity.firmware) >= 4 { "Mitel" } else { "Aastra" };
    let mac = identity.mac.separated('-').to_uppercase();
    format!("{vendor}{} MAC:{mac} V:{}", identity.model, identity.firmware)
}

/// A place in the order of files: one of these names, the first that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub names: Vec<String>,
}

/// `security.tuz`, which holds the password of the other encrypted files.
pub const SECURITY: &str = "security.tuz";

/// The files after [`SECURITY`], in order; what a later one says wins. Encrypted ones are asked for only by a phone that
/// found `security.tuz`, for without it it could not open them; then before the plain ones.
pub fn order(identity: &Identity, has_security: bool) -> Vec<Place> {
    let first: &[&str] = if major(&identity.firmware) >= 4 { &["startup", "aastra"] } else { &["aastra"] };
    let mac = identity.mac.upper();
    [first, &[identity.model.as_str()], &[mac.as_str()]]
        .into_iter()
        .map(|stems| {
            let endings: &[&str] = if has_security { &[".tuz", ".cfg"] } else { &[".cfg"] };
            let names = stems.iter().flat_map(|stem| endings.iter().map(move |ending| format!("{stem}{ending}")));
            Place { names: names.collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_server_is_that_of_the_protocol() {
        let http = |url: &str| Some(Base::Http(url.to_owned()));
        for (pairs, expected) in [
            (vec![], None),
            (vec![("download protocol", "HTTPS"), ("https server", "0.0.0.0")], None),
            (vec![("download protocol", "HTTPS"), ("http server", "a.example.com")], None),
            (vec![("download protocol", "HTTPS"), ("https server", "a.example.com")], http("https://a.example.com")),
            (
                vec![
                    ("Download Protocol", "https"),
                    ("HTTPS server", "a"),
                    ("https port", "443"),
                    ("https path", "/b/c/"),
                ],
                http("https://a/b/c"),
            ),
            (
                vec![("download protocol", "HTTP"), ("http server", "a"), ("http port", "8080"), ("http path", "b")],
                http("http://a:8080/b"),
            ),
            (vec![("tftp server", "a")], Some(Base::Other("TFTP".to_owned()))),
        ] {
            assert_eq!(base(&parameters(&pairs)), expected, "{pairs:?}");
        }
    }
}
