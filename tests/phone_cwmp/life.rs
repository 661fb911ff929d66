//! Whole lives of phones against a real server, with certificates, by the program itself.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use resyncd::phone::cwmp::{Phone, Quirk};
use resyncd::phone::{Identity, Maker, State};
use serde_json::Value;

use crate::support::deployment::{Deployment, Running};
use crate::support::resyncd;

/// A phone of the example: MAC, model, serial number, firmware.
pub(super) type Made = (&'static str, &'static str, &'static str, &'static str);

pub(super) const AASTRA: Made = ("00085d1a9870", "6757i", "SERIAL0001", "3.3.1.4311-SIP");
pub(super) const GRANDSTREAM: Made = ("c074ad273a10", "GXP2170", "20EXAMPLE01", "1.0.9.26");
pub(super) const CISCO: Made = ("000e08abcdef", "CP-6841-3PCC", "88012BA01234", "11.2.4");
pub(super) const ALL: [Made; 3] = [AASTRA, GRANDSTREAM, CISCO];

pub(super) const PROFILE: &str = "Device.Services.VoiceService.1.VoiceProfile.1.";

/// The example, served, with an ACS that its phones are told of.
pub(super) fn served(acs: &str) -> Running {
    served_as("", |_| acs.to_owned())
}

/// The same with more in its configuration; `acs` is asked what its phones are told when it runs.
pub(super) fn served_as(config: &str, acs: impl FnOnce(&Running) -> String) -> Running {
    let deployment = Deployment::example();
    deployment.append_config(config);
    let phones = ALL.map(|(mac, model, serial, _)| (mac, (mac == CISCO.0).then_some((model, serial))));
    deployment.certificates(&phones);
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"https\"", "name = \"https\"\ncwmp = \"/cwmp\""));
    let own = deployment.path(&format!("profiles/devices/{}.toml", GRANDSTREAM.0));
    let text = fs::read_to_string(&own).unwrap();
    fs::write(own, format!("serial = \"{}\"\n{text}", GRANDSTREAM.2)).unwrap();
    let running = deployment.start();
    let url = format!("https://localhost:{}", running.port("https"));
    let acs = acs(&running);
    let defaults = fs::read_to_string(running.deployment.path("profiles/defaults.toml")).unwrap();
    let defaults = defaults.replace("https://localhost:8443", &url);
    running
        .deployment
        .write("profiles/defaults.toml", format!("{defaults}\n[acs]\nurl = \"{url}/cwmp\"\ninterval = 3600\n{acs}"));
    running.reload().unwrap();
    running
}

fn state_file(running: &Running, mac: &str) -> PathBuf {
    running.deployment.path(&format!("state-{mac}.json"))
}

fn program(running: &Running, (mac, model, serial, firmware): Made, command: &str, more: &[&str]) -> Output {
    let certs = running.deployment.path("certs/dev");
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let ca = if command == "cwmp" { "--ca-file" } else { "--ca" };
    resyncd()
        .args([
            "phone",
            command,
            "--mac",
            mac,
            "--model",
            model,
            "--serial",
            serial,
            "--firmware",
            firmware,
            "--seed",
            "1",
        ])
        .args([ca, &file("server-ca.pem")])
        .args(["--certificate", &file(&format!("phone-{mac}.pem")), "--key", &file(&format!("phone-{mac}.key"))])
        .arg("--state")
        .arg(state_file(running, mac))
        .args(more)
        .output()
        .unwrap()
}

