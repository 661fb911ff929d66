//! Where a phone's server is: as its data model says, else as its files do.

use super::Phone;
use super::tree::{parameter, yes_or_no};
use crate::model::Secret;
use crate::phone::{Credentials, Maker, State};

pub const URL: &str = "Device.ManagementServer.URL";
pub const USER: &str = "Device.ManagementServer.Username";
pub const PASSWORD: &str = "Device.ManagementServer.Password";

/// Whom a phone has its sessions with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub url: String,
    pub credentials: Option<Credentials>,
}

/// Why a phone has no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    #[error("nothing told the phone of an ACS: give --acs, or a --state in which a resync left one")]
    Unknown,
    #[error("the phone's files switch TR-069 off")]
    Off,
}

impl Server {
    /// As a phone knows it.
    ///
    /// # Errors
    /// When it knows none, or may not ask it.
    pub fn of(phone: &Phone, state: &State) -> Result<Self, NoServer> {
        let held = |path: &str| {
            let entry = phone.knowledge().model().find(path, &state.cwmp, 1);
            entry.map(|entry| entry.value(path, phone, state)).filter(|value| !value.is_empty())
        };
        let set = state.cwmp.parameters.get(URL).filter(|url| !url.is_empty()).cloned();
        if set.is_none() && !is_on(phone.maker, state) {
            return Err(NoServer::Off);
        }
        let from_files = || if phone.maker == Maker::Aastra { aastra(state) } else { held(URL) };
        let url = set.or_else(from_files).ok_or(NoServer::Unknown)?;
        let credentials =
            held(USER).map(|user| Credentials { user, password: Secret::new(held(PASSWORD).unwrap_or_default()) });
        Ok(Self { url, credentials })
    }
}

/// Whether files say that the phone may; where they say nothing, it is off, but then no server is known either.
fn is_on(maker: Maker, state: &State) -> bool {
    let name = match maker {
        Maker::Aastra => "tr69",
        Maker::Grandstream => "P1409",
        Maker::Cisco => "Enable_TR-069",
    };
    parameter(state, name).is_none_or(|text| yes_or_no(text) != Some("0"))
}

/// `tr69 server: https://10.10.10.2`, `tr69 server port: 443`, `tr69 server path: acs/`.
fn aastra(state: &State) -> Option<String> {
    let server = parameter(state, "tr69 server")?.trim_end_matches('/');
    let server = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let port = parameter(state, "tr69 server port").map(|port| format!(":{port}")).unwrap_or_default();
    let path = parameter(state, "tr69 server path").unwrap_or_default().trim_start_matches('/');
    Some(format!("{server}{port}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::Identity;

    fn phone(maker: Maker, model: &str) -> Phone {
        let identity = Identity {
            model: model.to_owned(),
            mac: "00085d000001".parse().unwrap(),
            serial: "SERIAL0001".parse().unwrap(),
            firmware: "1".to_owned(),
            has_certificate: false,
        };
        Phone::new(maker, identity)
    }

    #[test]
    fn the_server_is_that_of_the_files_until_it_is_set() {
        let aastra = phone(Maker::Aastra, "6757i");
        let mut state = State::default();
        assert_eq!(Server::of(&aastra, &state), Err(NoServer::Unknown));
        // The guide's sample.
        for (name, value) in [
            ("tr69", "1"),
            ("tr69 server", "https://10.10.10.2"),
            ("tr69 server port", "443"),
            ("tr69 server path", "acs/"),
            ("tr69 username", "ACS1234"),
            ("tr69 password", "not-a-real-password"),
        ] {
            state.parameters.insert(name.to_owned(), value.to_owned());
        }
        let server = Server::of(&aastra, &state).unwrap();
        assert_eq!(server.url, "https://10.10.10.2:443/acs/");
        assert_eq!(server.credentials.unwrap().user, "ACS1234");
        state.parameters.insert("tr69".to_owned(), "0".to_owned());
        assert_eq!(Server::of(&aastra, &state), Err(NoServer::Off));
        state.cwmp.parameters.insert(URL.to_owned(), "http://acs.example.com/".to_owned());
        assert_eq!(Server::of(&aastra, &state).unwrap().url, "http://acs.example.com/");
        let cisco = phone(Maker::Cisco, "CP-6841-3PCC");
        let state = State { parameters: [("ACS_URL".to_owned(), "https://a/".to_owned())].into(), ..State::default() };
        assert_eq!(Server::of(&cisco, &state).unwrap(), Server { url: "https://a/".to_owned(), credentials: None });
    }
}
