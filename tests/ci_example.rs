//! examples/ci: its jobs, run as CI would; its hook; and its bad commits, each caught by the rule that it names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saphyr::{LoadableYamlNode, Yaml};

use crate::support::deployment::copy;
use crate::support::{program, resyncd, root, run};

fn example() -> PathBuf {
    root().join("examples/ci")
}

/// A program that finds `resyncd` and the packs, and knows who commits.
fn in_repository(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    let built = PathBuf::from(resyncd().get_program());
    let path = std::env::var("PATH").unwrap();
    command
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", built.parent().unwrap().display()))
        .env("RESYNCD_TEMPLATES", root().join("templates"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "A test")
        .env("GIT_AUTHOR_EMAIL", "test@example.com")
        .env("GIT_COMMITTER_NAME", "A test")
        .env("GIT_COMMITTER_EMAIL", "test@example.com");
    command
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = run(in_repository(folder, "git").args(arguments));
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The example as a repository of one commit; none where there is no git.
fn repository() -> Option<tempfile::TempDir> {
    program("git")?;
    let folder = tempfile::tempdir().unwrap();
    copy(&example(), folder.path());
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(folder.path(), &["add", "--all"]);
    git(folder.path(), &["commit", "--quiet", "--message=The profiles"]);
    Some(folder)
}

/// The bad commits, and the rule that each says it is caught by.
fn bad_commits() -> Vec<(PathBuf, String)> {
    let mut patches: Vec<PathBuf> =
        std::fs::read_dir(example().join("bad-commits")).unwrap().map(|entry| entry.unwrap().path()).collect();
    patches.sort();
    let rule = |patch: &Path| {
        let text = std::fs::read_to_string(patch).unwrap();
        text.lines().find_map(|line| line.strip_prefix("Caught-by: ").map(str::to_owned)).unwrap()
    };
    patches.into_iter().map(|patch| (patch.clone(), rule(&patch))).collect()
}

fn commit_badly(folder: &Path, name: &str) {
    let patch = example().join(format!("bad-commits/{name}.patch"));
    git(folder, &["am", "--quiet", patch.to_str().unwrap()]);
}

#[test]
fn each_bad_commit_is_caught_by_the_rule_that_it_names() {
    let Some(folder) = repository() else { return };
    for (patch, rule) in bad_commits() {
        git(folder.path(), &["am", "--quiet", patch.to_str().unwrap()]);
        let output = run(in_repository(folder.path(), "resyncd").args(["check", "--emulate", "--format", "json"]));
        let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let rules: BTreeSet<&str> = findings.iter().map(|finding| finding["rule"].as_str().unwrap()).collect();
        assert!(rules.contains(rule.as_str()), "{}: {findings:#?}", patch.display());
        // What strands a phone is seen from two sides: by its rule, and by playing the phone.
        let beside: Vec<_> = rules.iter().filter(|found| **found != rule && **found != "emulation").collect();
        assert!(beside.is_empty() || rule == "emulation", "{}: {beside:?}", patch.display());
        git(folder.path(), &["reset", "--quiet", "--hard", "HEAD~1"]);
        git(folder.path(), &["clean", "--quiet", "--force", "-d"]);
    }
}

#[test]
fn every_rule_that_a_commit_can_break_has_a_bad_commit() {
    let caught: BTreeSet<String> = bad_commits().into_iter().map(|(_, rule)| rule).collect();
    let rules: BTreeSet<&str> = resyncd::lint::abouts().iter().map(|about| about.id).collect();
    let unknown: Vec<_> = caught.iter().filter(|rule| !rules.contains(rule.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let missing: Vec<_> = rules.iter().filter(|rule| !caught.contains(**rule)).collect();
    // Certificates are not in a repository of profiles.
    assert!(missing.iter().all(|rule| rule.starts_with("certificate-")), "{missing:?}");
}

/// Runs commands as a CI server does, ending at the first that fails.
fn script(folder: &Path, text: &str, variables: &[(&str, &str)]) -> Output {
    run(in_repository(folder, "bash").args(["-e", "-o", "pipefail", "-c", text]).envs(variables.iter().copied()))
}

fn loaded(file: &str) -> Yaml<'static> {
    let text = std::fs::read_to_string(example().join(file)).unwrap();
    let mut documents = Yaml::load_from_str(text.leak()).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// What CI keeps is there, and tells of the one phone that was changed.
fn assert_kept(folder: &Path, is_bad: bool) {
    let changes = std::fs::read_to_string(folder.join("changes.md")).unwrap();
    assert_eq!(changes.contains("Profile_Rule"), is_bad, "{changes}");
    assert!(folder.join("preview/index.html").is_file());
}

#[test]
fn the_github_job_passes_good_commits_and_fails_bad_ones() {
    let job = loaded(".github/workflows/profiles.yml");
    let steps: Vec<(String, String)> = job["jobs"]["profiles"]["steps"]
        .as_vec()
        .unwrap()
        .iter()
        .filter_map(|step| Some((step["name"].as_str()?.to_owned(), step["run"].as_str()?.to_owned())))
        .collect();
    // What builds resyncd and speaks with the host is not for a test.
    let (run, left): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .partition(|(name, _)| !["Build resyncd", "Take resyncd", "Tell the pull request"].contains(&name.as_str()));
    assert_eq!((run.len(), left.len()), (4, 3), "{run:?}");
    for is_bad in [false, true] {
        let Some(folder) = repository() else { return };
        if is_bad {
            commit_badly(folder.path(), "lock-out");
        } else {
            git(folder.path(), &["commit", "--quiet", "--allow-empty", "--message=Nothing"]);
        }
        let summary = folder.path().join("summary.md");
        let variables = [("BASE", "HEAD~1"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
        for (name, commands) in &run {
            let output = script(folder.path(), commands, &variables);
            let fails = is_bad && name == "Check";
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(i32::from(fails)), "{name}: {told}");
            assert!(!fails || told.contains("::error file=profiles/groups/shop.toml,line=10"), "{told}");
        }
        let findings = std::fs::read_to_string(folder.path().join("findings.sarif")).unwrap();
        assert_eq!(findings.contains("\"ruleId\": \"lock-out\""), is_bad, "{findings}");
        assert_kept(folder.path(), is_bad);
        assert!(summary.is_file());
    }
}

#[test]
fn the_gitlab_job_passes_good_commits_and_fails_bad_ones() {
    let job = loaded(".gitlab-ci.yml");
    let lines: Vec<&str> =
        job["profiles"]["script"].as_vec().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for is_bad in [false, true] {
        let Some(folder) = repository() else { return };
        if is_bad {
            commit_badly(folder.path(), "lock-out");
        } else {
            git(folder.path(), &["commit", "--quiet", "--allow-empty", "--message=Nothing"]);
        }
        let output = script(folder.path(), &lines.join("\n"), &[("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD~1")]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(is_bad)), "{told}");
        let findings = std::fs::read_to_string(folder.path().join("findings.xml")).unwrap();
        assert_eq!(findings.contains("<failure "), is_bad, "{findings}");
        assert_kept(folder.path(), is_bad);
    }
}

#[test]
fn the_hook_refuses_what_phones_would_choke_on() {
    let Some(folder) = repository() else { return };
    git(folder.path(), &["config", "core.hooksPath", "hooks"]);
    let shop = folder.path().join("profiles/groups/shop.toml");
    let written = std::fs::read_to_string(&shop).unwrap();

    std::fs::write(&shop, written.replace("\"*98\"", "\"*99\"")).unwrap();
    git(folder.path(), &["commit", "--quiet", "--all", "--message=Another voice mail box"]);

    std::fs::write(&shop, written.replace("voicemail", "voice_mail")).unwrap();
    git(folder.path(), &["add", "--all"]);
    // What lies in the folder is mended, what is to be committed is not.
    std::fs::write(&shop, &written).unwrap();
    let output = run(in_repository(folder.path(), "git").args(["commit", "--message=A misspelt setting"]));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("profiles/groups/shop.toml:4"), "{told}");
}
