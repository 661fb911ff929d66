//! The checks of parameters' values: every kind against its table, every pack against its own samples and defaults, a
//! broken setting of the guide's sample at a time, and arbitrary text.
//!
//! Cases are lines, and no Rust: `tests/golden/values/<type>` and `tests/golden/mutations/<pack>` say at their head how.
//! `RESYNCD_BLESS=1` fills in what is told now; read the difference before committing it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use resyncd::document::nearest;
use resyncd::lint::values::{Wrong, check};
use resyncd::packs::{Dialect, Format, Packs, Parameter, ParameterList};

use crate::packs::values_of;
use crate::support::{is_blessing, root};

const TYPES: [&str; 25] = [
    "bool",
    "choice",
    "unsigned",
    "signed",
    "decimal",
    "time",
    "ip",
    "fqdn",
    "host-port",
    "url",
    "port",
    "phone",
    "phone-template",
    "status-template",
    "text",
    "power-level",
    "cadence",
    "frequency",
    "tone",
    "dial-plan",
    "profile-rule",
    "condition",
    "schedule",
    "hhmm",
    "macro-text",
];

fn packs() -> Packs {
    Packs::load(&root().join("templates"), &root().join("no-profiles")).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A list of one parameter, from an inline table of parameters.toml.
fn list_of(dialect: &str, name: &str, table: &str) -> ParameterList {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parameters.toml");
    let dialect = if dialect == "-" { String::new() } else { format!("dialect = \"{dialect}\"\n") };
    let words = "bool = { true = \"Yes\", false = \"No\" }\n";
    std::fs::write(&path, format!("{dialect}{words}[parameters]\n\"{name}\" = {table}\n")).unwrap();
    ParameterList::read(&path, &[]).unwrap_or_else(|problems| panic!("{table}: {problems}"))
}

fn assert_within(wrong: &Wrong, value: &str) {
    if let Some(span) = &wrong.span {
        assert!(value.get(span.clone()).is_some(), "{span:?} of {value:?}: {}", wrong.message);
    }
}

/// Message, help and the part that is wrong, as the tables have them.
fn told(wrong: &Wrong, value: &str) -> String {
    assert_within(wrong, value);
    let part = wrong.span.clone().map_or("", |span| &value[span]);
    format!("{}\t{}\t{part}", wrong.message, wrong.help.as_deref().unwrap_or("")).trim_end().to_owned()
}

fn golden(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("tests/golden").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none())
        .collect();
    files.sort();
    files
}

/// Compares a table with what is told now, or writes that.
fn settle(path: &Path, before: &str, now: &str) {
    if is_blessing() {
        std::fs::write(path, now).unwrap();
        return;
    }
    for (index, (before, now)) in before.lines().zip(now.lines()).enumerate() {
        assert_eq!(before, now, "{}:{}", path.display(), index + 1);
    }
}

#[test]
fn every_kind_of_value_is_checked_as_its_table_says() {
    let files = golden("values");
    for name in TYPES {
        assert!(files.iter().any(|file| file.ends_with(name)), "no table for {name}");
    }
    for file in files {
        let before = std::fs::read_to_string(&file).unwrap();
        let mut now = String::new();
        let mut list = ParameterList::unknown();
        for (index, line) in before.lines().enumerate() {
            let at = format!("{}:{}", file.display(), index + 1);
            let mut fields = line.split('\t');
            let checked =
                |value: &str| check(&list, list.iter().next().unwrap(), value).map_err(|wrong| told(&wrong, value));
            match fields.next().unwrap() {
                "" => now.push_str(line),
                comment if comment.starts_with('#') => now.push_str(line),
                "@" => {
                    let [dialect, name, table] = fields.collect::<Vec<_>>()[..] else { panic!("{at}: {line}") };
                    list = list_of(dialect, name, table);
                    now.push_str(line);
                }
                "ok" => {
                    let value = fields.next().unwrap_or("");
                    assert_eq!(checked(value), Ok(()), "{at}: {value}");
                    now.push_str(line);
                }
                "bad" => {
                    let value = fields.next().unwrap();
                    let wrong = checked(value).expect_err(&format!("{at}: {value} is thought to be right"));
                    now.push_str(&format!("bad\t{value}\t{wrong}"));
                }
                other => panic!("{at}: {other}"),
            }
            now.push('\n');
        }
        settle(&file, &before, &now);
    }
}

