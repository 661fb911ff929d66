use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::phone::cisco::schedule::{TimeOfDay, whole_minutes};
use crate::phone::{Maker, aastra};

rule! {
    /// Every phone resyncs at the same second.
    ///
    /// # What the phone does
    ///
    /// It asks at the time of day that it was told, or as soon as it has power, together with all others of its kind:
    /// the server sees a day's requests in a second, and some phones go without.
    ///
    /// # How to mend it
    ///
    /// Set `provisioning.at_random_delay` (seconds) beside `provisioning.at`, and `provisioning.random_delay` to more
    /// than 0.
    pub struct NoRandomDelay = "no-random-delay", Warning;
}

impl Rule for NoRandomDelay {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let (name, setting) = match view.maker {
            Some(Maker::Cisco) => {
                let Some(phone) = view.cisco() else { return };
                let is_at = TimeOfDay::parse(phone.parameter("Resync_At__HHmm_")).is_ok();
                let seconds = |name: &str| phone.parameter(name).trim().parse::<u32>().ok();
                let on_reset = ["Yes", "yes", "1", "true"].contains(&phone.parameter("Resync_On_Reset"));
                if is_at && seconds("Resync_At_Random_Delay").is_some_and(|delay| whole_minutes(delay) == 0) {
                    ("Resync_At_Random_Delay", "provisioning.at")
                } else if on_reset && seconds("Resync_Random_Delay") == Some(0) {
                    ("Resync_Random_Delay", "provisioning.random_delay")
                } else {
                    return;
                }
            }
            Some(Maker::Aastra) => {
                let schedule = aastra::Schedule::of(view.parameters());
                if schedule.mode == aastra::Mode::Never || schedule.max_delay > 0 {
                    return;
                }
                ("auto resync max delay", "provisioning.at")
            }
            _ => return,
        };
        let message = format!("{name} is 0, so that all phones come back at the same moment");
        let Some((file, profile)) = view.own() else { return };
        let parameter = profile.parameters(view.pack).find(|parameter| parameter.name == name);
        findings.report(match parameter {
            Some(parameter) => view.at_parameter(message, file, &parameter),
            None => view.at_setting(message, setting),
        });
    }
}
