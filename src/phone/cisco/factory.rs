//! What a factory-new phone is like, by its family (guide: tables of parameters, "TFTP Provisioning"; SPA chapter). Only
//! the parameters that provisioning looks at: the rest is the packs' lists to tell.

use std::fmt;

use serde::Serialize;

use crate::phone::{Identity, Parameters, State};

/// Which firmware a phone has, of those that differ in provisioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// 6800, 7800 and 8800 with multiplatform firmware.
    Mpp,
    Spa,
    /// The adapter asks for `/init.cfg`.
    Pap2t,
}

/// What `$PSN` is of a multiplatform phone: both are reported, and the guide's table has the short one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProductSeries {
    /// `6841-3PCC`
    #[default]
    Short,
    /// `CP-6841-3PCC`
    WithPrefix,
}

impl Family {
    /// By the model's name, as on the box or without its `CP-`.
    pub fn of(model: &str) -> Self {
        let upper = model.to_ascii_uppercase();
        if upper.starts_with("PAP2") {
            Self::Pap2t
        } else if upper.starts_with("CP-") || upper.ends_with("-3PCC") || upper.starts_with(['6', '7', '8']) {
            Self::Mpp
        } else {
            Self::Spa
        }
    }

    /// What the syslog messages' parameters are called: their names differ, and so do those of the sample of either guide.
    pub fn log_parameters(self) -> [&'static str; 3] {
        match self {
            Self::Mpp => ["Log_Request_Msg", "Log_Success_Msg", "Log_Failure_Msg"],
            Self::Spa | Self::Pap2t => ["Log_Resync_Request_Msg", "Log_Resync_Success_Msg", "Log_Resync_Failure_Msg"],
        }
    }

    /// The parameters of provisioning that a factory-new phone has.
    pub fn parameters(self) -> Parameters {
        let rule = match self {
            Self::Mpp => "/$PSN.xml",
            Self::Spa => "/spa$PSN.cfg",
            Self::Pap2t => "/init.cfg",
        };
        let [request, success, failure] = self.log_parameters();
        let common = [
            ("Provision_Enable", "Yes"),
            ("Resync_On_Reset", "Yes"),
            ("Resync_Random_Delay", "2"),
            ("Resync_At__HHmm_", ""),
            ("Resync_At_Random_Delay", "600"),
            ("Resync_Periodic", "3600"),
            ("Resync_Error_Retry_Delay", "3600"),
            ("Forced_Resync_Delay", "14400"),
            ("Resync_From_SIP", "Yes"),
            ("Resync_After_Upgrade_Attempt", "Yes"),
            ("Resync_Trigger_1", ""),
            ("Resync_Trigger_2", ""),
            ("Resync_Fails_On_FNF", "Yes"),
            ("Profile_Rule", rule),
            ("Profile_Rule_B", ""),
            ("Profile_Rule_C", ""),
            ("Profile_Rule_D", ""),
            (request, "$PN $MAC -- Requesting resync $SCHEME://$SERVIP:$PORT$PATH"),
            (success, "$PN $MAC -- Successful resync $SCHEME://$SERVIP:$PORT$PATH"),
            (failure, "$PN $MAC -- Resync failed: $ERR"),
            ("Report_Rule", ""),
            ("HTTP_Report_Method", "POST"),
            ("Upgrade_Enable", "Yes"),
            ("Upgrade_Error_Retry_Delay", "3600"),
            ("Upgrade_Rule", ""),
            ("Downgrade_Rev_Limit", ""),
            ("Log_Upgrade_Request_Msg", "$PN $MAC -- Requesting upgrade $SCHEME://$SERVIP:$PORT$PATH"),
            ("Log_Upgrade_Success_Msg", "$PN $MAC -- Successful upgrade $SCHEME://$SERVIP:$PORT$PATH -- $ERR"),
            ("Log_Upgrade_Failure_Msg", "$PN $MAC -- Upgrade failed: $ERR"),
        ];
        let own: &[(&str, &str)] = match self {
            Self::Mpp => &[
                ("HTTP_User_Agent_Name", "$VERSION ($MA)"),
                ("IKM_HTTP_Encrypt_Content", ""),
                ("Report_To_Server", "On Request"),
                ("DHCP_Option_To_Use", "66,160,159,150,60,43,125"),
            ],
            Self::Spa | Self::Pap2t => &[],
        };
        let general = ('A'..='P').map(|letter| (format!("GPP_{letter}"), String::new()));
        let secret = ('A'..='D').map(|letter| (format!("GPP_S{letter}"), String::new()));
        let named = common.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        named.chain(general).chain(secret).collect()
    }

