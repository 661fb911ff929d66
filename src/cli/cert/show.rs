//! `resyncd cert show`: the certificates of a file, for people and for scripts.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Ending, Failure};
use crate::document::Problems;
use crate::identity::Subject;
use crate::tls::certificates::{Finding, Inspection, KeyKind, Report, Severity, inspect};

#[derive(Debug, clap::Args)]
pub struct Show {
    /// A PEM file of certificates.
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// Which phone the packs take a client certificate's subject for; none where it doesn't tell.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PackReading {
    pub pack: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub mac: Option<String>,
    pub serial: Option<String>,
}

impl Show {
    /// Shows the file. `what_the_packs_make_of_it` is asked about the subject of a certificate that can be a phone's.
    pub fn run(self, what_the_packs_make_of_it: impl Fn(&Subject) -> Option<PackReading>) -> Result<Ending, Failure> {
        let inspection = inspect(&self.file).map_err(|problem| Failure::Problems(Problems::from(problem)))?;
        let phone = inspection.certificates.first().filter(|leaf| leaf.is_for_phones());
        let reading = phone.and_then(|leaf| what_the_packs_make_of_it(&leaf.subject));
        match self.format {
            Format::Human => print!("{}", as_text(&inspection, reading.as_ref())),
            Format::Json => {
                let json = serde_json::to_string_pretty(&Shown::of(&inspection, reading.as_ref()))
                    .map_err(|error| Failure::because("the certificates can't be written as JSON", error))?;
                println!("{json}");
            }
        }
        Ok(if inspection.is_usable() { Ending::Fine } else { Ending::Findings })
    }
}

/// The JSON of a file. Scripts read it: names stay.
#[derive(Serialize)]
struct Shown<'a> {
    usable: bool,
    certificates: Vec<ShownCertificate<'a>>,
    findings: &'a [Finding],
    /// None for what can't be a phone's.
    phone: Option<&'a PackReading>,
}

#[derive(Serialize)]
struct ShownCertificate<'a> {
    subject: String,
    /// The subject's fields in their order; one may come twice.
    fields: Vec<[&'a str; 2]>,
    issuer: String,
    names: &'a [String],
    key: KeyKind,
    key_bits: u32,
    signature: &'a str,
    not_before: Option<String>,
    not_after: Option<String>,
    days_left: i64,
    purposes: Option<&'a [&'static str]>,
    authority: bool,
    self_signed: bool,
    sha256: &'a str,
}

impl<'a> Shown<'a> {
    fn of(inspection: &'a Inspection, phone: Option<&'a PackReading>) -> Self {
        let certificates = inspection.certificates.iter().map(|report| ShownCertificate {
            subject: report.subject.to_string(),
            fields: report.subject.0.iter().map(|(name, value)| [name.as_str(), value.as_str()]).collect(),
            issuer: report.issuer.to_string(),
            names: &report.names,
            key: report.key,
            key_bits: report.key_bits,
            signature: &report.signature,
            not_before: report.not_before.and_then(moment),
            not_after: report.not_after.and_then(moment),
            days_left: report.days_left,
            purposes: report.purposes.as_deref(),
            authority: report.is_authority,
            self_signed: report.is_self_signed,
            sha256: &report.fingerprint,
        });
        Self {
            usable: inspection.is_usable(),
            certificates: certificates.collect(),
            findings: &inspection.findings,
            phone,
        }
    }
}

fn moment(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()
}

fn as_text(inspection: &Inspection, reading: Option<&PackReading>) -> String {
    let mut text = String::new();
    for (index, report) in inspection.certificates.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&format!("certificate {}\n", index + 1));
        for (name, value) in lines(report) {
            text.push_str(&format!("  {name:<11} {value}\n"));
        }
        let findings = inspection.findings.iter().filter(|finding| finding.certificate == index + 1);
        for Finding { severity, message, .. } in findings {
            let severity = match severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            text.push_str(&format!("  {severity}: {message}\n"));
        }
    }
    let Some(leaf) = inspection.certificates.first().filter(|leaf| leaf.is_for_phones()) else { return text };
    text.push_str("\nas a phone's certificate\n");
    for (name, value) in &leaf.subject.0 {
        text.push_str(&format!("  {name:<11} {value}\n"));
    }
    if let Some(PackReading { pack, vendor, model, mac, serial }) = reading {
        let values = [("pack", pack), ("vendor", vendor), ("model", model), ("MAC", mac), ("serial", serial)];
        for (name, value) in values {
            text.push_str(&format!("  {name:<11} {}\n", value.as_deref().unwrap_or("-")));
        }
    }
    text
}

fn lines(report: &Report) -> Vec<(&'static str, String)> {
    let key = match report.key {
        KeyKind::Rsa => "RSA",
        KeyKind::EllipticCurve => "elliptic curve",
        KeyKind::Other => "other",
    };
    let time = |time: Option<OffsetDateTime>| time.and_then(moment).unwrap_or_else(|| "?".to_owned());
    let mut lines = vec![("subject", report.subject.to_string()), ("issuer", report.issuer.to_string())];
    if !report.names.is_empty() {
        lines.push(("names", report.names.join(", ")));
    }
    lines.push(("key", format!("{key}, {} bits", report.key_bits)));
    lines.push(("signature", report.signature.clone()));
    lines.push(("valid", format!("{} to {}", time(report.not_before), time(report.not_after))));
    lines.push(("days left", report.days_left.to_string()));
    let purposes = match &report.purposes {
        _ if report.is_authority => "signing certificates".to_owned(),
        None => "any".to_owned(),
        Some(purposes) => purposes.join(", "),
    };
    lines.push(("purposes", purposes));
    lines.push(("SHA-256", report.fingerprint.clone()));
    lines
}
