//! What listeners read, and what is said when it is wrong.

use super::*;

#[test]
fn a_bad_reload_changes_nothing() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    let server = site.server();
    let client = site.client(SslVersion::TLS1_3);
    let (mut open, _) = client.connect(&server, None).unwrap();
    get_and_stay(&mut open);

    let other = site.server_ca.sign(&server_leaf(&[("CN", "other")]));
    std::fs::write(&site.tls.certificate.certificate, other.certificate.to_pem().unwrap()).unwrap();
    let problems = server.reload().unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(&*problems.iter().next().unwrap().file, site.tls.certificate.key.as_path());
    assert_eq!(client.ask(&server).server, "default");

    other.write(site.path(), "server");
    server.reload().unwrap();
    assert_eq!(client.ask(&server).server, "other");
    // What was open before goes on.
    get_and_stay(&mut open);
}

pub(super) fn problems(tls: &Tls) -> Vec<(PathBuf, String)> {
    match Acceptor::new(Path::new("resyncd.toml"), tls, PATIENCE) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| (p.file.to_path_buf(), p.to_string())).collect(),
    }
}

#[test]
fn all_that_is_wrong_with_the_files_is_said_at_once() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let file = |name: &str| site.path().join(name);
    std::fs::write(file("empty.pem"), "nothing here\n").unwrap();
    let key = rsa_key();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    std::fs::write(file("locked.key"), key.private_key_to_pem_pkcs8_passphrase(cipher, b"x").unwrap()).unwrap();
    let certificate = site.tls.certificate.certificate.clone();
    let named = |certificate: PathBuf, key: PathBuf| NamedKeyPair {
        server_name: "a.example.com".to_owned(),
        pair: KeyPair { certificate, key },
    };
    let names = vec![
        named(file("missing.pem"), file("empty.pem")),
        named(certificate.clone(), file("locked.key")),
        named(certificate, site.phone(|_| {}).write(site.path(), "phone").key),
    ];
    let expected = ["missing.pem", "empty.pem", "locked.key", "phone.key", "empty.pem"].map(file);
    let empty = file("empty.pem");
    site.tls.names = names;
    site.tls.client_ca.push(empty);
    let found = problems(&site.tls);
    assert_eq!(found.iter().map(|(file, _)| file.clone()).collect::<Vec<_>>(), expected, "{found:?}");
    for ((_, message), part) in
        found.iter().zip(["can't be read", "no private key", "passphrase", "not the key of", "no certificate"])
    {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn settings_that_openssl_refuses_are_named_by_their_key() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    site.tls.client_ca.clear();
    let found = problems(&site.tls);
    assert!(found.len() == 1 && found[0].1.contains("resyncd.toml: listener.tls.client_ca"), "{found:?}");
    site.tls.client_certificate = ClientCertificatePolicy::None;
    assert_eq!(problems(&site.tls), []);
    site.tls.ciphers = Some("NOT-A-CIPHER".to_owned());
    let found = problems(&site.tls);
    assert!(found.len() == 1 && found[0].1.contains("listener.tls.ciphers"), "{found:?}");
}

#[test]
fn what_expired_is_a_warning() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    assert!(site.acceptor().warnings().iter().all(|warning| warning.message.contains("may read")));
    site.server_ca.sign(&Leaf { days: (-9, -1), ..server_leaf(&[("CN", "default")]) }).write(site.path(), "server");
    let warnings = site.acceptor().warnings();
    assert!(warnings.iter().any(|warning| warning.message.contains("CN=default expired")), "{warnings}");
}
