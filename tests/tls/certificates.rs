//! Certificates of phones and servers in a handshake.

use super::*;

#[test]
fn a_listener_that_does_not_ask_sees_no_certificate() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = site.server();
    for version in BOTH {
        let said = site.client(version).showing(&site.phone(|_| {})).ask(&server).said;
        assert!(said.ends_with(" none"), "{said}");
    }
}

#[test]
fn an_optional_certificate_is_reported_as_what_it_is_worth() {
    let site = Site::new(ClientCertificatePolicy::Optional);
    let server = site.server();
    let stranger = authority("another ca");
    // Of the same name as the right one: the chain is found, and its signature is wrong.
    let pretender = authority("phone ca");
    for version in BOTH {
        let client = site.client(version);
        let said = |certificate: &Pair| client.clone().showing(certificate).ask(&server).said;
        assert!(client.ask(&server).said.ends_with(" none"));
        assert!(said(&site.phone(|_| {})).ends_with(VERIFIED));
        assert!(said(&site.phone(|leaf| leaf.purpose = Purpose::Any)).ends_with(VERIFIED));
        for (certificate, reason) in [
            (phone_of(&stranger, |_| {}), "unable to get local issuer certificate"),
            (phone_of(&pretender, |_| {}), "certificate signature failure"),
            (site.phone(|leaf| leaf.days = (-9, -1)), "certificate has expired"),
            (site.phone(|leaf| leaf.days = (1, 9)), "certificate is not yet valid"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), "unsuitable certificate purpose"),
        ] {
            let said = said(&certificate);
            assert!(said.contains(&format!("{UNVERIFIED}{reason}")), "{reason}: {said}");
        }
    }
}

#[test]
fn a_required_certificate_has_to_be_there_and_to_verify() {
    let site = Site::new(ClientCertificatePolicy::Required);
    let server = site.server();
    let stranger = authority("another ca");
    for version in BOTH {
        let client = site.client(version);
        assert!(client.clone().showing(&site.phone(|_| {})).ask(&server).said.ends_with(VERIFIED));

        assert!(client.try_ask(&server, None).is_err());
        assert_eq!(server.handshake_failure(), HandshakeError::NoCertificate);
        for (certificate, why) in [
            (phone_of(&stranger, |_| {}), "unable to get local issuer certificate"),
            (site.phone(|leaf| leaf.days = (-9, -1)), "certificate has expired"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), "unsuitable certificate purpose"),
        ] {
            assert!(client.clone().showing(&certificate).try_ask(&server, None).is_err());
            match server.handshake_failure() {
                HandshakeError::Certificate { subject, reason } => {
                    assert_eq!((subject.only("ST"), reason.as_str()), (Some("000e08abcdef"), why));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn waivers_waive_what_they_name_and_nothing_else() {
    let mut site = Site::new(ClientCertificatePolicy::Required);
    site.tls.allow_expired = true;
    let expired = site.phone(|leaf| leaf.days = (-9, -1));
    let early = site.phone(|leaf| leaf.days = (1, 9));
    let wrong_purpose = site.phone(|leaf| leaf.purpose = Purpose::Server);
    let both = site.phone(|leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server));
    let says = |server: &Server, certificate: &Pair| {
        let client = site.client(SslVersion::TLS1_3).showing(certificate);
        client.try_ask(server, None).map_or_else(|_| server.handshake_failure().to_string(), |spoken| spoken.said)
    };

    let dates = site.server();
    assert!(says(&dates, &expired).ends_with(&format!("{VERIFIED} dates")));
    assert!(says(&dates, &early).ends_with(&format!("{VERIFIED} dates")));
    assert!(says(&dates, &wrong_purpose).contains("unsuitable certificate purpose"));
    assert!(says(&dates, &both).contains("unsuitable certificate purpose"));

    let mut tls = site.tls.clone();
    (tls.allow_expired, tls.allow_any_purpose) = (false, true);
    let purpose = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(says(&purpose, &wrong_purpose).ends_with(&format!("{VERIFIED} purpose")));
    assert!(says(&purpose, &expired).contains("certificate has expired"));
    assert!(says(&purpose, &both).contains("certificate has expired"));

    tls.allow_expired = true;
    let all = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(says(&all, &both).ends_with(&format!("{VERIFIED} dates purpose")));
}

#[test]
fn an_expired_chain_is_waived_too() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let old_ca = authority_of(Leaf { days: (-9, -1), ..Leaf::of(&[("CN", "old ca")]) });
    site.tls.client_ca = vec![old_ca.write_certificate(site.path(), "old-ca")];
    let phone = phone_of(&old_ca, |_| {});
    let said = |server: &Server| site.client(SslVersion::TLS1_3).showing(&phone).ask(server).said;
    assert!(said(&site.server()).contains("certificate has expired"));
    let mut tls = site.tls.clone();
    tls.allow_expired = true;
    let waiving = Server::start(Some(Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap()), limits());
    assert!(said(&waiving).ends_with(&format!("{VERIFIED} dates")));
}

#[test]
fn the_name_chooses_the_certificate() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    for (name, pattern) in [("exact", "a.example.com"), ("wild", "*.Example.com")] {
        let pair = site.server_ca.sign(&server_leaf(&[("CN", name)])).write(site.path(), name);
        site.tls.names.push(NamedKeyPair { server_name: pattern.to_owned(), pair });
    }
    let server = site.server();
    let phone = site.phone(|_| {});
    for version in BOTH {
        let client = site.client(version).showing(&phone);
        let shown = |name: &'static str| {
            let spoken = client.clone().naming(name).ask(&server);
            assert!(spoken.said.ends_with(VERIFIED), "{}", spoken.said);
            spoken.server
        };
        assert_eq!(shown("a.example.com"), "exact");
        assert_eq!(shown("A.EXAMPLE.COM"), "exact");
        assert_eq!(shown("b.example.com"), "wild");
        assert_eq!(shown("c.b.example.com"), "default");
        assert_eq!(shown("example.com"), "default");
        assert_eq!(client.ask(&server).server, "default");
    }
}

