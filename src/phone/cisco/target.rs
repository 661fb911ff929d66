//! The URL of a rule: `[scheme://][server[:port]]filepath` (guide: "URL Syntax").

use std::fmt;

/// How a file is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Tftp,
    Http,
    Https,
}

/// A server as a rule names it, or as DHCP option 66 gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

/// A URL with its defaults filled in, save for the server that DHCP gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// None where the rule names neither scheme nor server: then it is TFTP, unless DHCP gave a URL.
    scheme: Option<Scheme>,
    server: Option<Server>,
    /// From the `/` on, with the query.
    pub path: String,
}

/// Where a target is, all told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub scheme: Scheme,
    pub server: Server,
    pub path: String,
}

/// The server that DHCP gives, for rules that name none: `10.0.0.5`, `prov.example:8080`, `https://prov.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub server: Server,
}

/// Why a text is no URL for a phone. Offsets are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the scheme \"{scheme}\" at {at} is none of tftp, http and https")]
    Scheme { at: usize, scheme: String },
    #[error("gds:// at {at} is activation code onboarding: the phone asks its user for a code, and fetches no file")]
    Onboarding { at: usize },
    #[error("the URL has no path: it must begin with / after the server, at {at}")]
    NoPath { at: usize },
    #[error("the port at {at} is none of 1 to 65535")]
    Port { at: usize },
    #[error("the server's name at {at} is empty or holds a character that no name or address has")]
    Server { at: usize },
    #[error("white space at {at}: what follows is no part of the URL")]
    Space { at: usize },
}

impl TargetError {
    pub fn at(&self) -> usize {
        match self {
            Self::Scheme { at, .. }
            | Self::Onboarding { at }
            | Self::NoPath { at }
            | Self::Port { at }
            | Self::Server { at }
            | Self::Space { at } => *at,
        }
    }
}

impl Scheme {
    pub fn standard_port(self) -> u16 {
        match self {
            Self::Tftp => 69,
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Tftp, Self::Http, Self::Https].into_iter().find(|scheme| scheme.to_string().eq_ignore_ascii_case(text))
    }
}

impl Target {
    /// Reads a URL without white space around it; `at` is where it begins in the rule, for errors.
    ///
    /// # Errors
    /// With the place of what a phone can't take.
    pub fn parse(text: &str, at: usize) -> Result<Self, TargetError> {
        if let Some(space) = text.find(char::is_whitespace) {
            return Err(TargetError::Space { at: at + space });
        }
        let (scheme, rest, at) = split_scheme(text, at)?;
        let slash = rest.find('/').ok_or(TargetError::NoPath { at: at + rest.len() })?;
        let (server, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
        let server =
            if server.is_empty() { None } else { Some(Server::parse(server, scheme.unwrap_or(Scheme::Tftp), at)?) };
        Ok(Self { scheme, server, path: path.to_owned() })
    }

    /// Whether the server is named, and not DHCP's to tell.
    pub fn names_server(&self) -> bool {
        self.server.is_some()
    }

    /// Whether it is fetched by HTTP or HTTPS, were DHCP to give a name alone.
    pub fn is_tftp(&self) -> bool {
        self.scheme.unwrap_or(Scheme::Tftp) == Scheme::Tftp
    }

    /// Where it is; none where the rule names no server and DHCP gave none.
    pub fn locate(&self, origin: Option<&Origin>) -> Option<Location> {
        let (scheme, server) = match (&self.server, origin) {
            (Some(server), _) => (self.scheme.unwrap_or(Scheme::Tftp), server.clone()),
            (None, Some(origin)) => match self.scheme {
                None => (origin.scheme, origin.server.clone()),
                Some(scheme) if scheme == origin.scheme => (scheme, origin.server.clone()),
                Some(scheme) => (scheme, Server { host: origin.server.host.clone(), port: scheme.standard_port() }),
            },
            (None, None) => return None,
        };
        Some(Location { scheme, server, path: self.path.clone() })
    }
}

fn split_scheme(text: &str, at: usize) -> Result<(Option<Scheme>, &str, usize), TargetError> {
    // A `://` after the first slash belongs to the path or the query.
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
        return Ok((None, text, at));
    };
    match Scheme::parse(scheme) {
        Some(known) => Ok((Some(known), rest, at + scheme.len() + 3)),
        None if scheme.eq_ignore_ascii_case("gds") => Err(TargetError::Onboarding { at }),
        None => Err(TargetError::Scheme { at, scheme: scheme.to_owned() }),
    }
}

