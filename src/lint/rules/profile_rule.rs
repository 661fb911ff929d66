use std::ops::Range;

use crate::lint::cisco::{CiscoPhone, kind_of, unknown_macros};
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Mark, ParameterView, Rule};
use crate::packs::Type;
use crate::phone::cisco::condition::Condition;

rule! {
    /// A rule, trigger or message of a Cisco phone that doesn't parse, or names a macro that there isn't.
    ///
    /// # What the phone does
    ///
    /// A rule that doesn't parse fails each resync or upgrade. A macro that it doesn't know stays as it is written, so that it
    /// asks for a file of that name.
    ///
    /// # How to mend it
    ///
    /// A rule is `(condition)? [--key $SA] https://server/path`, alternatives parted by `|`, of which all but the last have a
    /// condition. Macros are `$MA`, `$PN`, `$(SWVER)` and so on; `$$` is a dollar.
    ///
    /// `resyncd phone resync --profile-rule` tries a rule against a server.
    pub struct ProfileRule = "profile-rule", Error;
}

impl Rule for ProfileRule {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let (Some(phone), Some((file, profile))) = (view.cisco(), view.own()) else { return };
        for parameter in profile.parameters(view.pack).filter(|parameter| !parameter.is_empty) {
            if let Some((message, mark)) = wrong(phone, &parameter) {
                let mut finding = view.at_parameter("", file, &parameter);
                finding.message = message;
                let is_whole = finding.mark == Mark::Value
                    && matches!(parameter.made.map(|made| &made.made), Some(crate::render::Made::Params(_)));
                if let Some(range) = mark.filter(|_| is_whole) {
                    finding.mark = Mark::Within(range);
                }
                findings.report(finding);
            }
        }
    }
}

/// What is wrong with a value, and the bytes of it that are.
fn wrong(phone: &CiscoPhone, parameter: &ParameterView<'_>) -> Option<(String, Option<Range<usize>>)> {
    let (name, value) = (parameter.name, parameter.value);
    let kind = kind_of(name);
    let known = parameter.known.map(|known| known.kind);
    let is_message = known == Some(Type::MacroText) && (name.starts_with("Log_") || name.contains("Agent_Name"));
    let is_condition = known == Some(Type::Condition) || name.starts_with("Resync_Trigger");
    if kind.is_none() && !is_message && !is_condition {
        return None;
    }
    if let Some(reference) = unknown_macros(value).next() {
        let range = reference.at..reference.at + reference.written.len();
        return Some((format!("{name} names {}, which is no macro", reference.written), Some(range)));
    }
    if is_condition {
        let expanded = phone.expand(value);
        return Condition::parse(&expanded).err().map(|error| (format!("{name} is no condition: {error}"), None));
    }
    match phone.rule(value, kind?) {
        Err(error) => Some((format!("{name} is no rule: {error}"), None)),
        Ok(rule) => {
            rule.unreachable()?;
            Some((format!("{name} has an alternative that is never come to: the one before it has no condition"), None))
        }
    }
}
