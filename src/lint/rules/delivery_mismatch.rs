use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::phone::Maker;
use crate::phone::cisco::Family;

rule! {
    /// What `[delivery]` says, and what the phone can open or expects, don't go together.
    ///
    /// # What the phone does
    ///
    /// It can't read what it gets, takes it for damaged and keeps what it has; or it gets in clear what was meant to be
    /// encrypted.
    ///
    /// # How to mend it
    ///
    /// Cisco multiplatform phones open `aes-256-cbc` and `aes128gcm`, SPA phones and Grandstream's `aes-256-cbc`;
    /// Aastra and Mitel phones open neither. Only Cisco phones unpack gzip. A key needs `encryption`, and encryption
    /// a key.
    pub struct DeliveryMismatch = "delivery-mismatch", Error;
}

/// Whether the device's profile is to be encrypted.
pub fn is_encrypted(view: &DeviceView<'_>) -> bool {
    let wanted = view.settings.text("delivery.encryption").is_some_and(|encryption| encryption != "none");
    wanted && view.files.iter().any(|file| file.entry.delivery)
}

impl Rule for DeliveryMismatch {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let encryption = view.settings.text("delivery.encryption").unwrap_or("none");
        let has_key = view.settings.named("delivery.key").is_some();
        let mut report = |message: String, setting: &str| findings.report(view.at_setting(message, setting));
        if encryption != "none" && !view.files.iter().any(|file| file.entry.delivery) {
            let message = format!("{} can open no encrypted file, and its profile goes out in clear", view.model.name);
            return report(message, "delivery.encryption");
        }
        if encryption != "none" && !has_key {
            return report(format!("{encryption} needs a key, and delivery.key is not set"), "delivery.encryption");
        }
        if encryption == "none" && has_key {
            report("there is a key, and nothing is encrypted with it".to_owned(), "delivery.key");
        }
        let family = (view.maker == Some(Maker::Cisco)).then(|| Family::of(&view.model.name));
        let opens_gcm = family.is_none_or(|family| family == Family::Mpp) && view.maker != Some(Maker::Grandstream);
        if encryption == "aes128gcm" && !opens_gcm {
            report(format!("{} knows no aes128gcm", view.model.name), "delivery.encryption");
        }
        let unpacks = !matches!(view.maker, Some(Maker::Aastra | Maker::Grandstream));
        let is_packed = view.settings.boolean("delivery.gzip") == Some(true);
        if is_packed && !unpacks && view.files.iter().any(|file| file.entry.delivery) {
            report(format!("{} doesn't unpack gzip", view.model.name), "delivery.gzip");
        }
        self.rule(view, encryption, findings);
    }
}

impl DeliveryMismatch {
    /// Whether the phone's own rule names a key where one is needed, and none where there is none.
    fn rule(&self, view: &DeviceView<'_>, encryption: &str, findings: &mut Findings) {
        let Some((file, profile)) = view.own().filter(|_| view.maker == Some(Maker::Cisco)) else { return };
        let Some(parameter) = profile.parameters(view.pack).find(|parameter| parameter.name == "Profile_Rule") else {
            return;
        };
        let has_key = parameter.value.contains("--key");
        let message = match (encryption, has_key) {
            ("aes-256-cbc", false) => "the profile is encrypted, and Profile_Rule has no --key to open it with",
            ("none", true) => "Profile_Rule has a --key, and the profile is not encrypted",
            ("aes128gcm", true) => {
                "Profile_Rule has a --key, and aes128gcm takes its key from IKM_HTTP_Encrypt_Content"
            }
            _ => return,
        };
        // Only a rule for this server has to go with what this server sends.
        let is_own = view.cisco().is_some_and(|phone| {
            let places = phone.places(parameter.value, crate::phone::cisco::rule::Kind::Profile);
            places.iter().any(|place| view.own_path(&place.to_string()).is_some())
        });
        if is_own {
            findings.report(view.at_parameter(message, file, &parameter));
        }
    }
}
