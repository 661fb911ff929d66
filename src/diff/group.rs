//! Devices that change alike are one entry, and so are many that change the same thing, each to a value of its own: a
//! hundred thousand phones are told on a page, and held in memory as little more than their MACs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::change::{Change, Kind, Source, Subject};
use crate::model::MacAddr;
use crate::packs::Effects;

/// With more different values than these the values are no longer told one by one.
const APART: usize = 12;

/// What changes for a device because of one source, in some of its files; without the values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    pub kind: Kind,
    /// The paths, as the pack's manifest has them; none for the device itself.
    pub files: Vec<Arc<str>>,
    pub source: Source,
    traits: Vec<Trait>,
}

/// A change without its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Trait {
    subject: Subject,
    secret: bool,
    effects: Effects,
    setting: Option<Arc<str>>,
    has_old: bool,
    has_new: bool,
}

/// The values of a change, and the line of the source.
type Values = (Option<String>, Option<String>, Option<u32>);

/// One side of a change, for all devices of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// There is none.
    Absent,
    Is(String),
    /// Another for each device.
    Varies,
}

/// A change of many devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    pub subject: Subject,
    pub old: Told,
    pub new: Told,
    pub secret: bool,
    pub effects: Effects,
    pub setting: Option<Arc<str>>,
    /// The line of the entry's source; none where each device has another.
    pub line: Option<u32>,
}

/// The same change of many devices, or of a file that anyone may fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub kind: Kind,
    /// The paths, as the pack's manifest has them, of the files that change so; none for the device itself.
    pub files: Vec<Arc<str>>,
    /// The file that set the new values; none where there is none to name, or each device has its own.
    pub source: Option<Arc<str>>,
    /// Whether each device's own file did.
    pub own: bool,
    pub changes: Vec<Common>,
    /// By MAC; none for a file that anyone may fetch.
    pub devices: Vec<MacAddr>,
    /// The models whose file for anyone it is; empty for devices, and for a file that is the same for all models.
    pub models: Vec<Arc<str>>,
}

impl Group {
    pub fn effects(&self) -> Effects {
        self.changes.iter().fold(Effects::default(), |all, change| all.and(change.effects))
    }
}

/// Who an entry is about: a device, or a model's file for anyone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Device(MacAddr),
    Model(Option<Arc<str>>),
}

/// All that was found with one shape.
#[derive(Debug)]
enum Alike {
    Apart(HashMap<Vec<Values>, Vec<Who>>),
    /// Too many different values.
    Together(Together),
}

/// The values that are the same for all, and none for the others; and the lines.
#[derive(Debug, Default)]
struct Together {
    told: Vec<[Option<Told>; 2]>,
    lines: Vec<Option<u32>>,
    who: Vec<Who>,
}

impl Together {
    fn of(values: &[Values], who: Vec<Who>) -> Self {
        Self {
            told: values.iter().map(|(old, new, _)| [Some(told(old)), Some(told(new))]).collect(),
            lines: values.iter().map(|(.., line)| *line).collect(),
            who,
        }
    }

    fn join(mut self, other: Self) -> Self {
        for (mine, theirs) in self.told.iter_mut().flatten().zip(other.told.into_iter().flatten()) {
            if *mine != theirs {
                *mine = None;
            }
        }
        for (mine, theirs) in self.lines.iter_mut().zip(other.lines) {
            if *mine != theirs {
                *mine = None;
            }
        }
        self.who.extend(other.who);
        self
    }
}

/// One change of one device.
#[derive(Debug)]
pub struct Finding {
    pub kind: Kind,
    /// The path, as the pack's manifest has it, of the file that changes; none for the device itself.
    pub file: Option<Arc<str>>,
    pub change: Change,
}

/// Everything found, as it is gathered. Gathering in another order, or in parts, comes to the same.
#[derive(Debug, Default)]
pub struct Found(HashMap<Shape, Alike>);

impl Found {
    /// Notes what changes in each file of a device. Changes are parted by their source; what changes alike in several files
    /// (a phone's first profile and its later one hold the same) is told once.
    pub fn put(&mut self, who: &Who, changes: Vec<Finding>) {
        let mut at: HashMap<(Kind, Change), usize> = HashMap::new();
        let mut folded: Vec<(Kind, Change, Vec<Arc<str>>)> = Vec::new();
        for Finding { kind, file, change } in changes {
            let index = *at.entry((kind, change.clone())).or_insert_with(|| {
                folded.push((kind, change, Vec::new()));
                folded.len() - 1
            });
            if let Some((.., files)) = folded.get_mut(index) {
                files.extend(file.filter(|file| !files.contains(file)));
            }
        }
        let mut parted: BTreeMap<_, (Vec<Trait>, Vec<Values>)> = BTreeMap::new();
        for (kind, change, files) in folded {
            let (traits, values) = parted.entry((kind, change.source, files)).or_default();
            traits.push(Trait {
                subject: change.subject,
                secret: change.secret,
                effects: change.effects,
                setting: change.setting,
                has_old: change.old.is_some(),
                has_new: change.new.is_some(),
            });
            values.push((change.old, change.new, change.line));
        }
        for ((kind, source, files), (traits, values)) in parted {
            let alike = Alike::Apart(HashMap::from([(values, vec![who.clone()])]));
            self.add(Shape { kind, files, source, traits }, alike);
        }
    }

