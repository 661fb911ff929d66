//! What a rule is: an id, a severity, its documentation, and what it looks at.

use super::finding::{Finding, Severity};
use super::view::{Deployment, DeviceView};

/// What is told of a rule, in findings and in docs/rules.md.
#[derive(Debug)]
pub struct About {
    /// In kebab case. Stable once released: configurations and comments name it.
    pub id: &'static str,
    /// What its findings are unless the configuration says otherwise.
    pub severity: Severity,
    /// The lines of the documentation on the rule's type: a sentence, and then sections.
    pub doc: &'static [&'static str],
}

/// The section of a rule's documentation that findings quote as `why`.
const WHY: &str = "# What the phone does";
/// The section of a rule's documentation that findings quote as `help`.
const HELP: &str = "# How to mend it";

impl About {
    /// The first paragraph: what is found.
    pub fn summary(&self) -> String {
        paragraph(self.lines())
    }

    /// What a phone does with the mistake.
    pub fn why(&self) -> Option<String> {
        self.section(WHY)
    }

    /// How to mend it.
    pub fn help(&self) -> Option<String> {
        self.section(HELP)
    }

    /// The documentation as it is written on the type.
    pub fn lines(&self) -> impl Iterator<Item = &'static str> {
        self.doc.iter().map(|line| line.strip_prefix(' ').unwrap_or(line))
    }

    /// The first paragraph of a section.
    fn section(&self, heading: &str) -> Option<String> {
        let after = self.lines().skip_while(|line| *line != heading).skip(1);
        Some(paragraph(after.skip_while(|line| line.is_empty()))).filter(|text| !text.is_empty())
    }
}

/// The lines up to the first empty one, as one.
fn paragraph(lines: impl Iterator<Item = &'static str>) -> String {
    lines.take_while(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join(" ")
}

/// One rule. An instance lives for one check, so a rule that compares devices may remember what it saw of them.
pub trait Rule: Sync {
    fn about(&self) -> &'static About;

    /// Looks at what all devices share: configuration, packs, groups.
    fn deployment(&self, _deployment: &Deployment<'_>, _findings: &mut Findings) {}

    /// Looks at one device. Devices come in no order and several at a time.
    fn device(&self, _view: &DeviceView<'_>, _findings: &mut Findings) {}

    /// Looks at what was remembered of all devices.
    fn finish(&self, _deployment: &Deployment<'_>, _findings: &mut Findings) {}
}

/// Where a rule reports to.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn report(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn into_inner(self) -> Vec<Finding> {
        self.0
    }
}

/// Makes a rule's type, its documentation being the type's own:
///
/// ```text
/// rule! {
///     /// What is found, in a sentence.
///     ///
///     /// # What the phone does
///     ///
///     /// …
///     ///
///     /// # How to mend it
///     ///
///     /// …
///     pub struct NameOfRule = "name-of-rule", Warning;
/// }
/// ```
///
/// A rule that remembers something has its fields in `{ … }` after the name; they begin as their defaults.
macro_rules! rule {
    ($(#[doc = $doc:literal])+ pub struct $name:ident $({ $($field:ident: $kind:ty),* $(,)? })? = $id:literal, $severity:ident;) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub struct $name { $($($field: $kind),*)? }
        $crate::lint::rule::rule!(@about $name, $id, $severity, $($doc),+);
    };
    (@about $name:ident, $id:literal, $severity:ident, $($doc:literal),+) => {
        impl $name {
            pub const ABOUT: $crate::lint::About = $crate::lint::About {
                id: $id,
                severity: $crate::lint::Severity::$severity,
                doc: &[$($doc),+],
            };
        }
    };
}

pub(super) use rule;
