//! `resyncd diff` as its users run it.
//!
//! A case is a folder dropped into tests/golden/diff/: `packs`, the names of those it needs, `old/` and `new/`, each laid over
//! these and a configuration, and `human`, `json` and `markdown`, what `resyncd diff old new` prints. `RESYNCD_BLESS=1 cargo test diff::` writes them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::deployment::{Deployment, copy};
use crate::support::{is_blessing, program, resyncd, root, run};

const CONFIG: &str =
    "templates = \"templates\"\nprofiles = \"profiles\"\n\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n";

/// A folder with `old/` and `new/` of a case.
fn sides(case: &Path) -> Deployment {
    let deployment = Deployment::nowhere();
    for side in ["old", "new"] {
        deployment.write(&format!("{side}/resyncd.toml"), CONFIG);
        for pack in fs::read_to_string(case.join("packs")).unwrap().split_whitespace() {
            let from = root().join(if pack == "tiny" { "tests/golden/tiny/templates" } else { "templates" });
            copy(&from.join(pack), &deployment.path(&format!("{side}/templates/{pack}")));
        }
        copy(&case.join(side), &deployment.path(side));
    }
    deployment
}

fn diff(deployment: &Deployment, arguments: &[&str]) -> Output {
    let mut command = resyncd();
    command.current_dir(deployment.path("")).arg("diff").args(arguments).env_remove("RESYNCD_CONFIG");
    run(&mut command)
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    assert_eq!(stderr(output), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_golden_case_is_told_as_it_should() {
    let mut cases: Vec<_> =
        fs::read_dir(root().join("tests/golden/diff")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "{}", cases.len());
    for case in &cases {
        let deployment = sides(case);
        for format in ["human", "json", "markdown"] {
            let found = stdout(&diff(&deployment, &["old", "new", "--format", format]));
            let expected = case.join(format);
            if is_blessing() {
                fs::write(&expected, &found).unwrap();
            }
            assert_eq!(found, fs::read_to_string(&expected).unwrap_or_default(), "{}", expected.display());
            assert!(!found.contains(deployment.path("").to_str().unwrap()), "{found}");
            for secret in ["first key", "second key", "same"].map(|text| format!("\"{text}\"")) {
                assert!(!found.contains(&secret), "{found}");
            }
        }
    }
}

/// A repository of git's with a deployment in it, committed.
struct Repository {
    deployment: Deployment,
}

impl Repository {
    /// None where git is not installed.
    fn new() -> Option<Self> {
        program("git")?;
        let repository = Self { deployment: Deployment::nowhere() };
        repository.git(&["init", "--quiet"]);
        Some(repository)
    }

    /// With one device, whose group has a proxy.
    fn small() -> Option<Self> {
        let repository = Self::new()?;
        let deployment = &repository.deployment;
        deployment.write("resyncd.toml", CONFIG);
        copy(&root().join("templates/cisco-mpp"), &deployment.path("templates/cisco-mpp"));
        deployment.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"one.example\"\n");
        deployment.write(
            "profiles/devices/000e08ab0001.toml",
            "model = \"CP-6841-3PCC\"\ngroup = \"acme\"\n[lines.1]\nuser = \"1\"\npassword = { env = \"NOT_HERE\" }\n",
        );
        repository.commit();
        Some(repository)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(self.deployment.path("")).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let output = run(git.args(arguments));
        assert!(output.status.success(), "git {arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        self.deployment.write(path, text);
        self
    }

    fn diff(&self, arguments: &[&str]) -> Output {
        diff(&self.deployment, arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&stdout(&self.diff(&arguments))).unwrap()
    }
}

fn proxies(report: &Value) -> Vec<(&str, &str)> {
    let entries = report["entries"].as_array().unwrap();
    let changes = entries.iter().flat_map(|entry| entry["changes"].as_array().unwrap());
    let proxies = changes.filter(|change| change["name"] == "Proxy_1_");
    proxies.map(|change| (change["old"].as_str().unwrap(), change["new"].as_str().unwrap())).collect()
}

#[test]
fn revisions_and_the_working_tree_are_compared_and_nothing_is_touched() {
    let Some(repository) = Repository::small() else { return };
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"two.example\"\n").commit();
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"three.example\"\n");
    let before = repository.git(&["status", "--porcelain=v2"]);

    assert_eq!(proxies(&repository.json(&["HEAD~1", "HEAD"])), [("one.example", "two.example")]);
    assert_eq!(proxies(&repository.json(&["HEAD"])), [("two.example", "three.example")]);
    assert_eq!(proxies(&repository.json(&["HEAD~1"])), [("one.example", "three.example")]);
    let entry = &repository.json(&["HEAD~1", "HEAD"])["entries"][0];
    assert_eq!((&entry["source"], &entry["changes"][0]["line"]), (&"profiles/groups/acme.toml".into(), &2.into()));
    assert_eq!(repository.git(&["status", "--porcelain=v2"]), before);

    let human = stdout(&repository.diff(&["HEAD"]));
    assert!(human.contains("profiles/groups/acme.toml: 1 phone (000e08ab0001)"), "{human}");
    assert!(human.contains("two.example → three.example  [register]  (lines.1.proxy, line 2)"), "{human}");
}

