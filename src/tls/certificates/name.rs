use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What a server certificate is for: a name or an address that phones have in their URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// Lower case, without a final dot; `*.` may stand in front.
    Dns(String),
    Ip(IpAddr),
}

/// A text that no server can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a host name nor an IP address")]
pub struct ParseServerNameError(String);

impl ServerName {
    /// Whether it is a name with a domain, and of one host: what phones compare the CN with.
    pub fn is_fully_qualified(&self) -> bool {
        matches!(self, Self::Dns(name) if name.contains('.') && !name.starts_with("*."))
    }
}

impl FromStr for ServerName {
    type Err = ParseServerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let all_digits = labels.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if name.len() <= 253 && !all_digits && labels.split('.').all(fits) {
            Ok(Self::Dns(name))
        } else {
            Err(ParseServerNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (text, name) in [
            ("Prov.Example.COM.", "prov.example.com"),
            ("*.example.com", "*.example.com"),
            ("[::1]", "::1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(text.parse::<ServerName>().unwrap().to_string(), name);
        }
        for text in
            ["", ".", "a..b", "-a.example", "a b", "https://a.example", "192.0.2", "*", "a.*.example", "é.example"]
        {
            assert!(text.parse::<ServerName>().is_err(), "{text}");
        }
        let qualified = |text: &str| text.parse::<ServerName>().unwrap().is_fully_qualified();
        assert!(qualified("prov.example.com"));
        assert!(!qualified("localhost") && !qualified("*.example.com") && !qualified("192.0.2.1"));
    }
}
