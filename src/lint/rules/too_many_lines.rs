use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Finding, Findings, Rule};
use crate::settings::Key;

rule! {
    /// Settings of a line that the model doesn't have.
    ///
    /// # What the phone does
    ///
    /// Nothing: it is never told of the line, and nobody can be called there.
    ///
    /// # How to mend it
    ///
    /// Remove the line, or correct the model; `resyncd packs NAME` lists how many lines each has.
    pub struct TooManyLines = "too-many-lines", Warning;
}

impl Rule for TooManyLines {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        beyond(view, "lines", view.model.lines, findings);
    }
}

/// Reports the first setting of each number that is beyond what the model has.
pub fn beyond(view: &DeviceView<'_>, section: &str, count: u16, findings: &mut Findings) {
    let mut last = count;
    for (key, setting) in view.settings.iter() {
        let Key::Numbered { n, .. } = key else { continue };
        if *n <= last || key.schema().is_none_or(|(found, _)| found.name != section) {
            continue;
        }
        last = *n;
        let has = match count {
            0 => format!("no {section}"),
            1 => format!("one of the {section}"),
            count => format!("{count} {section}"),
        };
        let message = format!("{section}.{n} is set, and {} has {has}", view.model.name);
        findings.report(Finding::new(message).at(&setting.origin).key(key));
    }
}
