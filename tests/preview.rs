//! `resyncd preview`: a site whose links all lead somewhere, that asks nothing of anyone else's server, shows no secret, and
//! is either whole or not there.

mod browser;
mod site;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use resyncd::config::Config;
use resyncd::preview::MARKER;
use resyncd::resync::Generation;
use resyncd::settings::Value;

use crate::support::deployment::{Deployment, copy};
use crate::support::{resyncd, root};
use site::Site;

/// A display name that means harm.
const HOSTILE: &str =
    "</code></pre></title><script src=//evil.example>alert(1)</script><img src=x onerror=alert(2)> \"' {{ 7*7 }}";

fn preview(config: &Path, out: &Path, arguments: &[&str]) -> Output {
    let output = resyncd().arg("--config").arg(config).args(["preview", "--out"]).arg(out).args(arguments).output();
    output.unwrap()
}

fn written(config: &Path, out: &Path, arguments: &[&str]) -> Site {
    let output = preview(config, out, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Site::read(out)
}

/// The pack of tests/golden/tiny/, with one file of every format, and a device.
fn tiny() -> Deployment {
    let deployment = Deployment::nowhere();
    copy(&root().join("tests/golden/tiny"), &deployment.path(""));
    deployment.write("resyncd.toml", "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n");
    deployment
}

/// A hostile device, a misspelt parameter that all share, and more devices than a page of a list has rows.
fn crowded(devices: usize) -> Deployment {
    let deployment = tiny();
    let hostile = toml::Value::String(HOSTILE.to_owned());
    deployment.write("profiles/groups/A b<c>.toml", "");
    deployment.write(
        "profiles/devices/000000000001.toml",
        format!(
            "model = \"T-1\"\ngroup = \"A b<c>\"\n[lines.1]\nuser = \"1\"\npassword = \"tiny-secret-1\"\n\
             display_name = {hostile}\n[vars]\nnote = {hostile}\n[params]\nPasswort_9 = \"x\"\n"
        ),
    );
    for number in 2..=devices {
        deployment.write(
            &format!("profiles/devices/{number:012x}.toml"),
            format!("model = \"T-1\"\n[lines.1]\nuser = \"{number}\"\npassword = \"tiny-secret-{number}\"\n"),
        );
    }
    deployment
}

#[test]
fn the_site_of_every_example_is_sound() {
    let examples = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut checked = 0;
    for config in examples.chain([root()]).map(|folder| folder.join("resyncd.toml")).filter(|file| file.is_file()) {
        let out = tempfile::tempdir().unwrap();
        let site = written(&config, out.path(), &[]);
        site.check();
        let config = Config::load_with_environment(&config, std::iter::empty::<(String, String)>()).unwrap();
        let generation = Generation::load(&config.templates, &config.profiles, 1).unwrap();
        let mut secrets = Vec::new();
        for device in generation.profiles.devices() {
            let page = site.page(&format!("device/{:02x}/{}.html", device.mac.octets()[5], device.mac));
            assert!(page.contains(&device.layer.source.display().to_string()));
            for (_, setting) in generation.settings(device).iter() {
                if let Value::Secret(source) = &setting.value {
                    secrets.extend(source.text().ok().and_then(|secret| secret.expose_text().map(str::to_owned)));
                }
            }
        }
        checked += secrets.len();
        for (path, text) in site.files() {
            let shown = secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert!(shown.is_none(), "{path} shows the secret {shown:?}");
        }
    }
    assert!(checked > 20);
}

#[test]
fn a_device_shows_what_every_value_comes_from() {
    let out = tempfile::tempdir().unwrap();
    let site = written(&root().join("resyncd.toml"), out.path(), &["--device", "000e08abcdef"]);
    site.check();
    let text = site.text("device/ef/000e08abcdef.html");
    for part in [
        "templates/cisco-mpp/mapping.toml:",
        "{{ line.display_name }}",
        "lines.1.display_name",
        "profiles/devices/000e08abcdef.toml:",
        "overrides",
        "Not set:",
        "/cisco/000e08abcdef.xml",
        "the same text as /cisco/000e08abcdef.xml.",
    ] {
        assert!(text.contains(part), "{part} is not on the page");
    }
    // No other device has a page, and the lists show no other.
    assert_eq!(site.paths().filter(|path| path.starts_with("device/")).count(), 1);
    assert!(!site.text("devices/1.html").contains("1400e91f03ea"));
    assert!(site.text("index.html").contains("1 of them have a page"));
}

#[test]
fn hostile_values_are_only_text() {
    let deployment = crowded(2);
    let out = deployment.path("site");
    let site = written(&deployment.path("resyncd.toml"), &out, &[]);
    site.check();
    let page = "device/01/000000000001.html";
    assert!(site.text(page).contains("<script src=//evil.example>alert(1)</script>"));
    assert!(site.text(page).contains("{{ 7*7 }}"));
    // The name of a group is no path.
    assert!(site.paths().any(|path| path.starts_with("group/a-b-c-_")), "{:?}", site.paths().collect::<Vec<_>>());
    for (path, text) in site.files() {
        assert!(!text.contains("tiny-secret"), "{path}");
        assert!(!text.contains("<script") && !text.contains("<img"), "{path}");
    }
}

#[test]
fn marks_that_mislead_the_reader_are_spelt_out() {
    let deployment = tiny();
    deployment.write(
        "profiles/devices/000000000001.toml",
        "model = \"T-1\"\n[lines.1]\nuser = \"1\"\ndisplay_name = \"a\\u202Eb\\u200Bc\"\n",
    );
    let site = written(&deployment.path("resyncd.toml"), &deployment.path("site"), &[]);
    let page = site.page("device/01/000000000001.html");
    assert!(page.contains("a\\u{202e}b\\u{200b}c") && !page.contains('\u{202e}') && !page.contains('\u{200b}'));
}

#[test]
fn what_a_secret_is_made_from_is_secret() {
    let deployment = tiny();
    deployment
        .write("templates/tiny/mapping.toml", "[parameters.each.line]\n\"Password_{n}\" = \"{{ vars.phrase.own }}\"\n");
    deployment.write("profiles/defaults.toml", "[vars]\nphrase.own = \"tiny-secret-1\"\nother = \"seen\"\n");
    let device = "model = \"T-1\"\n[params]\nPassword_2 = \"tiny-secret-2\"\n";
    deployment.write("profiles/devices/000000000001.toml", device);
    let site = written(&deployment.path("resyncd.toml"), &deployment.path("site"), &[]);
    let page = site.text("device/01/000000000001.html");
    assert!(page.contains("vars.phrase.own") && page.contains("params.Password_2") && page.contains("\"seen\""));
    for (path, text) in site.files() {
        assert!(!text.contains("tiny-secret"), "{path}");
    }
    // `explain` tells no more.
    for key in ["vars", "params", "Password_1", "Password_2"] {
        let output = deployment.run(&["explain", "000000000001", key]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("***") && !told.contains("tiny-secret"), "{key}: {told}");
    }
}

#[test]
fn many_devices_are_in_pages_of_lists_and_of_a_finding() {
    let deployment = crowded(1001);
    // A mistake that all share; no file of theirs changes by it but their own pages are not wanted here.
    deployment.write("profiles/defaults.toml", "[syslog]\nserver = \"log.example\"\n[params]\nNaem_1 = \"x\"\n");
    let config = deployment.path("resyncd.toml");
    let (base, out) = (Deployment::nowhere(), deployment.path("site"));
    copy(&deployment.path(""), &base.path(""));
    let site = written(&config, &out, &["--base", base.path("").to_str().unwrap()]);
    site.check();
    assert_eq!(site.paths().filter(|path| path.starts_with("device/")).count(), 0);
    assert!(site.files().any(|(path, text)| path.starts_with("findings/") && text.contains("Naem_1")));
    let lists: Vec<&str> = site.paths().filter(|path| path.starts_with("findings/f")).collect();
    assert!(lists.iter().filter(|path| path.ends_with("/3.html")).count() >= 1, "{lists:?}");
    // One device more, and the lists have it.
    deployment.write("profiles/devices/0000000003ff.toml", "model = \"T-1\"\n");
    let site = written(&config, &out, &["--base", base.path("").to_str().unwrap()]);
    site.check();
    assert!(site.text("device/ff/0000000003ff.html").contains("added"));
    assert!(site.text("devices/index.html").contains("0000000003ff"));
    assert!(site.text("index.html").contains("are new"));
}

#[test]
fn the_changes_against_a_base_are_told_for_all_and_for_each() {
    let (now, before) = (tiny(), tiny());
    let device = |password: &str, name: &str| {
        format!("model = \"T-1\"\n[lines.1]\nuser = \"1\"\npassword = \"{password}\"\ndisplay_name = \"{name}\"\n")
    };
    before.write("profiles/devices/000000000001.toml", device("tiny-secret-old", "Old name"));
    before.write("profiles/devices/000000000002.toml", device("tiny-secret-2", "Unchanged"));
    before.write("profiles/devices/000000000003.toml", device("tiny-secret-3", "Gone"));
    now.write("profiles/devices/000000000001.toml", device("tiny-secret-new", "New name"));
    now.write("profiles/devices/000000000002.toml", device("tiny-secret-2", "Unchanged"));
    let (config, out, base) = (now.path("resyncd.toml"), now.path("site"), before.path(""));
    let arguments = ["--base", base.to_str().unwrap()];
    let site = written(&config, &out, &arguments);
    site.check();
    let page = site.text("device/01/000000000001.html");
    for part in ["Name_1", "Old name", "New name", "Password_1", "another secret"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!site.paths().any(|path| path.contains("000000000002") || path.contains("000000000003")));
    assert!(site.text("changes/1.html").contains("000000000003"));
    assert!(site.text("index.html").contains("2 devices are concerned"));
    assert!(site.files().all(|(_, text)| !text.contains("tiny-secret")));

    let all = written(&config, &out, &[arguments[0], arguments[1], "--all"]);
    all.check();
    assert!(all.text("device/02/000000000002.html").contains("Nothing changes for this phone"));
    // Named ones have pages whether they change or not, unless only changed ones are asked for.
    let named = written(&config, &out, &[arguments[0], arguments[1], "--device", "000000000002"]);
    assert!(named.paths().any(|path| path == "device/02/000000000002.html"));
    let changed = written(&config, &out, &[arguments[0], arguments[1], "--device", "000000000002", "--changed"]);
    assert!(!changed.paths().any(|path| path.starts_with("device/")));
}

#[test]
fn a_group_bounds_the_pages() {
    let deployment = crowded(3);
    let (config, out) = (deployment.path("resyncd.toml"), deployment.path("site"));
    let site = written(&config, &out, &["--group", "A b<c>"]);
    site.check();
    assert_eq!(site.paths().filter(|path| path.starts_with("device/")).count(), 1);
    let output = preview(&config, &out, &["--group", "A b<d>"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean \"A b<c>\"?"));
    let output = preview(&config, &out, &["--device", "0000000000ff"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no device 0000000000ff"));
    // A refused run has touched nothing.
    assert!(out.join("index.html").is_file());
}

#[test]
fn a_foreign_folder_is_refused_and_left_alone() {
    let deployment = tiny();
    let out = deployment.path("site");
    deployment.write("site/thesis.tex", "years of work");
    let output = preview(&deployment.path("resyncd.toml"), &out, &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("site holds thesis.tex and is no preview"), "{message}");
    let left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.tex"]);
}

/// Runs in a shell that lets no file grow beyond 32 or 64 kB, depending on the shell: the pages of real devices are larger.
fn limited(before: &str, out: &Path) -> Output {
    let script = format!("{before}; ulimit -c 0; ulimit -f 64; exec \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_resyncd"), "--config"]).arg(root().join("resyncd.toml"));
    shell.args(["preview", "--out"]).arg(out).output().unwrap()
}

#[test]
fn a_run_that_fails_leaves_nothing_or_the_site_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    let output = limited("trap '' XFSZ", &out);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(".html: File too large"), "{message}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    // The same over a site that is there.
    let before = written(&root().join("resyncd.toml"), &out, &["--device", "000e08abcdef"]);
    assert_eq!(limited("trap '' XFSZ", &out).status.code(), Some(2));
    let after = Site::read(&out);
    assert!(before.files().eq(after.files()));
}

#[test]
fn a_run_that_is_killed_leaves_no_way_in_and_the_next_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    assert_eq!(limited(":", &out).status.code(), None);
    let left: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| name.starts_with(".resyncd-preview-")) && !left.is_empty(), "{left:?}");
    let site = written(&root().join("resyncd.toml"), &out, &["--device", "000e08abcdef"]);
    site.check();
    assert!(site.paths().all(|path| !path.starts_with('.')));
}

#[test]
fn the_marker_tells_scripts_what_there_is() {
    let deployment = crowded(3);
    let site = written(&deployment.path("resyncd.toml"), &deployment.path("site"), &[]);
    let marker: serde_json::Value = serde_json::from_str(site.page(MARKER)).unwrap();
    assert_eq!(marker["devices"], 3);
    assert_eq!(marker["pages"], site.paths().filter(|path| path.ends_with(".html")).count());
    assert!(marker["findings"].as_u64().unwrap() >= 1 && marker["base"].is_null());
}

#[test]
fn the_same_deployment_makes_the_same_site() {
    let deployment = crowded(4);
    let site = |name: &str| written(&deployment.path("resyncd.toml"), &deployment.path(name), &[]);
    assert!(site("one").files().eq(site("two").files()));
}
