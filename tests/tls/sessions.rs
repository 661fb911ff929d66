//! Sessions that are resumed: what they are worth then.

use super::*;

#[test]
fn a_resumed_session_is_worth_what_the_first_one_was() {
    for policy in [ClientCertificatePolicy::Optional, ClientCertificatePolicy::Required] {
        let mut site = Site::new(policy);
        (site.tls.allow_expired, site.tls.allow_any_purpose) = (true, true);
        let server = site.server();
        for (certificate, worth) in [
            (site.phone(|_| {}), ""),
            (site.phone(|leaf| leaf.days = (-9, -1)), " dates"),
            (site.phone(|leaf| leaf.purpose = Purpose::Server), " purpose"),
            (site.phone(|leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server)), " dates purpose"),
        ] {
            for client in resuming(&site) {
                let client = client.showing(&certificate);
                let first = client.ask(&server);
                assert!(first.said.ends_with(&format!("{VERIFIED}{worth}")), "{}", first.said);
                let second = client.ask_again(&server, &first);
                assert!(second.resumed, "{worth}");
                assert_eq!(second.said, first.said);
                let third = client.ask_again(&server, &second);
                assert!(third.resumed, "{worth}");
                assert_eq!(third.said, first.said);
            }
        }
    }
}

#[test]
fn a_waived_error_hides_no_other_even_after_resumption() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    (site.tls.allow_expired, site.tls.allow_any_purpose) = (true, true);
    let server = site.server();
    let stranger = authority("another ca");
    let both = phone_of(&stranger, |leaf| (leaf.days, leaf.purpose) = ((-9, -1), Purpose::Server));
    for client in resuming(&site) {
        let client = client.showing(&both);
        let first = client.ask(&server);
        assert!(first.said.contains(UNVERIFIED), "{}", first.said);
        let second = client.ask_again(&server, &first);
        assert!(second.resumed);
        assert!(second.said.contains(UNVERIFIED), "{}", second.said);
    }
}

#[test]
fn sessions_outlive_a_new_certificate_but_not_other_roots() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let named = site.server_ca.sign(&server_leaf(&[("CN", "named")])).write(site.path(), "named");
    site.tls.names = vec![NamedKeyPair { server_name: "named.example.com".to_owned(), pair: named }];
    let server = site.server();
    let phone = site.phone(|_| {});
    let clients = resuming(&site).map(|client| client.showing(&phone).naming("named.example.com"));
    let first = clients.clone().map(|client| client.ask(&server));

    site.server_ca.sign(&server_leaf(&[("CN", "renewed")])).write(site.path(), "named");
    server.reload().unwrap();
    let second: Vec<Spoken> =
        clients.iter().zip(&first).map(|(client, first)| client.ask_again(&server, first)).collect();
    for (first, second) in first.iter().zip(&second) {
        assert!(second.resumed);
        assert_eq!(second.said, first.said);
    }
    assert!(clients.iter().all(|client| client.ask(&server).server == "renewed"));

    authority("other ca").write_certificate(site.path(), "phone-ca");
    server.reload().unwrap();
    for (client, session) in clients.iter().zip(&second) {
        let third = client.ask_again(&server, session);
        assert!(!third.resumed);
        assert!(third.said.contains(UNVERIFIED), "{}", third.said);
    }
}
