//! What `resyncd check` finds, and that it finds it where the operator has to look.
//!
//! A case is a folder dropped into tests/golden/lint/, named after the rule, or after the rule, `+` and what is
//! special about it. In it lie `found/`, a whole deployment with the mistake in it, and `mended/`, the files of it
//! that are different once it is mended (an empty one takes a file away); `expected` has a line for each place,
//! `FILE:LINE severity`, of what the rule finds in `found`. In mended the rule finds nothing. A case has the pack
//! cisco-mpp, or those that its file `packs` names, or packs of its own. `RESYNCD_BLESS=1 cargo test` writes
//! `expected`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use resyncd::lint::{self, Finding, Options, Report};

use crate::support::deployment::{Deployment, copy};
use crate::support::{is_blessing, resyncd, root, run};

/// What stands in every case that has no file of its own there: a listener, and what opens the files of devices.
fn base() -> PathBuf {
    root().join("tests/golden/lint-base")
}

/// The cases, and the rule that each is about.
fn cases() -> Vec<(PathBuf, String)> {
    let folders = std::fs::read_dir(root().join("tests/golden/lint")).unwrap();
    let mut cases: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let rule = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().split('+').next().unwrap().to_owned();
    cases.into_iter().map(|folder| (folder.clone(), rule(&folder))).collect()
}

/// A deployment of these folders, each laid over the ones before. A pack takes a while to load, so none is there in
/// vain.
fn laid(folders: &[&Path]) -> tempfile::TempDir {
    let whole = tempfile::tempdir().unwrap();
    for folder in [&*base()].iter().chain(folders) {
        copy(folder, whole.path());
    }
    let templates = whole.path().join("templates");
    if !templates.is_dir() {
        std::fs::create_dir(&templates).unwrap();
        let packs = std::fs::read_to_string(whole.path().join("packs")).unwrap_or("cisco-mpp".to_owned());
        for pack in packs.split_whitespace() {
            std::os::unix::fs::symlink(root().join("templates").join(pack), templates.join(pack)).unwrap();
        }
    }
    whole
}

fn remove_empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        if metadata.is_dir() {
            remove_empty(&path);
        } else if metadata.len() == 0 {
            std::fs::remove_file(path).unwrap();
        }
    }
}

fn check(folder: &Path, options: &Options) -> Report {
    lint::run(&folder.join("resyncd.toml"), options, &mut |_, _| {})
}

fn options_of(case: &Path) -> Options {
    Options { emulate: case.join("emulate").exists(), ..Options::default() }
}

/// `FILE:LINE severity` as the case's files are called.
fn place(finding: &Finding, folder: &Path) -> String {
    let file = finding.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let file = file.replace(&format!("{}/", folder.display()), "");
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{file}{line} {}", finding.severity.as_str())
}

/// What is wrong with a case; none where all is as it should be.
fn wrong(case: &Path, rule: &str) -> Option<String> {
    let found = laid(&[&case.join("found")]);
    let report = check(found.path(), &options_of(case));
    let of_rule: Vec<_> = report.findings.iter().filter(|finding| finding.rule == rule).collect();
    let places: BTreeSet<String> = of_rule.iter().map(|finding| place(finding, found.path())).collect();
    let told: String = places.iter().map(|place| format!("{place}\n")).collect();
    let expected = case.join("expected");
    if is_blessing() {
        std::fs::write(&expected, &told).unwrap();
    }
    let shown = |findings: &[Finding]| {
        let one =
            |finding: &Finding| format!("  {} {} {}\n", finding.rule, place(finding, found.path()), finding.message);
        findings.iter().map(one).collect::<String>()
    };
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if told.is_empty() || told != wanted {
        return Some(format!("found, and expected\n{wanted}\n{}", shown(&report.findings)));
    }
    // Every secret of the cases begins so; a rule's name does, too.
    let all = format!("{:?}", report.findings).replace("secret-for-anyone", "");
    if all.contains("secret-") {
        return Some(format!("shows a secret: {all}"));
    }
    if let Some(finding) = of_rule.iter().find(|finding| finding.why.is_none() || finding.help.is_none()) {
        return Some(format!("says too little: {finding:?}"));
    }
    let mended = laid(&[&case.join("found"), &case.join("mended")]);
    remove_empty(mended.path());
    let report = check(mended.path(), &options_of(case));
    let left: Vec<_> = report.findings.iter().filter(|finding| finding.rule == rule).cloned().collect();
    if report.packs == 0 || !left.is_empty() {
        let all = if left.is_empty() { &report.findings } else { &left };
        return Some(format!("mended, and there is\n{}", shown(all).replace(&*mended.path().to_string_lossy(), "")));
    }
    None
}

