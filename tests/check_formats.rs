//! The formats of findings for machines: each is what its own specification says, whatever a finding holds.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{program, resyncd, root, run};

/// A device with findings of two severities.
const DEVICE: &str = "model = \"CP-6841-3PCC\"\n[params]\nResync_Perodic = 60\nGPP_Z = 1\n\
                      # resyncd: allow(weak-key)\nGPP_A = \"a\"\n";

/// A device whose finding quotes what would break out of every format.
const HOSTILE: &str = "model = \"<x>&\\\"%,::]]>\\u0001\\n::error::\"\n";

/// A deployment of one device.
fn deployment(device: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let templates = root().join("templates");
    write(
        "resyncd.toml",
        &format!("templates = {templates:?}\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n"),
    );
    write(
        "profiles/defaults.toml",
        "[provisioning]\nurl = \"https://prov.example\"\n[access]\nnetworks = [\"192.0.2.0/24\"]\n",
    );
    write("profiles/devices/a b/000e08000001.toml", device);
    folder
}

/// What `resyncd check` prints, run in the deployment's folder.
fn checked(folder: &tempfile::TempDir, format: &str) -> String {
    let output = run(resyncd().current_dir(folder.path()).args(["check", "--format", format]));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn sarif_validates_against_its_schema() {
    let schema = std::fs::read_to_string(root().join("tests/schemas/sarif-2.1.0.json")).unwrap();
    // As published it has one regular expression with a bracket that was never opened.
    let schema = schema.replace("{2}]?$", "{2}\\\\]?$");
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let [hostile, log] = [HOSTILE, DEVICE].map(|device| {
        let log: Value = serde_json::from_str(&checked(&deployment(device), "sarif")).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        log
    });
    let text = hostile["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
    assert!(text.contains("\\u{1}\\n::error::") && !text.contains('\n'), "{text}");

    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 3, "{results:#?}");
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(!uri.contains(' '), "{uri}");
    }
    let misspelt = results.iter().find(|result| result["properties"]["key"] == "params.Resync_Perodic").unwrap();
    let place = &misspelt["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "profiles/devices/a%20b/000e08000001.toml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&Value::from(3), &Value::from(1)));
}

#[test]
fn what_sarif_calls_the_same_finding_outlives_a_line_before_it() {
    let folder = deployment(DEVICE);
    let prints = |log: &str| {
        let log: Value = serde_json::from_str(log).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        let mut prints: Vec<String> =
            results.iter().map(|result| result["partialFingerprints"]["resyncd/v1"].to_string()).collect();
        prints.sort();
        prints
    };
    let before = prints(&checked(&folder, "sarif"));
    let file = folder.path().join("profiles/devices/a b/000e08000001.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# a line more\n{text}")).unwrap();
    assert_eq!(prints(&checked(&folder, "sarif")), before);
}

#[test]
fn junit_validates_against_its_schema() {
    assert_valid_junit(&checked(&deployment(HOSTILE), "junit"));
    let text = checked(&deployment(DEVICE), "junit");
    assert_valid_junit(&text);
    let document = roxmltree::Document::parse(&text).unwrap();
    let failures = document.descendants().filter(|node| node.has_tag_name("failure")).count();
    assert_eq!(failures, 2, "{text}");
    for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
        let cases = suite.children().filter(|node| node.has_tag_name("testcase"));
        assert_eq!(suite.attribute("tests"), Some(cases.count().to_string().as_str()));
    }
    let passed = document.descendants().filter(|node| node.has_tag_name("testcase") && !node.has_children()).count();
    assert!(passed > 0, "rules that found nothing are cases that passed");
}

fn assert_valid_junit(text: &str) {
    let Some(mut xmllint) = program("xmllint") else { return };
    let schema = root().join("tests/schemas/junit-jenkins.xsd");
    let mut child = xmllint.args(["--noout", "--schema"]).arg(schema).arg("-").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
}

#[test]
fn github_annotations_are_a_line_each_with_errors_first() {
    let text = checked(&deployment(HOSTILE), "github");
    assert!(text.lines().count() == 1 && text.contains("%25,::]]>"), "{text}");
    let text = checked(&deployment(DEVICE), "github");
    let kinds: Vec<&str> = text.lines().map(|line| line[2..].split(' ').next().unwrap()).collect();
    assert!(kinds.starts_with(&["error", "error"]) && kinds.ends_with(&["notice"]), "{text}");
    assert!(kinds.iter().all(|kind| ["error", "warning", "notice"].contains(kind)), "{text}");
    let first =
        "::error file=profiles/devices/a b/000e08000001.toml,line=3,col=1,endColumn=14,title=unknown-parameter::";
    assert!(text.contains(first), "{text}");
}
