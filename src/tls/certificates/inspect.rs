//! What a certificate says of itself, and what that is worth to a phone and to this server.

use std::net::IpAddr;
use std::path::Path;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::x509::{GeneralNameRef, X509, X509ExtendedKeyUsage, X509Ref, X509VerifyResult};
use serde::Serialize;
use time::OffsetDateTime;

use super::name::ServerName;
use crate::document::Problem;
use crate::identity::Subject;
use crate::tls::pem;

/// The certificates of one file, in their order.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub certificates: Vec<Report>,
    pub findings: Vec<Finding>,
}

/// One certificate.
#[derive(Debug, Clone)]
pub struct Report {
    pub subject: Subject,
    pub issuer: Subject,
    /// Subject alternative names: host names, addresses and the rest as text.
    pub names: Vec<String>,
    pub key: KeyKind,
    pub key_bits: u32,
    /// The hash that was signed, `SHA256`; the algorithm's own name where it has none.
    pub signature: String,
    pub not_before: Option<OffsetDateTime>,
    pub not_after: Option<OffsetDateTime>,
    /// Whole days until it expires, negative after.
    pub days_left: i64,
    /// What it may be used for, `serverAuth`, `clientAuth`, …; none where it says nothing, which means anything.
    pub purposes: Option<Vec<&'static str>>,
    pub is_authority: bool,
    pub is_self_signed: bool,
    /// SHA-256 of the whole certificate in hexadecimal.
    pub fingerprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    Rsa,
    EllipticCurve,
    Other,
}

/// What is remarkable about a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Counted from 1.
    pub certificate: usize,
    pub severity: Severity,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Some setups are fine with it.
    Note,
    /// Some phones refuse it.
    Warning,
    /// It can't be used.
    Error,
}

/// Reads every certificate of a PEM file and judges them.
pub fn inspect(path: &Path) -> Result<Inspection, Problem> {
    let certificates = pem::read_certificates(path)?;
    let now = OffsetDateTime::now_utc();
    let reports: Vec<Report> = certificates.iter().map(|certificate| report(certificate, now)).collect();
    let mut findings = Findings(Vec::new());
    for (index, report) in reports.iter().enumerate() {
        findings.dates(index + 1, report, now);
    }
    // A file of roots has no leaf and no order.
    let are_roots = |leaf: &Report| leaf.is_authority || (leaf.is_self_signed && reports.len() > 1);
    if let Some(leaf) = reports.first().filter(|leaf| !are_roots(leaf)) {
        findings.chain(&certificates, &reports);
        findings.leaf(leaf, reports.len());
    }
    Ok(Inspection { certificates: reports, findings: findings.0 })
}