impl Server {
    fn parse(text: &str, scheme: Scheme, at: usize) -> Result<Self, TargetError> {
        let (host, port) = if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']').ok_or(TargetError::Server { at })?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or(rest)) };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(TargetError::Server { at });
            }
            (text.get(..address.len() + 2).unwrap_or(text), port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if host.is_empty() || !host.chars().all(plain) {
                return Err(TargetError::Server { at });
            }
            (host, port)
        };
        let port = match port {
            None => scheme.standard_port(),
            Some(digits) => number(digits).ok_or(TargetError::Port { at: at + host.len() + 1 })?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

fn number(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

impl Origin {
    /// Reads what DHCP option 66 holds, or `--server`: a path at its end is not looked at.
    ///
    /// # Errors
    /// When it names no server.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest, at) = split_scheme(text.trim(), 0)?;
        let scheme = scheme.unwrap_or(Scheme::Tftp);
        let server = rest.split_once('/').map_or(rest, |(server, _)| server);
        if server.is_empty() {
            return Err(TargetError::Server { at });
        }
        Ok(Self { scheme, server: Server::parse(server, scheme, at)? })
    }
}

impl Location {
    /// Where a `Location` header leads to from here; none where it names nothing that a phone fetches.
    pub fn follow(&self, header: &str) -> Option<Self> {
        let header = header.trim();
        let header = header.split_once('#').map_or(header, |(url, _)| url);
        let own = Origin { scheme: self.scheme, server: self.server.clone() };
        if header.contains("://") && !header.starts_with('/') {
            let (scheme, rest, _) = split_scheme(header, 0).ok()?;
            let path_missing = scheme.is_some() && !rest.contains('/');
            let whole = if path_missing { format!("{header}/") } else { header.to_owned() };
            return Target::parse(&whole, 0).ok().filter(Target::names_server)?.locate(None);
        }
        if let Some(rest) = header.strip_prefix("//") {
            return Target::parse(&format!("{}://{rest}", self.scheme), 0).ok()?.locate(None);
        }
        let path = if header.starts_with('/') {
            header.to_owned()
        } else {
            let own_path = self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path);
            let folder = own_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{header}")
        };
        if header.is_empty() {
            return None;
        }
        Target::parse(&path, 0).ok()?.locate(Some(&own))
    }

    /// The server as an `Origin`, whom credentials are meant for.
    pub fn origin(&self) -> Origin {
        Origin { scheme: self.scheme, server: self.server.clone() }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tftp => "tftp",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.server.host)?;
        if self.server.port != self.scheme.standard_port() {
            write!(f, ":{}", self.server.port)?;
        }
        f.write_str(&self.path)
    }
}

impl serde::Serialize for Location {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dhcp_gives_a_name_or_a_url() {
        let located = |origin: &str, url: &str| {
            let origin = Origin::parse(origin).unwrap();
            Target::parse(url, 0).unwrap().locate(Some(&origin)).unwrap().to_string()
        };
        assert_eq!(located("10.0.0.5", "/a.cfg"), "tftp://10.0.0.5/a.cfg");
        assert_eq!(located("https://prov.example:8443/ignored", "/a.cfg"), "https://prov.example:8443/a.cfg");
        assert_eq!(located("https://prov.example:8443", "http:///a.cfg"), "http://prov.example/a.cfg");
        assert_eq!(located("https://prov.example", "h/a.cfg"), "tftp://h/a.cfg");
        assert_eq!(Target::parse("/a", 0).unwrap().locate(None), None);
        for text in ["", "http://", "a b", "a:0", "gds://"] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_redirect_leads_from_where_it_was_answered() {
        let here = Target::parse("http://h:8080/a/b?c=/d", 0).unwrap().locate(None).unwrap();
        for (header, expected) in [
            ("/x", Some("http://h:8080/x")),
            ("x?y", Some("http://h:8080/a/x?y")),
            ("https://other/x#part", Some("https://other/x")),
            ("https://other", Some("https://other/")),
            ("//other/x", Some("http://other/x")),
            ("tftp://other/x", Some("tftp://other/x")),
            ("ftp://other/x", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(here.follow(header).map(|location| location.to_string()).as_deref(), expected, "{header}");
        }
    }
}
