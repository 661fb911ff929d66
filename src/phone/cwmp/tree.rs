//! The data model of a family, as the tables beside this file have it, and the parameters that one phone has of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Phone;
use super::diagnostics::HOPS;
use super::memory::Memory;
use super::value::{Kind, Limit};
use crate::phone::{Maker, State};

/// Who may do what with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// It can be set, and reads as nothing: "this parameter returns an empty string, regardless of the actual value".
    Secret,
}

/// A line of a table.
#[derive(Debug, Clone)]
pub struct Entry {
    /// With `{i}` where instances are numbered.
    pub pattern: String,
    pub access: Access,
    pub kind: Kind,
    pub limit: Limit,
    factory: Option<String>,
    /// The parameter of the phone's files that says the same.
    file: Option<String>,
}

#[derive(Debug, Default)]
pub struct Model {
    /// By path with `#` for every number.
    entries: BTreeMap<String, Entry>,
}

pub const PARAMETER_KEY: &str = "Device.ManagementServer.ParameterKey";
pub const PROFILES: &str = "Device.Services.VoiceService.1.VoiceProfile.";

/// A path with `#` for every number.
fn shape(path: &str) -> String {
    let parts = path.split('.').map(|part| {
        let is_number = part == "{i}" || !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { "#" } else { part }
    });
    parts.collect::<Vec<_>>().join(".")
}

impl Model {
    /// Reads tables; a later one wins. A line that is none is left out, and a test sees that there is none.
    pub fn read(tables: &[&str]) -> Self {
        let lines = tables.iter().flat_map(|table| table.lines()).filter(|line| !line.starts_with('#'));
        Self { entries: lines.filter_map(entry).map(|entry| (shape(&entry.pattern), entry)).collect() }
    }

