//! What phones of each family know, as their guides say: methods, files, limits, how they write and when they try again.

use std::sync::LazyLock;

use super::tree::Model;
use crate::phone::Maker;

/// When a phone tries again whose session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// TR-069: after the nth failure between m·k^(n-1) and m·k^n seconds, with m=5 and k=2; from the tenth on it stays.
    Growing,
    /// Always so many seconds. Aastra: "only constant intervals are supported"; how long they are isn't said.
    Constant(u32),
}

impl Retry {
    /// Seconds after so many failures in a row; `random` up to a bound.
    pub fn wait(self, failures: u32, random: impl FnOnce(u32) -> u32) -> u32 {
        match self {
            Self::Constant(seconds) => seconds,
            Self::Growing => {
                let least = 5 << failures.clamp(1, 10).saturating_sub(1);
                least + random(least)
            }
        }
    }
}

/// What a family knows.
#[derive(Debug)]
pub struct Knowledge {
    pub manufacturer: &'static str,
    /// The namespace of its CWMP.
    pub namespace: &'static str,
    pub methods: &'static [&'static str],
    /// Most names of a GetParameterValues; more are answered 9002.
    pub most_names: Option<usize>,
    /// Booleans are written `true` and `false` instead of `1` and `0`.
    pub writes_words: bool,
    pub retry: Retry,
    pub downloads: &'static [&'static str],
    pub uploads: &'static [&'static str],
    /// Its serial number is its MAC address.
    pub is_named_by_mac: bool,
    /// A factory reset leaves what leads it to its server.
    pub keeps_server_on_reset: bool,
    /// A reboot or factory reset is done once it is answered, and what the session would still bring is lost.
    pub reboots_at_once: bool,
    /// The only parameters whose changes can be told, by the end of their paths; none: all.
    pub notifiable: Option<&'static [&'static str]>,
    /// Objects that it can add, with the instance left out.
    pub addable: &'static [&'static str],
    /// Lines of the model.
    lines: fn(&str) -> u32,
    model: &'static LazyLock<Model>,
}

const FIRMWARE: &str = "1 Firmware Upgrade Image";
const CONFIGURATION: &str = "3 Vendor Configuration File";

static AASTRA_MODEL: LazyLock<Model> = LazyLock::new(|| Model::read(&[include_str!("tables/aastra.txt")]));
static GRANDSTREAM_MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::read(&[include_str!("tables/tr104.txt"), include_str!("tables/grandstream.txt")]));
static CISCO_MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::read(&[include_str!("tables/tr104.txt"), include_str!("tables/cisco.txt")]));

/// TR-069 guide 3.3.1 SP 4, "TR-069 Functionality Support", "Limitations" and "Passive and Active Notification".
static AASTRA: Knowledge = Knowledge {
    manufacturer: "Aastra",
    namespace: "urn:dslforum-org:cwmp-1-0",
    methods: &[
        "GetRPCMethods",
        "SetParameterValues",
        "GetParameterValues",
        "GetParameterNames",
        "SetParameterAttributes",
        "GetParameterAttributes",
        "Reboot",
        "Download",
        "Upload",
        "FactoryReset",
    ],
    most_names: None,
    writes_words: false,
    retry: Retry::Constant(60),
    // "1Firmware Upgrade Image" is how the guide writes it.
    downloads: &[FIRMWARE, "1Firmware Upgrade Image", CONFIGURATION, "1 Vendor Configuration File"],
    uploads: &["1 Vendor Configuration File", "X_Aastra Server Configuration File", "2 Vendor Log File"],
    is_named_by_mac: true,
    keeps_server_on_reset: false,
    reboots_at_once: false,
    notifiable: Some(&[
        "SIP.ProxyServer",
        "SIP.ProxyServerPort",
        "SIP.RegistrarServer",
        "SIP.RegistrarServerPort",
        "SIP.AuthUserName",
        "SIP.AuthPassword",
        "STUNServer",
        "X_Aastra_STUNServerPort",
        "LAN.AddressingType",
        "LAN.IPAddress",
    ]),
    addable: &[],
    lines: |_| 9,
    model: &AASTRA_MODEL,
};