#[test]
fn a_phone_that_does_not_trust_the_server_is_heard() {
    let site = Site::new(ClientCertificatePolicy::None);
    let server = site.server();
    for version in BOTH {
        let mut client = site.client(version);
        client.ca = authority("something else");
        assert!(client.try_ask(&server, None).is_err());
        match server.handshake_failure() {
            HandshakeError::Alert(reason) => assert!(reason.contains("unknown ca"), "{reason}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn curl_is_served_with_what_cert_makes() {
    let Some(mut curl) = program("curl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let form = resyncd::tls::certificates::SubjectForm::Cisco {
        model: "CP-8841-3PCC".to_owned(),
        serial: "FCH1234ABCD".parse().unwrap(),
    };
    let phone = resyncd::tls::certificates::PhoneCertificate { mac: "000e08abcdef".parse().unwrap(), form };
    resyncd::tls::certificates::ensure_development_certificates(folder.path(), &[phone], &[]).unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut site = Site::new(ClientCertificatePolicy::Required);
    site.tls.certificate = KeyPair { certificate: file("server.pem"), key: file("server.key") };
    site.tls.client_ca = vec![file("phone-ca.pem")];
    let server = site.server();
    assert!(server.acceptor.as_ref().unwrap().warnings().is_empty());
    let output = curl
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"])
        .arg(file("server-ca.pem"))
        .arg("--cert")
        .arg(file("phone-000e08abcdef.pem"))
        .arg("--key")
        .arg(file("phone-000e08abcdef.key"))
        .arg(format!("https://localhost:{}/", server.address.port()))
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", server.address.port())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.ends_with("verified OU=CP-8841-3PCC, L=FCH1234ABCD, ST=000e08abcdef"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