    /// The state of a factory-new phone.
    pub fn new_phone(self) -> State {
        State { parameters: self.parameters(), ..State::default() }
    }
}

/// What the phone calls itself, by its identity and firmware.
#[derive(Debug, Clone)]
pub struct Naming<'a> {
    pub identity: &'a Identity,
    pub family: Family,
    pub series: ProductSeries,
    /// The firmware that it runs, where an upgrade changed it.
    pub upgraded: Option<&'a str>,
}

impl Naming<'_> {
    /// `$PN`: `CP-6841-3PCC`, `SPA504G`.
    pub fn product(&self) -> String {
        let model = &self.identity.model;
        if self.family == Family::Mpp && !model.starts_with("CP-") { format!("CP-{model}") } else { model.clone() }
    }

    /// `$PSN`: `6841-3PCC`, `504G`.
    pub fn series(&self) -> String {
        let product = self.product();
        match (self.family, self.series) {
            (Family::Mpp, ProductSeries::WithPrefix) => product,
            (Family::Mpp, ProductSeries::Short) => product.trim_start_matches("CP-").to_owned(),
            (Family::Spa | Family::Pap2t, _) => {
                let rest = product.strip_prefix("SPA").unwrap_or(&product);
                rest.strip_prefix('-').unwrap_or(rest).to_owned()
            }
        }
    }

    fn firmware(&self) -> &str {
        self.upgraded.unwrap_or(&self.identity.firmware)
    }

    /// `$SWVER`: `sip68xx.11-0-1MPP`, `7.4.9c`. An identity gives the firmware as the User-Agent has it, which a
    /// multiplatform phone doesn't put into rules: its form is made up here, with the series of the model's first two
    /// digits, except for the models that have firmware of their own.
    pub fn software(&self) -> String {
        let firmware = self.firmware();
        if self.family != Family::Mpp || firmware.starts_with("sip") {
            return firmware.to_owned();
        }
        let series = self.product().trim_start_matches("CP-").chars().take(4).collect::<String>();
        let image = match series.as_str() {
            "7832" | "8832" => series,
            "8845" | "8865" => "8845_65".to_owned(),
            _ => format!("{}xx", series.chars().take(2).collect::<String>()),
        };
        let mark = if firmware.contains('M') { "" } else { "MPP" };
        let mut numbers: Vec<&str> = firmware.split(['.', '-']).collect();
        while numbers.len() < 3 {
            numbers.push("0");
        }
        format!("sip{image}.{}{mark}", numbers.join("-"))
    }

    /// `$VERSION`: what the User-Agent begins with, `Cisco-CP-8841-3PCC/11.0`, `Cisco/SPA504G-7.4.9c`.
    pub fn version(&self) -> String {
        let (product, firmware) = (self.product(), self.firmware());
        match self.family {
            Family::Mpp => {
                let numbers = firmware.split_once('.').filter(|_| firmware.starts_with("sip")).map(|(_, rest)| rest);
                let plain = numbers.map(|rest| rest.split_once("MPP").map_or(rest, |(rest, _)| rest).replace('-', "."));
                format!("Cisco-{product}/{}", plain.as_deref().unwrap_or(firmware))
            }
            Family::Pap2t => format!("Linksys/{product}-{firmware}"),
            Family::Spa if self.is_linksys() => format!("Linksys/{product}-{firmware}"),
            Family::Spa => format!("Cisco/{product}-{firmware}"),
        }
    }

    /// SPA9xx, SPA2102 and their like, from before the name changed.
    fn is_linksys(&self) -> bool {
        let series = self.series();
        series.len() >= 3
            && series.starts_with(['9', '2', '3'])
            && !series.starts_with("30")
            && !series.starts_with("23")
    }

    /// What a phone is called in a request, where no parameter says otherwise: SPA phones give their MAC and serial,
    /// those of Linksys and the SPA525G the serial alone.
    pub fn user_agent(&self) -> String {
        let (version, identity) = (self.version(), self.identity);
        match self.family {
            Family::Mpp => format!("{version} ({})", identity.mac),
            Family::Spa if !self.is_linksys() && !self.series().starts_with("525") => {
                format!("{version} ({})({})", identity.mac.upper(), identity.serial)
            }
            Family::Spa | Family::Pap2t => format!("{version} ({})", identity.serial),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mpp => "Cisco MPP",
            Self::Spa => "Cisco SPA",
            Self::Pap2t => "Linksys PAP2T",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(model: &str, firmware: &str) -> [String; 5] {
        let identity = Identity {
            model: model.to_owned(),
            mac: "000e08abcdef".parse().unwrap(),
            serial: "88012BA01234".parse().unwrap(),
            firmware: firmware.to_owned(),
            has_certificate: true,
        };
        let family = Family::of(model);
        let naming = Naming { identity: &identity, family, series: ProductSeries::Short, upgraded: None };
        [naming.product(), naming.series(), naming.software(), naming.version(), naming.user_agent()]
    }

    #[test]
    fn phones_call_themselves_as_they_are_seen_to() {
        for (model, firmware, expected) in [
            (
                "CP-6841-3PCC",
                "11.0.1",
                [
                    "CP-6841-3PCC",
                    "6841-3PCC",
                    "sip68xx.11-0-1MPP",
                    "Cisco-CP-6841-3PCC/11.0.1",
                    "Cisco-CP-6841-3PCC/11.0.1 (000e08abcdef)",
                ],
            ),
            (
                "8865-3PCC",
                "sip8845_65.11-2-4MPP-398",
                [
                    "CP-8865-3PCC",
                    "8865-3PCC",
                    "sip8845_65.11-2-4MPP-398",
                    "Cisco-CP-8865-3PCC/11.2.4",
                    "Cisco-CP-8865-3PCC/11.2.4 (000e08abcdef)",
                ],
            ),
            (
                "SPA504G",
                "7.4.9c",
                [
                    "SPA504G",
                    "504G",
                    "7.4.9c",
                    "Cisco/SPA504G-7.4.9c",
                    "Cisco/SPA504G-7.4.9c (000E08ABCDEF)(88012BA01234)",
                ],
            ),
            (
                "SPA-942",
                "6.1.5(a)",
                ["SPA-942", "942", "6.1.5(a)", "Linksys/SPA-942-6.1.5(a)", "Linksys/SPA-942-6.1.5(a) (88012BA01234)"],
            ),
            (
                "SPA525G",
                "7.4.7",
                ["SPA525G", "525G", "7.4.7", "Cisco/SPA525G-7.4.7", "Cisco/SPA525G-7.4.7 (88012BA01234)"],
            ),
        ] {
            assert_eq!(named(model, firmware), expected.map(str::to_owned), "{model}");
        }
        assert_eq!(named("CP-8841-3PCC", "11.0")[2], "sip88xx.11-0-0MPP");
        assert_eq!(Family::of("PAP2T"), Family::Pap2t);
    }

    #[test]
    fn a_new_phone_asks_for_its_families_file() {
        for (model, rule) in [("CP-6841-3PCC", "/$PSN.xml"), ("SPA504G", "/spa$PSN.cfg"), ("PAP2T", "/init.cfg")] {
            assert_eq!(Family::of(model).parameters()["Profile_Rule"], rule);
        }
    }
}
