//! What one change is: the vocabulary that comparing fills and the command line writes.

use std::sync::Arc;

use crate::packs::Effects;

/// What became of a device, or of a file that anyone may fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The old or the new file can't be made, and so not be compared.
    Unrendered,
    Removed,
    Added,
    /// The device is of another model or group.
    Moved,
    Changed,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unrendered => "unrendered",
            Self::Removed => "removed",
            Self::Added => "added",
            Self::Moved => "moved",
            Self::Changed => "changed",
        }
    }
}

/// The thing that is another now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// What stands at the top of a device's file: `model`, `group`, `serial`.
    Head(&'static str),
    /// The phone's own name of a parameter.
    Parameter(Arc<str>),
    /// The access that is written for a parameter (`ua`).
    Access(Arc<str>),
    /// The dotted name of a setting that decides who gets a file, or how.
    Setting(Arc<str>),
    /// A file, or what the pack's manifest says of it: `audience of profile`.
    File(Arc<str>),
    /// A line of a text that has no parameters, or that says something beside them.
    Line,
    /// The same values, laid out in another way.
    Layout,
    /// Why the file can't be made.
    Failure,
}

impl Subject {
    /// The kind of thing, for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Head(_) => "device",
            Self::Parameter(_) => "parameter",
            Self::Access(_) => "access",
            Self::Setting(_) => "setting",
            Self::File(_) => "file",
            Self::Line => "line",
            Self::Layout => "layout",
            Self::Failure => "failure",
        }
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::Head(name) => name,
            Self::Parameter(name) | Self::Access(name) | Self::Setting(name) | Self::File(name) => name,
            Self::Line | Self::Layout | Self::Failure => "",
        }
    }
}

/// The file that set the new value, or that no longer sets the old one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The device's own file: another one for each device.
    Own,
    /// A layer that devices share, or a file of a pack; as messages name it.
    File(Arc<str>),
    /// Nothing can be named.
    Unknown,
}

/// One parameter, setting or line of one device that is another now. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    pub subject: Subject,
    /// None: it wasn't there.
    pub old: Option<String>,
    /// None: it is there no more.
    pub new: Option<String>,
    /// Whether it is a secret, or holds one: the values are masked, and may look the same.
    pub secret: bool,
    pub effects: Effects,
    /// The setting that changed, by its dotted name.
    pub setting: Option<Arc<str>>,
    pub source: Source,
    /// The line of the source.
    pub line: Option<u32>,
}

impl Change {
    pub fn new(subject: Subject, old: Option<String>, new: Option<String>, source: Source, line: Option<u32>) -> Self {
        Self { subject, old, new, secret: false, effects: Effects::default(), setting: None, source, line }
    }
}
