//! The auto-configuration server against phones that are played here, over real connections.

mod phone;
mod tasks;

use std::io::{Read, Write};

pub use self::phone::Phone;
use self::phone::{envelope, inform};
use crate::support::deployment::{Deployment, Running};

pub const MAC: &str = "00085d000001";
const PROXY: &str = "Device.Services.VoiceService.1.VoiceProfile.1.SIP.ProxyServer";
const NAME: &str = "Device.Services.VoiceService.1.VoiceProfile.1.Name";
const PASSWORD: &str = "Device.Services.VoiceService.1.VoiceProfile.1.Line.1.SIP.AuthPassword";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

/// A server with an Aastra phone whose line 1 is set up, let in by `access`.
fn server(access: &str) -> Running {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config
        .replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"")
        .replace("name = \"https\"", "name = \"https\"\ncwmp = \"/acs\"");
    deployment.write("resyncd.toml", config);
    write_device(&deployment, access, "Reception & Bar");
    deployment.start()
}

fn write_device(deployment: &Deployment, more: &str, name: &str) {
    deployment.write(
        &format!("profiles/devices/{MAC}.toml"),
        format!(
            "model = \"6867i\"\n[lines.1]\nuser = \"1001\"\npassword = \"not-a-real-password\"\ndisplay_name = \"{name}\"\n\
             proxy = \"sip.example.com\"\n{more}\n"
        ),
    );
}

const HERE: &str = "[access]\nnetworks = [\"127.0.0.0/8\"]\n";

#[test]
fn a_factory_new_phone_is_set_up_and_a_phone_that_is_right_is_left_alone() {
    let server = server(HERE);
    let mut phone = Phone::new();
    if !phone.session(&server, &["0 BOOTSTRAP", "1 BOOT"]) {
        return;
    }
    assert_eq!(phone.asked, ["GetRPCMethods", "GetParameterValues", "SetParameterValues"]);
    assert_eq!((phone.holds(PROXY), phone.holds(NAME)), ("sip.example.com", "Reception & Bar"));
    assert_eq!(phone.holds(PASSWORD), "not-a-real-password");
    let revision = phone.holds(KEY).to_owned();
    assert_eq!(revision.len(), 32, "{revision}");
    let event = server.last_event();
    assert_eq!(
        (&event["kind"], &event["outcome"], &event["device"]),
        (&"session".into(), &"served".into(), &MAC.into())
    );
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.starts_with("0 BOOTSTRAP, 1 BOOT; ") && reason.contains(" parameters set"), "{reason}");

    assert_eq!((&event["model"], &event["firmware"]), (&"6867i".into(), &"3.3.1".into()));
    let told = |arguments: &[&str]| {
        let output = server.deployment.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = told(&["acs", "show", MAC]);
    assert!(shown.contains("product class        6867i\n") && shown.contains(&revision), "{shown}");
    let listed: serde_json::Value = serde_json::from_str(&told(&["acs", "list", "--format", "json"])).unwrap();
    assert_eq!((&listed[0]["mac"], &listed[0]["holds"]), (&MAC.into(), &revision.as_str().into()));
    assert_eq!(told(&["acs", "list", "--troubled", "--format", "json"]).trim(), "[]");
    let never = server.deployment.run(&["acs", "show", "00085d0000ff"]);
    assert_eq!(never.status.code(), Some(1));

    // Inform, nothing to say, nothing to do.
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!((phone.asked.len(), phone.posts), (0, 2));

    // The settings change: what differs is set, and the password, which can't be looked at.
    write_device(&server.deployment, HERE, "Bar");
    server.reload().unwrap();
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(phone.asked, ["GetParameterValues", "SetParameterValues"]);
    assert!(phone.set.contains(&NAME.to_owned()) && phone.set.contains(&PASSWORD.to_owned()), "{:?}", phone.set);
    assert!(!phone.set.contains(&PROXY.to_owned()), "{:?}", phone.set);
    assert_eq!(phone.holds(NAME), "Bar");
    assert_ne!(phone.holds(KEY), revision);

    // A factory reset takes all of it away.
    phone = Phone::new();
    assert!(phone.session(&server, &["0 BOOTSTRAP", "1 BOOT"]));
    assert_eq!(phone.holds(NAME), "Bar");
}

