//! The comparison itself: a function of what is expected and what was reported.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;

use super::expected::Expected;
use super::report::{Report, Source};
use crate::events::rfc3339;
use crate::model::Secret;
use crate::render::MASK;

/// How a parameter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Equal,
    Differs,
    /// The report should have it, and has not.
    Missing,
}

/// Why a parameter differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Somebody changed it on the phone.
    Local,
    /// The phone has not taken the profile that says so.
    NotTaken,
    Unknown,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub name: String,
    pub status: Status,
    /// None unless it differs.
    pub cause: Option<Cause>,
    /// Why that is the cause, for people; empty unless it differs.
    pub why: String,
    /// `***` for a secret.
    pub expected: Option<String>,
    /// `***` for a secret; none where it is not reported.
    pub reported: Option<String>,
}

/// What is known of the times when things happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// When the phone last fetched its profile, or was told that it has it.
    pub resync: Option<OffsetDateTime>,
    /// When what is expected last changed; later than that is no harm, earlier is.
    pub change: Option<OffsetDateTime>,
}

/// A value that was reported.
struct Reported<'r> {
    value: &'r str,
    time: OffsetDateTime,
    source: Source,
}

/// Compares what is expected with what was reported. `reports` is from the oldest to the newest; the newest that is whole
/// counts, with what later partial ones say over it, and of the older ones only what they knew. `name_of` writes a parameter's
/// name as the reports have it. Where no report is whole, only what they name is compared. Values that hold one of `secrets` are
/// shown without it.
pub fn compare(
    expected: &[Expected],
    reports: &[Report],
    times: Times,
    name_of: impl Fn(&str) -> String,
    secrets: &[Secret],
) -> Vec<Comparison> {
    let whole = reports.iter().rposition(|report| !report.partial);
    let newest_local = reports.iter().rposition(|report| report.source == Source::Local);
    let mut held: BTreeMap<&str, Reported<'_>> = BTreeMap::new();
    let mut earlier: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut locals = Vec::new();
    for (index, report) in reports.iter().enumerate() {
        // The changes made on the phone are all in the newest list of them, and hold over what any file says.
        let is_local = report.source == Source::Local;
        let counts = if is_local { Some(index) == newest_local } else { whole.is_none_or(|whole| index >= whole) };
        for (name, value) in &report.parameters {
            if !counts {
                earlier.insert((name, value));
            } else if is_local {
                locals.push((name, value, report));
            } else {
                let reported = Reported { value, time: report.time, source: report.source };
                if let Some(before) = held.insert(name, reported) {
                    earlier.insert((name, before.value));
                }
            }
        }
    }
    for (name, value, report) in locals {
        held.insert(name, Reported { value, time: report.time, source: report.source });
    }
    let shown = |secret: bool, value: &str| if secret { MASK.to_owned() } else { scrubbed(value, secrets) };
    let mut comparisons = Vec::new();
    for parameter in expected {
        let name = name_of(&parameter.name);
        let value = parameter.value.as_ref().and_then(Secret::expose_text).map(str::trim);
        let Some(reported) = held.get(name.as_str()) else {
            if whole.is_some() {
                comparisons.push(Comparison {
                    name: parameter.name.clone(),
                    status: Status::Missing,
                    cause: None,
                    why: String::new(),
                    expected: value.map(|value| shown(parameter.secret, value)),
                    reported: None,
                });
            }
            continue;
        };
        // A secret that can't be had here can't be compared.
        let Some(value) = value else { continue };
        let is_equal = value == reported.value.trim();
        let had_it = earlier.iter().any(|(other, before)| *other == name && before.trim() == value);
        let (cause, why) = if is_equal { (None, String::new()) } else { cause(reported, had_it, times) };
        comparisons.push(Comparison {
            name: parameter.name.clone(),
            status: if is_equal { Status::Equal } else { Status::Differs },
            cause,
            why,
            expected: Some(shown(parameter.secret, value)),
            reported: Some(shown(parameter.secret, reported.value)),
        });
    }
    comparisons
}

fn cause(reported: &Reported<'_>, had_it: bool, times: Times) -> (Option<Cause>, String) {
    let (cause, why) = match (reported.source, times) {
        (Source::Local, _) => (Cause::Local, "it is among the changes made on the phone".to_owned()),
        (Source::Held, _) if had_it => (Cause::Local, "an earlier report had the expected value".to_owned()),
        (_, Times { resync: Some(resync), .. }) if resync > reported.time => {
            (Cause::Unknown, format!("the phone has resynced since it reported, at {}", rfc3339(resync)))
        }
        (_, Times { change: None, .. }) => {
            (Cause::Unknown, "it is not known when the expected value last changed".to_owned())
        }
        (source, Times { resync: Some(resync), change: Some(change) }) if resync >= change => match source {
            Source::Held => {
                (Cause::Local, format!("the phone took the newest profile at {} and then reported", rfc3339(resync)))
            }
            _ => (Cause::Unknown, "the phone took the newest profile, and its files say otherwise".to_owned()),
        },
        (_, Times { change: Some(change), .. }) => {
            (Cause::NotTaken, format!("no resync was served since the settings changed at {}", rfc3339(change)))
        }
    };
    (Some(cause), why)
}

