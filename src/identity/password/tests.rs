use std::path::Path;

use time::macros::datetime;

use super::*;
use crate::document::Document;
use crate::settings::{Effective, LayerKind, read_layer};

const NOW: OffsetDateTime = datetime!(2026-03-01 10:00 UTC);
const CONFIG: &str = r#"
[[listener]]
name = "tls"
address = "127.0.0.1:1"
passwords = true
[listener.tls]

[[listener]]
name = "plain"
address = "127.0.0.1:2"
passwords = true

[[listener]]
name = "clear"
address = "127.0.0.1:3"
passwords = true
basic_without_tls = true

[[listener]]
name = "silent"
address = "127.0.0.1:4"
"#;

fn passwords() -> Passwords {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resyncd.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let config = Config::load_with_environment(&file, std::iter::empty::<(String, String)>()).unwrap();
    Passwords::new(&config, Secret::new("key")).unwrap().0
}

fn credentials() -> Credentials {
    let text = "[credentials]\nuser = \"me\"\npassword = \"new one\"\nprevious = \"old one\"\n";
    let document = Document::from_text("database/devices/x", text.to_owned());
    let layer = read_layer(&document, LayerKind::Defaults, Path::new("")).unwrap().1;
    Credentials::of(&Effective::merge([&layer])).unwrap()
}

fn carried<'c>(listener: &'c str, authorization: Option<&'c Secret>) -> Carried<'c> {
    Carried { listener, method: "GET", target: "/a?b", authorization, time: NOW }
}

/// The answer to the first challenge of a kind, as a phone makes it.
fn answer(passwords: &Passwords, algorithm: Algorithm, password: &str, uri: &str, nc: &str) -> Secret {
    let nonce = passwords.nonces.issue(NOW);
    answer_nonce(&nonce, algorithm, password, uri, nc)
}

fn answer_nonce(nonce: &str, algorithm: Algorithm, password: &str, uri: &str, nc: &str) -> Secret {
    let signed = Signed { algorithm, realm: "resyncd", method: "GET", uri, nonce, nc, cnonce: "c" };
    let response = signed.response("me", &Secret::new(password));
    let (name, response) = (algorithm.name(), response.expose_text().unwrap());
    Secret::new(format!(
        "Digest username=\"me\", realm=\"resyncd\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={name}, \
         response=\"{response}\", qop=auth, nc={nc}, cnonce=\"c\""
    ))
}

fn verdict(passwords: &Passwords, listener: &str, header: &Secret) -> (Result<Which, Refusal>, bool) {
    let claim = passwords.claim(&carried(listener, Some(header))).unwrap();
    let verdict = match passwords.verify(&claim, Some(&credentials()), false) {
        Verdict::Holds(which) => Ok(which),
        Verdict::Fails(refusal, _) => Err(refusal),
        Verdict::Silent => panic!("something was shown"),
    };
    (verdict, passwords.challenges(&claim).iter().any(|challenge| challenge.contains("stale=true")))
}

#[test]
fn both_passwords_hold_by_both_algorithms() {
    let passwords = passwords();
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        for (password, expected) in
            [("new one", Ok(Which::Current)), ("old one", Ok(Which::Previous)), ("x", Err(Refusal::WrongPassword))]
        {
            let header = answer(&passwords, algorithm, password, "/a?b", "00000001");
            assert_eq!(verdict(&passwords, "plain", &header), (expected, false), "{algorithm:?} {password}");
        }
    }
}

#[test]
fn an_answer_is_for_one_request() {
    let passwords = passwords();
    let header = answer(&passwords, Algorithm::Sha256, "new one", "/a?b", "00000001");
    assert_eq!(verdict(&passwords, "tls", &header).0, Ok(Which::Current));
    // The same once more, whoever it is for.
    assert_eq!(verdict(&passwords, "tls", &header), (Err(Refusal::ReplayedNonce), true));
    let claim = passwords.claim(&carried("tls", Some(&header))).unwrap();
    assert!(matches!(passwords.verify(&claim, None, true), Verdict::Fails(Refusal::WrongPassword, _)));
    assert!(claim.stale, "as for those who are known");
    // Another path, another realm.
    let header = answer(&passwords, Algorithm::Sha256, "new one", "/a?c", "00000001");
    assert_eq!(verdict(&passwords, "tls", &header), (Err(Refusal::BadCredentials), false));
    let absolute = answer(&passwords, Algorithm::Md5, "new one", "http://prov.example:80/a?b", "00000001");
    assert_eq!(verdict(&passwords, "tls", &absolute).0, Ok(Which::Current));
}

