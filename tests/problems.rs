//! What is refused when packs and settings are loaded, in which words.
//!
//! A case is a folder dropped into tests/golden/problems/: files that are laid over tests/golden/tiny/ (a pack and
//! profiles that are right), and `problems`, what loading them says. `RESYNCD_BLESS=1 cargo test` writes the problems.
//! Each has to name the file, the line or key, what is wrong, and what to do where that isn't plain.

use std::path::Path;

use resyncd::resync::Generation;

use crate::support::deployment::copy;
use crate::support::{is_blessing, root};

fn problems_of(case: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/golden/tiny"), folder.path());
    copy(case, folder.path());
    match Generation::load(&folder.path().join("templates"), &folder.path().join("profiles"), 1) {
        Ok(_) => String::new(),
        Err(problems) => format!("{problems}\n").replace(&format!("{}/", folder.path().display()), ""),
    }
}

#[test]
fn every_golden_case_has_exactly_its_problems() {
    let folder = root().join("tests/golden/problems");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in &cases {
        let found = problems_of(case);
        let expected = case.join("problems");
        if is_blessing() {
            std::fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", case.display());
        assert!(!found.is_empty(), "{}: nothing is wrong with it", case.display());
    }
    assert!(cases.len() >= 50, "{}", cases.len());
}

#[test]
fn nothing_is_wrong_with_what_the_cases_are_laid_over() {
    assert_eq!(problems_of(&root().join("tests/golden/tiny")), "");
}
