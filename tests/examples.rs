//! Every deployment that is shipped as an example holds what it promises: it is checked and each of its phones rendered.

use std::path::PathBuf;

use resyncd::config::Config;
use resyncd::packs::Audience;
use resyncd::render::Shown;
use resyncd::resync::Generation;

use crate::support::{resyncd, root};

/// The configurations of the repository itself and of every folder of `examples/`.
fn deployments() -> Vec<PathBuf> {
    let examples = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = examples.map(|folder| folder.join("resyncd.toml")).filter(|file| file.is_file()).collect();
    found.sort();
    found.insert(0, root().join("resyncd.toml"));
    found
}

#[test]
fn every_example_passes_the_check_without_a_warning() {
    for file in deployments() {
        let output = resyncd().arg("--config").arg(&file).args(["check", "--format", "json"]).output().unwrap();
        let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let worse: Vec<_> = findings.iter().filter(|finding| finding["severity"] != "note").collect();
        assert!(output.status.success() && worse.is_empty(), "{}: {worse:#?}", file.display());
    }
}

#[test]
fn every_phone_of_every_example_is_opened_by_something_and_rendered() {
    for file in deployments() {
        let config = Config::load_with_environment(&file, std::iter::empty::<(String, String)>()).unwrap();
        let generation = Generation::load(&config.templates, &config.profiles, 1).unwrap().with_stand_ins();
        assert!(generation.profiles.device_count() > 0, "{} has no device", file.display());
        for device in generation.profiles.devices() {
            let settings = generation.settings(device);
            let access = resyncd::identity::Access::of(&settings);
            let opens = access.certificate || access.encrypted || !access.networks.is_empty();
            assert!(opens, "{}: nothing opens the files of {}", file.display(), device.mac);
            let (pack, _) = generation.packs.pack_and_model(device.model).unwrap();
            let own =
                pack.files.iter().find(|file| file.audience == Audience::Device && file.is_for(device.model.model));
            let rendered = generation.render(device, own.unwrap(), &settings, Shown::Masked, 1 << 20).unwrap();
            assert!(rendered.parameters.len() > 10, "{}: {} is empty", file.display(), device.mac);
        }
    }
}
