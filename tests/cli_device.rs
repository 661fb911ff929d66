//! `resyncd device`, `group` and `audit` as an operator types them.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::fleet::deployment;
use crate::support::deployment::Deployment;
use crate::support::resyncd;

const ONE: &str = "000e08000001";

/// Exit code, stdout, stderr.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn run(deployment: &Deployment, arguments: &[&str]) -> (i32, String, String) {
    told(&deployment.run(arguments))
}

/// One that is fine, and what it prints.
fn fine(deployment: &Deployment, arguments: &[&str]) -> String {
    let (code, out, err) = run(deployment, arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    out
}

fn refused(deployment: &Deployment, arguments: &[&str]) -> String {
    let (code, out, err) = run(deployment, arguments);
    assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
    err
}

fn with_input(deployment: &Deployment, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = resyncd();
    command.arg("--config").arg(deployment.path("resyncd.toml")).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    told(&child.wait_with_output().unwrap())
}

#[test]
fn a_device_is_added_changed_shown_and_removed() {
    let deployment = deployment();
    let add = ["device", "add", "00:0E:08:00:00:01", "--model", "T-1", "lines.1.user=1001", "lines.1.display_name=One"];
    let (code, out, err) = run(&deployment, &[&add[..], &["--dry-run"]].concat());
    assert_eq!(
        (code, err.lines().last().unwrap()),
        (0, "nothing was written: 1 to be created, 0 to be changed, 0 to be removed, 0 kept")
    );
    assert!(
        out.starts_with("create 000e08000001\n") && out.contains("lines.1.user          (none) -> \"1001\"\n"),
        "{out}"
    );
    assert!(run(&deployment, &["device", "show", ONE]).2.contains("there is no device 000e08000001"));
    assert_eq!(fine(&deployment, &add), "created 000e08000001\n");
    assert!(refused(&deployment, &add).contains("database/devices/000e08000001: is there already"));

    let set = ["device", "set", ONE, "lines.1.password=@-", "--group", "acme", "--unset", "lines.1.display_name"];
    let (code, out, err) = with_input(&deployment, &set, "from-standard-input\n");
    assert_eq!((code, out.as_str()), (0, "changed 000e08000001\n"), "{err}");
    let shown = fine(&deployment, &["device", "show", ONE]);
    assert!(shown.contains("    lines.1.password = \"***\"\n") && !shown.contains("display_name"), "{shown}");
    let json = fine(&deployment, &["device", "show", ONE, "--format", "json", "--show-secrets"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["settings"]["lines"]["1"]["password"], "from-standard-input");
    assert_eq!((&json["group"], &json["revision"]), (&Value::from("acme"), &Value::from(2)));
    assert_eq!(fine(&deployment, &["device", "set", ONE, "--group", "acme"]), "kept 000e08000001: it is so already\n");

    let err = refused(&deployment, &["device", "set", "000e08000009", "--group", "acme"]);
    assert!(err.contains("there is no such record"), "{err}");
    let err = refused(&deployment, &["device", "set", ONE, "lines.1.usr=1", "params.Sever=x"]);
    assert!(err.contains("did you mean \"user\"?"), "{err}");
    assert_eq!(run(&deployment, &["device", "set", ONE]).0, 2);

    assert_eq!(
        fine(&deployment, &["device", "list", "--user", "1001", "--format", "csv"]),
        "mac,model,serial,group,from,problem\n000e08000001,T-1,,acme,database,\n"
    );
    assert!(fine(&deployment, &["device", "list", "--group", "acme"]).lines().nth(1).unwrap().starts_with(ONE));
    let none = fine(&deployment, &["device", "list", "--text", "nothing like it", "--format", "json"]);
    assert_eq!(none, "[]\n");
    assert_eq!(
        serde_json::from_str::<Value>(&fine(&deployment, &["device", "list", "--format", "json"]))
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );

    assert!(
        refused(&deployment, &["device", "rm", ONE, "000e08000009"]).contains("000e08000009: there is no such record")
    );
    assert_eq!(fine(&deployment, &["device", "rm", ONE]), "removed 000e08000001\n");

    let audit = fine(&deployment, &["audit", "--device", ONE, "--format", "json"]);
    let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
    let actions: Vec<_> = audit.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["create", "change", "remove"]);
    assert!(audit.iter().all(|row| row["actor"].as_str().unwrap().starts_with("cli:") && row["peer"].is_null()));
    assert_eq!(audit[1]["before"]["settings.lines.1.display_name"], "One");
    let table = fine(&deployment, &["audit", "--since", "1h"]);
    assert!(table.contains("lines.1.password: (none) -> \"***\"") && !table.contains("from-standard"), "{table}");
    assert_eq!(fine(&deployment, &["audit", "--actor", "token:nobody", "--format", "csv"]).lines().count(), 1);
}

#[test]
fn many_are_imported_or_none() {
    let deployment = deployment();
    let good = "mac,model,user,password\n000e08000001,T-1,1001,one\n000e08000002,T-1,1002,two\n";
    deployment.write("good.csv", good);
    assert_eq!(
        fine(&deployment, &["device", "import", deployment.path("good.csv").to_str().unwrap()]),
        "2 created, 0 changed, 0 removed, 0 kept\n"
    );
    // All that is wrong, in the order of the rows: of the file, and of what it says.
    let bad = "mac,model,lines.1.port\n000e08000003,T-1,x\n000e08000004,T-9,1\n000e08000001,T-1,5061\n000e08000001,T-1,5062\nx,T-1,1\n";
    deployment.write("bad.csv", bad);
    let bad_file = deployment.path("bad.csv");
    let err = refused(&deployment, &["device", "import", bad_file.to_str().unwrap()]);
    let err = err.replace(deployment.path("").to_str().unwrap(), "");
    for line in [
        "bad.csv:2: lines.1.port: must be a whole number",
        "bad.csv:3: database/devices/000e08000004: model: no pack has a model \"T-9\"",
        "bad.csv:5: database/devices/000e08000001: is there already, at bad.csv:4",
        "bad.csv:6: mac: ",
        "resyncd: nothing was changed: 4 things are wrong",
    ] {
        assert!(err.contains(line), "{line} in {err}");
    }
    let json = fine(&deployment, &["device", "export", "--format", "json", "--show-secrets"]);
    let devices: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0]["settings"]["lines"]["1"]["password"], "one");
    // Masked, and back over what is there, by standard input.
    let csv = fine(&deployment, &["device", "export"]);
    assert!(csv.contains("000e08000001,T-1,,,1001,***"), "{csv}");
    let (code, out, err) = with_input(&deployment, &["device", "import", "-", "--format", "csv"], &csv);
    assert_eq!((code, out.as_str()), (0, "0 created, 0 changed, 0 removed, 2 kept\n"), "{err}");
    let (code, out, _) = with_input(
        &deployment,
        &["device", "import", "-", "--format", "csv", "--dry-run"],
        &csv.replace("1001", "1003"),
    );
    assert_eq!((code, out.as_str()), (0, "change 000e08000001\n    lines.1.user  \"1001\" -> \"1003\"\n"));
    let (code, _, err) = with_input(&deployment, &["device", "import", "-"], &csv);
    assert!(code == 2 && err.contains("--format"), "{err}");

    let many: String = (0..250).map(|number| format!("wrong-{number},T-1\n")).collect();
    deployment.write("many.csv", format!("mac,model\n{many}"));
    let err = refused(&deployment, &["device", "import", deployment.path("many.csv").to_str().unwrap()]);
    assert!(err.contains("… and 150 more\n") && err.lines().count() == 102, "{err}");
    deployment.write("latin.csv", b"mac,lines.1.display_name\n000e08000001,B\xfcro\n");
    let err = refused(&deployment, &["device", "import", deployment.path("latin.csv").to_str().unwrap()]);
    assert!(err.contains("latin.csv:2: holds bytes that are no UTF-8 text (save it as UTF-8)"), "{err}");
    assert_eq!(run(&deployment, &["device", "import", "nowhere.csv"]).0, 2);

    let export = deployment.path("out.toml");
    fine(&deployment, &["device", "export", export.to_str().unwrap(), "--user", "1001"]);
    assert!(std::fs::read_to_string(&export).unwrap().contains("mac = \"000e08000001\""));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&export).unwrap().permissions().mode() & 0o777, 0o600);
    deployment.write("serials.csv", "mac,serial\n000e08000001,SN0001\n");
    fine(&deployment, &["device", "import", deployment.path("serials.csv").to_str().unwrap()]);
    let add = ["device", "add", "000e08000005", "--model", "T-1", "--serial", "SN0001"];
    assert!(refused(&deployment, &add).contains("SN0001 is the serial number of the device 000e08000001"));
    let (code, _, err) = run(&deployment, &[&add[..], &["--move-serials"]].concat());
    assert!(code == 0 && err.contains("000e08000001: its serial number goes to 000e08000005"), "{err}");
}

