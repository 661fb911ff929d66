//! Whether what is known of the asker opens a device's file. Decided before any secret is looked at.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::events::Refusal;
use crate::model::{MacAddr, Serial};
use crate::packs::Identified;
use crate::settings::Effective;

use super::password::{Credentials, Verdict, Which};

/// The `[access]` settings of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    pub certificate: bool,
    pub token: bool,
    pub password: bool,
    /// User and password, where they open anything.
    pub credentials: Option<Credentials>,
    pub encrypted: bool,
    pub networks: Vec<IpNet>,
}

impl Access {
    /// What opens a session of CWMP: certificate and networks as they open files, and the user and password of `[acs]`, or of
    /// `[credentials]` where these open files.
    pub fn for_sessions(settings: &Effective) -> Self {
        let files = Self::of(settings);
        let credentials = Credentials::of_acs(settings).or(files.credentials);
        Self { password: credentials.is_some(), credentials, token: false, encrypted: false, ..files }
    }

    /// Reads the settings; what is not set opens nothing.
    pub fn of(settings: &Effective) -> Self {
        let password = settings.boolean("access.password").unwrap_or(false);
        Self {
            password,
            credentials: if password { Credentials::of(settings) } else { None },
            certificate: settings.boolean("access.certificate").unwrap_or(false),
            token: settings.boolean("access.token").unwrap_or(false),
            encrypted: settings.boolean("access.encrypted").unwrap_or(false),
            // The layer's reader has refused what is no network.
            networks: settings.texts("access.networks").filter_map(|network| network.parse().ok()).collect(),
        }
    }
}

/// What a verified client certificate says of its phone; none where there is no certificate that verifies.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    pub peer: IpAddr,
    pub certificate: Option<&'e Identified>,
    /// Why a certificate that was shown is no evidence, for the event.
    pub certificate_problem: Option<&'e str>,
    pub token: TokenEvidence<'e>,
    /// What user and password came to; none on a listener that doesn't ask for them.
    pub password: Option<&'e Verdict>,
}

/// What the token of a URL says of whose phone asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEvidence<'e> {
    /// There was none in the URL.
    None,
    /// It is this device's. One for the first contact opens only the files that are made for it.
    Of { mac: MacAddr, is_bootstrap: bool },
    /// It proves nothing; why.
    Worthless(&'e str),
}

/// The device whose file is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub mac: MacAddr,
    pub serial: Option<&'a Serial>,
    /// Whether this file's body is encrypted with the device's own key.
    pub encrypted: bool,
    /// Whether this file is made for the first contact.
    pub is_bootstrap: bool,
}

/// Which rule opened the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Certificate,
    /// The URL's token.
    Token,
    /// The URL's token for the first contact.
    BootstrapToken,
    Password(Which),
    Network,
    Encrypted,
    /// It came with the code of an invitation.
    Code,
    /// It came with the ticket of a task.
    Ticket,
}

/// Why no rule did, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub refusal: Refusal,
    pub reason: String,
}

/// Decides. Any rule that holds suffices, save that a valid certificate or token of another phone gets nothing.
pub fn decide(access: &Access, asked: &Asked<'_>, evidence: &Evidence<'_>) -> Result<Proof, Denied> {
    let named = evidence.certificate.map(|found| names(found, asked));
    if let Some(Named::Another(whom)) = &named {
        let reason = format!("the client certificate is that of {whom}, not of {}", asked.mac);
        return Err(Denied { refusal: Refusal::WrongCertificate, reason });
    }
    if let TokenEvidence::Of { mac, .. } = evidence.token
        && mac != asked.mac
    {
        let reason = format!("the URL's token is that of {mac}, not of {}", asked.mac);
        return Err(Denied { refusal: Refusal::WrongToken, reason });
    }
    if access.token
        && let TokenEvidence::Of { is_bootstrap, .. } = evidence.token
        && (asked.is_bootstrap || !is_bootstrap)
    {
        return Ok(if is_bootstrap { Proof::BootstrapToken } else { Proof::Token });
    }
    if access.certificate && named == Some(Named::This) {
        return Ok(Proof::Certificate);
    }
    if let (true, Some(Verdict::Holds(which))) = (access.password, evidence.password) {
        return Ok(Proof::Password(*which));
    }
    if access.networks.iter().any(|network| network.contains(&evidence.peer.to_canonical())) {
        return Ok(Proof::Network);
    }
    if access.encrypted && asked.encrypted {
        return Ok(Proof::Encrypted);
    }
    let refusal = match evidence.password.filter(|_| access.credentials.is_some()) {
        Some(Verdict::Silent) => Refusal::Challenged,
        Some(Verdict::Fails(refusal, _)) => *refusal,
        _ => Refusal::NoProof,
    };
    Err(Denied { refusal, reason: reason(access, asked, evidence, named.as_ref()) })
}