/// A new phone gets its files.
fn resynced(running: &Running, made: Made) {
    let server = format!("https://localhost:{}", running.port("https"));
    let output = program(running, made, "resync", &["--server", &server, "--times", "4"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// One session, or more, told as JSON.
fn sessions(running: &Running, made: Made, more: &[&str]) -> (Vec<Value>, Output) {
    let output = program(running, made, "cwmp", &[more, &["--format", "json"]].concat());
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (told, output)
}

fn session(running: &Running, made: Made, more: &[&str]) -> Value {
    let (mut told, output) = sessions(running, made, more);
    assert!(output.status.success(), "{told:#?}");
    told.remove(0)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the server asked, and how often.
fn asked(session: &Value) -> Vec<&str> {
    let steps = session["steps"].as_array().unwrap().iter();
    steps
        .filter(|step| step["step"] == "done" || step["step"] == "refused")
        .map(|step| step["method"].as_str().unwrap())
        .collect()
}

fn events(session: &Value) -> Vec<&str> {
    session["steps"][0]["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap()).collect()
}

/// The phone holds what its record comes to.
fn assert_holds(running: &Running, made: Made, but: &[&str]) {
    let state: State = serde_json::from_slice(&fs::read(state_file(running, made.0)).unwrap()).unwrap();
    assert_state_holds(running, made, &state, but);
}

pub(super) fn identity((mac, model, serial, firmware): Made) -> Identity {
    Identity {
        model: model.to_owned(),
        mac: mac.parse().unwrap(),
        serial: serial.parse().unwrap(),
        firmware: firmware.to_owned(),
        has_certificate: true,
    }
}

pub(super) fn assert_state_holds(running: &Running, made: Made, state: &State, but: &[&str]) {
    let (mac, model, ..) = made;
    let phone = Phone::new(Maker::of(model).unwrap(), identity(made));
    let output = running.deployment.run(&["render", mac, "--acs", "--show-secrets", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wanted = wanted["parameters"].as_array().unwrap();
    assert!(wanted.len() > 10, "{wanted:#?}");
    for parameter in wanted {
        let (path, value) = (parameter["path"].as_str().unwrap(), parameter["value"].as_str().unwrap());
        let value = match (parameter["type"].as_str().unwrap(), value) {
            ("boolean", "true") => "1",
            ("boolean", "false") => "0",
            (_, value) => value,
        };
        if !but.contains(&path) {
            assert_eq!(phone.value(state, path).as_deref(), Some(value), "{model}: {path}");
        }
    }
}

pub(super) fn last_reason(running: &Running) -> String {
    let mut sessions = running.events();
    sessions.retain(|event| event["kind"] == "session");
    sessions.pop().unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_phone_learns_of_its_acs_by_its_files_and_ends_with_the_settings_of_its_record() {
    let running = served("");
    for made in ALL {
        resynced(&running, made);
        let first = session(&running, made, &[]);
        assert_eq!(events(&first), ["0 BOOTSTRAP", "1 BOOT"], "{first:#?}");
        assert_eq!(asked(&first).first(), Some(&"GetRPCMethods"), "{first:#?}");
        assert_eq!(asked(&first).last(), Some(&"SetParameterValues"), "{first:#?}");
        assert!(!asked(&first).contains(&"AddObject"));
        let refused = first["steps"].as_array().unwrap().iter().any(|step| step["step"] == "refused");
        assert!(!refused, "{first:#?}");
        assert!(!first.to_string().contains("example-only"), "a secret in what the phone tells: {first:#?}");
        assert_holds(&running, made, &[]);
        assert!(first["next"].as_u64().unwrap() <= 3600, "{first:#?}");
        // It is right: Inform, and good-bye.
        let second = session(&running, made, &[]);
        assert_eq!((events(&second), asked(&second).len()), (vec!["2 PERIODIC"], 0), "{second:#?}");
        assert_eq!(second["messages"], 2);
    }
}

#[test]
fn what_is_changed_on_the_phone_is_told_and_set_back() {
    let path = format!("{PROFILE}SIP.ProxyServer");
    for made in ALL {
        let running = served(&format!("[acs.notifications]\n\"{path}\" = \"active\"\n"));
        resynced(&running, made);
        let first = session(&running, made, &[]);
        assert!(asked(&first).contains(&"SetParameterAttributes"), "{first:#?}");
        let changed = session(&running, made, &["--change", &format!("{path}=elsewhere.example.com")]);
        assert_eq!(events(&changed), ["4 VALUE CHANGE"], "{changed:#?}");
        let set: Vec<_> = changed["steps"].as_array().unwrap().iter().filter(|step| step["step"] == "set").collect();
        assert!(set.iter().any(|step| step["parameter"] == path.as_str()), "{changed:#?}");
        assert_holds(&running, made, &[]);
        assert!(last_reason(&running).contains(&format!("changed on the phone and set back: {path}")));
    }
}

#[test]
fn what_a_phone_refuses_is_left_out() {
    let path = format!("{PROFILE}SIP.ProxyServer");
    for made in ALL {
        let running = served("");
        resynced(&running, made);
        let fault = format!("{path}=9007");
        session(&running, made, &["--change", &format!("{path}=elsewhere.example.com"), "--fault", &fault]);
        assert_holds(&running, made, &[&path]);
        assert!(
            last_reason(&running).contains(&format!("refused by the phone: {path} (90")),
            "{}",
            last_reason(&running)
        );
    }
}

#[test]
fn a_phone_that_refuses_everything_harms_nobody() {
    let running = served("");
    for made in [AASTRA, CISCO] {
        resynced(&running, made);
        let refused = session(&running, made, &["--fault", "*=9002"]);
        assert!(!asked(&refused).is_empty(), "{refused:#?}");
        assert_eq!(refused["failure"], Value::Null);
    }
    resynced(&running, GRANDSTREAM);
    session(&running, GRANDSTREAM, &[]);
    assert_holds(&running, GRANDSTREAM, &[]);
    // And once it refuses no more, and is another by its software, it is set up as any other.
    let mended = (CISCO.0, CISCO.1, CISCO.2, "12.0.1");
    session(&running, mended, &[]);
    assert_holds(&running, mended, &[]);
}

#[test]
fn a_phone_that_loses_its_power_in_mid_session_ends_with_the_settings_of_its_record() {
    let running = served("");
    for made in ALL {
        resynced(&running, made);
        for messages in ["1", "2", "3", "4"] {
            let (told, output) = sessions(&running, made, &["--power-cut", messages]);
            assert_eq!(output.status.code(), Some(1), "{told:#?}");
            assert_eq!(told[0]["failure"], "the phone lost its power");
        }
        let whole = session(&running, made, &[]);
        assert_eq!(events(&whole), ["0 BOOTSTRAP", "1 BOOT"], "{whole:#?}");
        assert_holds(&running, made, &[]);
    }
}

#[test]
fn a_phone_that_nobody_knows_gets_no_session() {
    let running = served("");
    running.deployment.certificates(&[("00085d0000ff", None)]);
    let acs = format!("https://localhost:{}/cwmp", running.port("https"));
    let stranger = ("00085d0000ff", "6757i", "SERIAL0002", "3.3.1.4311-SIP");
    let (told, output) = sessions(&running, stranger, &["--acs", &acs]);
    assert_eq!((output.status.code(), &told[0]["failure"]), (Some(1), &"HTTP status 404".into()));
    // Aastra tries again after the same time each time.
    assert_eq!(told[0]["next"], 60);
    let (told, _) = sessions(&running, stranger, &["--acs", &acs]);
    assert_eq!((&told[0]["steps"][0]["retries"], &told[0]["next"]), (&1.into(), &60.into()));
}

#[test]
fn a_phone_is_set_up_by_user_and_password() {
    let deployment = Deployment::empty();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write(
        "resyncd.toml",
        config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"\npasswords = true"),
    );
    let (mac, model, ..) = AASTRA;
    deployment.write(
        &format!("profiles/devices/{mac}.toml"),
        format!(
            "model = \"{model}\"\n[lines.1]\nuser = \"1001\"\npassword = \"not-a-real-password\"\nproxy = \"sip.example.com\"\n\
             [acs]\nuser = \"phone-1\"\npassword = \"not-a-real-key\"\n"
        ),
    );
    deployment.write("password", "not-a-real-key\n").write("wrong", "another");
    let running = deployment.start();
    let acs = format!("http://localhost:{}/cwmp", running.port("http"));
    let played = |file: &str, more: &[&str]| {
        let file = running.deployment.path(file);
        let mut command = resyncd();
        command.args([
            "phone",
            "cwmp",
            "--mac",
            mac,
            "--model",
            model,
            "--acs",
            &acs,
            "--user",
            "phone-1",
            "--password-file",
        ]);
        command.arg(file).args(more).output().unwrap()
    };
    let wrong = played("wrong", &[]);
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong.stdout));
    let right = played("password", &[]);
    let told = text(&right.stdout);
    assert_eq!(right.status.code(), Some(0), "{told}{}", text(&right.stderr));
    for part in
        ["once more, by Digest", "asked for SetParameterValues", "AuthPassword = ***", "204: the session is over"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("not-a-real"), "{told}");
    // However odd it is, and by all of it at once.
    let mut all = Vec::new();
    for (quirk, _) in Quirk::ALL {
        let odd = ["--quirk", quirk];
        all.extend(odd);
        let told = text(&played("password", &odd).stdout);
        assert!(told.contains("SetParameterValues") && told.contains("204: the session is over"), "{quirk}: {told}");
    }
    let told = text(&played("password", &all).stdout);
    assert!(told.contains("SetParameterValues") && told.contains("204: the session is over"), "{told}");
}

#[test]
fn what_can_not_be_played_is_refused_with_a_reason() {
    for (more, why) in [
        (vec!["--model", "6757i"], "--acs"),
        (vec!["--model", "T46G", "--acs", "http://localhost/"], "T46G"),
        (vec!["--model", "6757i", "--acs", "http://localhost/", "--event", "dance"], "connection-request"),
        (vec!["--model", "6757i", "--acs", "http://localhost/", "--fault", "Reboot"], "METHOD=9001"),
        (
            vec!["--model", "6757i", "--acs", "http://localhost/", "--change", "Device.Nothing=1"],
            "Invalid parameter name",
        ),
        (vec!["--model", "6757i", "--acs", "http://localhost/", "--quirk", "dances"], "keyless-events"),
        (vec!["--model", "6757i", "--acs", "http://localhost/", "--host", "a"], "NAME=silent"),
        (vec!["--model", "6757i", "--acs", "http://localhost/", "--wait", "5"], "--listen"),
        (vec!["--model", "6757i", "--state", "not-there.json"], "nothing told the phone of an ACS"),
    ] {
        let output = resyncd().args(["phone", "cwmp", "--mac", "00085d000001"]).args(&more).output().unwrap();
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(why), "{more:?}: {told}");
    }
}

#[test]
fn a_swarm_of_phones_informs() {
    let deployment = Deployment::empty();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\""));
    for number in 1..=20 {
        deployment.write(
            &format!("profiles/devices/00085d0000{number:02x}.toml"),
            "model = \"6757i\"\n[lines.1]\nuser = \"1001\"\npassword = \"not-a-real-password\"\nproxy = \"sip.example.com\"\n\
             [access]\nnetworks = [\"127.0.0.0/8\"]\n",
        );
    }
    let running = deployment.start();
    let server = format!("http://localhost:{}", running.port("http"));
    let swarm = |phones: &str| {
        let arguments = ["phone", "swarm", "--acs", "/cwmp", "--first-mac", "00085d000001", "--model-mix", "6757i"];
        let output = resyncd()
            .args(arguments)
            .args(["--server", &server, "--phones", phones])
            .args(["--format", "json"])
            .output();
        let output = output.unwrap();
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        (report, output.status.code())
    };
    let (report, code) = swarm("20");
    assert_eq!(
        (code, &report["phones_served"], &report["statuses"]["204"]),
        (Some(0), &20.into(), &20.into()),
        "{report:#}"
    );
    assert_eq!(report["connections"]["opened"], 20, "{report:#}");
    let events = running.events();
    assert_eq!(events.len(), 20);
    for event in &events {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.starts_with("0 BOOTSTRAP, 1 BOOT; ") && reason.contains(" parameters set"), "{reason}");
    }
}
