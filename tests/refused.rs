//! What a profile is made of when its values mean harm, or its templates are wrong: a file that reads back as the values
//! that went in, or a refusal that names the setting; never a further parameter.
//!
//! A case is a folder dropped into tests/golden/refused/: files that are laid over tests/golden/tiny/, and `answers`:
//! what each of the pack's files comes to for the device 000000000001, read back by the readers here, which know nothing
//! of how the values were written. `RESYNCD_BLESS=1 cargo test` writes the answers.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use resyncd::document::Document;
use resyncd::packs::{Audience, FileEntry, Format};
use resyncd::render::{RenderError, Shown};
use resyncd::resync::{Device, Generation};
use resyncd::settings::{Effective, LayerKind, read_layer};

use crate::support::deployment::copy;
use crate::support::{is_blessing, root};

const LIMIT: usize = 1 << 20;

fn tiny() -> PathBuf {
    root().join("tests/golden/tiny")
}

fn load(folder: &Path) -> Generation {
    Generation::load(&folder.join("templates"), &folder.join("profiles"), 1)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn device(generation: &Generation) -> &Device {
    generation.profiles.device("000000000001".parse().unwrap()).unwrap()
}

fn files(generation: &Generation) -> &[FileEntry] {
    &generation.packs.iter().next().unwrap().files
}

fn make(generation: &Generation, file: &FileEntry, settings: &Effective, limit: usize) -> Result<Vec<u8>, RenderError> {
    let device = device(generation);
    let rendered = match file.audience {
        Audience::Device => generation.render(device, file, settings, Shown::Real, limit),
        Audience::Anyone => generation.render_for_anyone(0, file, Some(0), limit),
    };
    rendered.map(|rendered| rendered.body)
}

/// The parameters of a file, as a phone would read them.
fn read_back(format: Format, body: &[u8]) -> Vec<(String, String)> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let text = || std::str::from_utf8(body).unwrap();
    match format {
        Format::Xml => roxmltree::Document::parse(text())
            .unwrap()
            .root_element()
            .children()
            .filter(|node| node.is_element())
            .map(|node| {
                assert!(node.children().all(|child| child.is_text()), "an element within a value");
                (node.tag_name().name().to_owned(), node.text().unwrap_or_default().to_owned())
            })
            .collect(),
        Format::ColonLines | Format::EqualsLines => {
            let separator = if format == Format::ColonLines { ':' } else { '=' };
            // Every character that any reader takes for the end of a line.
            text()
                .split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'])
                .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
                .map(|line| line.split_once(separator).map(|(name, value)| own((name.trim(), value.trim()))).unwrap())
                .collect()
        }
        Format::Spc => {
            let mut found = Vec::new();
            let mut rest = text().trim();
            while let Some((name, after)) = rest.split_once('"') {
                let (value, after) = after.split_once('"').unwrap();
                found.push(own((name.trim(), value)));
                rest = after.trim_start().strip_prefix(';').unwrap();
            }
            assert_eq!(rest.trim(), "", "something after the last value");
            found
        }
        Format::GrandstreamBinary => {
            let pairs = std::str::from_utf8(&body[16..]).unwrap().trim_end_matches('\0');
            let pairs = pairs.split('&').filter(|pair| *pair != "gnkey=0b82");
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap();
                    (name.to_owned(), percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
                })
                .collect()
        }
        Format::Text => {
            let parts: Vec<_> = text().split('|').collect();
            parts.chunks_exact(2).map(|pair| own((pair[0], pair[1]))).collect()
        }
        Format::Binary => unreachable!("no template makes it"),
    }
}

fn answers(case: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&tiny(), folder.path());
    copy(case, folder.path());
    let generation = load(folder.path());
    let settings = generation.settings(device(&generation));
    let mut answers = String::new();
    for file in files(&generation) {
        match make(&generation, file, &settings, 1 << 20) {
            Ok(body) => {
                writeln!(answers, "{}:", file.name).unwrap();
                for (name, value) in read_back(file.format, &body) {
                    writeln!(answers, "    {name:?} is {value:?}").unwrap();
                }
            }
            Err(error) => writeln!(answers, "{} refused: {error}", file.name).unwrap(),
        }
    }
    answers.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_golden_case_has_its_answers() {
    let folder = root().join("tests/golden/refused");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "{}", cases.len());
    for case in cases {
        let found = answers(&case);
        if is_blessing() {
            std::fs::write(case.join("answers"), &found).unwrap();
        }
        let refusals = found.lines().filter(|line| line.contains(" refused: "));
        assert!(refusals.clone().all(|line| !line.contains("hidden")), "a secret: {found}");
        assert_eq!(found, std::fs::read_to_string(case.join("answers")).unwrap_or_default(), "{}", case.display());
    }
}