#[test]
fn a_phone_that_repeats_its_count_is_let_by_name_only() {
    let passwords = passwords();
    let header = answer(&passwords, Algorithm::Md5, "new one", "/a?b", "00000001");
    let repeated = |repeats| {
        let claim = passwords.claim(&carried("tls", Some(&header))).unwrap();
        passwords.verify(&claim, Some(&credentials()), repeats)
    };
    assert_eq!(repeated(true), Verdict::Holds(Which::Current));
    assert_eq!(repeated(true), Verdict::Holds(Which::Current));
    assert!(matches!(repeated(false), Verdict::Fails(Refusal::ReplayedNonce, _)));
}

#[test]
fn a_request_that_is_decided_on_twice_uses_its_nonce_once() {
    let passwords = passwords();
    let header = answer(&passwords, Algorithm::Md5, "new one", "/a?b", "00000001");
    let claim = passwords.claim(&carried("tls", Some(&header))).unwrap();
    for _ in 0..2 {
        assert_eq!(passwords.verify(&claim, Some(&credentials()), false), Verdict::Holds(Which::Current));
    }
}

#[test]
fn stale_is_told_by_the_nonce_alone() {
    let passwords = passwords();
    for (nonce, password) in [("never ours", "new one"), ("never ours", "x")] {
        let header = answer_nonce(nonce, Algorithm::Sha256, password, "/a?b", "00000001");
        let (verdict, stale) = verdict(&passwords, "tls", &header);
        assert!(stale);
        assert_eq!(verdict, Err(if password == "x" { Refusal::WrongPassword } else { Refusal::StaleNonce }));
    }
}

#[test]
fn basic_is_for_tls_unless_it_is_named() {
    let passwords = passwords();
    // me:new one
    let header = Secret::new("Basic bWU6bmV3IG9uZQ==");
    assert_eq!(verdict(&passwords, "tls", &header).0, Ok(Which::Current));
    assert_eq!(verdict(&passwords, "clear", &header).0, Ok(Which::Current));
    assert_eq!(verdict(&passwords, "plain", &header).0, Err(Refusal::ClearPassword));
    assert!(passwords.claim(&carried("silent", Some(&header))).is_none());
    // me:old one, you:new one
    assert_eq!(verdict(&passwords, "tls", &Secret::new("Basic bWU6b2xkIG9uZQ==")).0, Ok(Which::Previous));
    assert_eq!(verdict(&passwords, "tls", &Secret::new("Basic eW91Om5ldyBvbmU=")).0, Err(Refusal::WrongPassword));
}

#[test]
fn challenges_are_the_same_but_for_the_nonce() {
    let passwords = passwords();
    let told = |listener: &str, header: Option<&Secret>| -> Vec<String> {
        let claim = passwords.claim(&carried(listener, header)).unwrap();
        let challenges = passwords.challenges(&claim);
        challenges.iter().map(|one| one.split("nonce=\"").next().unwrap().to_owned()).collect()
    };
    let digests = [
        "Digest realm=\"resyncd\", qop=\"auth\", algorithm=SHA-256, ",
        "Digest realm=\"resyncd\", qop=\"auth\", algorithm=MD5, ",
    ];
    assert_eq!(told("plain", None), digests);
    assert_eq!(told("plain", Some(&Secret::new("nonsense"))), digests);
    assert_eq!(told("tls", None)[2], "Basic realm=\"resyncd\"");
}

#[test]
fn what_is_nobodys_proves_nothing() {
    let passwords = passwords();
    let nobody = passwords.nobody.expose_text().unwrap().to_owned();
    let header = Secret::new(format!(
        "Basic {}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!(":{nobody}"))
    ));
    let claim = passwords.claim(&carried("tls", Some(&header))).unwrap();
    assert!(matches!(passwords.verify(&claim, None, false), Verdict::Fails(Refusal::WrongPassword, _)));
    // Neither where one of the two is missing.
    let text = "[credentials]\nuser = \"\"\npassword = { file = \"/nonexistent/password\" }\n";
    let document = Document::from_text("x", text.to_owned());
    let layer = read_layer(&document, LayerKind::Defaults, Path::new("")).map(|(_, layer)| layer);
    if let Ok(layer) = layer {
        let credentials = Credentials::of(&Effective::merge([&layer])).unwrap();
        let verdict = passwords.verify(&claim, Some(&credentials), false);
        assert!(matches!(&verdict, Verdict::Fails(Refusal::WrongPassword, why) if why.contains("can't be had")));
    }
}

#[test]
fn new_passwords_are_long_and_never_the_same() {
    let made: std::collections::HashSet<String> =
        (0..100).map(|_| new_password().unwrap().expose_text().unwrap().to_owned()).collect();
    assert_eq!(made.len(), 100);
    assert!(
        made.iter().all(|password| password.len() == 26 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    );
}
