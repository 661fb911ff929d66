//! What is known of a phone from one session to the next.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cwmp::message::{EventCode, FaultCode, Inform};

/// Longest text that is kept of what a phone says, in bytes.
const TEXT: usize = 256;

/// Most events of an Inform that are kept.
const EVENTS: usize = 16;

/// What a phone said of itself, and how far it holds what its settings come to. Nothing in it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phone {
    pub said: Said,
    /// The phone's `ParameterKey`, as it last told or was last given it.
    pub parameter_key: String,
    /// The revision of the settings that it was last found to hold, or brought to.
    pub holds: Option<String>,
    /// The methods that it says it knows; none: it was not asked yet.
    pub methods: Option<Vec<String>>,
    /// Parameters that it refused. They are not tried again until its settings or its software are others.
    pub refused: Vec<RefusedParameter>,
    /// The revision and the software that `refused` is about.
    pub refused_at: Option<(String, String)>,
    /// What was changed on the phone and left as it is.
    pub changed: Vec<Changed>,
}

/// An Inform, as far as it lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
    pub hardware: Option<String>,
    pub software: Option<String>,
    /// Where the phone hears connection requests. A claim: nothing is sent there before policy has looked at it.
    pub connection_request_url: Option<String>,
    /// The same behind NAT (TR-111).
    pub udp_address: Option<String>,
    /// When the last session began, in milliseconds since 1970, by the clock of the server that had it.
    pub began: i64,
    /// Why the last session was opened: `2 PERIODIC`.
    pub events: Vec<String>,
    /// How often it had tried in vain.
    pub retries: u32,
}

/// A parameter that a phone refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedParameter {
    pub path: String,
    /// 9005 and so on.
    pub fault: u16,
    /// The phone's own words, or what the code means.
    pub why: String,
}

/// A value that was changed on the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub path: String,
    /// What the phone holds; none where the settings have a secret there.
    pub value: Option<String>,
}

impl Phone {
    /// Takes in an Inform. True where what was known of the phone may not hold any more, so that it has to be looked at.
    pub fn informed(&mut self, inform: &Inform) -> bool {
        let before = std::mem::take(&mut self.said);
        let text = |text: &str| cut(text).to_owned();
        // The root is `Device.` or `InternetGatewayDevice.`: what stands behind it is the same.
        let parameter = |name: &str| {
            let mut all = inform.parameters.iter();
            let found = all.find(|parameter| parameter.name.split_once('.').is_some_and(|(_, rest)| rest == name))?;
            Some(cut(&found.value.text(&crate::cwmp::Quirks::default())).to_owned())
        };
        // Where it is reached, a phone tells when that has changed: until then it is where it was. From the factory it comes anew.
        let lasting = if inform.has(&EventCode::Bootstrap) { Said::default() } else { before.clone() };
        self.said = Said {
            manufacturer: text(&inform.device.manufacturer),
            oui: text(&inform.device.oui),
            product_class: text(&inform.device.product_class),
            serial_number: text(&inform.device.serial_number),
            hardware: parameter("DeviceInfo.HardwareVersion"),
            software: parameter("DeviceInfo.SoftwareVersion"),
            connection_request_url: parameter("ManagementServer.ConnectionRequestURL")
                .or_else(|| lasting.connection_request_url.clone()),
            udp_address: parameter("ManagementServer.UDPConnectionRequestAddress")
                .or_else(|| lasting.udp_address.clone()),
            began: milliseconds(OffsetDateTime::now_utc()),
            events: inform.events.iter().take(EVENTS).map(|event| cut(&event.code.to_string()).to_owned()).collect(),
            retries: inform.retry_count,
        };
        let key = parameter("ManagementServer.ParameterKey");
        let has_other_key = key.as_ref().is_some_and(|key| *key != self.parameter_key);
        let is_new = inform.has(&EventCode::Bootstrap);
        if is_new {
            let said = std::mem::take(&mut self.said);
            *self = Self { said, ..Self::default() };
        }
        if before.software != self.said.software {
            // Other software may know other methods.
            self.methods = None;
        }
        self.parameter_key = key.unwrap_or_else(|| std::mem::take(&mut self.parameter_key));
        let has_other_software = before.software != self.said.software;
        is_new || has_other_key || has_other_software || inform.has(&EventCode::ValueChange)
    }

    /// Keeps those refusals only that are about this revision and the phone's present software.
    pub fn refusals_at(&mut self, revision: &str) {
        let now = (revision.to_owned(), self.said.software.clone().unwrap_or_default());
        if self.refused_at.as_ref() != Some(&now) {
            self.refused.clear();
            self.refused_at = Some(now);
        }
    }

    /// Whether the phone has refused a parameter as it is to be now.
    pub fn has_refused(&self, path: &str) -> bool {
        self.refused.iter().any(|refused| refused.path == path)
    }

    pub fn refuse(&mut self, path: &str, fault: FaultCode, text: &str) {
        if !self.has_refused(path) {
            let why = if text.trim().is_empty() { fault.meaning() } else { cut(text.trim()) };
            self.refused.push(RefusedParameter { path: path.to_owned(), fault: fault.0, why: why.to_owned() });
        }
    }
}

/// Since 1970.
pub fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A phone's text, cut off.
pub fn cut(text: &str) -> &str {
    let end = (0..=TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