#[test]
fn the_exit_code_tells_of_changes_only_where_it_is_asked_for() {
    let Some(repository) = Repository::small() else { return };
    assert_eq!(repository.diff(&["HEAD", "--exit-code"]).status.code(), Some(0));
    repository.write("profiles/groups/acme.toml", "# a comment\n[lines.1]\nproxy = \"one.example\"\n");
    assert_eq!(repository.diff(&["HEAD", "--exit-code"]).status.code(), Some(0));
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"two.example\"\n");
    assert_eq!(repository.diff(&["HEAD"]).status.code(), Some(0));
    assert_eq!(repository.diff(&["HEAD", "--exit-code"]).status.code(), Some(1));
}

#[test]
fn what_is_no_revision_is_refused_with_what_to_do() {
    let Some(repository) = Repository::small() else { return };
    let refused = |arguments: &[&str]| {
        let output = repository.diff(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        stderr(&output)
    };
    let unknown = refused(&["v9"]);
    assert!(
        unknown.contains("\"v9\" is no folder with resyncd.toml") && unknown.contains("fetch-depth: 0"),
        "{unknown}"
    );
    for name in ["--output=owned", "-x", "--all"] {
        let message = refused(&["--", name]);
        assert!(message.contains("none begins with \"-\""), "{message}");
    }
    for name in ["HEAD; touch owned", "$(touch owned)", "HEAD:profiles", "HEAD^{tree}", "", "HEAD..HEAD"] {
        let message = refused(&["--", name]);
        assert!(message.contains("is no folder"), "{name}: {message}");
    }
    assert!(!repository.deployment.path("owned").exists());

    let message = refused(&["HEAD", "--device", "000e08ab0009"]);
    assert!(message.contains("there is no device 000e08ab0009"), "{message}");
}

#[test]
fn a_revision_without_the_configuration_or_one_that_does_not_load_says_which_it_is() {
    let Some(repository) = Repository::small() else { return };
    repository.write("later/resyncd.toml", CONFIG).write("later/profiles/defaults.toml", "");
    let mut command = resyncd();
    command.current_dir(repository.deployment.path("")).args(["--config", "later/resyncd.toml", "diff", "HEAD"]);
    let message = stderr(&run(&mut command));
    assert!(message.contains("HEAD has no later/resyncd.toml"), "{message}");

    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxi = \"x\"\n").commit();
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"x\"\n");
    let message = stderr(&repository.diff(&["HEAD"]));
    assert!(message.contains("HEAD:profiles/groups/acme.toml:2: lines.1.proxi: unknown setting"), "{message}");
    assert!(!message.contains("/tmp"), "{message}");
}

#[test]
fn without_git_or_a_repository_the_message_says_so() {
    let Some(repository) = Repository::small() else { return };
    let mut command = resyncd();
    command.current_dir(repository.deployment.path("")).args(["diff", "HEAD"]).env("PATH", "/nonexistent");
    let message = stderr(&run(&mut command));
    assert!(message.contains("`git` can't be run") && message.contains("install git"), "{message}");

    let elsewhere = Deployment::nowhere();
    elsewhere.write("resyncd.toml", CONFIG);
    let output =
        run(resyncd().current_dir(elsewhere.path("")).args(["diff", "HEAD"]).env("GIT_CEILING_DIRECTORIES", "/"));
    assert!(stderr(&output).contains("is in no git repository"), "{}", stderr(&output));
}

#[test]
fn a_shallow_clone_says_to_fetch_more() {
    let Some(repository) = Repository::small() else { return };
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"two.example\"\n").commit();
    let clone = Deployment::nowhere();
    let url = format!("file://{}", repository.deployment.path("").display());
    let cloned = run(Command::new("git").args(["clone", "--quiet", "--depth", "1", &url]).arg(clone.path("")));
    assert!(cloned.status.success(), "{}", stderr(&cloned));
    let output = diff(&clone, &["HEAD~1"]);
    assert!(stderr(&output).contains("fetch-depth: 0"), "{}", stderr(&output));
}

