//! Which phones there are: each is made of its number, so that a million of them take no memory.

use std::fmt;
use std::str::FromStr;

use crate::model::{MacAddr, Serial};
use crate::phone::Identity;

/// So many phones, one MAC address after the other.
#[derive(Debug, Clone)]
pub struct Fleet {
    first: u64,
    count: u32,
    mix: ModelMix,
    path: Option<PathTemplate>,
}

/// Why there can be no such phones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("a swarm has at least one phone")]
    Empty,
    #[error("{count} phones from {first} on leave that maker's addresses: begin with a lower one")]
    Addresses { first: MacAddr, count: u32 },
}

impl Fleet {
    /// `path` is what every phone asks for; none: what its family does.
    ///
    /// # Errors
    /// When there is no phone, or the addresses run over into another maker's.
    pub fn new(count: u32, first: MacAddr, mix: ModelMix, path: Option<PathTemplate>) -> Result<Self, FleetError> {
        let number = first.octets().into_iter().fold(0, |number, octet| number << 8 | u64::from(octet));
        let last = number + u64::from(count.checked_sub(1).ok_or(FleetError::Empty)?);
        // The upper half of an address is the maker's.
        if last >> 24 != number >> 24 {
            return Err(FleetError::Addresses { first, count });
        }
        Ok(Self { first: number, count, mix, path })
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// The phone of this number, from 0.
    ///
    /// # Errors
    /// When the fleet has no such phone.
    pub fn identity(&self, number: u32) -> Result<Identity, FleetError> {
        let [_, _, octets @ ..] = (self.first + u64::from(number)).to_be_bytes();
        let mac = MacAddr::from_octets(octets).map_err(|_| FleetError::Empty)?;
        // As of a Cisco 6841 made in 2012, but for the digits that count.
        let serial = format!("88012BA{number:05}").parse::<Serial>().map_err(|_| FleetError::Empty)?;
        let model = self.mix.model(number).to_owned();
        let firmware = Family::of(&model).firmware().to_owned();
        Ok(Identity { model, mac, serial, firmware, has_certificate: false })
    }

    /// The path that a phone asks for.
    pub(super) fn path(&self, phone: &Identity) -> String {
        match &self.path {
            Some(template) => template.fill(phone),
            None => Family::of(&phone.model).path(phone),
        }
    }
}

/// The User-Agent, as phones of its family write it.
pub(super) fn user_agent(phone: &Identity) -> String {
    let Identity { model, mac, serial, firmware, .. } = phone;
    match Family::of(model) {
        Family::CiscoMpp => format!("Cisco-{model}/{firmware} ({mac})"),
        Family::CiscoSpa => format!("Cisco/{model}-{firmware} ({})({serial})", mac.upper()),
        Family::Aastra => format!("Aastra{model} MAC:{} V:{firmware}", mac.separated('-').to_uppercase()),
        Family::Mitel => format!("Mitel{model} MAC:{} V:{firmware}", mac.separated('-').to_uppercase()),
        Family::Grandstream => format!("Grandstream Model HW {model} SW {firmware} DevId {mac}"),
        Family::Other => format!("{model}/{firmware} ({mac})"),
    }
}

/// Who makes a model, as far as it changes what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    CiscoMpp,
    CiscoSpa,
    Aastra,
    Mitel,
    Grandstream,
    Other,
}

impl Family {
    fn of(model: &str) -> Self {
        let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| model.starts_with(prefix));
        if begins_with(&["CP-"]) {
            Self::CiscoMpp
        } else if begins_with(&["SPA", "PAP"]) {
            Self::CiscoSpa
        } else if begins_with(&["69"]) {
            Self::Mitel
        } else if begins_with(&["67", "68", "91", "94", "51i", "53i", "55i", "57i"]) {
            Self::Aastra
        } else if begins_with(&["GX", "GR", "HT", "BT", "DP"]) {
            Self::Grandstream
        } else {
            Self::Other
        }
    }

    fn firmware(self) -> &'static str {
        match self {
            Self::CiscoMpp => "11.0",
            Self::CiscoSpa => "7.4.9c",
            Self::Aastra => "3.2.0.70-SIP",
            Self::Mitel => "6.4.0.140-SIP",
            Self::Grandstream => "1.0.4.138",
            Self::Other => "1.0",
        }
    }

    fn path(self, phone: &Identity) -> String {
        match self {
            Self::CiscoMpp | Self::CiscoSpa => format!("/cisco/{}.xml", phone.mac),
            Self::Aastra | Self::Mitel => format!("/aastra/{}.cfg", phone.mac.upper()),
            Self::Grandstream => format!("/grandstream/cfg{}.xml", phone.mac),
            Self::Other => format!("/{}.cfg", phone.mac),
        }
    }
}

/// Models and how often each occurs: `CP-6841-3PCC=3,SPA504G=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMix {
    models: Vec<(String, u32)>,
    total: u32,
}

/// A text that is no mix of models.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no model and its share: write CP-6841-3PCC=3,SPA504G=1")]
pub struct ParseModelMixError(String);

