//! Where this machine is itself, as the operating system has it at the moment.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use super::policy::Own;

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}

/// The addresses and networks of this machine's interfaces, and the addresses that are listened on.
///
/// # Errors
/// When the operating system doesn't tell.
pub fn own(listening: &[SocketAddr]) -> io::Result<Own> {
    let mut own = Own::default();
    for interface in getifaddrs()? {
        let Some(address) = interface.address.as_ref().and_then(ip) else { continue };
        own.addresses.push(address);
        let mask = interface.netmask.as_ref().and_then(ip);
        // A network of everything would be the internet, behind a tunnel.
        let network = mask.and_then(|mask| IpNet::with_netmask(address, mask).ok());
        own.networks.extend(network.filter(|network| network.prefix_len() > 0));
    }
    let named = listening.iter().map(|address| address.ip().to_canonical());
    own.addresses.extend(named.filter(|address| !address.is_unspecified()));
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_knows_itself() {
        let listening = "192.0.2.9:80".parse().unwrap();
        let own = own(&[listening, "0.0.0.0:80".parse().unwrap()]).unwrap();
        assert!(own.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{own:?}");
        assert!(own.addresses.contains(&listening.ip()) && !own.addresses.contains(&IpAddr::from([0, 0, 0, 0])));
        assert!(own.networks.iter().any(|network| network.contains(&IpAddr::from([127, 9, 9, 9]))), "{own:?}");
    }
}
