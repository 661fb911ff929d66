//! Revocation lists, on new connections and on those that resume a session.

use super::*;

struct Revoking {
    site: Site,
    list: PathBuf,
}

/// A listener with a list that names nobody yet.
fn revoking(policy: ClientCertificatePolicy) -> Revoking {
    let mut site = Site::new(policy);
    let list = site.path().join("phones.crl");
    site.tls.crl = vec![list.clone()];
    let revoking = Revoking { site, list };
    revoking.revoke(&[], 1);
    revoking
}

impl Revoking {
    fn revoke(&self, revoked: &[&Pair], days: i64) {
        std::fs::write(&self.list, self.site.phone_ca.revoke(revoked, days).to_pem().unwrap()).unwrap();
    }
}

const REVOKED: &str = "certificate revoked on ";

#[test]
fn a_certificate_that_is_revoked_is_worth_nothing_from_the_next_connection_on() {
    let revoking = revoking(ClientCertificatePolicy::Optional);
    let (stolen, other) = (revoking.site.phone(|_| {}), revoking.site.phone(|_| {}));
    let server = revoking.site.server();
    let clients = resuming(&revoking.site).map(|client| client.showing(&stolen));
    let first = clients.clone().map(|client| client.ask(&server));
    assert!(first.iter().all(|spoken| spoken.said.ends_with(VERIFIED)));

    revoking.revoke(&[&stolen], 1);
    server.reload().unwrap();
    for (client, first) in clients.iter().zip(&first) {
        let second = client.ask_again(&server, first);
        assert!(second.resumed);
        assert!(second.said.contains(&format!("{UNVERIFIED}{REVOKED}")), "{}", second.said);
        let fresh = client.ask(&server).said;
        assert!(fresh.contains(REVOKED), "{fresh}");
        assert!(client.clone().showing(&other).ask(&server).said.ends_with(VERIFIED));
    }

    // It was a mistake, and the session is as good as it was.
    revoking.revoke(&[], 1);
    server.reload().unwrap();
    for (client, first) in clients.iter().zip(&first) {
        assert!(client.ask_again(&server, first).said.ends_with(VERIFIED));
    }
}