/// TR-069 Information, "RPC Methods" and "Standards Compliance". A GetParameterValues of 32 names was answered 9002.
static GRANDSTREAM: Knowledge = Knowledge {
    manufacturer: "Grandstream",
    namespace: "urn:dslforum-org:cwmp-1-1",
    methods: &[
        "GetRPCMethods",
        "SetParameterValues",
        "GetParameterValues",
        "GetParameterNames",
        "SetParameterAttributes",
        "GetParameterAttributes",
        "AddObject",
        "DeleteObject",
        "Reboot",
        "Download",
        "FactoryReset",
        "Upload",
        "ScheduleInform",
    ],
    most_names: Some(31),
    writes_words: false,
    retry: Retry::Growing,
    downloads: &[FIRMWARE, CONFIGURATION],
    uploads: &[CONFIGURATION],
    is_named_by_mac: false,
    keeps_server_on_reset: true,
    reboots_at_once: true,
    notifiable: None,
    addable: &["Device.Services.VoiceService.1.VoiceProfile.", "Device.Services.VoiceService.1.VoiceProfile.{i}.Line."],
    lines: grandstream_lines,
    model: &GRANDSTREAM_MODEL,
};

/// 6800 provisioning guide, "TR69 Provisioning": procedures, events, and "CWMP_V1.2_Support".
static CISCO: Knowledge = Knowledge {
    manufacturer: "Cisco",
    namespace: "urn:dslforum-org:cwmp-1-2",
    methods: &[
        "GetRPCMethods",
        "SetParameterValues",
        "GetParameterValues",
        "SetParameterAttributes",
        "GetParameterAttributes",
        "GetParameterNames",
        "AddObject",
        "DeleteObject",
        "Reboot",
        "FactoryReset",
        "Download",
    ],
    most_names: None,
    writes_words: true,
    retry: Retry::Growing,
    // The guide says "Custom Certificate Authority (CA) file" and no type; a vendor's begins with X and its OUI.
    downloads: &[FIRMWARE, CONFIGURATION, "X 000E08 Custom CA File"],
    uploads: &[],
    is_named_by_mac: false,
    keeps_server_on_reset: false,
    reboots_at_once: false,
    notifiable: None,
    addable: &["Device.Services.VoiceService.1.VoiceProfile.", "Device.Services.VoiceService.1.VoiceProfile.{i}.Line."],
    lines: cisco_lines,
    model: &CISCO_MODEL,
};

/// As the data sheets say, for the models of the guide's list.
fn grandstream_lines(model: &str) -> u32 {
    match model.to_ascii_uppercase().as_str() {
        "GXP1610" | "GXP1615" | "HT801" | "HT701" => 1,
        "GXP1620" | "GXP1625" | "GXP1628" | "HT802" | "HT812" | "HT702" | "HT502" => 2,
        "GXP1630" | "GXP2130" => 3,
        "GXP2140" | "GXP1780" | "GXP1782" | "HT814" | "HT704" | "GXW4004" => 4,
        "GXP2135" | "GXW4008" => 8,
        "GXP2170" => 12,
        "GXW4216" => 16,
        _ => 6,
    }
}

/// As the data sheets say; four for others, as most have.
fn cisco_lines(model: &str) -> u32 {
    let model = model.to_ascii_uppercase();
    match model.trim_start_matches("CP-").trim_end_matches("-3PCC") {
        "7811" | "7832" | "8832" | "SPA301" | "SPA502G" => 1,
        "6821" | "7821" | "SPA112" | "SPA122" => 2,
        "SPA303" => 3,
        "SPA525G" | "SPA525G2" => 5,
        "6871" => 6,
        "SPA501G" | "SPA508G" => 8,
        "SPA509G" => 12,
        "7861" => 16,
        other if other.starts_with("88") => 10,
        _ => 4,
    }
}

impl Knowledge {
    pub fn of(maker: Maker) -> &'static Self {
        match maker {
            Maker::Aastra => &AASTRA,
            Maker::Grandstream => &GRANDSTREAM,
            Maker::Cisco => &CISCO,
        }
    }

    pub fn lines(&self, model: &str) -> u32 {
        (self.lines)(model)
    }

    pub(super) fn model(&self) -> &'static Model {
        self.model
    }

    /// Whether a change of a parameter can be told.
    pub fn can_notify(&self, path: &str) -> bool {
        self.notifiable.is_none_or(|ends| ends.iter().any(|end| path.ends_with(&format!(".{end}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_stays_within_its_law() {
        for (failures, least) in [(0, 5), (1, 5), (2, 10), (3, 20), (10, 2560), (11, 2560), (u32::MAX, 2560)] {
            assert_eq!(Retry::Growing.wait(failures, |_| 0), least);
            assert_eq!(Retry::Growing.wait(failures, |bound| bound), 2 * least);
        }
        assert_eq!(Retry::Constant(60).wait(7, |bound| bound), 60);
    }

    #[test]
    fn notifications_are_those_of_the_guide() {
        let line = "Device.Services.VoiceService.1.VoiceProfile.1.";
        assert!(AASTRA.can_notify(&format!("{line}SIP.ProxyServer")));
        assert!(!AASTRA.can_notify(&format!("{line}Name")) && GRANDSTREAM.can_notify(&format!("{line}Name")));
    }
}
