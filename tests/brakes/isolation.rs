//! What a template can reach, and what the server's process can.

use std::process::Command;

use resyncd::resync::Generation;

use super::{OPEN, deployment};
use crate::support::deployment::Deployment;
use crate::support::process::Process;
use crate::support::{program, resyncd, run};

/// What is said of a template when it is loaded, if anything is wrong.
fn refused(template: &str) -> Option<String> {
    let deployment = deployment("");
    deployment.write("templates/tiny/profile.colon.tera", template);
    let loaded = Generation::load(&deployment.path("templates"), &deployment.path("profiles"), 1);
    loaded.err().map(|problems| problems.to_string())
}

#[test]
fn templates_reach_no_file_no_environment_and_no_other_pack() {
    assert_eq!(refused("name: value\n"), None);
    let templates = [
        "name: {{ get_env(name='PATH') }}",
        "name: {{ now() }}",
        "name: {{ get_random(start=1, end=2) }}",
        "name: {{ load_data(path='/etc/passwd') }}",
        "{% include '/etc/passwd' %}",
        "{% include '../../resyncd.toml' %}",
        "{% include '../cisco-mpp/profile.xml.tera' %}",
        "{% include '/proc/self/environ' %}",
        "{% extends '/etc/passwd' %}",
        "{% import '/etc/passwd' as users %}",
    ];
    for template in templates {
        let told = refused(template).unwrap_or_else(|| panic!("{template} is taken"));
        assert!(!told.contains("root:"), "{told}");
    }
    // Which file it is can't be made up from a setting.
    assert!(refused("{% set file = '/etc/passwd' %}{% include file %}").is_some());
}

/// Tera's name for all that a template is given.
const ALL: &str = "name: {{ __tera_context }}";

#[test]
fn templates_are_given_their_own_device_and_nothing_of_others() {
    let deployment = deployment("");
    deployment.write("templates/tiny/profile.colon.tera", ALL);
    let pack = std::fs::read_to_string(deployment.path("templates/tiny/pack.toml")).unwrap();
    let anyone = "[[file]]\nname = \"anyone\"\npath = \"/anyone\"\ntemplate = \"profile.colon.tera\"\n\
                  format = \"colon-lines\"\naudience = \"anyone\"\n";
    deployment.write("templates/tiny/pack.toml", format!("{pack}\n{anyone}"));
    let device = |word: &str| {
        format!(
            "model = \"T-1\"\n[access]\nnetworks = [\"127.0.0.1\"]\n[lines.1]\nuser = \"{word}\"\npassword = \"{word}-secret\"\n"
        )
    };
    deployment.write("profiles/devices/000000000001.toml", device("own"));
    deployment.write("profiles/devices/000000000002.toml", device("others"));
    let server = deployment.start();
    let Some(own) = server.plain_curl("/t/000000000001.colon", &[]) else { return };
    assert_eq!(own.status, 200, "{own:?}");
    assert!(own.text().contains("own-secret") && !own.text().contains("others"), "{}", own.text());
    let anyone = server.plain_curl("/anyone", &[]).unwrap();
    assert!(anyone.status == 500 || !anyone.text().contains("secret"), "{anyone:?}");
    for reply in [&own, &anyone] {
        for kept in ["PATH=", "etag", "resyncd.toml", "/etc/"] {
            assert!(!reply.text().contains(kept), "{kept}: {}", reply.text());
        }
    }
}

/// A value that doubles with each step fills no memory.
#[test]
fn a_template_that_grows_without_end_is_stopped() {
    let deployment = deployment("[limits]\nprofile_bytes = \"64 KiB\"\n");
    let doubling =
        "{% set_global s = 'ab' %}{% for n in range(end=200) %}{% set_global s = s ~ s %}{% endfor %}name: x";
    deployment.write("templates/tiny/profile.colon.tera", doubling);
    deployment.write("templates/tiny/profile.xml.tera", "<a>{% for n in range(end=100000) %}many {% endfor %}</a>");
    let server = deployment.start();
    for path in ["/t/000000000001.colon", OPEN] {
        let Some(reply) = server.plain_curl(path, &[]) else { return };
        assert_eq!(reply.status, 500, "{path}");
        assert!(server.last_event()["reason"].as_str().unwrap().contains("limits.profile_bytes"));
    }
    assert_eq!(server.plain_curl("/t/000000000001.equals", &[]).unwrap().status, 200);
}

