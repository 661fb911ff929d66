//! What a device should have: the parameters of its own profile, as it would be rendered now.

use std::collections::HashMap;

use crate::model::Secret;
use crate::packs::{Audience, FileEntry, Format, Source};
use crate::render::{Limit, MASK, Parameter, RenderError, Shown};
use crate::resync::{Device, Generation};
use crate::settings::Value;

/// One parameter that a device should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub name: String,
    /// None for a secret that can't be had here.
    pub value: Option<Secret>,
    /// Whether the value may not be shown.
    pub secret: bool,
}

/// A device's profile, as it is compared with reports.
#[derive(Debug, Clone)]
pub struct Profile<'g> {
    pub file: &'g FileEntry,
    pub format: Format,
    pub expected: Vec<Expected>,
    /// The device's secrets, as far as they can be had: nothing that is shown may hold one.
    pub secrets: Vec<Secret>,
}

/// The shortest secret that is looked for in other values; a shorter one is found everywhere.
const SHORTEST: usize = 4;

/// The parameters of a device's profile: of the first file of its pack that is rendered for a device. A profile of more than
/// `limit` bytes is an error.
pub fn expected<'g>(generation: &'g Generation, device: &Device, limit: Limit) -> Result<Profile<'g>, RenderError> {
    let pack = generation.packs.get(device.model.pack).ok_or(RenderError::Missing("a pack"))?;
    let is_own = |file: &&FileEntry| file.audience == Audience::Device && file.is_for(device.model.model);
    let mut files = pack.files.iter().filter(is_own);
    let file = files.find(|file| matches!(file.source, Source::Template { .. }));
    let file = file.ok_or(RenderError::Missing("a profile of its own"))?;
    let settings = generation.settings(device);
    let render = |shown| generation.render(device, file, &settings, shown, limit).map(|rendered| rendered.parameters);
    let masked = render(Shown::Masked)?;
    // Where a secret can't be had, all others can still be compared.
    let real = match render(Shown::Real) {
        Ok(parameters) => Some(parameters),
        Err(RenderError::Secret { .. }) => None,
        Err(error) => return Err(error),
    };
    let real: Option<HashMap<&str, &Parameter>> =
        real.as_ref().map(|real| real.iter().map(|parameter| (&*parameter.name, parameter)).collect());
    let expected = masked.iter().map(|masked| {
        let real = real.as_ref().and_then(|real| real.get(&*masked.name));
        let hides = masked.value.contains(MASK);
        // A value that is another one without the secrets holds one, whatever the list of parameters says of it.
        let secret = masked.secret || hides || real.is_some_and(|real| real.value != masked.value);
        let value = real.map_or(&masked.value, |real| &real.value);
        let is_known = real.is_some() || !hides;
        Expected { name: masked.name.to_string(), value: is_known.then(|| Secret::new(value.as_str())), secret }
    });
    let secrets = settings.iter().filter_map(|(_, setting)| match &setting.value {
        Value::Secret(source) => source.text().ok().filter(|secret| secret.expose().len() >= SHORTEST),
        _ => None,
    });
    Ok(Profile { file, format: file.format, expected: expected.collect(), secrets: secrets.collect() })
}