#[test]
fn groups_are_set_shown_and_removed() {
    let deployment = deployment();
    let set = ["group", "set", "hq", "--parent", "acme", "lines.1.password=shared-secret"];
    assert_eq!(fine(&deployment, &set), "created the group hq\n");
    let shown = fine(&deployment, &["group", "show", "hq"]);
    assert!(shown.contains("parent  acme\n") && shown.contains("lines.1.password = \"***\""), "{shown}");
    assert!(fine(&deployment, &["group", "show", "hq", "--show-secrets"]).contains("shared-secret"));
    let list = fine(&deployment, &["group", "list", "--format", "csv"]);
    assert_eq!(list, "name,parent,from,problem\nacme,,file,\nhq,acme,database,\n");
    assert_eq!(fine(&deployment, &["group", "set", "acme", "vars.note=over"]), "created the group acme\n");
    assert_eq!(fine(&deployment, &["group", "set", "hq", "--unset", "parent"]), "changed the group hq\n");
    assert!(refused(&deployment, &["group", "set", "hq", "--parent", "hq"]).contains("ring"));
    assert_eq!(run(&deployment, &["group", "show", "nowhere"]).0, 1);
    fine(&deployment, &["device", "add", ONE, "--model", "T-1", "--group", "hq"]);
    assert!(refused(&deployment, &["group", "rm", "hq"]).contains("the device 000e08000001 is in it"));
    fine(&deployment, &["device", "rm", ONE]);
    assert_eq!(fine(&deployment, &["group", "rm", "hq", "acme"]), "removed the group hq\nremoved the group acme\n");
    assert!(fine(&deployment, &["audit", "--group", "hq", "--format", "json"]).contains("\"remove\""));
}