/// Every file of the packs' samples that holds parameters in readable form, with its values.
fn sampled(pack: &str) -> Vec<(PathBuf, BTreeMap<String, String>)> {
    let folder = root().join("templates").join(pack).join("samples");
    let files = walkdir::WalkDir::new(folder).min_depth(2).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|path| path.is_file());
    files
        .filter_map(|path| {
            let text = String::from_utf8(std::fs::read(&path).unwrap()).ok()?;
            let values = if path.ends_with("device.toml") {
                return None;
            } else if path.ends_with("values.toml") {
                let table: toml::Table = text.parse().unwrap();
                let values = table["values"].as_table().unwrap();
                values.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned())).collect()
            } else if text.starts_with('<') {
                values_of(Format::Xml, &text)
            } else if text.contains("\" ;") {
                values_of(Format::Spc, &text)
            } else {
                values_of(Format::ColonLines, &text)
            };
            Some((path, values))
        })
        .collect()
}

#[test]
fn every_value_of_every_sample_passes() {
    let mut wrong = Vec::new();
    for pack in packs().iter() {
        let mut checked = 0;
        for (path, values) in sampled(&pack.name) {
            for (name, value) in values {
                let Some(parameter) = pack.parameters.get(&name) else { continue };
                checked += 1;
                if let Err(found) = check(&pack.parameters, parameter, &value) {
                    wrong.push(format!("{}: {name} = {value:?}: {}", path.display(), found.message));
                }
            }
        }
        assert!(checked > 300, "{} values of {} are checked", checked, pack.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_default_passes_its_own_type() {
    let mut wrong = Vec::new();
    for pack in packs().iter() {
        assert_ne!(pack.parameters.dialect, Dialect::Unknown, "{}", pack.name);
        for parameter in pack.parameters.iter() {
            let Some(default) = &parameter.default else { continue };
            if let Err(found) = check(&pack.parameters, parameter, default) {
                wrong.push(format!("{}: {} = {default:?}: {}", pack.name, parameter.name, found.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_multiplatform_list_has_every_name_of_the_guides_sample() {
    let packs = packs();
    let pack = packs.iter().find(|pack| pack.name == "cisco-mpp").unwrap();
    assert!(!pack.parameters.open);
    let names = std::fs::read_to_string(root().join("tests/golden/open-format-names")).unwrap();
    let names: Vec<&str> = names.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let missing: Vec<&str> = names.iter().copied().filter(|name| pack.parameters.get(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(names.len() > 800, "{}", names.len());
}

fn faults(list: &ParameterList, values: &BTreeMap<String, String>) -> Vec<String> {
    let fault = |(name, value): (&String, &String)| match list.get(name) {
        None => {
            let near = nearest(name, list.names()).map(|near| format!("did you mean {near}?")).unwrap_or_default();
            Some(format!("{name}: no such parameter\t{near}").trim_end().to_owned())
        }
        Some(parameter) => check(list, parameter, value).err().map(|wrong| format!("{name}: {}", told(&wrong, value))),
    };
    values.iter().filter_map(fault).collect()
}

#[test]
fn each_seeded_mistake_is_found_and_nothing_else() {
    let packs = packs();
    for file in golden("mutations") {
        let pack = packs.iter().find(|pack| file.ends_with(&pack.name)).unwrap();
        let sample = sampled(&pack.name).into_iter().find(|(path, _)| path.ends_with("values.toml")).unwrap().1;
        assert_eq!(faults(&pack.parameters, &sample), Vec::<String>::new());
        let before = std::fs::read_to_string(&file).unwrap();
        let mut now = String::new();
        let mut mutations = 0;
        for (index, line) in before.lines().enumerate() {
            let at = format!("{}:{}", file.display(), index + 1);
            if line.is_empty() || line.starts_with('#') {
                now.push_str(line);
                now.push('\n');
                continue;
            }
            let [what, name, new] = line.split('\t').take(3).collect::<Vec<_>>()[..] else { panic!("{at}: {line}") };
            let mut mutated = sample.clone();
            let old = mutated.remove(name).unwrap_or_else(|| panic!("{at}: the sample has no {name}"));
            match what {
                "value" => mutated.insert(name.to_owned(), new.to_owned()),
                "name" => mutated.insert(new.to_owned(), old),
                other => panic!("{at}: {other}"),
            };
            let found = faults(&pack.parameters, &mutated);
            assert_eq!(found.len(), 1, "{at}: {found:?}");
            now.push_str(&format!("{what}\t{name}\t{new}\t{}\n", found[0]));
            mutations += 1;
        }
        assert!(mutations >= 40, "{mutations} mutations");
        settle(&file, &before, &now);
    }
}

/// One parameter of every type in every dialect, plain and secret, with limits and without.
fn lists() -> Vec<ParameterList> {
    let mut lists = Vec::new();
    for dialect in ["-", "cisco-mpp", "cisco-spa", "aastra", "grandstream"] {
        for kind in TYPES {
            let choices = if kind == "choice" { ", choices = [\"Auto\", \"UDP\", \"\"]" } else { "" };
            for limits in ["", ", min = 1, max = 20", ", secret = true"] {
                lists.push(list_of(dialect, "P", &format!("{{ type = \"{kind}\"{choices}{limits} }}")));
            }
        }
        for rule in ["Upgrade_Rule", "Report_Rule"] {
            lists.push(list_of(dialect, rule, "{ type = \"profile-rule\" }"));
        }
    }
    lists
}

fn only(list: &ParameterList) -> &Parameter {
    list.iter().next().unwrap()
}

fn assert_answers(lists: &[ParameterList], value: &str) {
    for list in lists {
        let Err(wrong) = check(list, only(list), value) else { continue };
        assert_within(&wrong, value);
        assert!(wrong.message.chars().count() < 600, "{}", wrong.message);
        if only(list).secret {
            assert_eq!(wrong.help, None);
        }
    }
}

#[test]
fn any_text_is_answered_with_a_span_within_it() {
    let lists = lists();
    // Text of the alphabet that the kinds' grammars are made of gets further in than any other.
    let near = "[-+0-9xX.*#|()<>\\[\\]{}:;,!@/$ \"=?%SLPTcseipMAUé€😀\u{0}]{0,40}";
    proptest!(ProptestConfig::with_cases(400), |(any in any::<String>(), near in near)| {
        assert_answers(&lists, &any);
        assert_answers(&lists, &near);
    });
}

#[test]
fn a_secret_is_in_no_message() {
    let lists = lists();
    for list in lists.iter().filter(|list| only(list).secret) {
        for value in
            ["hunter2-hunter2", "https://hunter2-hunter2:x:y", "[--key hunter2-hunter2", "(hunter2-hunter2", "$hunter2"]
        {
            if let Err(wrong) = check(list, only(list), value) {
                assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
            }
        }
    }
    let list = list_of("cisco-mpp", "P", "{ type = \"text\", max = 4, secret = true }");
    let wrong = check(&list, only(&list), "hunter2").unwrap_err();
    assert_eq!(wrong.message, "the value has 7 characters, 4 at most are allowed");
}

/// What is quadratic takes minutes on values of this size, and so is noticed without a clock.
#[test]
fn long_values_are_answered_as_well() {
    // One dialect stands for all but where each has a grammar of its own.
    let mut lists: Vec<_> =
        TYPES.map(|kind| list_of("cisco-mpp", "P", &format!("{{ type = \"{kind}\", choices = [\"UDP\"] }}"))).into();
    for dialect in ["aastra", "grandstream"] {
        lists.extend(["dial-plan", "cadence"].map(|kind| list_of(dialect, "P", &format!("{{ type = \"{kind}\" }}"))));
    }
    lists.push(list_of("cisco-mpp", "Report_Rule", "{ type = \"profile-rule\" }"));
    for piece in [
        "1",
        "x",
        "(",
        ")",
        "[",
        "<",
        "1,",
        "1/1,",
        "1@1,",
        "(1/1,",
        "$",
        "$A",
        "$(A",
        "$(MA)",
        "\"",
        "%2a,",
        "a.",
        "1|",
        "<1:2>",
        "[1-9]",
        "(1=1)?/a|",
        "\"a\"=\"a\" and ",
        "[--key a]",
        "a=\"b\";",
        "404,",
        "é",
        "😀",
        ";",
        " ",
        "://",
        "1+1,",
        "c=1/1-",
    ] {
        let long = piece.repeat(100_000 / piece.len());
        assert_answers(&lists, &long);
        assert_answers(&lists, &format!("({long}"));
    }
}