/// Whom a certificate names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    This,
    Another(String),
    /// No one: many phones share it, or it says too little.
    None,
}

fn names(found: &Identified, asked: &Asked<'_>) -> Named {
    if found.generic {
        return Named::None;
    }
    match (found.mac, &found.serial) {
        (Some(mac), _) if mac != asked.mac => Named::Another(mac.to_string()),
        (Some(_), Some(serial)) if asked.serial.is_some_and(|own| own != serial) => {
            Named::Another(format!("serial number {serial}"))
        }
        (Some(_), _) => Named::This,
        (None, Some(serial)) if asked.serial == Some(serial) => Named::This,
        (None, Some(serial)) => Named::Another(format!("serial number {serial}")),
        (None, None) => Named::None,
    }
}

fn reason(access: &Access, asked: &Asked<'_>, evidence: &Evidence<'_>, named: Option<&Named>) -> String {
    let mut reasons = Vec::new();
    if access.certificate {
        reasons.push(match (evidence.certificate_problem, named) {
            (Some(problem), _) => format!("the client certificate proves nothing: {problem}"),
            (None, Some(_)) => "the client certificate names no phone".to_owned(),
            (None, None) => "no client certificate was shown".to_owned(),
        });
    }
    if access.token {
        reasons.push(match evidence.token {
            TokenEvidence::None => "the URL holds no token".to_owned(),
            TokenEvidence::Worthless(why) => format!("the URL's token proves nothing: {why}"),
            TokenEvidence::Of { .. } => "the URL's token is for the first contact only".to_owned(),
        });
    }
    if access.password {
        reasons.push(match (evidence.password, &access.credentials) {
            (_, None) => "access.password is set, and credentials.user or credentials.password is not".to_owned(),
            (None, _) => "the listener asks for no passwords (passwords = true)".to_owned(),
            (Some(Verdict::Fails(_, why)), _) => why.clone(),
            (Some(_), _) => "no user and password were sent".to_owned(),
        });
    }
    if !access.networks.is_empty() {
        reasons.push(format!("{} is in none of access.networks", evidence.peer));
    }
    if access.encrypted && !asked.encrypted {
        reasons.push("access.encrypted is set, but this file is not encrypted".to_owned());
    }
    if reasons.is_empty() {
        return "the device's [access] opens nothing: set access.certificate, access.password, access.token, access.encrypted or \
                access.networks"
            .to_owned();
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(text: &str) -> MacAddr {
        text.parse().unwrap()
    }

    fn identified(mac_text: &str, serial: Option<&str>, generic: bool) -> Identified {
        Identified {
            mac: (!mac_text.is_empty()).then(|| mac(mac_text)),
            serial: serial.map(|serial| serial.parse().unwrap()),
            generic,
            ..Identified::default()
        }
    }

    fn outcome(access: &Access, certificate: Option<&Identified>, encrypted: bool) -> Result<Proof, Refusal> {
        let serial: Serial = "88012BA01234".parse().unwrap();
        let asked = Asked { mac: mac("000e08abcdef"), serial: Some(&serial), encrypted, is_bootstrap: false };
        let (peer, token) = ("192.0.2.7".parse().unwrap(), TokenEvidence::None);
        let evidence = Evidence { peer, certificate, certificate_problem: None, token, password: None };
        decide(access, &asked, &evidence).map_err(|denied| denied.refusal)
    }

    #[test]
    fn each_rule_opens_by_itself() {
        let own = identified("000e08abcdef", Some("88012BA01234"), false);
        let certificate = Access { certificate: true, ..Access::default() };
        assert_eq!(outcome(&certificate, Some(&own), false), Ok(Proof::Certificate));
        assert_eq!(outcome(&certificate, None, true), Err(Refusal::NoProof));
        let serial_only = identified("", Some("88012BA01234"), false);
        assert_eq!(outcome(&certificate, Some(&serial_only), false), Ok(Proof::Certificate));
        let networks = Access { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Access::default() };
        assert_eq!(outcome(&networks, None, false), Ok(Proof::Network));
        let encrypted = Access { encrypted: true, ..Access::default() };
        assert_eq!(outcome(&encrypted, None, true), Ok(Proof::Encrypted));
        assert_eq!(outcome(&encrypted, None, false), Err(Refusal::NoProof));
        assert_eq!(outcome(&Access::default(), Some(&own), true), Err(Refusal::NoProof));
    }

    #[test]
    fn a_certificate_of_another_phone_gets_nothing() {
        let networks = vec!["0.0.0.0/0".parse().unwrap()];
        let all = Access { certificate: true, password: true, encrypted: true, networks, ..Access::default() };
        for other in [
            identified("000e08000001", Some("88012BA01234"), false),
            identified("000e08abcdef", Some("OTHER12345"), false),
            identified("", Some("OTHER12345"), false),
        ] {
            assert_eq!(outcome(&all, Some(&other), true), Err(Refusal::WrongCertificate));
        }
    }

    #[test]
    fn a_token_opens_its_own_device_and_for_the_first_contact_only_what_is_made_for_that() {
        let access = Access { token: true, networks: vec!["192.0.2.0/24".parse().unwrap()], ..Access::default() };
        let decided = |token: TokenEvidence<'_>, peer: &str, is_bootstrap: bool| {
            let asked = Asked { mac: mac("000e08abcdef"), serial: None, encrypted: false, is_bootstrap };
            let peer = peer.parse().unwrap();
            let evidence = Evidence { peer, certificate: None, certificate_problem: None, token, password: None };
            decide(&access, &asked, &evidence).map_err(|denied| denied.refusal)
        };
        let of = |text: &str, is_bootstrap: bool| TokenEvidence::Of { mac: mac(text), is_bootstrap };
        let (inside, outside) = ("192.0.2.7", "198.51.100.7");
        assert_eq!(decided(of("000e08abcdef", false), outside, false), Ok(Proof::Token));
        assert_eq!(decided(of("000e08abcdef", false), outside, true), Ok(Proof::Token));
        assert_eq!(decided(of("000e08abcdef", true), outside, true), Ok(Proof::BootstrapToken));
        assert_eq!(decided(of("000e08abcdef", true), outside, false), Err(Refusal::NoProof));
        assert_eq!(decided(of("000e08000001", false), inside, false), Err(Refusal::WrongToken));
        assert_eq!(decided(TokenEvidence::Worthless("unknown"), outside, false), Err(Refusal::NoProof));
        assert_eq!(decided(TokenEvidence::Worthless("unknown"), inside, false), Ok(Proof::Network));
    }

    #[test]
    fn a_password_opens_where_it_is_set_and_never_beside_a_certificate_of_another_phone() {
        let outcome = |access: &Access, certificate: Option<&Identified>, password: Option<Verdict>| {
            let asked = Asked { mac: mac("000e08abcdef"), serial: None, encrypted: false, is_bootstrap: false };
            let (peer, password) = ("192.0.2.7".parse().unwrap(), password.as_ref());
            let token = TokenEvidence::None;
            let evidence = Evidence { peer, certificate, certificate_problem: None, token, password };
            decide(access, &asked, &evidence).map_err(|denied| denied.refusal)
        };
        let text = "[access]\npassword = true\n[credentials]\nuser = \"me\"\npassword = \"x\"\n".to_owned();
        let document = crate::document::Document::from_text("device", text);
        let layer = crate::settings::read_layer(&document, crate::settings::LayerKind::Defaults, "".as_ref());
        let with = Access::of(&Effective::merge([&layer.unwrap().1]));
        let holds = || Some(Verdict::Holds(Which::Previous));
        assert_eq!(outcome(&with, None, holds()), Ok(Proof::Password(Which::Previous)));
        assert_eq!(outcome(&Access::default(), None, holds()), Err(Refusal::NoProof));
        let other = identified("000e08000001", None, false);
        assert_eq!(outcome(&with, Some(&other), holds()), Err(Refusal::WrongCertificate));
        assert_eq!(outcome(&with, None, Some(Verdict::Silent)), Err(Refusal::Challenged));
        assert_eq!(outcome(&with, None, None), Err(Refusal::NoProof));
        let stale = Verdict::Fails(Refusal::StaleNonce, "why".to_owned());
        assert_eq!(outcome(&with, None, Some(stale.clone())), Err(Refusal::StaleNonce));
        assert_eq!(outcome(&Access::default(), None, Some(stale)), Err(Refusal::NoProof));
        let without = Access { password: true, ..Access::default() };
        assert_eq!(outcome(&without, None, Some(Verdict::Silent)), Err(Refusal::NoProof));
    }

    #[test]
    fn a_generic_certificate_names_no_one() {
        let certificate = Access { certificate: true, ..Access::default() };
        assert_eq!(outcome(&certificate, Some(&identified("000e08abcdef", None, true)), false), Err(Refusal::NoProof));
        assert_eq!(outcome(&certificate, Some(&identified("", None, false)), false), Err(Refusal::NoProof));
    }
}
