//! Profile, upgrade and report rules (guide: "Profile Rules", "Upgrade Rule"; SPA chapter: "Report Rule"), read by the
//! emulated phone's own parser.

use super::condition::of_condition;
use super::macro_text::{Expanded, unknown};
use super::{Quoted, Wrong};
use crate::packs::{Dialect, Parameter};
use crate::phone::cisco::options::OptionError;
use crate::phone::cisco::rule::{Kind, Rule, RuleError};
use crate::phone::cisco::target::TargetError;

/// A rule, as it reads when its macros are expanded.
pub(super) fn rule(dialect: Dialect, parameter: &Parameter, value: &str) -> Result<(), Wrong> {
    unknown(value)?;
    // The phone itself knows its rules apart by name alone.
    let kind = match &*parameter.name {
        "Upgrade_Rule" => Kind::Upgrade,
        "Report_Rule" => Kind::Report,
        _ => Kind::Profile,
    };
    let mut wrong = None;
    for expanded in Expanded::readings(dialect, value, false) {
        match Rule::parse(&expanded.text, kind) {
            Ok(rule) => {
                let Some(at) = rule.unreachable() else { return Ok(()) };
                let at = expanded.written(at);
                return Err(Wrong::new("this alternative is never come to: the one before it has no condition")
                    .at(at..value.len()));
            }
            Err(error) => wrong = wrong.or_else(|| Some(of_rule(&error, &expanded, value))),
        }
    }
    wrong.map_or(Ok(()), Err)
}

/// Without offsets, which the span tells.
fn of_rule(error: &RuleError, expanded: &Expanded, value: &str) -> Wrong {
    let message = match error {
        RuleError::Condition(error) => return of_condition(error, expanded, value),
        RuleError::Option(error) => of_option(error),
        RuleError::Target(error) => of_target(error),
        RuleError::Unclosed { .. } => "the ( is never closed".to_owned(),
        RuleError::UnclosedOptions { .. } => "the [ is never closed".to_owned(),
        RuleError::NoMark { .. } => "( … ) must be followed by ? for a condition or ! for assignments".to_owned(),
        RuleError::Order { .. } => {
            "the order must be a condition, then assignments, then options and URL, each at most once".to_owned()
        }
        RuleError::Assignment { .. } => "an assignment must be Name = \"value\";".to_owned(),
        RuleError::OptionNotHere { name, where_, .. } => format!("--{name} is no option of {where_}"),
        RuleError::PostByTftp { .. } => "--post needs an http or https URL".to_owned(),
        RuleError::NoTarget { .. } => "the options have no URL after them".to_owned(),
        RuleError::NoServer { .. } => "an upgrade rule must name its server".to_owned(),
        RuleError::EmptyAlternative { .. } => "there is nothing between two |".to_owned(),
    };
    Wrong::new(message).at(expanded.word(value, error.at()))
}

fn of_option(error: &OptionError) -> String {
    match error {
        OptionError::Unclosed { .. } => "the string that begins here is never closed".to_owned(),
        OptionError::Unknown { .. } => {
            "there is no such option: options are --key, --uid, --pwd, --post, --alias, --delta and --status".to_owned()
        }
        OptionError::NoValue { name, .. } => format!("--{name} has no value"),
        OptionError::Letter { name, .. } => format!("--{name} must have one letter from a to p, for GPP_A to GPP_P"),
        OptionError::Again { name, .. } => format!("--{name} is given again"),
    }
}

fn of_target(error: &TargetError) -> String {
    match error {
        TargetError::Scheme { scheme, .. } => {
            format!("the scheme {} must be one of tftp, http and https", Quoted(scheme))
        }
        TargetError::Onboarding { .. } => {
            "gds:// is activation code onboarding: the phone asks its user for a code, and fetches no file".to_owned()
        }
        TargetError::NoPath { .. } => "the URL has no path: it must begin with / after the server".to_owned(),
        TargetError::Port { .. } => "the port must be a number from 1 to 65535".to_owned(),
        TargetError::Server { .. } => {
            "the server's name is empty or holds a character that no name or address has".to_owned()
        }
        TargetError::Space { .. } => "white space must not stand in the URL".to_owned(),
    }
}
