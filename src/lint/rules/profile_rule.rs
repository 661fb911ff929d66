use crate::lint::cisco::{CiscoPhone, kind_of};
use crate::lint::rule::rule;
use crate::lint::values::{self, Wrong};
use crate::lint::{About, DeviceView, Findings, ParameterView, Rule};
use crate::packs::Type;

rule! {
    /// A rule, trigger or message of a Cisco phone that doesn't parse, or names a macro that there isn't.
    ///
    /// # What the phone does
    ///
    /// A rule that doesn't parse fails each resync or upgrade. A macro that it doesn't know stays as it is written,
    /// so that it asks for a file of that name.
    ///
    /// # How to mend it
    ///
    /// A rule is `(condition)? [--key $SA] https://server/path`, alternatives parted by `|`, of which all but the
    /// last have a condition. Macros are `$MA`, `$PN`, `$(SWVER)` and so on; `$$` is a dollar.
    ///
    /// `resyncd phone resync --profile-rule` tries a rule against a server.
    pub struct ProfileRule = "profile-rule", Error;
}

/// The types that this rule looks at; the others are those of `value-type`.
pub const TYPES: [Type; 3] = [Type::ProfileRule, Type::Condition, Type::MacroText];

impl Rule for ProfileRule {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let Some((file, profile)) = view.own() else { return };
        for parameter in profile.parameters(view.pack).filter(|parameter| !parameter.is_empty) {
            let Some(known) = parameter.known.filter(|known| TYPES.contains(&known.kind)) else { continue };
            let wrong = values::check(&view.pack.parameters, known, parameter.value).err();
            let wrong = wrong.or_else(|| view.cisco().and_then(|phone| as_it_is(phone, &parameter)));
            if let Some(wrong) = wrong {
                super::value_type::report(view, file, &parameter, wrong, findings);
            }
        }
    }
}

/// What is wrong with a rule only as this very phone reads it: a macro that holds nothing there.
fn as_it_is(phone: &CiscoPhone, parameter: &ParameterView<'_>) -> Option<Wrong> {
    let error = phone.rule(parameter.value, kind_of(parameter.name)?).err()?;
    Some(Wrong { message: format!("with this phone's own values it is no rule: {error}"), help: None, span: None })
}
