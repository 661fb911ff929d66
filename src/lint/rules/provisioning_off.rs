use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::phone::cisco::SeededRandom;
use crate::phone::cisco::schedule::{Schedule, TimeOfDay};
use crate::phone::{Identity, Maker, aastra, grandstream};

rule! {
    /// A profile after which the phone doesn't look for another one by itself.
    ///
    /// # What the phone does
    ///
    /// It keeps what it has until somebody restarts it or a NOTIFY reaches it; with provisioning switched off, for
    /// good.
    ///
    /// # How to mend it
    ///
    /// Set `provisioning.interval` or `provisioning.at`, and don't set `provisioning.enabled = false`.
    pub struct ProvisioningOff = "provisioning-off", Warning;
}

impl Rule for ProvisioningOff {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        if view.settings.boolean("provisioning.enabled") == Some(false) {
            return findings.report(view.at_setting("provisioning is switched off", "provisioning.enabled"));
        }
        let Some((file, profile)) = view.own() else { return };
        let names: &[&str] = match view.maker {
            Some(Maker::Cisco) => {
                let Some(phone) = view.cisco() else { return };
                let off = ["No", "no", "0", "false"].contains(&phone.parameter("Provision_Enable"));
                let at = TimeOfDay::parse(phone.parameter("Resync_At__HHmm_")).is_ok();
                let periodic = Schedule::parse(phone.parameter("Resync_Periodic"));
                let looks = periodic.is_ok_and(|schedule| schedule.delay(0, &mut SeededRandom(1)).is_some());
                match (off, at || looks) {
                    (true, _) => &["Provision_Enable"],
                    (false, false) => &["Resync_Periodic"],
                    (false, true) => return,
                }
            }
            Some(Maker::Aastra) if aastra::Schedule::of(view.parameters()).mode == aastra::Mode::Never => {
                &["auto resync mode"]
            }
            Some(Maker::Grandstream) => {
                let Some(serial) = view.device.serial.clone().or_else(|| "UNKNOWN1".parse().ok()) else { return };
                let identity = Identity {
                    model: view.model.name.to_string(),
                    mac: view.device.mac,
                    serial,
                    firmware: "1.0".to_owned(),
                    has_certificate: true,
                };
                let schedule = grandstream::Schedule::of(&identity, view.parameters());
                if schedule.check != grandstream::Check::Never {
                    return;
                }
                &["P194", "P22296"]
            }
            _ => return,
        };
        let message = "the phone looks for no later profile by itself";
        let parameter = profile.parameters(view.pack).find(|parameter| names.contains(&parameter.name));
        findings.report(match parameter {
            Some(parameter) => view.at_parameter(format!("{message}: {}", parameter.name), file, &parameter),
            None => view.at_setting(message, "provisioning.interval"),
        });
    }
}