#[test]
fn where_a_certificate_is_required_one_that_is_revoked_gets_no_connection() {
    let revoking = revoking(ClientCertificatePolicy::Required);
    let stolen = revoking.site.phone(|_| {});
    let server = revoking.site.server();
    for client in resuming(&revoking.site) {
        revoking.revoke(&[], 1);
        server.reload().unwrap();
        let client = client.showing(&stolen);
        let first = client.ask(&server);
        revoking.revoke(&[&stolen], 1);
        server.reload().unwrap();
        for session in [None, Some(&first.session)] {
            // The handshake may be over by then; nothing comes after it.
            let said = client.try_ask(&server, session).map(|spoken| spoken.said).unwrap_or_default();
            assert_eq!(said, "");
            match server.handshake_failure() {
                HandshakeError::Certificate { reason, .. } => assert!(reason.starts_with(REVOKED), "{reason}"),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_list_that_has_expired_still_names_who_is_revoked_and_may_be_made_to_refuse_the_rest() {
    let mut revoking = revoking(ClientCertificatePolicy::Optional);
    let (stolen, other) = (revoking.site.phone(|_| {}), revoking.site.phone(|_| {}));
    revoking.revoke(&[&stolen], -1);
    let client = revoking.site.client(SslVersion::TLS1_3);
    let server = revoking.site.server();
    let warnings = server.acceptor.as_ref().unwrap().warnings();
    let warned = warnings.iter().filter(|warning| warning.message.contains("the revocation list expired on")).count();
    assert_eq!(warned, 1, "{warnings}");
    assert!(client.clone().showing(&stolen).ask(&server).said.contains(REVOKED));
    assert!(client.clone().showing(&other).ask(&server).said.ends_with(VERIFIED));

    revoking.site.tls.allow_expired_crl = false;
    let server = revoking.site.server();
    assert!(client.clone().showing(&stolen).ask(&server).said.contains(REVOKED));
    let said = client.clone().showing(&other).ask(&server).said;
    assert!(said.contains("the revocation list of its issuer expired on"), "{said}");
    let own = site_without_list(&revoking.site);
    assert!(client.showing(&phone_of(&own.0, |_| {})).ask(&own.1).said.ends_with(VERIFIED));
}

/// Another CA on the same listener, which has no list: its phones are taken.
fn site_without_list(site: &Site) -> (Pair, Server) {
    let ca = authority("without a list");
    let mut tls = site.tls.clone();
    tls.client_ca.push(ca.write_certificate(site.path(), "without"));
    let acceptor = Acceptor::new(Path::new("c"), &tls, PATIENCE).unwrap();
    (ca, Server::start(Some(acceptor), limits()))
}

#[test]
fn an_issuing_ca_can_be_revoked_and_have_a_list_of_its_own() {
    let mut revoking = revoking(ClientCertificatePolicy::Optional);
    let issuing =
        revoking.site.phone_ca.sign(&Leaf { purpose: Purpose::Authority, ..Leaf::of(&[("CN", "issuing ca")]) });
    let (stolen, other) = (phone_of(&issuing, |_| {}), phone_of(&issuing, |_| {}));
    // Several lists in one file, and one as DER.
    let own = revoking.site.path().join("issuing.crl");
    std::fs::write(&own, issuing.revoke(&[&stolen], 1).to_der().unwrap()).unwrap();
    revoking.site.tls.crl.push(own);
    let server = revoking.site.server();
    for mut client in resuming(&revoking.site) {
        client.issuers = vec![issuing.clone()];
        assert!(client.clone().showing(&stolen).ask(&server).said.contains(REVOKED));
        let first = client.clone().showing(&other).ask(&server);
        assert!(first.said.ends_with(VERIFIED), "{}", first.said);
        let mut both = revoking.site.phone_ca.revoke(&[&issuing], 1).to_pem().unwrap();
        both.extend(authority("somebody").revoke(&[], 1).to_pem().unwrap());
        std::fs::write(&revoking.list, both).unwrap();
        server.reload().unwrap();
        let second = client.showing(&other).ask_again(&server, &first);
        assert!(second.resumed);
        assert!(second.said.contains("a CA of its chain: certificate revoked on"), "{}", second.said);
        revoking.revoke(&[], 1);
        server.reload().unwrap();
    }
}

#[test]
fn a_list_is_its_issuers_or_nobodys() {
    let revoking = revoking(ClientCertificatePolicy::Optional);
    let phone = revoking.site.phone(|_| {});
    let server = revoking.site.server();
    let client = revoking.site.client(SslVersion::TLS1_3).showing(&phone);

    // Signed by somebody who has but the name.
    std::fs::write(&revoking.list, authority("phone ca").revoke(&[&phone], 1).to_pem().unwrap()).unwrap();
    let problems = server.reload().unwrap_err().to_string();
    assert!(problems.contains("phones.crl") && problems.contains("not signed by the root"), "{problems}");
    assert!(client.ask(&server).said.ends_with(VERIFIED));

    // Somebody else's serial numbers mean nothing here.
    std::fs::write(&revoking.list, authority("somebody").revoke(&[&phone], 1).to_pem().unwrap()).unwrap();
    server.reload().unwrap();
    let warnings = server.acceptor.as_ref().unwrap().warnings().to_string();
    assert!(warnings.contains("the list's issuer is none of the roots: CN=somebody"), "{warnings}");
    assert!(client.ask(&server).said.ends_with(VERIFIED));
}

#[test]
fn what_is_no_list_is_told_and_changes_nothing() {
    let revoking = revoking(ClientCertificatePolicy::Optional);
    let stolen = revoking.site.phone(|_| {});
    revoking.revoke(&[&stolen], 1);
    let server = revoking.site.server();
    let pem = revoking.site.phone_ca.revoke(&[], 1).to_pem().unwrap();
    for broken in
        [&b""[..], b"not a list", b"-----BEGIN CERTIFICATE-----\n", &pem[..pem.len() / 2], b"\x30\x82\xff\xff"]
    {
        std::fs::write(&revoking.list, broken).unwrap();
        let problems = server.reload().unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!((&*problem.file, problems.len()), (revoking.list.as_path(), 1));
        assert!(problem.message.contains("holds no revocation list"), "{problem}");
    }
    std::fs::remove_file(&revoking.list).unwrap();
    assert!(server.reload().unwrap_err().to_string().contains("can't be read"));
    let said = revoking.site.client(SslVersion::TLS1_3).showing(&stolen).ask(&server).said;
    assert!(said.contains(REVOKED), "{said}");
}

#[test]
fn the_ends_of_certificates_and_lists_are_known() {
    let revoking = revoking(ClientCertificatePolicy::Optional);
    let ends = revoking.site.acceptor().ends();
    let names: Vec<_> = ends.iter().map(|end| (end.is_certificate, end.name.as_str())).collect();
    assert_eq!(names, [(true, "CN=default"), (false, "CN=phone ca")]);
    let left = ends[1].at - time::OffsetDateTime::now_utc();
    assert!(left > time::Duration::hours(23) && left <= time::Duration::hours(24), "{left}");

    let acceptor = Arc::new(revoking.site.acceptor());
    let now = time::OffsetDateTime::now_utc();
    let mut expiry =
        resyncd::server::Expiry::new(vec![("https".into(), acceptor)], Duration::from_secs(2 * 3_600), now);
    let at = |hours: i64| now + time::Duration::hours(hours);
    assert_eq!(expiry.tell(at(0)), Vec::<String>::new());
    let soon = expiry.tell(at(23));
    assert!(soon.len() == 2 && soon[0].contains("CN=default expires on"), "{soon:?}");
    assert_eq!(expiry.tell(at(23)), Vec::<String>::new());
    let over = expiry.tell(at(25));
    assert!(over.len() == 2 && over[1].contains("the revocation list of CN=phone ca expired on"), "{over:?}");
    assert_eq!(expiry.tell(at(26)), Vec::<String>::new());
    assert_eq!(expiry.tell(at(50)).len(), 2);
}