#[test]
fn every_rule_finds_its_cases_where_they_are_and_nothing_in_the_mended_ones() {
    let name = |case: &Path| case.file_name().unwrap().to_string_lossy().into_owned();
    let found = cases().into_par_iter().filter_map(|(case, rule)| Some((name(&case), wrong(&case, &rule)?)));
    let told: String = found.map(|(name, why)| format!("{name}: {why}\n")).collect();
    assert!(told.is_empty(), "{told}");
}

#[test]
fn every_rule_has_a_case() {
    let cases: BTreeSet<String> = cases().into_iter().map(|(_, rule)| rule).collect();
    let missing: Vec<_> = lint::abouts().iter().map(|about| about.id).filter(|id| !cases.contains(*id)).collect();
    assert!(missing.is_empty(), "without a case in tests/golden/lint: {missing:?}");
}

#[test]
fn every_rule_is_documented() {
    for about in lint::abouts() {
        assert!(about.summary().len() > 20, "{}", about.id);
        assert!(about.why().is_some() && about.help().is_some(), "{}", about.id);
        let is_id = about.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(is_id, "{}", about.id);
    }
}

/// A case's deployment with a further part in its configuration.
fn with_configuration(case: &str, text: &str) -> tempfile::TempDir {
    let folder = laid(&[&root().join("tests/golden/lint").join(case).join("found")]);
    let file = folder.path().join("resyncd.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{written}\n{text}")).unwrap();
    folder
}

fn exit_code(folder: &Path, arguments: &[&str]) -> Option<i32> {
    let file = folder.join("resyncd.toml");
    run(resyncd().arg("--config").arg(file).arg("check").args(arguments)).status.code()
}

#[test]
fn the_exit_code_tells_errors_from_what_is_less_and_from_not_having_run() {
    let case = "unknown-parameter";
    let errors = with_configuration(case, "");
    assert_eq!(exit_code(errors.path(), &["--rule", "unknown-parameter"]), Some(1));
    assert_eq!(exit_code(errors.path(), &["--rule", "rendering"]), Some(0));
    assert_eq!(exit_code(errors.path(), &["--rule", "unknown-paramter"]), Some(2));
    assert_eq!(exit_code(&errors.path().join("elsewhere"), &[]), Some(2));
    for level in ["off", "note", "warning"] {
        let folder =
            with_configuration(case, &format!("[lint]\nseverity = {{ \"unknown-parameter\" = \"{level}\" }}\n"));
        assert_eq!(exit_code(folder.path(), &["--rule", "unknown-parameter"]), Some(0), "{level}");
        let report = check(folder.path(), &Options::default());
        let told = report.findings.iter().filter(|finding| finding.rule == "unknown-parameter");
        assert!(told.map(|finding| finding.severity.as_str()).all(|severity| severity == level), "{level}");
    }
}

#[test]
fn a_rule_that_there_is_not_is_refused_with_the_nearest() {
    let folder = with_configuration("unknown-parameter", "[lint.severity]\nunknown-paramter = \"off\"\n");
    let report = check(folder.path(), &Options::default());
    let [finding] = report.findings.as_slice() else { panic!("{:#?}", report.findings) };
    assert_eq!(finding.key.as_deref(), Some("lint.severity.unknown-paramter"));
    assert!(finding.help.as_deref().unwrap().contains("\"unknown-parameter\""), "{finding:?}");
    let file = folder.path().join("resyncd.toml");
    let output = run(resyncd().arg("--config").arg(file).arg("packs"));
    assert_eq!(output.status.code(), Some(2), "other commands refuse it, too");
}

