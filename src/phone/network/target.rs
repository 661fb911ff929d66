//! The URL of a request, taken apart.

use http::Uri;
use http::uri::PathAndQuery;

use crate::phone::FetchError;

/// One server of one scheme: what a connection or a TLS session can be used again for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub tls: bool,
    /// A name, or an address without the brackets of IPv6.
    pub host: String,
    pub port: u16,
}

/// Where a request goes, and what it asks for there.
#[derive(Debug, Clone)]
pub struct Target {
    pub origin: Origin,
    /// The value of the Host header: with the port unless it is the scheme's own.
    pub host_header: String,
    pub path: PathAndQuery,
}

impl Target {
    /// # Errors
    /// When it is no absolute http or https URL. TFTP is not done here: its packets have nothing in common with the rest.
    /// A user and password in the URL are refused without being shown: they belong into the request's own headers.
    pub fn parse(url: &str) -> Result<Self, FetchError> {
        let refuse = |why: &str| FetchError::Url(format!("{} ({why})", without_user(url)));
        let tls = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("https") => true,
            Some("http") => false,
            Some("tftp") => return Err(refuse("TFTP is not supported")),
            _ => return Err(refuse("it has to begin with http:// or https://")),
        };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("a user and a password have no place in it"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(refuse("it names no host"));
        }
        let default_port = if tls { 443 } else { 80 };
        // By hand: the crate takes a port above 65535 for none.
        let port = match authority.as_str().strip_prefix(host).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => port.parse().map_err(|_| refuse("its port is no port"))?,
            None => default_port,
        };
        let host_header = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { origin: Origin { tls, host, port }, host_header, path })
    }
}

/// The URL without what stands before an `@`, which may be a password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')).and_then(|at| rest.get(at + 1..)) {
        Some(rest) => format!("{scheme}://…@{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://config.example.com/cisco/000e08abcdef.xml?a=b").unwrap();
        let host = "config.example.com".to_owned();
        assert_eq!(target.origin, Origin { tls: true, host, port: 443 });
        assert_eq!(
            (target.host_header.as_str(), target.path.as_str()),
            ("config.example.com", "/cisco/000e08abcdef.xml?a=b")
        );
        let target = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!((target.origin.host.as_str(), target.host_header.as_str()), ("::1", "[::1]:8080"));
        assert_eq!((target.origin.tls, target.path.as_str()), (false, "/"));
    }

    #[test]
    fn what_can_not_be_fetched_says_why_and_shows_no_password() {
        let error = |url: &str| Target::parse(url).unwrap_err().to_string();
        assert!(error("tftp://10.0.0.1/spa504G.cfg").contains("TFTP"));
        assert!(error("/spa504G.cfg").contains("http://"));
        assert!(error("http://host:99999/").contains("port"));
        for url in ["https://acme:not-a-real-password@host/", "ftp://acme:not-a-real-password@host/"] {
            assert!(!error(url).contains("not-a-real-password"), "{}", error(url));
        }
    }
}
