use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::phone::Maker;
use crate::phone::cisco::Family;
use crate::phone::cisco::version::Version;

rule! {
    /// A firmware version that the phone can't compare with its own.
    ///
    /// # What the phone does
    ///
    /// A condition with such a version would be an error, so the rule goes without one: the phone asks for the image
    /// at every look, and can't be kept at a version.
    ///
    /// # How to mend it
    ///
    /// Write it as the phone's User-Agent does: three numbers for Cisco multiplatform phones (`12.0.1`), for SPA phones
    /// `7.6.2c` or `1.4.1(SR5)`.
    pub struct FirmwareVersion = "firmware-version", Warning;
}

impl Rule for FirmwareVersion {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let Some(version) = view.settings.text("firmware.version") else { return };
        let can_compare = match view.maker {
            Some(Maker::Cisco) if Family::of(&view.model.name) == Family::Mpp => {
                let parts: Vec<_> = version.split('.').collect();
                // Letters follow a number: 11.3.1MSR1.
                parts.len() == 3 && parts.iter().all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
            }
            Some(Maker::Cisco) => matches!(Version::parse(version), Some(Version::Dotted(_))),
            _ => true,
        };
        if !can_compare {
            let message = format!("{version} is no version that a {} could compare", view.model.name);
            findings.report(view.at_setting(message, "firmware.version"));
        }
    }
}
