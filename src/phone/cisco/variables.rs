//! What the macro variables hold at one moment of a resync (guide: "Macro Expansion Variables").

use crate::phone::State;

use super::emulation::{Now, Phone};
use super::macros::{Name, Variables};
use super::target::Location;

/// A phone at one moment. A linter that has no phone at hand makes one up.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub phone: &'a Phone,
    pub state: &'a State,
    pub now: Now,
    /// `$PRVST`: -1 asked for, 0 power-up, 1 periodic, 2 retry.
    pub provisioning_state: i8,
    /// Where the current request goes.
    pub location: Option<&'a Location>,
    /// `$ERR`: what came of the current request, empty for success.
    pub error: &'a str,
}

impl View<'_> {
    /// A parameter's value, empty where the phone has none.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.state.parameters.get(name).map_or("", String::as_str)
    }
}

impl Variables for View<'_> {
    fn value(&self, name: Name) -> String {
        let identity = &self.phone.identity;
        let naming = self.phone.naming(self.state);
        let located = |tell: fn(&Location) -> String| self.location.map(tell).unwrap_or_default();
        match name {
            Name::General(letter) => self.parameter(&format!("GPP_{letter}")).to_owned(),
            Name::Secret(letter) => self.parameter(&format!("GPP_S{letter}")).to_owned(),
            Name::MacLower => identity.mac.to_string(),
            Name::MacUpper => identity.mac.upper(),
            Name::MacColons => identity.mac.separated(':'),
            Name::ProductName => naming.product(),
            Name::ProductSeries => naming.series(),
            Name::Serial => identity.serial.to_string(),
            Name::Certificate => if identity.has_certificate { "Installed" } else { "Not Installed" }.to_owned(),
            Name::Address => self.phone.emulation.address.clone(),
            Name::ExternalAddress => self.phone.emulation.external_address.clone(),
            Name::Software => naming.software(),
            Name::Hardware => self.phone.emulation.hardware.clone(),
            Name::Version => naming.version(),
            Name::ProvisioningState => self.provisioning_state.to_string(),
            Name::UpgradeState => if self.state.upgrade.failures == 0 { "1" } else { "2" }.to_owned(),
            Name::UpgradeError => self.state.upgrade.error.clone(),
            Name::SinceResync => self.now.since(self.state.last_attempt).to_string(),
            Name::SinceUpgrade => self.now.since(self.state.last_upgrade).to_string(),
            // The emulated phone has no lines that could lose their registration, and is nobody's by extension mobility.
            Name::SinceRegistration(_) | Name::Customised => "0".to_owned(),
            Name::MobilityStatus | Name::MobilityUser | Name::MobilityPassword => String::new(),
            Name::UpgradeCondition => "true".to_owned(),
            Name::Scheme => located(|location| location.scheme.to_string()),
            // A name stays a name: who fetches resolves it, and doesn't tell.
            Name::Server | Name::ServerAddress => located(|location| location.server.host.clone()),
            Name::Port => located(|location| location.server.port.to_string()),
            Name::Path => located(|location| location.path.clone()),
            Name::Error => self.error.to_owned(),
            Name::User(line) => self.parameter(&format!("User_ID_{line}_")).to_owned(),
        }
    }
}