#[test]
fn the_same_of_many_devices_is_told_once() {
    let folder = laid(&[]);
    for kind in ["devices", "models"] {
        std::fs::create_dir_all(folder.path().join("profiles").join(kind)).unwrap();
    }
    for number in 1..=5 {
        let file = folder.path().join(format!("profiles/devices/000e0800000{number}.toml"));
        std::fs::write(file, "model = \"CP-6841-3PCC\"\n").unwrap();
    }
    std::fs::write(folder.path().join("profiles/models/CP-6841-3PCC.toml"), "[params]\nNo_Such = 1\n").unwrap();
    let of_rule = |all_devices| {
        let options = Options { all_devices, rules: vec!["unknown-parameter".to_owned()], ..Options::default() };
        check(folder.path(), &options).findings
    };
    let few = of_rule(false);
    let [finding] = few.as_slice() else { panic!("{few:#?}") };
    assert_eq!((finding.device_count, finding.devices.len()), (5, lint::FEW));
    assert_eq!(finding.device.unwrap().to_string(), "000e08000001");
    assert_eq!((finding.line, finding.column, finding.end_column), (Some(2), Some(1), Some(8)));
    assert_eq!(of_rule(true).first().unwrap().devices.len(), 5);
}

#[test]
fn json_has_its_keys_and_people_see_the_line() {
    let folder = with_configuration("unknown-parameter", "");
    let file = folder.path().join("resyncd.toml");
    let check = |arguments: &[&str]| run(resyncd().arg("--config").arg(&file).arg("check").args(arguments));
    let json: serde_json::Value = serde_json::from_slice(&check(&["--format", "json"]).stdout).unwrap();
    let keys: Vec<_> = json[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "rule",
        "severity",
        "message",
        "why",
        "help",
        "file",
        "line",
        "column",
        "end_column",
        "key",
        "device",
        "device_count",
        "devices",
        "path",
        "rendered_line",
    ];
    assert_eq!(keys, expected);
    let text = String::from_utf8(check(&[]).stdout).unwrap();
    assert!(text.contains("| ^^^") && text.contains("= the phone:") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_certificate_that_expires_in_time_to_be_mended_is_a_warning() {
    let deployment = Deployment::example();
    deployment.certificates(&[]).append_config("\n[lint]\ncertificate_expiry = \"3650d\"\n");
    let expiring = |report: &Report| {
        let found = report.findings.iter().filter(|finding| finding.rule == "certificate-expiry");
        found.map(|finding| finding.severity.as_str()).collect::<Vec<_>>()
    };
    let report = check(&deployment.path(""), &Options::default());
    let found = expiring(&report);
    assert!(!found.is_empty() && found.iter().all(|severity| *severity == "warning"), "{:#?}", report.findings);

    let deployment = Deployment::example();
    deployment.certificates(&[]);
    let report = check(&deployment.path(""), &Options::default());
    assert_eq!(expiring(&report), Vec::<&str>::new());
    // Those that the program makes itself are as phones want them.
    let unfit = report.findings.iter().filter(|finding| finding.rule == "certificate-unfit");
    assert!(unfit.clone().all(|finding| finding.severity == lint::Severity::Note), "{:#?}", unfit.collect::<Vec<_>>());
}

#[test]
fn a_played_phone_needs_no_secret_that_is_not_there() {
    let deployment = Deployment::example();
    deployment.write("profiles/groups/globex.toml", "[admin]\npassword = { env = \"NO_SUCH_VARIABLE_OF_LINT\" }\n");
    let options = Options { emulate: true, rules: vec!["emulation".to_owned()], ..Options::default() };
    let report = check(&deployment.path(""), &options);
    assert_eq!(report.findings, []);
}

#[test]
fn since_a_revision_only_the_devices_that_change_are_looked_at() {
    let deployment = |second: &str| {
        let folder = laid(&[]);
        let devices = folder.path().join("profiles/devices");
        std::fs::create_dir_all(&devices).unwrap();
        std::fs::write(devices.join("000e08000001.toml"), "model = \"CP-6841-3PCC\"\n[params]\nNo_Such = 1\n").unwrap();
        std::fs::write(devices.join("000e08000002.toml"), format!("model = \"CP-6841-3PCC\"\n{second}")).unwrap();
        folder
    };
    let (old, new) = (deployment(""), deployment("[params]\nNo_Such = 2\n"));
    let file = new.path().join("resyncd.toml");
    let mut command = resyncd();
    command.arg("--config").arg(file).args(["check", "--rule", "unknown-parameter", "--format", "json", "--since"]);
    let output = run(command.arg(old.path()));
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let devices: Vec<_> = findings.iter().map(|finding| finding["device"].as_str().unwrap()).collect();
    assert_eq!(devices, ["000e08000002"], "{}", String::from_utf8_lossy(&output.stderr));
}
