//! Where the phone's files are, what they are called, and in which order it asks for them.

use crate::phone::state::{Identity, Parameters};

/// The folder that files are fetched from, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Http(String),
    /// TFTP, FTP or FTPS, which the emulated phone doesn't speak.
    Other(&'static str),
}

pub fn value<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p str> {
    parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The folder that P237 names, by the protocol of P212; none where P237 is empty. The default of P212 differs between
/// families and firmware, so without it `scheme` holds, that of the server that the phone was set up with.
pub fn base(parameters: &Parameters, scheme: &str) -> Option<Base> {
    let path = value(parameters, "P237")?.trim().trim_end_matches('/');
    let scheme = match value(parameters, "P212") {
        None => scheme,
        Some("0") => return Some(Base::Other("TFTP")),
        Some("1") => "http",
        Some("2") => "https",
        Some("3") => return Some(Base::Other("FTP")),
        Some("4") => return Some(Base::Other("FTPS")),
        // A number that no template has: the phone would have refused to keep it.
        Some(_) => scheme,
    };
    Some(Base::Http(format!("{scheme}://{path}")))
}

/// As seen: `Grandstream Model HW GXP1628 SW 1.0.4.138 DevId c074ad2bd859`, `Grandstream GXP2000 (gxp2000e.bin:1.2.5.3/…)
/// DevId …`, `Grandstream BT110 1.0.8.33`.
pub fn user_agent(identity: &Identity) -> String {
    let (model, firmware, mac) = (&identity.model, &identity.firmware, identity.mac);
    if model.starts_with("BT") {
        format!("Grandstream {model} {firmware}")
    } else if model == "GXP2000" {
        // The version of the boot loader is nobody's business here: it is the firmware's.
        format!("Grandstream {model} (gxp2000e.bin:{firmware}/boot55e.bin:{firmware}) DevId {mac}")
    } else {
        format!("Grandstream Model HW {model} SW {firmware} DevId {mac}")
    }
}

/// One of the phone's files, from the most specific to the most general.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// `cfg<mac>`
    Binary,
    /// `cfg<mac>.bin`, what newer firmware calls the same.
    BinaryBin,
    /// `cfg<mac>.xml`
    Mac,
    /// `cfg<model>.xml`
    Model,
    /// `cfg.xml`
    General,
}

impl File {
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Binary | Self::BinaryBin)
    }

    /// Lower-case all through (guide of 2023), with the prefix P234 and the postfix P235 around it. Whether the postfix
    /// comes before the ending isn't public; for firmware files it comes after it.
    pub fn name(self, identity: &Identity, parameters: &Parameters) -> String {
        let (mac, model) = (identity.mac, identity.model.to_lowercase());
        let name = match self {
            Self::Binary => format!("cfg{mac}"),
            Self::BinaryBin => format!("cfg{mac}.bin"),
            Self::Mac => format!("cfg{mac}.xml"),
            Self::Model => format!("cfg{model}.xml"),
            Self::General => "cfg.xml".to_owned(),
        };
        let part = |name| value(parameters, name).unwrap_or_default();
        format!("{}{name}{}", part("P234"), part("P235"))
    }
}

/// What is asked for, in order: of each place the first file that is there.
///
/// Usually the binary file, which may name the server or the password of the next, and then the most specific XML file
/// (guide of 2023). With P8467 every file that is there is taken, from the general to the specific, so that the specific one
/// wins. The oldest phones, and the GXW410x gateways of their day, read the binary form only.
pub fn order(identity: &Identity, parameters: &Parameters) -> Vec<Vec<File>> {
    let binary = vec![File::Binary, File::BinaryBin];
    if ["BT", "GXP20", "GXW410"].iter().any(|family| identity.model.starts_with(family)) {
        return vec![vec![File::Binary]];
    }
    if value(parameters, "P8467") == Some("1") {
        return vec![vec![File::General], vec![File::Model], binary, vec![File::Mac]];
    }
    vec![binary, vec![File::Mac, File::Model, File::General]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_server_is_p237_by_the_protocol_of_p212() {
        for (pairs, expected) in [
            (vec![("P212", "2")], None),
            (vec![("P237", "")], None),
            (vec![("P237", "a.example.com:8443/b/")], Some(Base::Http("http://a.example.com:8443/b".to_owned()))),
            (vec![("P237", "a"), ("P212", "1")], Some(Base::Http("http://a".to_owned()))),
            (vec![("P237", "a"), ("P212", "2")], Some(Base::Http("https://a".to_owned()))),
            (vec![("P237", "a"), ("P212", "0")], Some(Base::Other("TFTP"))),
        ] {
            assert_eq!(base(&parameters(&pairs), "http"), expected, "{pairs:?}");
        }
    }
}
