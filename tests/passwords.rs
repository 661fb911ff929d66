//! Phones that prove themselves by user and password: by `curl`, by emulated phones, and by bytes as an attacker sends them.

mod rotation;
mod secrecy;

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use resyncd::identity::password::{Algorithm, Signed};
use resyncd::model::Secret;

use crate::support::api::raw;
use crate::support::deployment::{Deployment, Reply, Running, copy};
use crate::support::{root, run};

/// By its password.
const ONE: &str = "000e08000001";
/// By another, or its certificate.
const TWO: &str = "000e08000002";
/// By its certificate alone.
const CERTIFICATE: &str = "000e08000003";
/// From a network that nobody here is in.
const ELSEWHERE: &str = "000e08000004";
const AASTRA: &str = "00085d000005";
const GRANDSTREAM: &str = "000b82000006";
const NOBODY: &str = "000e08000009";

const PASSWORD: &str = "k3v9x2mq7d0tz5hw-one";
const OTHER: &str = "r8c1n6yb4j2fgs0p-two";

fn path(mac: &str) -> String {
    format!("/cisco/{mac}.xml")
}

/// Both listeners ask.
fn deployment() -> Deployment {
    let deployment = Deployment::empty();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let asking = config
        .replace("\n[listener.tls]", "\npasswords = true\n[listener.tls]")
        .replace("name = \"http\"\n", "name = \"http\"\npasswords = true\n");
    // What is tried here would otherwise be braked.
    let brakes = "\n[brakes]\nfailures = 1000\nrefuse_after = 1000\ntries = 1000\n";
    deployment.write("resyncd.toml", asking + brakes);
    let device = |mac: &str, model: &str, text: &str| {
        let head = format!("model = \"{model}\"\n[lines.1]\nuser = \"{mac}\"\n");
        deployment.write(&format!("profiles/devices/{mac}.toml"), format!("{head}{text}"));
    };
    let credentials = |user: &str, password: &str| {
        format!("[access]\npassword = true\n[credentials]\nuser = \"{user}\"\npassword = \"{password}\"\n")
    };
    device(ONE, "CP-6841-3PCC", &credentials("one", PASSWORD));
    let both = credentials("two", OTHER).replace("password = true", "password = true\ncertificate = true");
    device(TWO, "CP-6841-3PCC", &both);
    device(CERTIFICATE, "CP-6841-3PCC", "[access]\ncertificate = true\n");
    device(ELSEWHERE, "CP-6841-3PCC", "[access]\nnetworks = [\"192.0.2.0/24\"]\n");
    device(AASTRA, "6757i", &credentials("five", PASSWORD));
    device(GRANDSTREAM, "GXP2170", &credentials("six", PASSWORD));
    deployment
}

/// One pack is loaded in no time. Gives its `pack.toml`.
fn one_pack(deployment: &Deployment) -> PathBuf {
    copy(&root().join("templates/cisco-mpp"), &deployment.path("packs/cisco-mpp"));
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace(root().join("templates").to_str().unwrap(), "packs"));
    for mac in [AASTRA, GRANDSTREAM] {
        std::fs::remove_file(deployment.path(&format!("profiles/devices/{mac}.toml"))).unwrap();
    }
    deployment.path("packs/cisco-mpp/pack.toml")
}

fn plain(running: &Running) -> SocketAddr {
    running.server().address("http").unwrap()
}

