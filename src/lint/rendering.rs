//! `rendering`: a file of a device can't be made. The phone would get a 500 and keep the profile that it has.

use rayon::prelude::*;

use super::{Finding, Severity};
use crate::model::MacAddr;
use crate::packs::{Audience, FileEntry, Source};
use crate::render::{RenderError, Shown};
use crate::resync::{Device, Generation};

/// Renders every file of every device, and every file for anyone of every model, with secrets masked: what stands in an
/// environment or a file of the server's need not be there.
pub fn rendering(generation: &Generation, limit: usize) -> Vec<Finding> {
    let mut findings = for_anyone(generation, limit);
    let devices = generation.profiles.devices();
    let of_devices: Vec<Vec<Finding>> = devices.par_iter().map(|device| of_device(generation, device, limit)).collect();
    findings.extend(of_devices.into_iter().flatten());
    findings
}

fn finding(error: &RenderError, path: &str, device: Option<MacAddr>) -> Finding {
    let (file, line) = error.place();
    Finding {
        rule: "rendering",
        severity: Severity::Error,
        message: format!("{path} can't be made: {}", error.message()),
        file,
        line,
        key: None,
        help: None,
        device,
    }
}

fn is_rendered(file: &FileEntry) -> bool {
    matches!(file.source, Source::Template { .. })
}

fn of_device(generation: &Generation, device: &Device, limit: usize) -> Vec<Finding> {
    let Some((pack, model)) = generation.packs.pack_and_model(device.model) else { return Vec::new() };
    let settings = generation.settings(device);
    let own =
        |file: &&FileEntry| file.audience == Audience::Device && is_rendered(file) && file.is_for(device.model.model);
    let files = pack.files.iter().filter(own);
    files
        .filter_map(|file| {
            let path =
                file.paths.iter().find_map(|path| path.fill(Some(device.mac), device.serial.as_ref(), &model.name));
            // A path by serial number is no path of a device whose serial number nobody knows.
            let path = path?;
            let error = generation.render(device, file, &settings, Shown::Masked, limit).err()?;
            Some(finding(&error, &path, Some(device.mac)))
        })
        .collect()
}

fn for_anyone(generation: &Generation, limit: usize) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (index, pack) in generation.packs.iter().enumerate() {
        for file in pack.files.iter().filter(|file| file.audience == Audience::Anyone && is_rendered(file)) {
            let named = file.paths.iter().any(|path| path.to_string().contains("{model}"));
            let models: Vec<Option<usize>> = if named {
                (0..pack.models.list.len()).filter(|model| file.is_for(*model)).map(Some).collect()
            } else {
                vec![None]
            };
            for model in models {
                let name = model.and_then(|model| pack.models.get(model)).map(|model| &*model.name);
                let path = file.paths.iter().find_map(|path| path.fill(None, None, name.unwrap_or_default()));
                let Some(path) = path else { continue };
                if let Err(error) = generation.render_for_anyone(index, file, model, limit) {
                    findings.push(finding(&error, &path, None));
                }
            }
        }
    }
    findings
}