#[test]
fn what_a_phone_refuses_is_told_and_not_tried_again() {
    for names_none in [false, true] {
        let server = server(HERE);
        let mut phone = Phone::new();
        phone.refuses.insert(NAME, 9007);
        phone.names_none = names_none;
        if !phone.session(&server, &["0 BOOTSTRAP"]) {
            return;
        }
        assert_eq!((phone.holds(PROXY), phone.holds(NAME)), ("sip.example.com", ""));
        let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&format!("refused by the phone: {NAME} (")), "{reason}");
        assert!(!reason.contains("not-a-real"), "{reason}");
        assert!(phone.session(&server, &["4 VALUE CHANGE"]));
        assert!(!phone.asked.contains(&"SetParameterValues".to_owned()), "{:?}", phone.asked);
        // Other settings are another matter.
        phone.refuses.clear();
        write_device(&server.deployment, HERE, "Bar");
        server.reload().unwrap();
        assert!(phone.session(&server, &["2 PERIODIC"]));
        assert_eq!(phone.holds(NAME), "Bar");
    }
}

#[test]
fn what_a_phone_says_of_a_refusal_repeats_no_secret_and_begins_no_line() {
    let server = server(HERE);
    let mut phone = Phone::new();
    phone.refuses.insert(PASSWORD, 9007);
    phone.refuses.insert(NAME, 9007);
    phone.says = "not-a-real-password is too short&#10;INFO another line";
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(&format!("{PASSWORD} (9007 *** is too short INFO another line)")), "{reason}");
    let shown = server.deployment.run(&["acs", "show", MAC]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for text in [&reason, &shown] {
        assert!(!text.contains("not-a-real") && !text.contains("\nINFO"), "{text}");
    }
}

#[test]
fn a_phone_without_cookies_is_known_by_its_connection() {
    let server = server(HERE);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port("http"))).unwrap();
    let mut post = |body: &str| {
        let length = body.len();
        write!(stream, "POST /cwmp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), String::from_utf8(body).unwrap())
    };
    assert_eq!(post(&inform(MAC, &["2 PERIODIC"], &[])).0, "200");
    let (status, asked) = post("");
    assert!(status == "200" && asked.contains("GetRPCMethods"), "{status} {asked}");
}

#[test]
fn there_are_not_more_sessions_at_a_time_than_there_may_be() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"");
    deployment.write("resyncd.toml", format!("{config}\n[limits]\nsessions = 1\n"));
    write_device(&deployment, HERE, "Bar");
    let device = std::fs::read_to_string(deployment.path(&format!("profiles/devices/{MAC}.toml"))).unwrap();
    deployment.write("profiles/devices/00085d000002.toml", device);
    let server = deployment.start();
    let (mut phone, mut other) = (Phone::new(), Phone::new());
    let Some(first) = phone.inform(&server, &["2 PERIODIC"]) else { return };
    let second = other.post(&server, &inform("00085D000002", &["2 PERIODIC"], &[]), &[]).unwrap();
    assert_eq!((first.status, second.status), (200, 503));
    assert!(second.header("retry-after").is_some(), "{}", second.head);
    assert_eq!(server.last_event()["refusal"], "overload");
    // When the first is over, there is room again.
    assert!(phone.session(&server, &["2 PERIODIC"]));
    assert_eq!(other.post(&server, &inform("00085D000002", &["2 PERIODIC"], &[]), &[]).unwrap().status, 200);
}

#[test]
fn a_phone_that_nobody_knows_waits_in_the_staging_network() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"");
    deployment.write("resyncd.toml", format!("{config}\n[onboarding]\nstaging_networks = [\"127.0.0.0/8\"]\n"));
    let server = deployment.start();
    let mut phone = Phone::new();
    let text = inform(&MAC.to_uppercase(), &["0 BOOTSTRAP"], &[(VERSION, "3.3.1")]);
    let Some(reply) = phone.post(&server, &text, &["--user-agent", ""]) else { return };
    assert_eq!(reply.status, 404);
    let waiting = server.block_on(server.server().onboarding().waiting()).unwrap();
    let waiting: Vec<_> =
        waiting.iter().map(|phone| (phone.mac.to_string(), &*phone.model, phone.firmware.as_deref())).collect();
    assert_eq!(waiting, [(MAC.to_owned(), "6867i", Some("3.3.1"))]);
}