#[test]
fn phones_are_shown_with_their_records() {
    let deployment = deployment();
    deployment.write(
        &format!("profiles/devices/{ONE}.toml"),
        "model = \"T-1\"\n[lines.1]\nuser = \"1\"\ndisplay_name = \"File\"\n",
    );
    // Without a database nobody misses it.
    let (code, out, err) = run(&deployment, &["render", ONE]);
    assert!(code == 0 && out.contains("File") && err.is_empty(), "{err}");
    assert!(!deployment.path("data").exists());
    assert_eq!(run(&deployment, &["check", "--records"]).0, 0);
    fine(&deployment, &["device", "set", ONE, "lines.1.display_name=Record"]);
    fine(
        &deployment,
        &["device", "add", "000e08000002", "--model", "T-1", "lines.1.user=2", "lines.1.display_name=Two"],
    );
    assert!(fine(&deployment, &["render", ONE]).contains("<Name_1>Record</Name_1>"));
    assert!(fine(&deployment, &["render", ONE, "--files-only"]).contains("<Name_1>File</Name_1>"));
    assert!(fine(&deployment, &["render", "000e08000002"]).contains("<Name_1>Two</Name_1>"));
    let explained = fine(&deployment, &["explain", ONE, "lines.1.display_name"]);
    assert!(
        explained.contains("database/devices/000e08000001") && explained.contains("overrides \"File\""),
        "{explained}"
    );

    // Files that leave a record behind: the check tells, and other devices are looked at all the same.
    let check = |more: &[&str]| {
        let (code, out, err) = run(&deployment, &[&["check", "--format", "json"], more].concat());
        let findings: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        let about = findings
            .into_iter()
            .filter(|finding| finding["file"].as_str().is_some_and(|file| file.starts_with("database/")));
        (code, about.collect::<Vec<_>>())
    };
    assert_eq!(check(&["--records"]).0, 0);
    fine(&deployment, &["device", "set", "000e08000002", "--group", "acme"]);
    std::fs::remove_file(deployment.path("profiles/groups/acme.toml")).unwrap();
    assert_eq!(check(&[]), (0, Vec::new()));
    let (code, found) = check(&["--records"]);
    assert_eq!((code, found.len()), (1, 1), "{found:?}");
    assert_eq!(found[0]["file"], "database/devices/000e08000002");
    assert!(found[0]["message"].as_str().unwrap().contains("there is no group \"acme\""), "{found:?}");
    assert_eq!(run(&deployment, &["render", "000e08000002"]).0, 2);

    // One that is there and can't be read says how to go on.
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace(&"0a".repeat(32), &"0b".repeat(32)));
    let (code, _, err) = run(&deployment, &["render", ONE]);
    assert!(code == 2 && err.contains("--files-only"), "{err}");
    assert!(fine(&deployment, &["render", ONE, "--files-only"]).contains("File"));
    let (code, _, err) = run(&deployment, &["device", "list"]);
    assert!(code == 2 && err.contains("key"), "{err}");
}