/// A request as it goes over the wire.
fn ask(address: SocketAddr, method: &str, target: &str, authorization: Option<&str>) -> Reply {
    let header = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    raw(address, &format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n"))
}

/// The nonce of a refusal.
fn nonce(reply: &Reply) -> String {
    let challenge = reply.header("www-authenticate").unwrap_or_else(|| panic!("{}", reply.head));
    challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The answer to a nonce.
fn digest(nonce: &str, user: &str, password: &str, method: &str, uri: &str, count: u32) -> String {
    let (nc, algorithm) = (format!("{count:08x}"), Algorithm::Sha256);
    let signed = Signed { algorithm, realm: "resyncd", method, uri, nonce, nc: &nc, cnonce: "c" };
    let response = signed.response(user, &Secret::new(password));
    let response = response.expose_text().unwrap();
    format!(
        "Digest username=\"{user}\", realm=\"resyncd\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=SHA-256, \
         response=\"{response}\", qop=auth, nc={nc}, cnonce=\"c\""
    )
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn curl_gets_its_file_by_either_scheme() {
    let running = deployment().start();
    let (one, right) = (path(ONE), format!("one:{PASSWORD}"));
    for scheme in ["--digest", "--anyauth", "--basic"] {
        let Some(reply) = running.curl(None, &one, &[scheme, "--user", &right]) else { return };
        assert_eq!(reply.status, 200, "{scheme}: {}", reply.head);
        assert!(reply.text().contains(ONE));
        assert_eq!(running.last_event()["flags"], serde_json::json!(["password"]));
        for (mac, pair) in [(ONE, "one:wrong"), (ONE, "two:k3v9x2mq7d0tz5hw-one"), (TWO, &right), (CERTIFICATE, &right)]
        {
            let reply = running.curl(None, &path(mac), &[scheme, "--user", pair]).unwrap();
            assert_eq!((reply.status, reply.body.len()), (401, 0), "{scheme} {mac} {pair}");
        }
    }
    for scheme in ["--digest", "--anyauth"] {
        let reply = running.plain_curl(&one, &[scheme, "--user", &right]).unwrap();
        assert_eq!(reply.status, 200, "{scheme}: {}", reply.head);
        // A query belongs to what is signed.
        let reply = running.plain_curl(&format!("{one}?a=b&c"), &[scheme, "--user", &right]).unwrap();
        assert_eq!(reply.status, 200, "{scheme}: {}", reply.head);
        let head = running.plain_curl(&one, &[scheme, "--user", &right, "--head"]).unwrap();
        assert_eq!(head.status, 200);
    }
    let reply = running.plain_curl(&one, &["--basic", "--user", &right]).unwrap();
    assert_eq!(reply.status, 401);
    assert!(!reply.head.contains("Basic") && reply.head.contains("algorithm=MD5"), "{}", reply.head);
    assert_eq!(running.last_event()["refusal"], "clear-password");
}

#[test]
fn basic_without_tls_is_taken_where_the_listener_says_so() {
    let deployment = deployment();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let name = "name = \"http\"\n";
    deployment.write("resyncd.toml", config.replace(name, &format!("{name}basic_without_tls = true\n")));
    let running = deployment.start();
    let reply = ask(plain(&running), "GET", &path(ONE), Some(&basic("one", PASSWORD)));
    assert_eq!(reply.status, 200, "{}", reply.head);
    let refused = ask(plain(&running), "GET", &path(ONE), None);
    assert!(
        refused.head.contains("WWW-Authenticate: Basic realm=\"resyncd\"")
            || refused.head.contains("www-authenticate: Basic realm=\"resyncd\""),
        "{}",
        refused.head
    );
}

#[test]
fn a_listener_that_does_not_ask_takes_no_password() {
    let deployment = deployment();
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("passwords = true\n", ""));
    let running = deployment.start();
    let reply = ask(plain(&running), "GET", &path(ONE), Some(&basic("one", PASSWORD)));
    assert_eq!((reply.status, reply.header("www-authenticate")), (404, None));
    let reason = running.last_event()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("asks for no passwords"), "{reason}");
}

#[test]
fn forms_and_uploads_are_proved_alike() {
    let running = deployment().start();
    let right = format!("one:{PASSWORD}");
    let form = ["--digest", "--user", &right, "--data", "reason=a"];
    let Some(reply) = running.plain_curl(&path(ONE), &form) else { return };
    assert_eq!(reply.status, 200, "{}", reply.head);
    let report = running.deployment.path("report.xml");
    // More than any buffer on the way holds.
    std::fs::write(&report, format!("<flat-profile><A>{}</A></flat-profile>", "x".repeat(900_000))).unwrap();
    let report = report.to_str().unwrap();
    let target = format!("/cisco/report/{ONE}.xml");
    for scheme in ["--digest", "--basic", "--anyauth"] {
        let reply = running.curl(None, &target, &[scheme, "--user", &right, "--upload-file", report]).unwrap();
        assert_eq!(reply.status, 200, "{scheme}: {}", reply.head);
    }
    for (mac, pair) in [(ONE, "one:wrong"), (TWO, right.as_str()), (NOBODY, right.as_str())] {
        let target = format!("/cisco/report/{mac}.xml");
        let reply = running.plain_curl(&target, &["--digest", "--user", pair, "--upload-file", report]).unwrap();
        assert_eq!(reply.status, 401, "{mac} {pair}");
    }
    let uploads = running.server().uploads().clone();
    let kept = running.block_on(uploads.list(&resyncd::store::UploadFilter::default(), None, 10)).unwrap();
    assert_eq!(kept.uploads.len(), 3);
}

#[test]
fn an_answer_opens_one_request_once() {
    let running = deployment().start();
    let (address, one) = (plain(&running), path(ONE));
    let refusal = |reply: &Reply| {
        assert_eq!(reply.status, 401);
        (running.last_event()["refusal"].as_str().unwrap().to_owned(), reply.head.contains("stale=true"))
    };
    let word = |word: &str, stale| (word.to_owned(), stale);
    let challenge = ask(address, "GET", &one, None);
    assert_eq!(refusal(&challenge), word("challenged", false));
    let nonce = nonce(&challenge);
    let answer = digest(&nonce, "one", PASSWORD, "GET", &one, 1);
    assert_eq!(ask(address, "GET", &one, Some(&answer)).status, 200);
    // Once more; for another path, method and phone.
    assert_eq!(refusal(&ask(address, "GET", &one, Some(&answer))), word("replayed-nonce", true));
    let fresh = digest(&nonce, "one", PASSWORD, "GET", &one, 2);
    let elsewhere = format!("/cisco/init/{ONE}.xml");
    assert_eq!(refusal(&ask(address, "GET", &elsewhere, Some(&fresh))), word("bad-credentials", false));
    assert_eq!(refusal(&ask(address, "HEAD", &one, Some(&fresh))), word("wrong-password", false));
    assert_eq!(refusal(&ask(address, "GET", &path(TWO), Some(&fresh))), word("bad-credentials", false));
    let for_two = digest(&nonce, "one", PASSWORD, "GET", &path(TWO), 2);
    assert_eq!(refusal(&ask(address, "GET", &path(TWO), Some(&for_two))), word("wrong-password", false));
    // The nonce itself goes on, as long as its count grows.
    assert_eq!(ask(address, "GET", &one, Some(&fresh)).status, 200);
    let forged = nonce.replace(|first: char| first.is_ascii_digit(), "A");
    let forged = digest(&forged, "one", PASSWORD, "GET", &one, 1);
    assert_eq!(refusal(&ask(address, "GET", &one, Some(&forged))), word("stale-nonce", true));
    assert_eq!(ask(address, "GET", &one, Some(&format!("{fresh}, nc=00000003"))).status, 401);
    let two_headers = format!("{}\r\nAuthorization: {}", basic("one", PASSWORD), basic("one", PASSWORD));
    assert_eq!(refusal(&ask(address, "GET", &one, Some(&two_headers))), word("bad-credentials", false));
}

#[test]
fn a_phone_of_a_model_that_repeats_its_count_is_served_again() {
    let deployment = deployment();
    let pack = one_pack(&deployment);
    let text = std::fs::read_to_string(&pack).unwrap();
    std::fs::write(&pack, format!("digest_repeats_nc = true\n{text}")).unwrap();
    let running = deployment.start();
    let (address, one) = (plain(&running), path(ONE));
    let answer = digest(&nonce(&ask(address, "GET", &one, None)), "one", PASSWORD, "GET", &one, 1);
    for _ in 0..3 {
        assert_eq!(ask(address, "GET", &one, Some(&answer)).status, 200);
    }
}

#[test]
fn who_has_proved_itself_is_told_what_is_not_there() {
    let running = deployment().start();
    let right = format!("one:{PASSWORD}");
    // A name of another family's, which a phone that tries several passes over.
    let other = format!("/aastra/{ONE}.cfg");
    let Some(reply) = running.curl(None, &other, &["--digest", "--user", &right]) else { return };
    assert_eq!((reply.status, reply.header("www-authenticate")), (404, None), "{}", reply.head);
    assert_eq!(running.last_event()["refusal"], "not-for-model");
    assert_eq!(running.curl(None, &other, &[]).unwrap().status, 401);
    assert_eq!(running.curl(None, &other, &["--digest", "--user", "one:wrong"]).unwrap().status, 401);
}

#[test]
fn a_phone_that_tries_one_name_after_the_other_is_no_guesser() {
    let deployment = deployment();
    let device = "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"127.0.0.0/8\"]\n";
    deployment.write(&format!("profiles/devices/{NOBODY}.toml"), device);
    let config = std::fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    deployment.write("resyncd.toml", config.replace("= 1000\n", "= 2\n"));
    let running = deployment.start();
    let right = format!("one:{PASSWORD}");
    let proofs: [(&str, &[&str]); 2] = [(ONE, &["--digest", "--user", &right]), (NOBODY, &[])];
    for (mac, proof) in proofs {
        for _ in 0..5 {
            let Some(reply) = running.curl(None, &format!("/aastra/{mac}.cfg"), proof) else { return };
            assert_eq!(reply.status, 404, "{}", reply.head);
            assert!(!running.last_event()["flags"].to_string().contains("braked"));
        }
        assert_eq!(running.curl(None, &path(mac), proof).unwrap().status, 200);
    }
}

#[test]
fn a_certificate_of_another_phone_gets_nothing_by_a_password_either() {
    let deployment = deployment();
    deployment.certificates(&[(CERTIFICATE, Some(("CP-6841-3PCC", "88012BA00003")))]);
    let running = deployment.start();
    let right = format!("one:{PASSWORD}");
    let Some(reply) = running.curl(Some(CERTIFICATE), &path(ONE), &["--basic", "--user", &right]) else { return };
    assert_eq!(reply.status, 401);
    assert_eq!(running.last_event()["refusal"], "wrong-certificate");
}

#[test]
fn emulated_phones_answer_as_their_guides_tell() {
    let running = deployment().start();
    let http = format!("http://localhost:{}", running.port("http"));
    let https = format!("https://localhost:{}", running.port("https"));
    running.deployment.write("password", format!("{PASSWORD}\n"));
    let ca = running.deployment.path("certs/dev/server-ca.pem");
    for (mac, model, user, server) in [
        (ONE, "CP-6841-3PCC", "one", format!("{http}/cisco/$MA.xml")),
        (ONE, "CP-6841-3PCC", "one", format!("{https}/cisco/$MA.xml")),
        (AASTRA, "6757i", "five", format!("{http}/aastra")),
        (GRANDSTREAM, "GXP2170", "six", format!("{http}/grandstream")),
        (GRANDSTREAM, "GXP2170", "six", format!("{https}/grandstream")),
    ] {
        let place = if model.starts_with("CP") { "--profile-rule" } else { "--server" };
        let resync = |credentials: &[&str]| {
            let mut command = crate::support::resyncd();
            command.args(["phone", "resync", "--model", model, "--mac", mac, place, &server, "--verbose", "--ca"]);
            run(command.arg(&ca).args(credentials).current_dir(running.deployment.path("")))
        };
        let output = resync(&["--user", user, "--password-file", "password"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{model} {server}: {told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!told.contains(PASSWORD), "{told}");
        let output = resync(&[]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{model}, without a password: {told}");
    }
}