impl FromStr for ModelMix {
    type Err = ParseModelMixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mix = Self { models: Vec::new(), total: 0 };
        for part in text.split(',') {
            let refuse = || ParseModelMixError(part.to_owned());
            let (model, share) = part.trim().split_once('=').unwrap_or((part.trim(), "1"));
            // It goes into a header and a certificate, whose longest field has 64 characters.
            let fits = (1..=64).contains(&model.len()) && model.bytes().all(|byte| byte.is_ascii_graphic());
            let share = share.parse().ok().filter(|share| fits && *share > 0).ok_or_else(refuse)?;
            mix.total = mix.total.checked_add(share).ok_or_else(refuse)?;
            mix.models.push((model.to_owned(), share));
        }
        Ok(mix)
    }
}

impl ModelMix {
    /// The models take turns, so that any stretch of phones has the same mix.
    fn model(&self, number: u32) -> &str {
        let mut place = number.checked_rem(self.total).unwrap_or_default();
        for (model, share) in &self.models {
            match place.checked_sub(*share) {
                Some(rest) => place = rest,
                None => return model,
            }
        }
        ""
    }
}

/// A path with `{mac}`, `{MAC}`, `{serial}` and `{model}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(String);

/// A text that no phone's path can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePathTemplateError {
    #[error("a path begins with /, and this is {0:?}")]
    NoSlash(String),
    #[error("{{{0}}} is not known: a path may hold {{mac}}, {{MAC}}, {{serial}} and {{model}}")]
    Unknown(String),
}

impl FromStr for PathTemplate {
    type Err = ParsePathTemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(ParsePathTemplateError::NoSlash(text.to_owned()));
        }
        for part in text.split('{').skip(1) {
            let name = part.split('}').next().unwrap_or_default();
            if !matches!(name, "mac" | "MAC" | "serial" | "model") {
                return Err(ParsePathTemplateError::Unknown(name.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl PathTemplate {
    fn fill(&self, phone: &Identity) -> String {
        let Identity { model, mac, serial, .. } = phone;
        let filled = self.0.replace("{mac}", &mac.to_string()).replace("{MAC}", &mac.upper());
        filled.replace("{serial}", serial.as_str()).replace("{model}", model)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(mix: &str, path: Option<&str>) -> Fleet {
        let path = path.map(|path| path.parse().unwrap());
        Fleet::new(100, "000e0800fff0".parse().unwrap(), mix.parse().unwrap(), path).unwrap()
    }

    #[test]
    fn phones_are_counted_up_and_their_models_take_turns() {
        let fleet = fleet("CP-6841-3PCC=3,SPA504G=1", None);
        let models: Vec<String> = (0..8).map(|number| fleet.identity(number).unwrap().model).collect();
        assert_eq!(models.iter().filter(|model| *model == "SPA504G").count(), 2);
        assert_eq!(fleet.identity(17).unwrap().mac.to_string(), "000e08010001");
        assert_eq!(fleet.identity(17).unwrap().serial.as_str(), "88012BA00017");
    }

    #[test]
    fn a_phone_asks_as_its_family_does() {
        let asks = |model: &str| {
            let fleet = fleet(model, None);
            let phone = fleet.identity(0).unwrap();
            (user_agent(&phone), fleet.path(&phone))
        };
        let (agent, path) = asks("CP-6841-3PCC");
        assert_eq!(
            (agent.as_str(), path.as_str()),
            ("Cisco-CP-6841-3PCC/11.0 (000e0800fff0)", "/cisco/000e0800fff0.xml")
        );
        assert_eq!(asks("SPA504G").0, "Cisco/SPA504G-7.4.9c (000E0800FFF0)(88012BA00000)");
        assert_eq!(asks("6757i").0, "Aastra6757i MAC:00-0E-08-00-FF-F0 V:3.2.0.70-SIP");
        assert_eq!(asks("6920").0, "Mitel6920 MAC:00-0E-08-00-FF-F0 V:6.4.0.140-SIP");
        assert_eq!(asks("GXP1628").0, "Grandstream Model HW GXP1628 SW 1.0.4.138 DevId 000e0800fff0");
        let fleet = fleet("A", Some("/{model}/{MAC}-{mac}?s={serial}"));
        assert_eq!(fleet.path(&fleet.identity(0).unwrap()), "/A/000E0800FFF0-000e0800fff0?s=88012BA00000");
    }

    #[test]
    fn what_is_no_fleet_is_refused() {
        let mix: ModelMix = "A".parse().unwrap();
        let fleet = |count, first: &str| Fleet::new(count, first.parse().unwrap(), mix.clone(), None).map(drop);
        assert_eq!(fleet(0, "000e08000000"), Err(FleetError::Empty));
        assert!(matches!(fleet(2, "000e08ffffff"), Err(FleetError::Addresses { .. })));
        assert_eq!(fleet(1, "000e08ffffff"), Ok(()));
        for text in ["", "A=", "A=0", "=1", "A=1,", "A B=1", "A=4294967295,B=1"] {
            assert!(text.parse::<ModelMix>().is_err(), "{text}");
        }
        assert!(matches!("/{max}".parse::<PathTemplate>(), Err(ParsePathTemplateError::Unknown(_))));
        assert!(matches!("cisco".parse::<PathTemplate>(), Err(ParsePathTemplateError::NoSlash(_))));
    }
}
