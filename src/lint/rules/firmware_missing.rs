use crate::lint::cisco::kind_of;
use crate::lint::rule::rule;
use crate::lint::served::Answer;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::phone::Maker;
use crate::phone::cisco::rule::Kind;

rule! {
    /// The firmware that a phone is told to load isn't on this server.
    ///
    /// # What the phone does
    ///
    /// It asks for the image, gets none, and asks again each `firmware.error_retry`, for ever.
    ///
    /// # How to mend it
    ///
    /// Put the image into a `[[folder]]`, or correct `firmware.url`. Cisco phones want the path of the image,
    /// Grandstream and Aastra phones that of the folder that theirs lies in.
    ///
    /// Firmware on another server isn't looked for. Where the images lie on the server only, and not where the check
    /// runs, switch the rule off.
    pub struct FirmwareMissing = "firmware-missing", Warning;
}

impl Rule for FirmwareMissing {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        if view.settings.boolean("firmware.enabled") == Some(false) {
            return;
        }
        if view.maker == Some(Maker::Cisco) {
            return cisco(view, findings);
        }
        let Some(url) = view.settings.text("firmware.url") else { return };
        let path = if url.starts_with('/') { Some(url.to_owned()) } else { view.own_path(url) };
        let Some(path) = path else { return };
        let folder = format!("{}/", path.trim_end_matches('/'));
        let is_there = match view.deployment.in_folder(&folder) {
            Some(folder) => folder.is_dir(),
            None => match view.at_path(&format!("{folder}{}.st", view.model.name)) {
                Answer::OnDisk(file) => file.is_file(),
                Answer::File => true,
                Answer::OfOthers | Answer::Nothing => false,
            },
        };
        if !is_there {
            findings.report(view.at_setting(format!("there is no firmware at {path}"), "firmware.url"));
        }
    }
}

fn cisco(view: &DeviceView<'_>, findings: &mut Findings) {
    let (Some(phone), Some((file, profile))) = (view.cisco(), view.own()) else { return };
    for parameter in profile.parameters(view.pack).filter(|parameter| kind_of(parameter.name) == Some(Kind::Upgrade)) {
        for place in phone.places(parameter.value, Kind::Upgrade) {
            let Some(path) = view.own_path(&place.to_string()) else { continue };
            let is_there = match view.at_path(&path) {
                Answer::OnDisk(file) => file.is_file(),
                Answer::File => true,
                Answer::OfOthers | Answer::Nothing => false,
            };
            if !is_there {
                let message = format!("there is no firmware at {path}");
                findings.report(view.at_parameter(message, file, &parameter));
            }
        }
    }
}