#[test]
fn who_wins_over_a_change_on_the_phone_is_the_settings_to_say() {
    for (policy, name, told) in [
        ("", "Reception & Bar", "changed on the phone and set back: "),
        ("[acs]\nchanged_on_phone = \"keep\"\n", "Mine", "changed on the phone and kept: "),
    ] {
        let server = server(&format!("{HERE}{policy}"));
        let mut phone = Phone::new();
        if !phone.session(&server, &["0 BOOTSTRAP"]) {
            return;
        }
        phone.holds.insert(NAME.to_owned(), "Mine".to_owned());
        assert!(phone.session(&server, &["4 VALUE CHANGE"]));
        assert_eq!(phone.holds(NAME), name);
        let reason = server.last_event()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&format!("{told}{NAME}")), "{reason}");
    }
}

#[test]
fn only_what_the_phone_knows_is_asked_of_it() {
    let server = server(&format!("{HERE}[acs.notifications]\n\"Device.LAN.IPAddress\" = \"active\"\n"));
    let mut phone = Phone::new();
    phone.lacks = vec!["GetRPCMethods", "GetParameterAttributes"];
    if !phone.session(&server, &["0 BOOTSTRAP"]) {
        return;
    }
    // It doesn't say what it knows, so its family's list counts.
    assert_eq!(phone.holds(PROXY), "sip.example.com");
    let mut phone = Phone::new();
    assert!(phone.session(&server, &["0 BOOTSTRAP"]));
    assert_eq!(phone.asked.last().unwrap(), "SetParameterAttributes", "{:?}", phone.asked);
}

#[test]
fn a_session_is_held_by_its_cookie_and_belongs_to_one_phone() {
    let server = server(HERE);
    let (mut phone, mut other) = (Phone::new(), Phone::new());
    let Some(reply) = phone.inform(&server, &["2 PERIODIC"]) else { return };
    assert_eq!(reply.status, 200);
    // Each curl is a connection of its own: without the cookie it is nobody's session.
    phone.ignores_cookies = true;
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 400);
    phone.ignores_cookies = false;
    other.cookie = Some("cwmp-session=AAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    assert_eq!(other.post(&server, "", &[]).unwrap().status, 400);
    assert_eq!(other.post(&server, &envelope("9", "<cwmp:GetParameterValuesResponse/>"), &[]).unwrap().status, 400);
    // None of that was this session's.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
    // The phone begins anew: the session before is over, and so is its cookie's worth.
    let before = phone.cookie.clone();
    assert_eq!(phone.inform(&server, &["1 BOOT"]).unwrap().status, 200);
    assert_ne!(phone.cookie, before);
    other.cookie = before;
    assert_eq!(other.post(&server, "", &[]).unwrap().status, 400);
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
}

#[test]
fn whoever_may_not_have_the_phones_files_gets_no_session() {
    let server = server("[access]\nnetworks = [\"192.0.2.0/24\"]\n");
    let mut phone = Phone::new();
    let Some(known) = phone.inform(&server, &["0 BOOTSTRAP"]) else { return };
    let unknown = phone.post(&server, &inform("00085D0000FF", &["0 BOOTSTRAP"], &[]), &[]).unwrap();
    let foreign = phone.post(&server, &inform(MAC, &["0 BOOTSTRAP"], &[]).replace("00085D<", "0004F2<"), &[]).unwrap();
    assert_eq!((known.status, &known), (404, &unknown));
    assert_eq!(known, foreign);
    let refusals: Vec<_> = server.events().iter().map(|event| event["refusal"].as_str().unwrap().to_owned()).collect();
    assert_eq!(refusals, ["no-proof", "unknown-device", "unknown-device"]);
    let get = server.plain_curl("/cwmp", &[]).unwrap();
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    // Nor one that is to speak to no ACS.
    write_device(&server.deployment, &format!("{HERE}[acs]\nenabled = false\n"), "Bar");
    server.reload().unwrap();
    assert_eq!(phone.inform(&server, &["0 BOOTSTRAP"]).unwrap(), known);
}

