//! SECURITY.md names a test for each threat, and each is there.

use std::collections::HashSet;
use std::path::Path;

use crate::support::root;

/// The names of all tests below a folder.
fn tests(folder: &Path, found: &mut HashSet<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            tests(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Those that run on each database have their names in a list.
        for after in text.split("on_each_database! {").skip(1) {
            let list = after.split('}').next().unwrap_or_default();
            found.extend(list.split_whitespace().map(str::to_owned));
        }
        for after in text.split("#[test]").skip(1) {
            // Other attributes may stand in between.
            let name = after.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
            found.extend(name.map(str::to_owned));
        }
    }
}

#[test]
fn every_threat_has_a_test_that_there_is() {
    let mut found = HashSet::new();
    tests(&root().join("tests"), &mut found);
    tests(&root().join("src"), &mut found);
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        let [_, threat, _, shown, _] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("no row of three columns: {row}")
        };
        let named: Vec<_> = shown.split(',').map(|name| name.trim().trim_matches('`')).collect();
        assert!(!shown.is_empty(), "{threat}: no test is named");
        for name in named {
            assert!(found.contains(name), "{threat}: there is no test {name}");
        }
    }
}