/// A configuration deep in a repository, with packs and a link outside its folder, beside what is no part of it.
#[test]
fn a_deployment_deep_in_a_repository_is_read_out_with_what_it_needs() {
    let Some(repository) = Repository::new() else { return };
    let config = CONFIG.replace("\"templates\"", "\"../../templates\"");
    copy(&root().join("templates/cisco-mpp"), &repository.deployment.path("templates/cisco-mpp"));
    repository.write("sites/a [1]/resyncd.toml", &config);
    repository.write("sites/a [1]/profiles/devices/000e08ab0001.toml", "model = \"CP-6841-3PCC\"\ngroup = \"g\"\n");
    repository.write("shared/g.toml", "[lines.1]\nuser = \"1\"\nproxy = \"one.example\"\n");
    let group = repository.deployment.path("sites/a [1]/profiles/groups/g.toml");
    fs::create_dir_all(group.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("../../../../shared/g.toml", group).unwrap();
    repository.commit();
    repository.write("shared/g.toml", "[lines.1]\nuser = \"1\"\nproxy = \"two.example\"\n");
    let mut command = resyncd();
    command.current_dir(repository.deployment.path("sites")).args(["--config", "a [1]/resyncd.toml"]);
    let output = run(command.args(["diff", "HEAD", "--format", "json"]));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(proxies(&report), [("one.example", "two.example")]);
    assert_eq!(report["entries"][0]["source"], "a [1]/profiles/groups/g.toml");
}

/// Generated: as many phones as a test has time for, all of one group.
#[test]
fn a_change_of_a_layer_is_one_entry_however_many_phones_have_it() {
    let Some(repository) = Repository::small() else { return };
    for n in 2..400 {
        let text = format!(
            "model = \"CP-6841-3PCC\"\ngroup = \"{}\"\n[lines.1]\nuser = \"{n}\"\npassword = {{ env = \"SIP_{n}\" }}\n",
            if n % 4 == 0 { "acme" } else { "other" }
        );
        repository.write(&format!("profiles/devices/{:03}/000e08ab{n:04x}.toml", n % 10), &text);
    }
    repository.write("profiles/groups/other.toml", "[lines.1]\nproxy = \"other.example\"\n").commit();
    repository.write("profiles/groups/acme.toml", "[lines.1]\nproxy = \"two.example\"\n");

    let report = repository.json(&["HEAD"]);
    assert_eq!((&report["devices"], &report["concerned"]), (&399.into(), &100.into()));
    assert_eq!(report["effects"]["register"], 100);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{report:#}");
    assert_eq!((&entries[0]["device_count"], entries[0]["devices"].as_array().unwrap().len()), (&100.into(), 3));
    let all = repository.json(&["HEAD", "--devices"]);
    assert_eq!(all["entries"][0]["devices"].as_array().unwrap().len(), 100);
    let one = repository.json(&["HEAD", "--device", "00:0E:08:AB:00:04"]);
    assert_eq!(one["entries"][0]["devices"], serde_json::json!(["000e08ab0004"]));
    let none = repository.json(&["HEAD", "--device", "000e08ab0005"]);
    assert_eq!(none["entries"], serde_json::json!([]));
}

#[test]
fn what_an_expression_makes_of_a_secret_is_never_shown_and_its_change_is_seen() {
    let deployment = Deployment::nowhere();
    for (side, password) in [("old", "first"), ("new", "second")] {
        deployment.write(&format!("{side}/resyncd.toml"), CONFIG);
        copy(&root().join("tests/golden/tiny/templates"), &deployment.path(&format!("{side}/templates")));
        let mapping = "[parameters]\nServer = \"{{ vars.key }}@x\"\nNote = \"{{ vars.key | base64 }}\"\n";
        deployment.write(&format!("{side}/templates/tiny/mapping.toml"), mapping);
        deployment.write(
            &format!("{side}/profiles/devices/000000000001.toml"),
            format!(
                "model = \"T-1\"\n[vars]\nkey = {{ hex = \"{}\" }}\n",
                if password == "first" { "aa" } else { "bb" }
            ),
        );
    }
    let human = stdout(&diff(&deployment, &["old", "new"]));
    assert!(human.contains("~ Server  ***@x (another secret)  (vars.key, line 3)"), "{human}");
    assert!(human.contains("~ Note  *** (another secret)  (vars.key, line 3)"), "{human}");
}

#[test]
fn a_password_that_stands_as_text_in_params_is_never_shown() {
    let deployment = Deployment::nowhere();
    for (side, template) in [("old", "{{ p.name }} is {{ p.value }}"), ("new", "{{ p.name }}: {{ p.value }}")] {
        deployment.write(&format!("{side}/resyncd.toml"), CONFIG);
        copy(&root().join("tests/golden/tiny/templates"), &deployment.path(&format!("{side}/templates")));
        let text = format!("{{% for p in parameters -%}}\n{template}\n{{% endfor %}}");
        deployment.write(&format!("{side}/templates/tiny/profile.txt.tera"), text);
        deployment.write(
            &format!("{side}/profiles/devices/000000000001.toml"),
            "model = \"T-1\"\n[params]\nPassword_1 = \"readable\"\nNote = \"shown\"\n",
        );
    }
    let human = stdout(&diff(&deployment, &["old", "new"]));
    assert!(human.contains("Note: shown") && !human.contains("readable"), "{human}");
}
