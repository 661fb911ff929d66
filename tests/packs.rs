//! Every pack against its own samples: real User-Agents, certificate subjects, golden profiles, and the values of the
//! makers' guides. A new case is a new file under `templates/<pack>/samples/`; no Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use resyncd::document::Document;
use resyncd::identity::Subject;
use resyncd::model::MacAddr;
use resyncd::packs::{Audience, FileEntry, Format, Identified, Model, Packs, Source};
use resyncd::render::{DeviceFacts, Engine, Job, Shown};
use resyncd::settings::{Effective, LayerKind, read_layer};

use crate::support::{is_blessing, root};

fn packs() -> Packs {
    let nowhere = root().join("no-profiles");
    Packs::load(&root().join("templates"), &nowhere).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The cases of a pack's sample file; none where the pack has no such file.
fn samples(pack: &str, file: &str, list: &str) -> Vec<toml::Table> {
    let path = root().join("templates").join(pack).join("samples").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else { return Vec::new() };
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = table[list].as_array().unwrap();
    cases.iter().map(|case| case.as_table().unwrap().clone()).collect()
}

/// What a sample expects, or what was found, in one form.
fn told(found: Option<&Identified>) -> BTreeMap<&'static str, String> {
    let mut told = BTreeMap::new();
    let Some(found) = found else { return told };
    let mut tell = |key, value: Option<String>| {
        if let Some(value) = value {
            told.insert(key, value);
        }
    };
    tell("vendor", found.vendor.clone());
    tell("model", found.model.clone());
    tell("firmware", found.firmware.clone());
    tell("mac", found.mac.map(|mac| mac.to_string()));
    tell("serial", found.serial.as_ref().map(ToString::to_string));
    tell("generic", found.generic.then(|| "true".to_owned()));
    told
}

