//! What an ACS would set on a device, on both sides: by parameter of the data model.

use std::collections::HashMap;
use std::sync::Arc;

use super::Side;
use super::cause::{Differing, Settings, among};
use super::change::{Change, Kind, Source, Subject};
use super::group::Finding;
use crate::render::{Desired, DesiredParameter, MASK, Shown, is_managed};
use crate::resync::Device;
use crate::settings::Key;

/// What these changes are filed under, in the place of a file's path.
const NAME: &str = "acs";

/// The changes of a device that an ACS manages on both sides. Where it begins or ceases to, the profile tells.
pub fn differences(
    (old, new): (&Device, &Device),
    settings: (&Settings<'_>, &Settings<'_>),
    differing: &[Differing],
    is_moved: bool,
    limit: usize,
) -> Vec<Finding> {
    if !is_managed(&settings.0.plain) || !is_managed(&settings.1.plain) {
        return Vec::new();
    }
    let made = |device: &Device, settings: &Settings<'_>| {
        settings.side.generation.desired(device, &settings.sealed, Shown::Real, limit)
    };
    let name: Arc<str> = NAME.into();
    let (before, after) = match (made(old, settings.0), made(new, settings.1)) {
        (Ok(Some(before)), Ok(Some(after))) => (before, after),
        (Ok(_), Ok(_)) => return Vec::new(),
        (before, after) => {
            let told = |result: Result<_, crate::render::RenderError>, side: &Side<'_>| {
                result.err().map(|error| side.rooted(&error.to_string()))
            };
            let (before, after) = (told(before, settings.0.side), told(after, settings.1.side));
            let change = Change::new(Subject::Failure, before, after, Source::Unknown, None);
            return vec![Finding { kind: Kind::Unrendered, file: Some(name), change }];
        }
    };
    let by_path = |desired: &'_ Desired| -> HashMap<Arc<str>, usize> {
        desired.parameters.iter().enumerate().map(|(at, one)| (one.path.clone(), at)).collect()
    };
    let (in_old, in_new) = (by_path(&before), by_path(&after));
    let change = |was: Option<&DesiredParameter>, is: Option<&DesiredParameter>| {
        let parameter = is.or(was)?;
        let reads = |one: Option<&DesiredParameter>| one.map(|one| one.from.reads.clone()).unwrap_or_default();
        let own = [Key::AcsParam(parameter.path.clone()).to_string()];
        let cause =
            among(differing, &own).or_else(|| among(differing, &reads(is))).or_else(|| among(differing, &reads(was)));
        let (source, line) = match (cause, is_moved, is) {
            (Some(cause), ..) => (cause.source.clone(), cause.line),
            (None, true, _) => (Source::Own, None),
            (None, false, Some(is)) => (settings.1.side.file(&is.from.file), Some(is.from.line)),
            (None, false, None) => (settings.0.side.file(&parameter.from.file), None),
        };
        let secret = [was, is].into_iter().flatten().any(|one| one.value.is_secret());
        // Where a secret stands is no secret, and that it stands elsewhere is the change.
        let told = |one: Option<&DesiredParameter>, place: Option<&String>| {
            let one = one?;
            let place = place.filter(|_| one.value.is_secret() && cause.is_some_and(|cause| cause.secret));
            Some(place.cloned().unwrap_or_else(|| if secret { MASK.to_owned() } else { one.value.to_string() }))
        };
        let (was, is) = (
            told(was, cause.and_then(|cause| cause.old.as_ref())),
            told(is, cause.and_then(|cause| cause.new.as_ref())),
        );
        let change = Change::new(Subject::Parameter(parameter.path.clone()), was, is, source, line);
        Some(Change { secret, setting: cause.map(|cause| cause.name.clone()), ..change })
    };
    let mut found = Vec::new();
    for parameter in &after.parameters {
        let was = in_old.get(&parameter.path).and_then(|at| before.parameters.get(*at));
        if was.is_none_or(|was| was.value.expose() != parameter.value.expose()) {
            found.extend(change(was, Some(parameter)));
        }
    }
    for parameter in before.parameters.iter().filter(|parameter| !in_new.contains_key(&parameter.path)) {
        found.extend(change(Some(parameter), None));
    }
    let notifications = differing.iter().filter(|setting| matches!(setting.key, Key::AcsNotification(_)));
    found.extend(notifications.map(|setting| {
        let subject = Subject::Setting(setting.name.clone());
        Change::new(subject, setting.old.clone(), setting.new.clone(), setting.source.clone(), setting.line)
    }));
    found.into_iter().map(|change| Finding { kind: Kind::Changed, file: Some(name.clone()), change }).collect()
}
