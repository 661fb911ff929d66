//! What the network around a phone shows to its ping and its trace route: told, not found out, since a test has no ICMP.

use std::str::FromStr;

/// A host, and how it is reached. One that isn't told of answers, with nobody in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub reach: Reach,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Its name can't be resolved.
    Unknown,
    /// It never answers.
    Silent,
    /// By these routers.
    Through(Vec<String>),
}

/// A text that says no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host: write NAME=unknown, NAME=silent or NAME=ROUTER,ROUTER")]
pub struct ParseHostError(String);

/// No trace route goes further.
const MOST_ROUTERS: usize = 64;

impl FromStr for Host {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('=').and_then(|(name, reach)| {
            let reach = match reach.trim() {
                "" => return None,
                "unknown" => Reach::Unknown,
                "silent" => Reach::Silent,
                routers => Reach::Through(routers.split(',').map(|router| router.trim().to_owned()).collect()),
            };
            let is_short = !matches!(&reach, Reach::Through(routers) if routers.len() > MOST_ROUTERS);
            (!name.trim().is_empty() && is_short).then(|| Self { name: name.trim().to_owned(), reach })
        });
        parsed.ok_or_else(|| ParseHostError(text.to_owned()))
    }
}

impl Reach {
    /// How a host is reached, of those that were told of. One without a name is unknown.
    pub fn of(hosts: &[Host], name: &str) -> Self {
        if name.is_empty() {
            return Self::Unknown;
        }
        let told = hosts.iter().find(|host| host.name.eq_ignore_ascii_case(name));
        told.map_or(Self::Through(Vec::new()), |host| host.reach.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_what_is_none_is_refused() {
        let host: Host = "sip.example.com=192.0.2.254, 198.51.100.1".parse().unwrap();
        assert_eq!(host.reach, Reach::Through(vec!["192.0.2.254".to_owned(), "198.51.100.1".to_owned()]));
        let hosts = [host, "gone.example.com=unknown".parse().unwrap()];
        assert_eq!(Reach::of(&hosts, "GONE.example.com"), Reach::Unknown);
        assert_eq!(Reach::of(&hosts, "other.example.com"), Reach::Through(Vec::new()));
        assert_eq!(Reach::of(&hosts, ""), Reach::Unknown);
        for text in ["", "a", "=silent", "a="] {
            assert_eq!(text.parse::<Host>(), Err(ParseHostError(text.to_owned())));
        }
    }
}