fn expected(case: &toml::Table) -> BTreeMap<&'static str, String> {
    let keys = ["vendor", "model", "firmware", "mac", "serial", "generic"];
    keys.into_iter()
        .filter_map(|key| {
            let value = case.get(key)?;
            Some((key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
        .collect()
}

#[test]
fn every_real_user_agent_is_read_by_its_pack() {
    let packs = packs();
    for (index, pack) in packs.iter().enumerate() {
        for case in samples(&pack.name, "user-agents.toml", "user_agent") {
            let text = case["text"].as_str().unwrap();
            let found = packs.identify_user_agent(text);
            // A case that expects nothing is some other family's, and must be left to it.
            if expected(&case).is_empty() {
                assert!(found.is_none_or(|(by, _)| by != index), "{text} was read by {}", pack.name);
                continue;
            }
            assert_eq!(told(found.as_ref().map(|(_, found)| found)), expected(&case), "{}: {text}", pack.name);
            let by = found.map(|(pack, _)| pack);
            assert!(by.is_none_or(|by| by == index), "{text} was read by another pack than {}", pack.name);
        }
    }
}

#[test]
fn every_certificate_subject_is_read_by_its_pack() {
    let packs = packs();
    for (index, pack) in packs.iter().enumerate() {
        for case in samples(&pack.name, "certificates.toml", "certificate") {
            let text = case["subject"].as_str().unwrap();
            let subject: Subject = text.parse().unwrap();
            let found = packs.identify_certificate(&subject);
            if expected(&case).is_empty() {
                assert!(found.is_none_or(|(by, _)| by != index), "{text} was read by {}", pack.name);
                continue;
            }
            let mut told = told(found.as_ref().map(|(_, found)| found));
            if !case.contains_key("vendor") {
                told.remove("vendor");
            }
            assert_eq!(told, expected(&case), "{}: {text}", pack.name);
        }
    }
}

/// A device of a pack's samples.
struct Sample {
    pack: usize,
    folder: PathBuf,
    model: usize,
    facts: DeviceFacts,
    settings: Effective,
}

fn sample_devices(packs: &Packs) -> Vec<Sample> {
    let mut found = Vec::new();
    for (index, pack) in packs.iter().enumerate() {
        let samples = pack.folder.join("samples");
        let mut folders: Vec<_> = std::fs::read_dir(&samples).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            let document = Document::read(&folder.join("device.toml")).unwrap_or_else(|problem| panic!("{problem}"));
            let (head, layer) =
                read_layer(&document, LayerKind::Sample, &folder).unwrap_or_else(|problems| panic!("{problems}"));
            let model = packs.model(&head.model.unwrap().0).unwrap();
            assert_eq!(model.pack, index, "{}: the model belongs to another pack", folder.display());
            let facts = DeviceFacts {
                mac: head.mac.unwrap().0.parse::<MacAddr>().unwrap(),
                serial: head.serial.map(|(serial, _)| serial.parse().unwrap()),
                group: head.group.map(|(group, _)| group.to_string()),
            };
            let settings = Effective::merge([&pack.defaults, &layer]);
            found.push(Sample { pack: index, folder, model: model.model, facts, settings });
        }
    }
    found
}

impl Sample {
    /// What is answered for a path, before delivery.
    fn answer(&self, packs: &Packs, engines: &[Engine], path: &str) -> Vec<u8> {
        let (pack, _) = packs.pack_and_model(resyncd::packs::ModelId { pack: self.pack, model: self.model }).unwrap();
        let (file, model) = packs
            .matches(path)
            .into_iter()
            .filter(|candidate| candidate.pack == self.pack)
            .map(|candidate| (&pack.files[candidate.file], candidate.captures.model))
            .find(|(file, _)| file.is_for(self.model))
            .unwrap_or_else(|| panic!("{}: no file of {} answers to {path}", self.folder.display(), pack.name));
        let job = self.job(pack, file, model.and_then(|model| pack.models.get(model)));
        let rendered =
            engines[self.pack].render(&job).unwrap_or_else(|error| panic!("{}: {error}", self.folder.display()));
        rendered.body
    }

    fn job<'j>(&'j self, pack: &'j resyncd::packs::Pack, file: &'j FileEntry, model: Option<&'j Model>) -> Job<'j> {
        let for_device = file.audience == Audience::Device;
        Job {
            pack,
            file,
            model: if for_device { pack.models.get(self.model) } else { model },
            device: for_device.then_some(&self.facts),
            settings: &self.settings,
            shared: None,
            shown: if for_device { Shown::Real } else { Shown::Absent },
            limit: (1 << 20).into(),
            form: None,
        }
    }
}

fn engines(packs: &Packs) -> Vec<Engine> {
    packs.iter().map(|pack| Engine::new(pack).unwrap_or_else(|errors| panic!("{errors:?}"))).collect()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn golden_profiles_are_rendered_as_they_stand() {
    let packs = packs();
    let engines = engines(&packs);
    for sample in sample_devices(&packs) {
        let own = [sample.folder.join("device.toml"), sample.folder.join("values.toml")];
        let mut goldens: Vec<_> = files_under(&sample.folder).into_iter().filter(|file| !own.contains(file)).collect();
        if is_blessing() && goldens.is_empty() {
            goldens = first_goldens(&packs, &engines, &sample);
        }
        assert!(!goldens.is_empty(), "{} has no golden profile", sample.folder.display());
        for golden in goldens {
            let path = format!("/{}", golden.strip_prefix(&sample.folder).unwrap().display());
            let answer = sample.answer(&packs, &engines, &path);
            if is_blessing() {
                std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
                std::fs::write(&golden, &answer).unwrap();
            }
            let stands = std::fs::read(&golden).unwrap();
            assert!(
                stands == answer,
                "{} is rendered otherwise now; RESYNCD_BLESS=1 cargo test golden writes it, git diff shows how",
                golden.display()
            );
        }
    }
}

/// Where the goldens of a sample that has none yet belong: its own files that can be rendered, one path each.
fn first_goldens(packs: &Packs, engines: &[Engine], sample: &Sample) -> Vec<PathBuf> {
    let (pack, model) =
        packs.pack_and_model(resyncd::packs::ModelId { pack: sample.pack, model: sample.model }).unwrap();
    pack.files
        .iter()
        .filter(|file| file.audience == Audience::Device && matches!(file.source, Source::Template { .. }))
        .filter(|file| file.is_for(sample.model))
        .filter_map(|file| {
            let (mac, serial) = (Some(sample.facts.mac), sample.facts.serial.as_ref());
            let path = file.paths.iter().find_map(|path| path.fill(mac, serial, &model.name))?;
            engines[sample.pack].render(&sample.job(pack, file, None)).is_ok().then_some(path)
        })
        .map(|path| sample.folder.join(path.trim_start_matches('/')))
        .collect()
}

#[test]
fn the_guides_own_samples_come_out_value_for_value() {
    let packs = packs();
    let engines = engines(&packs);
    let mut reproduced = 0;
    for sample in sample_devices(&packs) {
        let Ok(text) = std::fs::read_to_string(sample.folder.join("values.toml")) else { continue };
        let wanted: toml::Table = text.parse().unwrap();
        let path = wanted["path"].as_str().unwrap();
        let answer = sample.answer(&packs, &engines, path);
        let pack = packs.iter().nth(sample.pack).unwrap();
        let format = packs
            .matches(path)
            .iter()
            .find(|found| found.pack == sample.pack)
            .map(|found| pack.files[found.file].format);
        let values = values_of(format.unwrap(), std::str::from_utf8(&answer).unwrap());
        for (name, value) in wanted["values"].as_table().unwrap() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(values.get(name.as_str()), Some(&value), "{}: {name}", sample.folder.display());
        }
        reproduced += 1;
    }
    assert!(reproduced >= 3, "the open profile format, the SPA text form and the Aastra appendix: {reproduced}");
}

/// The parameters of a profile, read back by other code than wrote them.
pub fn values_of(format: Format, text: &str) -> BTreeMap<String, String> {
    match format {
        Format::Xml => {
            let document = roxmltree::Document::parse(text).unwrap();
            let elements = document.root_element().descendants().filter(|node| node.is_element());
            elements
                .map(|node| (node.tag_name().name().to_owned(), node.text().unwrap_or_default().to_owned()))
                .collect()
        }
        Format::Spc => lines_of(text)
            .map(|line| {
                let mut parts = line.split('"');
                (parts.next().unwrap().trim().to_owned(), parts.next().unwrap().to_owned())
            })
            .collect(),
        _ => lines_of(text)
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.trim_start_matches(['!', '^']).trim().to_owned(), value.trim().to_owned())
            })
            .collect(),
    }
}

fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
