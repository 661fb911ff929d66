//! Which addresses a host's name stands for.

use std::net::SocketAddr;

use tokio::net::lookup_host;

use super::target::Origin;
use crate::phone::FetchError;

/// Where addresses come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The system's resolver, each time anew.
    #[default]
    System,
    /// The addresses of this host and port instead of the URL's own; the URL's still stand in Host, in the name sent
    /// by TLS and in the check of the server's certificate.
    Instead { host: String, port: u16 },
    /// These addresses, whatever the URL names.
    Fixed(Vec<SocketAddr>),
}

impl Resolver {
    /// All addresses in the order in which they are tried: IPv4 before IPv6, as phones do that know both, otherwise as
    /// the answer has them.
    pub(super) async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, FetchError> {
        match self {
            Self::System => look_up(&origin.host, origin.port).await,
            Self::Instead { host, port } => look_up(host, *port).await,
            Self::Fixed(addresses) if addresses.is_empty() => Err(FetchError::Resolve(origin.host.clone())),
            Self::Fixed(addresses) => Ok(addresses.clone()),
        }
    }
}

/// The addresses of a host, IPv4 first.
///
/// # Errors
/// When there are none.
pub async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
    let found = lookup_host((host, port)).await.map_err(|error| FetchError::Resolve(format!("{host} ({error})")))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(FetchError::Resolve(host.to_owned()));
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}
