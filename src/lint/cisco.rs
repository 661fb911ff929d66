//! A Cisco phone that holds a device's profile, so that rules and conditions are read as the phone reads them.

use super::view::Profile;
use crate::model::Serial;
use crate::phone::cisco::macros;
use crate::phone::cisco::rule::{Kind, Rule, RuleError};
use crate::phone::cisco::target::{Location, Target};
use crate::phone::cisco::{self, Emulation, Now, View};
use crate::phone::{Identity, State};
use crate::resync::Device;

/// What stands for a serial number that nobody knows.
const NO_SERIAL: &str = "UNKNOWN1";

/// Any firmware of three numbers will do: conditions are read, and not judged.
const FIRMWARE: [(&str, cisco::Family); 2] = [("11.2.4", cisco::Family::Mpp), ("7.6.2", cisco::Family::Spa)];

/// A phone, and the parameters that it holds.
pub struct CiscoPhone {
    phone: cisco::Phone,
    state: State,
}

/// Which rule a parameter holds, if it holds one.
pub fn kind_of(name: &str) -> Option<Kind> {
    match name {
        "Report_Rule" => Some(Kind::Report),
        "Upgrade_Rule" => Some(Kind::Upgrade),
        "Custom_CA_Rule" => Some(Kind::Profile),
        _ => name.starts_with("Profile_Rule").then_some(Kind::Profile),
    }
}

impl CiscoPhone {
    /// None where no phone can be made up for the device.
    pub fn new(device: &Device, model: &str, profile: &Profile) -> Option<Self> {
        let serial: Serial = device.serial.clone().or_else(|| NO_SERIAL.parse().ok())?;
        let family = cisco::Family::of(model);
        let firmware = FIRMWARE.iter().find(|(_, of)| *of == family).map_or("7.6.2", |(firmware, _)| firmware);
        let identity = Identity {
            model: model.to_owned(),
            mac: device.mac,
            serial,
            firmware: firmware.to_owned(),
            has_certificate: true,
        };
        let phone = cisco::Phone::new(identity, Emulation::default());
        let mut state = family.new_phone();
        for parameter in &profile.made {
            state.parameters.insert(parameter.name.to_string(), parameter.value.clone());
        }
        Some(Self { phone, state })
    }

    pub fn family(&self) -> cisco::Family {
        self.phone.family
    }

    /// What the phone holds: what its profile says, else what it came with.
    pub fn parameter(&self, name: &str) -> &str {
        self.state.parameters.get(name).map_or("", String::as_str)
    }

    fn view(&self) -> View<'_> {
        let now = Now { unix: 1_800_000_000, utc_offset: 0 };
        View { phone: &self.phone, state: &self.state, now, provisioning_state: 1, location: None, error: "" }
    }

    /// A rule as the phone reads it.
    ///
    /// # Errors
    /// When it is none.
    pub fn rule(&self, text: &str, kind: Kind) -> Result<Rule, RuleError> {
        Rule::parse(&macros::expand_rule(text, &self.view()), kind)
    }

    /// Every place that a rule may send the phone to and that names its server.
    pub fn places(&self, text: &str, kind: Kind) -> Vec<Location> {
        let rule = self.rule(text, kind);
        let alternatives = rule.into_iter().flat_map(|rule| rule.alternatives);
        alternatives.filter_map(|one| one.target.as_ref().and_then(|target: &Target| target.locate(None))).collect()
    }
}