    /// All parameters that a phone has, in the order of their names.
    pub fn paths(&self, memory: &Memory, lines: u32) -> Vec<(String, &Entry)> {
        let mut all: Vec<(String, &Entry)> = Vec::new();
        for entry in self.entries.values() {
            let mut paths = vec![String::new()];
            for (at, part) in entry.pattern.split('.').enumerate() {
                let dot = if at == 0 { "" } else { "." };
                paths = if part == "{i}" {
                    let of = |path: String| {
                        let numbers = instances(&format!("{path}."), memory, lines);
                        numbers.into_iter().map(move |number| format!("{path}{dot}{number}"))
                    };
                    paths.into_iter().flat_map(of).collect()
                } else {
                    paths.into_iter().map(|path| format!("{path}{dot}{part}")).collect()
                };
            }
            all.extend(paths.into_iter().map(|path| (path, entry)));
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// What is known of one parameter; none where the phone has no such.
    pub fn find(&self, path: &str, memory: &Memory, lines: u32) -> Option<&Entry> {
        let entry = self.entries.get(&shape(path))?;
        let mut so_far = String::new();
        for (pattern, part) in entry.pattern.split('.').zip(path.split('.')) {
            if pattern == "{i}" {
                let number = part.parse::<u32>().ok().filter(|number| number.to_string() == part)?;
                if !instances(&so_far, memory, lines).contains(&number) {
                    return None;
                }
            } else if pattern != part {
                return None;
            }
            so_far.push_str(part);
            so_far.push('.');
        }
        Some(entry)
    }
}

/// Which instances an object has. As made, as many voice profiles as lines, and one line in each.
pub fn instances(object: &str, memory: &Memory, lines: u32) -> BTreeSet<u32> {
    match memory.objects.get(object) {
        Some(numbers) => numbers.clone(),
        None if object == PROFILES => (1..=lines).collect(),
        None if object == HOPS => BTreeSet::new(),
        None => BTreeSet::from([1]),
    }
}

fn entry(line: &str) -> Option<Entry> {
    let (line, file) = line.split_once(" < ").map_or((line, None), |(line, file)| (line, Some(file)));
    let (line, factory) = line.split_once(" = ").map_or((line, None), |(line, factory)| (line, Some(factory)));
    let mut words = line.split(' ');
    let pattern = words.next().filter(|word| word.starts_with("Device."))?.to_owned();
    let access = match words.next()? {
        "R" => Access::ReadOnly,
        "RW" => Access::ReadWrite,
        "S" => Access::Secret,
        _ => return None,
    };
    let (kind, limit) = (Kind::parse(words.next()?)?, Limit::parse(words.next()?)?);
    let own = |text: Option<&str>| text.map(str::to_owned);
    words.next().is_none().then(|| Entry { pattern, access, kind, limit, factory: own(factory), file: own(file) })
}

impl Entry {
    /// What a phone holds there.
    pub fn value(&self, path: &str, phone: &Phone, state: &State) -> String {
        let memory = &state.cwmp;
        if path == PARAMETER_KEY {
            return memory.parameter_key.clone();
        }
        if let Some(value) = memory.parameters.get(path) {
            return value.clone();
        }
        let from_files = self.file.as_deref().and_then(|file| {
            let value = parameter(state, &self.filled(file, path))?;
            self.kind.take(value, &self.limit).or_else(|| yes_or_no(value).map(str::to_owned))
        });
        from_files.unwrap_or_else(|| match &self.factory {
            Some(factory) => self.factory_value(factory, phone, state),
            None => self.kind.factory().to_owned(),
        })
    }

    /// The name by which the phone's files say the same of a parameter.
    pub fn name_in_files(&self, path: &str) -> Option<String> {
        self.file.as_deref().map(|file| self.filled(file, path))
    }

    /// `{i}` with the first number of the path that the pattern leaves open.
    fn filled(&self, text: &str, path: &str) -> String {
        let mut parts = self.pattern.split('.').zip(path.split('.'));
        let number = parts.find_map(|(pattern, part)| (pattern == "{i}").then_some(part)).unwrap_or_default();
        text.replace("{i}", number)
    }

    fn factory_value(&self, text: &str, phone: &Phone, state: &State) -> String {
        let identity = &phone.identity;
        match text {
            "{manufacturer}" => phone.knowledge().manufacturer.to_owned(),
            "{oui}" => phone.oui(),
            "{number}" => phone.serial_number(),
            "{model}" => identity.model.clone(),
            "{firmware}" => state.upgrade.firmware.clone().unwrap_or_else(|| identity.firmware.clone()),
            "{mac}" => identity.mac.separated(':').to_uppercase(),
            "{address}" => phone.habits.address.clone(),
            "{lines}" => instances(PROFILES, &state.cwmp, phone.knowledge().lines(&identity.model)).len().to_string(),
            "{connection}" => {
                let (port, path) = connection_request(phone, state);
                format!("http://{}:{port}{path}", phone.habits.address)
            }
            other => other.to_owned(),
        }
    }
}

/// Port and path of the URL that a phone hears connection requests at. The port is 7547 in the guides of Aastra and Grandstream, and by
/// custom for Cisco's phones; only Aastra's guide says a path.
pub fn connection_request(phone: &Phone, state: &State) -> (u16, String) {
    let (port, path) = match phone.maker {
        Maker::Aastra => {
            ("tr69 connection request port", parameter(state, "tr69 connection request path").unwrap_or("tr69"))
        }
        Maker::Grandstream => ("P4518", ""),
        Maker::Cisco => ("", ""),
    };
    let port = parameter(state, port).and_then(|port| port.trim().parse().ok()).unwrap_or(7547);
    (phone.habits.connection_port.unwrap_or(port), format!("/{}", path.trim_start_matches('/')))
}

/// What the phone's files said of a parameter; whatever the case of its name, as Aastra's have none.
pub fn parameter<'s>(state: &'s State, name: &str) -> Option<&'s str> {
    crate::phone::aastra::parameter(&state.parameters, name)
}

/// Files say booleans in other words.
pub fn yes_or_no(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some("1"),
        "no" | "false" | "0" => Some("0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::Maker;
    use crate::phone::cwmp::Knowledge;

    #[test]
    fn every_line_of_the_tables_says_something() {
        for table in [
            include_str!("tables/aastra.txt"),
            include_str!("tables/tr104.txt"),
            include_str!("tables/grandstream.txt"),
            include_str!("tables/cisco.txt"),
        ] {
            for line in table.lines().filter(|line| !line.starts_with('#')) {
                let entry = entry(line).unwrap_or_else(|| panic!("{line}"));
                let factory = entry.factory.as_deref().filter(|text| !text.starts_with('{'));
                assert!(factory.is_none_or(|text| entry.kind.take(text, &entry.limit).is_some()), "{line}");
            }
        }
    }

    #[test]
    fn parameters_are_those_of_the_lines_that_there_are() {
        let (model, memory) = (Knowledge::of(Maker::Aastra).model(), Memory::default());
        let name = |line: &str| format!("Device.Services.VoiceService.1.VoiceProfile.{line}.Name");
        assert!(model.find(&name("9"), &memory, 9).is_some());
        for line in ["10", "0", "01", "{i}", "#"] {
            assert!(model.find(&name(line), &memory, 9).is_none(), "{line}");
        }
        assert!(model.find("Device.Services.VoiceService.2.VoiceProfile.1.Name", &memory, 9).is_none());
        let paths = model.paths(&memory, 9);
        assert!(paths.iter().all(|(path, _)| model.find(path, &memory, 9).is_some()));
        assert_eq!(paths.iter().filter(|(path, _)| path.ends_with(".AuthPassword")).count(), 10);
    }
}