static TINY: LazyLock<Generation> = LazyLock::new(|| load(&tiny()));

/// The four kinds of values that an operator, or whoever fills in his forms, gives.
#[derive(Debug, Clone)]
struct Values {
    display_name: String,
    password: String,
    param: String,
    var: String,
}

impl Values {
    fn all(&self) -> [&str; 4] {
        [&self.display_name, &self.password, &self.param, &self.var]
    }

    /// The settings of a device with these values, or why it has none.
    fn settings(&self) -> Result<Effective, String> {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let layer = format!(
            "model = \"T-1\"\n[lines.1]\ndisplay_name = {}\npassword = {}\n[params]\nOwn_1 = {}\n[vars]\nnote = {}\n",
            text(&self.display_name),
            text(&self.password),
            text(&self.param),
            text(&self.var)
        );
        let document = Document::from_text("device.toml", layer);
        let read = read_layer(&document, LayerKind::Device, Path::new(""));
        read.map(|(_, layer)| Effective::merge([&layer])).map_err(|problems| problems.to_string())
    }

    /// What has to be read back, in any order. A value of blanks leaves its parameter out, but for one of `[params]`.
    fn expected(&self) -> Vec<(String, String)> {
        let derived = [("Note", &self.var), ("Name_1", &self.display_name), ("Password_1", &self.password)];
        let mut expected: Vec<_> = derived
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .chain([("Own_1", &self.param)])
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        expected.sort();
        expected
    }

    /// Every format makes a file that reads back as these values, or refuses and names the setting.
    fn check(&self) {
        const NAMES: [&str; 4] = ["lines.1.display_name", "lines.1.password", "params.Own_1", "vars.note"];
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(problems) => {
                assert!(problems.lines().all(|line| NAMES.iter().any(|name| line.contains(name))), "{problems}");
                return;
            }
        };
        for file in files(&TINY).iter().filter(|file| file.audience == Audience::Device) {
            match make(&TINY, file, &settings, LIMIT) {
                // Its layout has no way to tell a separator from a value.
                Ok(_) if file.format == Format::Text && self.all().iter().any(|value| value.contains('|')) => {}
                Ok(body) => {
                    let mut found = read_back(file.format, &body);
                    found.sort();
                    assert_eq!(found, self.expected(), "{}: {}", file.format, String::from_utf8_lossy(&body));
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(NAMES.iter().any(|name| error.contains(name)), "{}: {error}", file.format);
                }
            }
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(
        "\n\r\t \"'&<>#=:;|%!?]\\{}$\u{0}\u{b}\u{1e}\u{7f}\u{85}\u{a0}\u{ad}\u{200f}\u{2028}\u{2029}\u{202e}\u{feff}\u{fffe}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let character = prop_oneof![2 => special, 3 => proptest::char::range('a', 'z'), 1 => any::<char>()];
    proptest::collection::vec(character, 0..12).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_read_back_or_are_refused_by_name(
        display_name in value(),
        password in value(),
        param in value(),
        var in value(),
        // Most values are harmless: only so files are made, and one value's harm is not hidden by another's refusal.
        harmful in 0..5_usize,
    ) {
        let keep = |at: usize, value: String| if harmful == 4 || harmful == at { value } else { "plain".to_owned() };
        let (display_name, password) = (keep(0, display_name), keep(1, password));
        Values { display_name, password, param: keep(2, param), var: keep(3, var) }.check();
    }
}

#[test]
fn a_long_text_is_carried_whole_or_the_file_is_refused_whole() {
    let long = "0123456789 grün & <so> 'weiter' ".repeat(3_200);
    let values = Values { display_name: format!("{long}x"), password: "x".into(), param: "x".into(), var: "x".into() };
    values.check();
    let settings = values.settings().unwrap();
    for file in files(&TINY).iter().filter(|file| file.audience == Audience::Device) {
        assert!(make(&TINY, file, &settings, LIMIT).is_ok(), "{}", file.format);
        let error = make(&TINY, file, &settings, 64 << 10).unwrap_err().to_string();
        assert!(error.contains("limits.profile_bytes"), "{}: {error}", file.format);
    }
}
