//! The reference pages under docs/ are what the code says.

use resyncd::cli::docs;

use crate::support;

#[test]
fn the_reference_pages_are_what_the_code_says() {
    let stale = docs::stale(&support::root().join("docs")).unwrap();
    assert!(stale.is_empty(), "write them with `cargo run -- docs`: {stale:?}");
}

#[test]
fn a_page_that_differs_is_named_and_the_exit_code_tells() {
    let folder = tempfile::tempdir().unwrap();
    docs::write(folder.path()).unwrap();
    let check = || support::resyncd().args(["docs", "--check"]).arg(folder.path()).output().unwrap();
    assert_eq!(check().status.code(), Some(0));

    std::fs::write(folder.path().join("settings.md"), "old").unwrap();
    std::fs::remove_file(folder.path().join("commands.md")).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("settings.md") && stdout.contains("commands.md"), "{stdout}");
    assert!(!stdout.contains("configuration.md"), "{stdout}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("cargo run -- docs"));
}

#[test]
fn the_pages_hold_no_colours_and_no_value_of_the_environment() {
    let output = tempfile::tempdir().unwrap();
    let status = support::resyncd()
        .env("RESYNCD_CONFIG", "value-of-the-environment.toml")
        .env("CLICOLOR_FORCE", "1")
        .arg("docs")
        .arg(output.path())
        .status()
        .unwrap();
    assert!(status.success());
    let page = std::fs::read_to_string(output.path().join("commands.md")).unwrap();
    assert!(page.contains("RESYNCD_CONFIG"));
    assert!(!page.contains("value-of-the-environment") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn what_a_benchmark_wrote_into_a_page_stays() {
    let folder = tempfile::tempdir().unwrap();
    docs::write(folder.path()).unwrap();
    let page = folder.path().join("capacity.md");
    let written = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = written.split_once(docs::capacity::RUNS.0).unwrap();
    let after = &rest[rest.find(docs::capacity::RUNS.1).unwrap()..];
    let with_runs = format!("{before}{}\n\n| delay | measured |\n\n{after}", docs::capacity::RUNS.0);
    std::fs::write(&page, &with_runs).unwrap();
    assert!(docs::stale(folder.path()).unwrap().is_empty());
    docs::write(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), with_runs);

    // The rest of the page is the code's.
    std::fs::write(&page, with_runs.replace("## The model", "## A model")).unwrap();
    assert_eq!(docs::stale(folder.path()).unwrap(), std::slice::from_ref(&page));
    docs::write(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), with_runs);
}
