use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::model::Secret;
use crate::resync::Device;

rule! {
    /// A delivery key that can be guessed.
    ///
    /// # What the phone does
    ///
    /// It decrypts its profile with it, and so does everybody who guesses it: the file itself may lie open to anyone.
    ///
    /// # How to mend it
    ///
    /// Make a random one of 16 bytes or more: `openssl rand -hex 16`. A MAC address or a serial number stands on the
    /// phone and in every request of it.
    ///
    /// A key that stands in an environment or a file which isn't there is not looked at.
    pub struct WeakKey = "weak-key", Warning;
}

/// Bytes below which a key can be tried out: those of AES-128.
const SHORTEST: usize = 16;

impl Rule for WeakKey {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        if !super::delivery_mismatch::is_encrypted(view) {
            return;
        }
        let Some(Ok(key)) = view.settings.secret_bytes("delivery.key") else { return };
        let Some(weakness) = weakness(&key, view.device, SHORTEST) else { return };
        findings.report(view.at_setting(format!("the delivery key {weakness}"), "delivery.key"));
    }
}

/// Why a device's secret can be guessed.
pub(super) fn weakness(secret: &Secret, device: &Device, shortest: usize) -> Option<String> {
    let bytes = secret.expose();
    let text: String = secret.expose_text().unwrap_or_default().to_ascii_lowercase();
    let bare = text.replace([':', '-', '.', ' '], "");
    let serial = device.serial.as_ref().map(|serial| serial.as_str().to_ascii_lowercase());
    if bare == device.mac.to_string() {
        Some("is the device's own MAC address".to_owned())
    } else if !bare.is_empty() && Some(&bare) == serial.as_ref() {
        Some("is the device's own serial number".to_owned())
    } else if bytes.len() < shortest {
        Some(format!("is shorter than {shortest} bytes"))
    } else if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
        Some("is one byte, again and again".to_owned())
    } else {
        None
    }
}
