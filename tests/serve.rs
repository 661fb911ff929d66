//! The server end to end: phones played by curl over real TLS, decrypted by the openssl program, compared with what
//! `resyncd render` says.

use std::fs;
use std::process::Stdio;

use crate::support::deployment::{Deployment, Reply, Running};
use crate::support::{program, resyncd};

const CISCO: &str = "000e08abcdef";
const CISCO_GCM: &str = "00562b043615";
const SPA: &str = "649ef3788e6a";
const AASTRA: &str = "00085d1a9870";
const MITEL: &str = "1400e91f03ea";
const GRANDSTREAM: &str = "c074ad273a10";

fn example() -> Running {
    let deployment = Deployment::example();
    deployment.certificates(&[
        (CISCO, Some(("CP-6841-3PCC", "88012BA01234"))),
        (CISCO_GCM, Some(("CP-8841-3PCC", "FCH21EXAMPL"))),
        (SPA, Some(("SPA504G", "CCQ162306EA"))),
        (AASTRA, None),
        (MITEL, None),
        (GRANDSTREAM, None),
    ]);
    deployment.start()
}

fn rendered(running: &Running, mac: &str, path: &str) -> Vec<u8> {
    let output = running.deployment.run(&["render", mac, "--file", path, "--show-secrets"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn feed(mut command: std::process::Command, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_cisco_mpp_gets_its_profile_and_openssl_decrypts_it() {
    let running = example();
    let path = format!("/cisco/{CISCO}.xml");
    let Some(reply) = running.curl(Some(CISCO), &path, &[]) else { return };
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")));
    assert!(reply.body.starts_with(b"Salted__"));
    let Some(mut openssl) = program("openssl") else { return };
    openssl.args(["enc", "-d", "-aes-256-cbc", "-md", "md5", "-k", "example-only-key-000e08abcdef"]);
    let compressed = feed(openssl, &reply.body);
    let mut gunzip = program("gzip").unwrap();
    gunzip.arg("-dc");
    assert_eq!(feed(gunzip, &compressed), rendered(&running, CISCO, &path));
}

#[test]
fn a_cisco_mpp_gets_its_profile_by_rfc_8188() {
    let running = example();
    let path = format!("/cisco/{CISCO_GCM}.xml");
    let Some(reply) = running.curl(Some(CISCO_GCM), &path, &[]) else { return };
    assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("aes128gcm")));
    let mut decrypt = resyncd();
    decrypt.args(["decrypt", "--encryption", "aes128gcm", "--key", "example-only-ikm-00562b043615", "-"]);
    assert_eq!(feed(decrypt, &reply.body), rendered(&running, CISCO_GCM, &path));
}

#[test]
fn the_other_families_get_their_files() {
    let running = example();
    for (mac, path) in [
        (SPA, format!("/cisco/{SPA}.xml")),
        (AASTRA, format!("/{}.cfg", AASTRA.to_uppercase())),
        (MITEL, format!("/{}.cfg", MITEL.to_uppercase())),
        (GRANDSTREAM, format!("/cfg{GRANDSTREAM}.xml")),
        (GRANDSTREAM, format!("/cfg{GRANDSTREAM}")),
    ] {
        let Some(reply) = running.curl(Some(mac), &path, &[]) else { return };
        assert_eq!(reply.status, 200, "{path}: {}", running.last_event());
        let body = match reply.body.starts_with(b"Salted__") {
            false => reply.body,
            true => {
                let key = format!("example-only-key-{mac}");
                let mut decrypt = resyncd();
                decrypt.args(["decrypt", "--key", &key, "-"]);
                feed(decrypt, &reply.body)
            }
        };
        assert!(body == rendered(&running, mac, &path), "{path}");
    }
}

#[test]
fn refusals_look_alike_and_the_event_tells_them_apart() {
    let running = example();
    let cases: [(Option<&str>, &str, &str); 6] = [
        (Some(CISCO), "/cisco/000e08000001.xml", "unknown-device"),
        (None, "/cisco/000e08abcdef.xml", "no-proof"),
        (Some(CISCO_GCM), "/cisco/000e08abcdef.xml", "wrong-certificate"),
        (Some(CISCO), "/cfg000e08abcdef.xml", "not-for-model"),
        (Some(CISCO), "/nothing/here", "unknown-path"),
        (Some(CISCO), "/firmware/nothing.bin", "no-file"),
    ];
    let mut replies: Vec<Reply> = Vec::new();
    for (phone, path, refusal) in cases {
        let Some(reply) = running.curl(phone, path, &[]) else { return };
        let event = running.last_event();
        assert_eq!(event["refusal"], refusal, "{event}");
        assert!(event["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{event}");
        replies.push(reply);
    }
    assert_eq!(replies[0].status, 404);
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:#?}");
}

#[test]
fn a_certificate_of_another_ca_is_no_certificate() {
    let running = example();
    let other = Deployment::bare();
    other.certificates(&[(CISCO, Some(("CP-6841-3PCC", "88012BA01234")))]);
    for kind in ["pem", "key"] {
        let name = format!("certs/dev/phone-{CISCO}.{kind}");
        fs::copy(other.path(&name), running.deployment.path(&name)).unwrap();
    }
    let Some(reply) = running.curl(Some(CISCO), &format!("/cisco/{CISCO}.xml"), &[]) else { return };
    assert_eq!(reply.status, 404);
    let event = running.last_event();
    assert_eq!(event["refusal"], "no-proof");
    assert!(event["reason"].as_str().unwrap().contains("proves nothing"), "{event}");
    assert!(event["certificate"].as_str().unwrap().contains("ST=000e08abcdef"), "{event}");
}

#[test]
fn the_event_has_what_an_operator_asks_for() {
    let running = example();
    let path = format!("/cisco/{CISCO}.xml?reason=test");
    let agent = "Cisco-CP-6841-3PCC/11.2.4 (000e08abcdef)";
    if running.curl(Some(CISCO), &path, &["--user-agent", agent]).is_none() {
        return;
    }
    let event = running.last_event();
    for (key, value) in [
        ("listener", "https"),
        ("method", "GET"),
        ("tls_version", "TLSv1.3"),
        ("user_agent", agent),
        ("vendor", "Cisco"),
        ("model", "CP-6841-3PCC"),
        ("firmware", "11.2.4"),
        ("device", CISCO),
        ("file", "cisco-mpp/profile"),
        ("encoding", "gzip+aes-256-cbc"),
        ("outcome", "served"),
    ] {
        assert_eq!(event[key], value, "{key}: {event}");
    }
    assert!(event["certificate"].as_str().unwrap().contains("L=88012BA01234"));
    assert!(event.to_string().contains("?reason=test"));
    assert!(!event.to_string().contains("example-only"), "a secret: {event}");
    let table = running.deployment.run(&["log", "--by", "user-agent"]);
    assert!(String::from_utf8(table.stdout).unwrap().contains(agent));
}

#[test]
fn a_phone_that_contradicts_its_record_is_flagged() {
    let running = example();
    let agent = "Cisco-CP-8841-3PCC/11.2.4 (00562b043615)";
    if running.curl(Some(CISCO), &format!("/cisco/{CISCO}.xml"), &["--user-agent", agent]).is_none() {
        return;
    }
    let flags = running.last_event()["flags"].to_string();
    assert!(flags.contains("model-differs") && flags.contains("mac-differs"), "{flags}");
}

#[test]
fn http_is_as_phones_need_it() {
    let running = example();
    let path = format!("/cisco/{CISCO}.xml");
    let Some(whole) = running.curl(Some(CISCO), &path, &[]) else { return };
    let curl = |more: &[&str]| running.curl(Some(CISCO), &path, more).unwrap();

    let head = curl(&["--head"]);
    assert_eq!((head.status, head.header("content-length")), (200, whole.header("content-length")));
    let old = curl(&["--http1.0"]);
    assert_eq!(old.body, whole.body);
    assert!(old.header("content-length").is_some());

    let etag = whole.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("W/"), "an encryption is salted anew: {etag}");
    let not_modified = curl(&["--header", &format!("If-None-Match: {etag}")]);
    assert_eq!((not_modified.status, not_modified.body.len()), (304, 0));
    assert_eq!(running.last_event()["outcome"], "not-modified");
    assert_eq!(curl(&["--header", "If-None-Match: \"other\""]).status, 200);

    let put = curl(&["--request", "PUT", "--data", "x"]);
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(curl(&["--data", "x"]).status, 200, "a resync may post a form");
    let encoded = running.curl(Some(CISCO), &path.replace("cisco", "%63isco"), &[]).unwrap();
    assert_eq!(encoded.status, 200);
    for path in
        ["/cisco/../resyncd.toml", "/cisco/%2e%2e/resyncd.toml", "/firmware/%2e%2e/resyncd.toml", "/%00", "/%ff"]
    {
        assert_eq!(running.curl(Some(CISCO), path, &[]).unwrap().status, 404, "{path}");
    }
    for mac in ["00:0E:08:AB:CD:EF", "00-0e-08-ab-cd-ef", "000E08ABCDEF"] {
        assert_eq!(running.curl(Some(CISCO), &format!("/cisco/{mac}.xml"), &[]).unwrap().status, 200, "{mac}");
    }
}

#[test]
fn a_bootstrap_file_is_for_anyone_and_leads_to_the_phones_own() {
    let running = example();
    let mut bodies = Vec::new();
    for path in ["/6841-3PCC.xml", "/CP-6841-3PCC.xml"] {
        let Some(reply) = running.plain_curl(path, &[]) else { return };
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains("https://localhost:8443/cisco/"), "{}", reply.text());
        assert!(!reply.text().contains("example-only"), "a secret in a file for anyone");
        bodies.push(reply.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    for path in ["/spa504G.cfg", "/SPA504g.cfg", "/init.cfg", "/aastra.cfg", "/cfg.xml", "/cfggxp2170.xml"] {
        assert_eq!(running.plain_curl(path, &[]).unwrap().status, 200, "{path}: {}", running.last_event());
    }
}

#[test]
fn a_folder_is_served_with_ranges_and_nothing_beside_it() {
    let deployment = Deployment::example();
    deployment.write("firmware/sip68xx.loads", "0123456789").write("firmware/.hidden", "x").write("outside", "x");
    let running = deployment.start();
    let Some(reply) = running.plain_curl("/firmware/sip68xx.loads", &[]) else { return };
    assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    let etag = reply.header("etag").unwrap().to_owned();
    let part = running.plain_curl("/firmware/sip68xx.loads", &["--range", "2-4"]).unwrap();
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    let head = running.plain_curl("/firmware/sip68xx.loads", &["--head"]).unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    let known = running.plain_curl("/firmware/sip68xx.loads", &["--header", &format!("If-None-Match: {etag}")]);
    assert_eq!(known.unwrap().status, 304);
    for path in ["/firmware/.hidden", "/firmware/", "/firmware", "/firmware/../outside", "/firmware/%2e%2e%2foutside"] {
        assert_eq!(running.plain_curl(path, &[]).unwrap().status, 404, "{path}");
    }
}

#[test]
fn each_access_rule_opens_what_it_should() {
    let deployment = Deployment::empty();
    let device = |mac: &str, access: &str| {
        let text = format!(
            "model = \"CP-6841-3PCC\"\n[lines.1]\nuser = \"1\"\n[delivery]\nencryption = \"aes-256-cbc\"\nkey = \"example-only-key\"\n[access]\n{access}\n"
        );
        deployment.write(&format!("profiles/devices/{mac}.toml"), text);
    };
    device("000e08000001", "encrypted = true");
    device("000e08000002", "networks = [\"127.0.0.0/8\"]");
    device("000e08000003", "networks = [\"192.0.2.0/24\"]");
    device("000e08000004", "");
    let running = deployment.start();
    for (path, status) in [
        ("/cisco/000e08000001.xml", 200),
        // The same profile, but not encrypted.
        ("/cisco/init/000e08000001.xml", 404),
        ("/cisco/000e08000002.xml", 200),
        ("/cisco/init/000e08000002.xml", 200),
        ("/cisco/000e08000003.xml", 404),
        ("/cisco/000e08000004.xml", 404),
    ] {
        let Some(reply) = running.plain_curl(path, &[]) else { return };
        assert_eq!(reply.status, status, "{path}: {}", running.last_event());
    }
}

#[test]
fn a_profile_that_cannot_be_made_is_refused_and_told() {
    let deployment = Deployment::empty();
    deployment.write(
        "profiles/devices/00085d1a9870.toml",
        "model = \"6757i\"\n[lines.1]\nuser = \"1\"\ndisplay_name = \"two\\nlines\"\npassword = { env = \"RESYNCD_NO_SUCH\" }\n[access]\nnetworks = [\"127.0.0.1\"]\n",
    );
    let running = deployment.start();
    let Some(reply) = running.plain_curl("/00085D1A9870.cfg", &[]) else { return };
    assert_eq!((reply.status, reply.body.len()), (500, 0));
    let event = running.last_event();
    assert_eq!(event["outcome"], "failed");
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.contains("00085d1a9870.toml:5") && reason.contains("RESYNCD_NO_SUCH"), "{reason}");

    running.deployment.write(
        "profiles/devices/00085d1a9870.toml",
        "model = \"6757i\"\n[lines.1]\nuser = \"1\"\nproxy = \"sip.example\"\ndisplay_name = \"two\\nlines\"\n[access]\nnetworks = [\"127.0.0.1\"]\n",
    );
    running.reload().unwrap();
    assert_eq!(running.plain_curl("/00085D1A9870.cfg", &[]).unwrap().status, 500);
    let reason = running.last_event()["reason"].to_string();
    assert!(reason.contains("line end"), "{reason}");
}

#[test]
fn a_reload_swaps_whole_generations_and_refuses_bad_ones() {
    let running = example();
    let path = format!("/cisco/{CISCO}.xml");
    let Some(before) = running.curl(Some(CISCO), &path, &[]) else { return };
    let other_path = format!("/cisco/{CISCO_GCM}.xml");
    let other_before = running.curl(Some(CISCO_GCM), &other_path, &[]).unwrap();

    let file = format!("profiles/devices/{CISCO}.toml");
    let text = fs::read_to_string(running.deployment.path(&file)).unwrap();
    running.deployment.write(&file, text.replace("[lines.1]", "[lines.1]\npasword = \"x\""));
    let problems = running.reload().unwrap_err().to_string();
    assert!(problems.contains("pasword") && problems.contains("did you mean \"password\"?"), "{problems}");
    let still = running.curl(Some(CISCO), &path, &[]).unwrap();
    assert_eq!(still.body, before.body, "the profile that was ready is sent again");

    running.deployment.write(&file, text.replace("Reception", "Lobby"));
    assert_eq!(running.reload().unwrap(), 2);
    let after = running.curl(Some(CISCO), &path, &[]).unwrap();
    assert_ne!(after.header("etag"), before.header("etag"));
    assert_eq!(running.last_event()["generation"], 2);
    let other_after = running.curl(Some(CISCO_GCM), &other_path, &[]).unwrap();
    assert_eq!(other_after.body, other_before.body, "another device's profile is not made anew");
}

#[test]
fn etags_survive_a_restart() {
    let running = example();
    let path = format!("/cisco/{CISCO}.xml");
    let Some(before) = running.curl(Some(CISCO), &path, &[]) else { return };
    let (deployment, _) = running.stop();
    let running = deployment.start();
    let after = running.curl(Some(CISCO), &path, &[]).unwrap();
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_ne!(after.body, before.body, "the salt is another");
}

#[test]
fn events_of_the_last_moment_are_in_the_database() {
    let running = example();
    for _ in 0..20 {
        if running.plain_curl("/aastra.cfg", &[]).is_none() {
            return;
        }
    }
    let (deployment, flushed) = running.stop();
    assert_eq!(flushed, resyncd::events::Flushed::Stored);
    let output = deployment.run(&["log", "--format", "json"]);
    let events: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(events.len(), 20);
}

#[test]
fn an_operators_template_takes_the_place_of_the_packs() {
    let deployment = Deployment::empty();
    deployment
        .write(
            "profiles/templates/cisco-mpp/profile.xml.tera",
            "<flat-profile><Own>{{ vars.greeting }} {{ device.mac_colons }}</Own></flat-profile>",
        )
        .write(
            "profiles/devices/000e08000001.toml",
            "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"127.0.0.1\"]\n[vars]\ngreeting = \"a < b\"\n",
        );
    let running = deployment.start();
    let Some(reply) = running.plain_curl("/cisco/000e08000001.xml", &[]) else { return };
    assert_eq!(reply.text(), "<flat-profile><Own>a &lt; b 00:0e:08:00:00:01</Own></flat-profile>");
}

#[test]
fn a_file_that_the_operator_drops_in_is_sent_as_it_is() {
    let deployment = Deployment::empty();
    deployment
        .write("profiles/files/aastra/00085D1A9870.tuz", [0u8, 1, 2, 255])
        .write("profiles/devices/00085d1a9870.toml", "model = \"6757i\"\n[access]\nnetworks = [\"127.0.0.1\"]\n");
    let running = deployment.start();
    let Some(reply) = running.plain_curl("/00085D1A9870.tuz", &[]) else { return };
    assert_eq!((reply.status, reply.body), (200, vec![0, 1, 2, 255]), "{}", running.last_event());
}

#[test]
fn a_download_that_breaks_off_is_recorded_as_such() {
    let deployment = Deployment::example();
    deployment.write("firmware/large.loads", vec![b'x'; 32 << 20]);
    let running = deployment.start();
    use std::io::{Read, Write};
    let mut phone = std::net::TcpStream::connect(("127.0.0.1", running.port("http"))).unwrap();
    phone.write_all(b"GET /firmware/large.loads HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    phone.read_exact(&mut [0; 1024]).unwrap();
    drop(phone);
    // The server notices at its next write; stopping waits for that.
    let (deployment, _) = running.stop();
    let output = deployment.run(&["log", "--format", "json"]);
    let events: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let event = events.last().unwrap();
    assert_eq!(event["outcome"], "aborted", "{event}");
    assert!(event["bytes"].as_u64().unwrap() < 32 << 20, "{event}");
}