    fn add(&mut self, shape: Shape, alike: Alike) {
        match self.0.remove(&shape) {
            None => self.0.insert(shape, alike),
            Some(known) => self.0.insert(shape, known.join(alike)),
        };
    }

    #[must_use]
    pub fn join(mut self, mut other: Self) -> Self {
        if self.0.len() < other.0.len() {
            std::mem::swap(&mut self, &mut other);
        }
        for (shape, alike) in other.0 {
            self.add(shape, alike);
        }
        self
    }

    /// The entries: trouble first, then what concerns most devices.
    pub fn into_groups(self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (shape, alike) in self.0 {
            match alike {
                Alike::Apart(apart) => {
                    for (values, who) in apart {
                        let told = values.iter().map(|(old, new, _)| [told(old), told(new)]).collect();
                        groups.push(group(&shape, told, values.iter().map(|(.., line)| *line).collect(), who));
                    }
                }
                Alike::Together(Together { told, lines, who }) => {
                    let told = told.into_iter().map(|sides| sides.map(|side| side.unwrap_or(Told::Varies))).collect();
                    groups.push(group(&shape, told, lines, who));
                }
            }
        }
        groups.sort_by(|a, b| {
            let order = |group: &Group| group.kind;
            let key = |group: &Group| (group.devices.first().copied(), group.models.first().cloned());
            let rest = |group: &Group| (group.files.clone(), group.source.clone());
            let count = b.devices.len().cmp(&a.devices.len());
            let by_change = || {
                let first = |group: &Group| group.changes.first().map(|change| change.subject.clone());
                first(a).cmp(&first(b))
            };
            order(a)
                .cmp(&order(b))
                .then(count)
                .then_with(|| key(a).cmp(&key(b)))
                .then_with(|| rest(a).cmp(&rest(b)))
                .then_with(by_change)
        });
        groups
    }
}

fn told(value: &Option<String>) -> Told {
    value.clone().map_or(Told::Absent, Told::Is)
}

fn group(shape: &Shape, told: Vec<[Told; 2]>, lines: Vec<Option<u32>>, mut who: Vec<Who>) -> Group {
    who.sort_unstable();
    let changes = shape.traits.iter().zip(told).zip(lines).map(|((known, [old, new]), line)| Common {
        subject: known.subject.clone(),
        old: if known.has_old { old } else { Told::Absent },
        new: if known.has_new { new } else { Told::Absent },
        secret: known.secret,
        effects: known.effects,
        setting: known.setting.clone(),
        line,
    });
    let (mut devices, mut models) = (Vec::new(), Vec::new());
    for who in who {
        match who {
            Who::Device(mac) => devices.push(mac),
            Who::Model(model) => models.extend(model),
        }
    }
    Group {
        kind: shape.kind,
        files: shape.files.clone(),
        source: match &shape.source {
            Source::File(file) => Some(file.clone()),
            Source::Own | Source::Unknown => None,
        },
        own: shape.source == Source::Own,
        changes: changes.collect(),
        devices,
        models,
    }
}

impl Alike {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Apart(mut one), Self::Apart(other)) => {
                for (values, who) in other {
                    one.entry(values).or_default().extend(who);
                }
                if one.len() > APART { Self::Together(Self::Apart(one).together()) } else { Self::Apart(one) }
            }
            (one, other) => Self::Together(one.together().join(other.together())),
        }
    }

    fn together(self) -> Together {
        match self {
            Self::Together(together) => together,
            Self::Apart(apart) => {
                let all = apart.into_iter().map(|(values, who)| Together::of(&values, who));
                all.reduce(Together::join).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(macs: std::ops::Range<u64>) -> Found {
        let mut found = Found::default();
        for n in macs {
            let mac: MacAddr = format!("{n:012x}").parse().unwrap();
            let own = Change::new(Subject::Parameter("User".into()), None, Some(n.to_string()), Source::Own, Some(3));
            let file = Source::File("groups/a.toml".into());
            let shared =
                Change::new(Subject::Parameter("Proxy".into()), Some("a".into()), Some("b".into()), file, Some(7));
            let finding = |path: &str, change| Finding { kind: Kind::Changed, file: Some(path.into()), change };
            let changes = vec![finding("/a.xml", shared.clone()), finding("/a.xml", own), finding("/b.xml", shared)];
            found.put(&Who::Device(mac), changes);
        }
        found
    }

    #[test]
    fn what_many_share_is_one_entry_and_what_differs_from_one_to_the_next_another() {
        let groups = found(1..101).into_groups();
        assert_eq!(groups.len(), 2, "{groups:#?}");
        let shared = groups.iter().find(|group| !group.own).unwrap();
        assert_eq!((shared.devices.len(), shared.files.len(), shared.changes[0].line), (100, 2, Some(7)));
        let own = groups.iter().find(|group| group.own).unwrap();
        assert_eq!((&own.changes[0].new, own.changes[0].line), (&Told::Varies, Some(3)));
        assert_eq!(found(1..4).into_groups().len(), 4);
    }

    #[test]
    fn gathering_in_parts_comes_to_the_same() {
        let whole = found(1..40).into_groups();
        let parts = found(30..40).join(found(1..5).join(found(5..30)));
        assert_eq!(parts.into_groups(), whole);
    }
}