/// A value without the secrets in it.
fn scrubbed(value: &str, secrets: &[Secret]) -> String {
    let texts = secrets.iter().filter_map(Secret::expose_text);
    texts.fold(
        value.to_owned(),
        |value, secret| if value.contains(secret) { value.replace(secret, MASK) } else { value },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const MORNING: OffsetDateTime = datetime!(2026-03-01 08:00 UTC);
    const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
    const EVENING: OffsetDateTime = datetime!(2026-03-01 18:00 UTC);

    fn parameter(name: &str, value: &str) -> Expected {
        Expected { name: name.to_owned(), value: Some(Secret::new(value)), secret: false }
    }

    fn report(time: OffsetDateTime, source: Source, partial: bool, values: &[(&str, &str)]) -> Report {
        let parameters = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Report { time, source, partial, parameters }
    }

    fn whole(time: OffsetDateTime, values: &[(&str, &str)]) -> Report {
        report(time, Source::Held, false, values)
    }

    fn compared(expected: &[Expected], reports: &[Report], times: Times) -> Vec<(String, Status, Option<Cause>)> {
        let found = compare(expected, reports, times, str::to_owned, &[]);
        found.into_iter().map(|found| (found.name, found.status, found.cause)).collect()
    }

    fn times(resync: Option<OffsetDateTime>, change: Option<OffsetDateTime>) -> Times {
        Times { resync, change }
    }

    fn differs(cause: Cause) -> Vec<(String, Status, Option<Cause>)> {
        vec![("A".to_owned(), Status::Differs, Some(cause))]
    }

    #[test]
    fn a_local_change_is_told_from_a_profile_that_was_not_taken() {
        let expected = [parameter("A", "1")];
        let evening = [whole(EVENING, &[("A", "2")])];
        assert_eq!(compared(&expected, &evening, times(Some(NOON), Some(MORNING))), differs(Cause::Local));
        assert_eq!(compared(&expected, &evening, times(Some(MORNING), Some(NOON))), differs(Cause::NotTaken));
        assert_eq!(compared(&expected, &evening, times(None, Some(NOON))), differs(Cause::NotTaken));
        assert_eq!(compared(&expected, &evening, times(Some(NOON), None)), differs(Cause::Unknown));
        // The profile that it took after it had reported may have mended it.
        let noon = [whole(NOON, &[("A", "2")])];
        assert_eq!(compared(&expected, &noon, times(Some(EVENING), Some(MORNING))), differs(Cause::Unknown));
        // It had it once: whatever the times say, somebody changed it.
        let reports = [whole(MORNING, &[("A", "1")]), whole(EVENING, &[("A", "2")])];
        assert_eq!(compared(&expected, &reports, times(None, None)), differs(Cause::Local));
    }

    #[test]
    fn a_partial_report_says_nothing_of_what_it_leaves_out() {
        let expected = [parameter("A", "1"), parameter("B", " 2 "), parameter("C", "3")];
        let delta = report(EVENING, Source::Held, true, &[("A", "x")]);
        assert_eq!(
            compared(&expected, std::slice::from_ref(&delta), Times::default()),
            [("A".to_owned(), Status::Differs, Some(Cause::Unknown))]
        );
        // Over a whole one it counts, and shows that the phone once had the right value.
        let reports = [whole(NOON, &[("A", "1"), ("B", "2")]), delta];
        assert_eq!(
            compared(&expected, &reports, Times::default()),
            [
                ("A".to_owned(), Status::Differs, Some(Cause::Local)),
                ("B".to_owned(), Status::Equal, None),
                ("C".to_owned(), Status::Missing, None)
            ]
        );
    }

    #[test]
    fn changes_made_on_the_phone_hold_over_what_its_files_say() {
        let expected = [parameter("A", "1"), parameter("B", "2")];
        let served = report(EVENING, Source::Served, false, &[("A", "1"), ("B", "old")]);
        let local = report(NOON, Source::Local, true, &[("A", "own")]);
        let before = report(MORNING, Source::Local, true, &[("B", "gone again")]);
        assert_eq!(
            compared(&expected, &[before, local, served], times(Some(MORNING), Some(NOON))),
            [
                ("A".to_owned(), Status::Differs, Some(Cause::Local)),
                ("B".to_owned(), Status::Differs, Some(Cause::NotTaken))
            ]
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = |name: &str, value: Option<&str>| Expected {
            name: name.to_owned(),
            value: value.map(Secret::new),
            secret: true,
        };
        let expected = [secret("Password", Some("s3cret")), secret("Nowhere", None), parameter("Rule", "[--key $SA]")];
        let reports = [whole(NOON, &[("Password", "another"), ("Nowhere", "x"), ("Rule", "[--key s3cret] /a")])];
        let found = compare(&expected, &reports, Times::default(), str::to_owned, &[Secret::new("s3cret")]);
        let told = serde_json::to_string(&found).unwrap();
        assert!(!told.contains("s3cret") && !told.contains("another"), "{told}");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].status, Status::Differs);
        assert_eq!(found[1].reported.as_deref(), Some("[--key ***] /a"));
    }
}