fn is_root() -> bool {
    let is_root = String::from_utf8(run(Command::new("id").arg("-u")).stdout).unwrap().trim() == "0";
    if !is_root {
        eprintln!("SKIPPED: only root can give up being root");
    }
    is_root
}

/// The command that serves a deployment.
fn serve(deployment: &Deployment) -> Vec<String> {
    let config = deployment.path("resyncd.toml").to_str().unwrap().to_owned();
    vec![resyncd().get_program().to_str().unwrap().to_owned(), "--config".to_owned(), config, "serve".to_owned()]
}

#[test]
fn nothing_is_written_outside_data_dir() {
    if !is_root() || program("unshare").is_none() {
        return;
    }
    let deployment = deployment("[brakes]\nfailures = 1\n");
    std::fs::create_dir(deployment.path("data")).unwrap();
    // Everything is read-only but the one folder; in a mount namespace of its own, so that nobody else sees it.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind / && ! touch \"$1/../x\" 2>/dev/null && shift && exec \"$@\"";
    let try_it = run(Command::new("unshare").args(["--mount", "true"]));
    if !try_it.status.success() {
        assert!(std::env::var_os("CI").is_none(), "CI has to be able to make a mount namespace");
        eprintln!("SKIPPED: no mount namespace can be made here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", script, "sh"]).arg(deployment.path("data")).args(serve(&deployment));
    command.current_dir(deployment.path(""));
    let mut process = Process::start_by(deployment, command);
    assert!(process.serves(OPEN));
    assert!(!process.serves("/t/000000000003.xml"));
    process.signal("HUP");
    while process.generation() != 2 {
        std::thread::yield_now();
    }
    assert!(process.serves(OPEN));
    assert!(process.is_running());
    let (status, log, deployment) = process.stop();
    assert!(status.success() && !log.to_lowercase().contains("read-only"), "{log}");
    let output = deployment.run(&["log", "--format", "json"]);
    let events: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
}

/// Lets anybody look into a deployment's folder, as in a real place, and gives the user its data.
fn shared(deployment: &Deployment, user: &str) {
    let done = run(Command::new("chmod").args(["-R", "a+rX"]).arg(deployment.path("")));
    assert!(done.status.success());
    std::fs::create_dir(deployment.path("data")).unwrap();
    assert!(run(Command::new("chown").arg(user).arg(deployment.path("data"))).status.success());
}

#[test]
fn root_is_given_up_before_anything_is_written() {
    if !is_root() {
        return;
    }
    let deployment = deployment("");
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("keep_root = true", "user = \"nobody\""));
    shared(&deployment, "nobody");
    let mut command = resyncd();
    command.args(serve(&deployment).into_iter().skip(1)).current_dir(deployment.path(""));
    let process = Process::start_by(deployment, command);
    assert!(process.serves(OPEN));
    // In all of its threads: real, effective, saved and file system's user, no capability, and none of root's groups.
    let nobody = String::from_utf8(run(Command::new("id").args(["-u", "nobody"])).stdout).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    for task in tasks.map(|task| task.unwrap().path().join("status")) {
        // A thread may have ended meanwhile.
        let Ok(status) = std::fs::read_to_string(task) else { continue };
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(line("Uid:").split_whitespace().collect::<Vec<_>>(), [nobody.trim(); 4], "{status}");
        assert!(!line("Gid:").split_whitespace().any(|group| group == "0"), "{status}");
        assert!(!line("Groups:").split_whitespace().any(|group| group == "0"), "{status}");
        assert_eq!(line("CapEff:").trim_matches('0'), "", "{status}");
        assert_eq!(line("CapPrm:").trim_matches('0'), "", "{status}");
    }
    let (status, log, deployment) = process.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("serving as nobody"), "{log}");
    let root_owns = run(Command::new("find").arg(deployment.path("data")).args(["-user", "root"]));
    assert_eq!(String::from_utf8_lossy(&root_owns.stdout), "");
}

#[test]
fn who_cannot_be_become_is_told_before_anything_is_written() {
    if !is_root() {
        return;
    }
    let told = |process: &str| {
        let deployment = deployment("");
        let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
        deployment.write("resyncd.toml", config.replace("keep_root = true", process));
        let output = deployment.run(&["serve"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(!deployment.path("data").exists(), "something was written");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told("user = \"root\"").contains("root by another name"));
    assert!(told("user = \"nobody-of-that-name\"").contains("there is no user"));
    assert!(told("user = \"nobody\"\ngroup = \"nobody-of-that-name\"").contains("there is no group"));
}
