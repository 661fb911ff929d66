//! How a pack reads vendor, model, firmware, MAC and serial number from a User-Agent or a certificate's subject.

use regex::{Captures, Regex, RegexBuilder};

use super::manifest::Models;
use crate::document::Reader;
use crate::identity::Subject;
use crate::model::{MacAddr, Serial};

/// What a phone says of itself. A hint where it was read from a User-Agent, which anyone can send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identified {
    pub vendor: Option<String>,
    /// The pack's own name of the model; as it was read where the pack has no such model.
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub mac: Option<MacAddr>,
    pub serial: Option<Serial>,
    /// The certificate is one that many phones share.
    pub generic: bool,
}

/// The patterns of one pack.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    user_agents: Vec<Regex>,
    certificates: Vec<CertificatePattern>,
}

#[derive(Debug, Clone)]
struct CertificatePattern {
    /// Each field's short name, and the pattern that its whole value must match.
    fields: Vec<(String, Regex)>,
    generic: bool,
}

const GROUPS: [&str; 5] = ["vendor", "model", "firmware", "mac", "serial"];

/// Memory that one compiled pattern may take; a manifest's patterns take a few kilobytes.
const PATTERN_BYTES: usize = 1 << 20;

impl Patterns {
    /// Whether there is a pattern of a certificate that one phone alone has.
    pub fn reads_certificates(&self) -> bool {
        self.certificates.iter().any(|pattern| !pattern.generic)
    }

    /// Reads `[[user_agent]]` and `[[certificate]]`.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut patterns = Self::default();
        for entry in reader.tables("user_agent") {
            patterns.user_agents.extend(pattern(&entry, "pattern"));
            if !entry.has("pattern") {
                entry.missing("pattern");
            }
            entry.finish();
        }
        for entry in reader.tables("certificate") {
            let generic = entry.boolean("generic").unwrap_or(false);
            let names: Vec<String> =
                entry.entries().iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "generic").collect();
            let fields: Vec<_> =
                names.into_iter().filter_map(|name| pattern(&entry, &name).map(|pattern| (name, pattern))).collect();
            if fields.is_empty() {
                entry.problem_of_itself("names no field of the subject", "OU, L, ST, CN …".to_owned());
            } else {
                patterns.certificates.push(CertificatePattern { fields, generic });
            }
        }
        patterns
    }

    /// What the first pattern that fits reads from a User-Agent.
    pub fn user_agent(&self, text: &str, vendor: &str, models: &Models) -> Option<Identified> {
        let captures = self.user_agents.iter().find_map(|pattern| pattern.captures(text))?;
        let mut found = Identified { vendor: Some(vendor.to_owned()), ..Identified::default() };
        found.take(&captures, models);
        Some(found)
    }

    /// What the first entry that fits reads from a certificate's subject.
    pub fn certificate(&self, subject: &Subject, vendor: &str, models: &Models) -> Option<Identified> {
        self.certificates.iter().find_map(|entry| {
            let mut found =
                Identified { vendor: Some(vendor.to_owned()), generic: entry.generic, ..Identified::default() };
            for (field, pattern) in &entry.fields {
                found.take(&pattern.captures(subject.only(field)?)?, models);
            }
            if found.generic {
                (found.mac, found.serial) = (None, None);
            }
            Some(found)
        })
    }
}

impl Identified {
    fn take(&mut self, captures: &Captures<'_>, models: &Models) {
        let text = |name: &str| captures.name(name).map(|found| found.as_str()).filter(|text| !text.is_empty());
        if let Some(vendor) = text("vendor") {
            self.vendor = Some(vendor.to_owned());
        }
        if let Some(model) = text("model") {
            let known = models.named(model).and_then(|index| models.get(index));
            self.model = Some(known.map_or_else(|| model.to_owned(), |known| known.name.to_string()));
        }
        if let Some(firmware) = text("firmware") {
            self.firmware = Some(firmware.to_owned());
        }
        self.mac = text("mac").and_then(|mac| mac.parse().ok()).or(self.mac);
        if let Some(serial) = text("serial").and_then(|serial| serial.parse().ok()) {
            self.serial = Some(serial);
        }
    }
}

/// A pattern that has to match the whole text, so that nothing is ever found in the middle of something else.
fn pattern(entry: &Reader<'_>, key: &str) -> Option<Regex> {
    let text = entry.text(key)?;
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
    // Alone first: `a)|(?:b` would be a pattern only within the parentheses, and match in the middle of something.
    match compile(&text).and_then(|_| compile(&format!("^(?:{text})$"))) {
        Ok(pattern) => {
            for group in pattern.capture_names().flatten() {
                if !GROUPS.contains(&group) {
                    entry.problem(key, format!("has a group \"{group}\""), format!("groups are {}", GROUPS.join(", ")));
                }
            }
            Some(pattern)
        }
        Err(error) => {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            entry.problem(key, format!("is no regular expression: {last}"), None);
            None
        }
    }
}
