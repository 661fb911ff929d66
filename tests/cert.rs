//! `resyncd cert`, and the certificates of a first start.

use std::fs;
use std::path::Path;
use std::process::Output;

use resyncd::tls::certificates::{CertificateError, PhoneCertificate, SubjectForm, ensure_development_certificates};

use crate::support::certificates::{Leaf, Purpose, authority};
use crate::support::{program, resyncd};

fn cert(folder: &Path, arguments: &[&str]) -> Output {
    resyncd().current_dir(folder).arg("cert").args(arguments).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = cert(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `openssl`, which has to be content, and gives what it says. None where it isn't installed.
#[track_caller]
fn openssl(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = program("openssl")?.current_dir(folder).args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    Some(said)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[track_caller]
fn assert_keys_are_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for name in names(folder).iter().filter(|name| name.ends_with(".key")) {
        let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn init_and_phone_make_what_openssl_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let printed =
        succeeds(folder.path(), &["init", "--dir", "dev", "--name", "prov.example.com", "--name", "192.0.2.7"]);
    succeeds(
        folder.path(),
        &["phone", "00:0E:08:AB:CD:EF", "--model", "CP-6841-3PCC", "--serial", "88012BA01234", "--dir", "dev"],
    );
    succeeds(folder.path(), &["phone", "001565aabbcc", "--vendor-form", "common-name", "--dir", "dev"]);
    let dev = folder.path().join("dev");
    assert!(!printed.contains("PRIVATE"), "{printed}");
    assert_eq!(
        names(&dev),
        [
            "phone-000e08abcdef.key",
            "phone-000e08abcdef.pem",
            "phone-001565aabbcc.key",
            "phone-001565aabbcc.pem",
            "phone-ca.key",
            "phone-ca.pem",
            "server-ca.key",
            "server-ca.pem",
            "server.key",
            "server.pem",
        ]
    );
    #[cfg(unix)]
    assert_keys_are_private(&dev);

    let verify = |ca: &str, purpose: &str, file: &str| {
        openssl(&dev, &["verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose, file])
    };
    if verify("server-ca.pem", "sslserver", "server.pem").is_none() {
        return;
    }
    verify("phone-ca.pem", "sslclient", "phone-000e08abcdef.pem");
    verify("phone-ca.pem", "sslclient", "phone-001565aabbcc.pem");
    let text = openssl(&dev, &["x509", "-in", "server.pem", "-noout", "-text"]).unwrap();
    for part in [
        "CN = prov.example.com",
        "DNS:prov.example.com",
        "IP Address:192.0.2.7",
        "DNS:localhost",
        "2048 bit",
        "sha256With",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let subject =
        |file: &str| openssl(&dev, &["x509", "-in", file, "-noout", "-subject", "-nameopt", "sep_comma_plus"]).unwrap();
    assert!(subject("phone-000e08abcdef.pem").contains("OU=CP-6841-3PCC,L=88012BA01234,ST=000e08abcdef"));
    assert!(subject("phone-001565aabbcc.pem").contains("CN=001565AABBCC"));
}

#[test]
fn nothing_is_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(folder.path(), &["init", "--dir", "."]);
    let key = || fs::read_to_string(folder.path().join("server.key")).unwrap();
    let before = key();

    let refused = cert(folder.path(), &["init", "--dir", "."]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("server.key"));
    assert_eq!(key(), before);

    succeeds(folder.path(), &["init", "--dir", ".", "--force"]);
    assert_ne!(key(), before);

    let phone = ["phone", "000e08abcdef", "--vendor-form", "common-name", "--dir", "."];
    succeeds(folder.path(), &phone);
    assert_eq!(cert(folder.path(), &phone).status.code(), Some(1));

    let csr = ["csr", "--name", "prov.example.com", "--output-dir", "."];
    succeeds(folder.path(), &csr);
    assert_eq!(cert(folder.path(), &csr).status.code(), Some(1));
    #[cfg(unix)]
    assert_keys_are_private(folder.path());
}

#[test]
fn a_phone_needs_a_ca_to_sign_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = cert(folder.path(), &["phone", "000e08abcdef", "--vendor-form", "common-name"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("phone-ca.pem"));
    let output = cert(folder.path(), &["phone", "000e08abcdef"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--serial"));
}

#[test]
fn a_request_is_what_openssl_accepts() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(
        folder.path(),
        &[
            "csr",
            "--name",
            "Prov.Example.com",
            "--organization",
            "Acme & Sons",
            "--country",
            "US",
            "--email",
            "voip@example.com",
            "--output-dir",
            "out",
        ],
    );
    let out = folder.path().join("out");
    assert_eq!(names(&out), ["prov.example.com.csr", "prov.example.com.key"]);
    #[cfg(unix)]
    assert_keys_are_private(&out);
    let said = openssl(&out, &["req", "-in", "prov.example.com.csr", "-verify", "-noout", "-text"]);
    for part in ["C = US", "O = Acme & Sons", "CN = prov.example.com", "voip@example.com", "2048 bit", "sha256With"] {
        assert!(said.as_ref().is_none_or(|said| said.contains(part)), "{part} is missing in {said:?}");
    }
    for name in ["localhost", "192.0.2.1", "*.example.com"] {
        assert_eq!(cert(folder.path(), &["csr", "--name", name]).status.code(), Some(2), "{name}");
    }
}

fn show(folder: &Path, file: &str) -> (Option<i32>, serde_json::Value) {
    let output = cert(folder, &["show", file, "--format", "json"]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn findings(shown: &serde_json::Value) -> Vec<(&str, &str)> {
    let findings = shown["findings"].as_array().unwrap().iter();
    findings.map(|finding| (finding["severity"].as_str().unwrap(), finding["message"].as_str().unwrap())).collect()
}

#[test]
fn show_tells_what_is_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(folder.path(), &["init", "--dir", ".", "--name", "prov.example.com"]);
    let (code, shown) = show(folder.path(), "server.pem");
    assert_eq!((code, findings(&shown)), (Some(0), vec![]));
    let server = &shown["certificates"][0];
    assert_eq!(server["subject"], "O=resyncd development, CN=prov.example.com");
    assert_eq!((&server["key"], &server["key_bits"]), (&"rsa".into(), &2048.into()));
    assert_eq!((&server["signature"], &server["days_left"]), (&"SHA256".into(), &822.into()));
    assert_eq!(server["purposes"], serde_json::json!(["serverAuth"]));
    assert_eq!(server["names"][0], "prov.example.com");
    assert_eq!(shown["certificates"][1]["authority"], true);

    let human = succeeds(folder.path(), &["show", "server.pem"]);
    assert!(human.contains("CN=prov.example.com") && !human.contains("PRIVATE"), "{human}");
    assert_eq!(cert(folder.path(), &["show", "server.key"]).status.code(), Some(2));
    assert_eq!(cert(folder.path(), &["show", "nothing.pem"]).status.code(), Some(2));
}

#[test]
fn show_finds_what_makes_a_certificate_useless() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority("ca");
    ca.write(folder.path(), "ca");
    let server = Leaf { purpose: Purpose::Server, days: (-3, 300), ..Leaf::of(&[("CN", "prov.example.com")]) };
    let write = |name: &str, leaf: &Leaf<'_>| ca.sign(leaf).write(folder.path(), name);

    write("expired", &Leaf { days: (-10, -5), ..server.clone() });
    let (code, shown) = show(folder.path(), "expired.pem");
    assert_eq!(code, Some(1));
    assert!(findings(&shown).iter().any(|(severity, message)| *severity == "error" && message.contains("expired")));
    assert_eq!(shown["usable"], false);

    write("weak", &Leaf { hash: openssl::hash::MessageDigest::sha1(), subject: &[("CN", "prov")], ..server.clone() });
    let (code, shown) = show(folder.path(), "weak.pem");
    assert_eq!(code, Some(0));
    let messages: String = findings(&shown).iter().map(|(_, message)| *message).collect();
    assert!(["SHA1", "CN prov", "comes alone", "elliptic"].iter().all(|part| messages.contains(part)), "{messages}");

    let other = authority("other");
    let chain = [ca.sign(&server).certificate.to_pem().unwrap(), other.certificate.to_pem().unwrap()].concat();
    fs::write(folder.path().join("order.pem"), chain).unwrap();
    let (code, shown) = show(folder.path(), "order.pem");
    assert_eq!(code, Some(1));
    assert!(findings(&shown).iter().any(|(_, message)| message.contains("order")), "{shown}");
}

fn phone(mac: &str) -> PhoneCertificate {
    let form = SubjectForm::Cisco { model: "CP-8841-3PCC".to_owned(), serial: "FCH1234ABCD".parse().unwrap() };
    PhoneCertificate { mac: mac.parse().unwrap(), form }
}

#[test]
fn a_first_start_makes_what_is_missing_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let dev = folder.path().join("certs/dev");
    let first = phone("000e08000001");
    let made = ensure_development_certificates(&dev, std::slice::from_ref(&first), &[]).unwrap();
    assert_eq!(made.files.len(), 8);
    let server_key = fs::read(dev.join("server.key")).unwrap();

    let again = ensure_development_certificates(&dev, std::slice::from_ref(&first), &[]).unwrap();
    assert_eq!(again.files.len(), 0);
    let more = ensure_development_certificates(&dev, &[first.clone(), phone("000e08000002")], &[]).unwrap();
    assert_eq!(more.files.len(), 2);
    assert_eq!(fs::read(dev.join("server.key")).unwrap(), server_key);

    // The CA's key may be put away until another phone needs it.
    fs::remove_file(dev.join("phone-ca.key")).unwrap();
    assert_eq!(ensure_development_certificates(&dev, &[first], &[]).unwrap().files.len(), 0);
    let before = names(&dev);
    let error = ensure_development_certificates(&dev, &[phone("000e08000003")], &[]).unwrap_err();
    assert!(matches!(&error, CertificateError::NoAuthority(path) if path.ends_with("phone-ca.key")), "{error}");
    assert_eq!(names(&dev), before);

    fs::remove_file(dev.join("server.key")).unwrap();
    let error = ensure_development_certificates(&dev, &[], &[]).unwrap_err();
    assert!(matches!(error, CertificateError::HalfAPair { .. }), "{error}");
}