#[test]
fn a_phone_shows_who_it_is_by_digest() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write(
        "resyncd.toml",
        config.replace("name = \"http\"", "name = \"http\"\ncwmp = \"/cwmp\"\npasswords = true"),
    );
    write_device(&deployment, "[acs]\nuser = \"phone-1\"\npassword = \"not-a-real-key\"\n", "Bar");
    let server = deployment.start();
    let mut phone = Phone::new();
    let Some(asked) = phone.inform(&server, &["0 BOOTSTRAP"]) else { return };
    assert_eq!(asked.status, 401);
    assert!(asked.header("www-authenticate").unwrap().starts_with("Digest "), "{}", asked.head);
    // So is one that asks with nothing, to be asked.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 401);
    let text = inform(MAC, &["0 BOOTSTRAP"], &[]);
    let wrong = phone.post(&server, &text, &["--digest", "--user", "phone-1:another"]).unwrap();
    assert_eq!(wrong.status, 401);
    let right = phone.post(&server, &text, &["--digest", "--user", "phone-1:not-a-real-key"]).unwrap();
    assert_eq!(right.status, 200, "{}", right.head);
    // The cookie is proof enough for what follows.
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 200);
}

#[test]
fn a_certificate_opens_a_session_and_holds_it() {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("name = \"https\"", "name = \"https\"\ncwmp = \"/cwmp\""));
    let (mine, others) = ("000e08000001", "000e08000002");
    let subject = |serial| Some(("CP-6841-3PCC", serial));
    deployment.certificates(&[(mine, subject("88012BA01234")), (others, subject("88012BA01235"))]);
    deployment.write(
        &format!("profiles/devices/{mine}.toml"),
        "model = \"CP-6841-3PCC\"\nserial = \"88012BA01234\"\n[access]\ncertificate = true\n[lines.1]\nuser = \"1001\"\n",
    );
    let server = deployment.start();
    let text = inform("88012BA01234", &["0 BOOTSTRAP"], &[]).replace("00085D<", "000E08<");
    let message = server.deployment.path("message");
    std::fs::write(&message, text).unwrap();
    let data = format!("@{}", message.display());
    let post = |phone: Option<&str>, cookie: &str, data: &str| {
        server.curl(phone, "/cwmp", &["--data-binary", data, "--header", cookie, "--header", "Content-Type: text/xml"])
    };
    let Some(none) = post(None, "X: 1", &data) else { return };
    let other = post(Some(others), "X: 1", &data).unwrap();
    assert_eq!((none.status, other.status), (404, 404));
    let right = post(Some(mine), "X: 1", &data).unwrap();
    assert_eq!(right.status, 200, "{}", right.head);
    let cookie = format!("Cookie: {}", right.header("set-cookie").unwrap());
    // Another phone with the cookie, and somebody without a certificate.
    assert_eq!(post(Some(others), &cookie, "").unwrap().status, 400);
    assert_eq!(post(None, &cookie, "").unwrap().status, 400);
    assert_eq!(post(Some(mine), &cookie, "").unwrap().status, 200);
}

#[test]
fn what_means_harm_is_refused_and_costs_the_session_only() {
    let server = server(HERE);
    let mut phone = Phone::new();
    for (body, status) in [
        ("not XML".to_owned(), 400),
        (format!("<!DOCTYPE a>{}", envelope("1", "<cwmp:Inform/>")), 400),
        (envelope("1", &"<a>".repeat(100_000)), 400),
        ("x".repeat((1 << 20) + 1), 413),
    ] {
        let Some(reply) = phone.post(&server, &body, &[]) else { return };
        assert_eq!(reply.status, status, "{}", reply.head);
    }
    // In the middle of a session it is that session's end, and nobody else's.
    assert_eq!(phone.inform(&server, &["2 PERIODIC"]).unwrap().status, 200);
    assert_eq!(phone.post(&server, "not XML", &[]).unwrap().status, 400);
    assert_eq!(phone.post(&server, "", &[]).unwrap().status, 400);
    assert!(phone.session(&server, &["2 PERIODIC"]));
}