impl Inspection {
    /// Whether it can be used at all.
    pub fn is_usable(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

impl Report {
    fn is_for(&self, purpose: &str) -> bool {
        self.purposes.as_ref().is_none_or(|purposes| purposes.contains(&purpose))
    }

    /// Whether a phone may take it for a server's.
    pub fn is_for_servers(&self) -> bool {
        !self.is_authority && self.is_for("serverAuth")
    }

    /// Whether this server may take it for a phone's.
    pub fn is_for_phones(&self) -> bool {
        !self.is_authority && self.is_for("clientAuth")
    }

    /// MD5 and SHA-1 signatures, RSA below 2048 bits.
    fn weaknesses(&self) -> Vec<String> {
        let mut weaknesses = Vec::new();
        if matches!(self.signature.as_str(), "SHA1" | "MD5" | "MD4" | "MD2") {
            weaknesses.push(format!("is signed with {}", self.signature));
        }
        if self.key == KeyKind::Rsa && self.key_bits < 2048 {
            weaknesses.push(format!("has a key of {} bits", self.key_bits));
        }
        weaknesses
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, certificate: usize, severity: Severity, message: impl Into<String>) {
        self.0.push(Finding { certificate, severity, message: message.into() });
    }

    fn dates(&mut self, number: usize, report: &Report, now: OffsetDateTime) {
        match (report.not_before, report.not_after) {
            (_, Some(end)) if end < now => {
                self.add(number, Severity::Error, format!("expired {} days ago", -report.days_left));
            }
            (Some(begin), _) if begin > now => self.add(number, Severity::Error, "is not valid yet"),
            (_, Some(_)) if report.days_left < 30 => {
                self.add(number, Severity::Warning, format!("expires in {} days", report.days_left));
            }
            (Some(_), Some(_)) => {}
            _ => self.add(number, Severity::Error, "has dates that can't be read"),
        }
    }

    /// Every certificate has to be signed by the next.
    fn chain(&mut self, certificates: &[X509], reports: &[Report]) {
        for (index, window) in certificates.windows(2).enumerate() {
            if let [certificate, issuer] = window
                && !signs(issuer, certificate)
            {
                let place = reports.get(index).map(|report| report.issuer.to_string()).unwrap_or_default();
                self.add(
                    index + 1,
                    Severity::Error,
                    format!(
                        "isn't signed by the certificate after it: the order is server, intermediates, and here {place} \
                         should follow"
                    ),
                );
            }
        }
    }

    fn leaf(&mut self, leaf: &Report, length: usize) {
        if !leaf.is_for_servers() && !leaf.is_for_phones() {
            self.add(1, Severity::Error, "is for neither servers nor clients of TLS");
        }
        let weaknesses = leaf.weaknesses();
        if leaf.is_for_servers() {
            for weakness in &weaknesses {
                self.add(1, Severity::Warning, format!("{weakness}: newer phones refuse such a server"));
            }
            if leaf.key == KeyKind::EllipticCurve {
                self.add(1, Severity::Note, "has an elliptic-curve key: old phones (Cisco SPA) can do RSA only");
            }
        }
        if leaf.is_for_phones() {
            for weakness in &weaknesses {
                self.add(1, Severity::Warning, format!("{weakness}: a phone's is taken with legacy = true only"));
            }
        }
        // The rest is about how phones check a server, and would only confuse for a certificate that says it is a phone's.
        let clearly_a_server =
            leaf.is_for_servers() && (leaf.purposes.is_some() || length > 1 || !leaf.names.is_empty());
        if !clearly_a_server {
            return;
        }
        match leaf.subject.only("CN") {
            None => self.add(1, Severity::Warning, "has no CN: Cisco phones compare it with the host of Profile_Rule"),
            // A `/…` after the name is allowed by Cisco's guides.
            Some(name) => match name.split('/').next().unwrap_or(name).parse::<ServerName>() {
                Ok(name) if name.is_fully_qualified() => {}
                _ => self.add(
                    1,
                    Severity::Warning,
                    format!(
                        "has the CN {name}, no fully qualified name: Cisco phones compare it with their URL's host"
                    ),
                ),
            },
        }
        if leaf.is_self_signed {
            self.add(1, Severity::Warning, "signs itself: phones take it only where it is installed as a root");
        } else if length == 1 {
            self.add(
                1,
                Severity::Note,
                format!("comes alone: phones have to know {} itself, else its certificate has to follow", leaf.issuer),
            );
        }
    }
}

fn signs(issuer: &X509Ref, certificate: &X509Ref) -> bool {
    issuer.issued(certificate) == X509VerifyResult::OK
        && issuer.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}

fn report(certificate: &X509Ref, now: OffsetDateTime) -> Report {
    let key = certificate.public_key().ok();
    let not_after = time_of(certificate.not_after());
    let algorithm = certificate.signature_algorithm().object().nid();
    let hash =
        algorithm.signature_algorithms().map(|algorithms| algorithms.digest).filter(|digest| *digest != Nid::UNDEF);
    let fingerprint = certificate.digest(MessageDigest::sha256()).map(|digest| {
        use std::fmt::Write as _;
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    Report {
        subject: Subject::from_x509(certificate),
        issuer: Subject::from_name(certificate.issuer_name()),
        names: certificate
            .subject_alt_names()
            .map(|names| names.iter().filter_map(alternative_name).collect())
            .unwrap_or_default(),
        key: match key.as_ref().map(|key| key.id()) {
            Some(Id::RSA | Id::RSA_PSS) => KeyKind::Rsa,
            Some(Id::EC) => KeyKind::EllipticCurve,
            _ => KeyKind::Other,
        },
        key_bits: key.as_ref().map(|key| key.bits()).unwrap_or_default(),
        signature: hash.unwrap_or(algorithm).short_name().unwrap_or("unknown").to_owned(),
        not_before: time_of(certificate.not_before()),
        not_after,
        days_left: not_after.map(|end| (end - now).whole_days()).unwrap_or_default(),
        purposes: certificate.extended_key_usage().map(purposes),
        is_authority: is_authority(certificate),
        is_self_signed: signs(certificate, certificate),
        fingerprint: fingerprint.unwrap_or_default(),
    }
}

fn time_of(time: &Asn1TimeRef) -> Option<OffsetDateTime> {
    let difference = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    OffsetDateTime::from_unix_timestamp(i64::from(difference.days) * 86_400 + i64::from(difference.secs)).ok()
}

fn purposes(usage: X509ExtendedKeyUsage) -> Vec<&'static str> {
    let names = [
        (X509ExtendedKeyUsage::SSL_SERVER, "serverAuth"),
        (X509ExtendedKeyUsage::SSL_CLIENT, "clientAuth"),
        (X509ExtendedKeyUsage::SMIME, "emailProtection"),
        (X509ExtendedKeyUsage::CODE_SIGN, "codeSigning"),
        (X509ExtendedKeyUsage::OCSP_SIGN, "OCSPSigning"),
        (X509ExtendedKeyUsage::TIMESTAMP, "timeStamping"),
        (X509ExtendedKeyUsage::ANYEKU, "anyExtendedKeyUsage"),
    ];
    names.into_iter().filter(|(bit, _)| usage.contains(*bit)).map(|(_, name)| name).collect()
}

/// Whether the certificate may sign others: it says so, or it is of the first version and signs itself, as old roots do.
fn is_authority(certificate: &X509Ref) -> bool {
    let signs = certificate.key_usage().is_some_and(|usage| usage.contains(openssl::x509::X509KeyUsage::KEY_CERT_SIGN));
    let old_root = certificate.version() == 0 && certificate.issued(certificate) == X509VerifyResult::OK;
    signs || certificate.pathlen().is_some() || old_root
}

fn alternative_name(name: &GeneralNameRef) -> Option<String> {
    if let Some(text) = name.dnsname().or_else(|| name.uri()).or_else(|| name.email()) {
        return Some(text.to_owned());
    }
    let bytes = name.ipaddress()?;
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_string())
}
