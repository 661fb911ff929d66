//! Roots with names: the verdict says which of them vouches, on every kind of connection.

use super::*;
use resyncd::config::ClientRoot;

/// A listener that trusts two makers, and the site's own CA.
fn two_makers() -> (Site, Pair, Pair) {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let (one, other) = (authority("one maker"), authority("other maker"));
    let root = |name: &str, pair: &Pair| ClientRoot {
        name: name.to_owned(),
        files: vec![pair.write_certificate(site.path(), name)],
    };
    let roots = vec![root("one", &one), root("other", &other)];
    site.tls.client_roots = roots;
    (site, one, other)
}

#[test]
fn the_verdict_names_the_root_also_after_resumption() {
    let (site, one, other) = two_makers();
    let server = site.server();
    for (ca, by) in [(&one, " by one"), (&other, " by other"), (&site.phone_ca, "")] {
        for client in resuming(&site) {
            let client = client.showing(&phone_of(ca, |_| {}));
            let first = client.ask(&server);
            assert!(first.said.ends_with(&format!("{VERIFIED}{by}")), "{}", first.said);
            let second = client.ask_again(&server, &first);
            assert!(second.resumed);
            assert_eq!(second.said, first.said);
        }
    }
}

#[test]
fn an_issuing_ca_that_only_phones_show_is_remembered_for_resumption() {
    let (site, one, _) = two_makers();
    let server = site.server();
    let issuing = one.sign(&Leaf { purpose: Purpose::Authority, ..Leaf::of(&[("CN", "issuing ca")]) });
    let phone = phone_of(&issuing, |_| {});
    for mut client in resuming(&site) {
        client.issuers = vec![issuing.clone()];
        let client = client.showing(&phone);
        let first = client.ask(&server);
        assert!(first.said.ends_with(&format!("{VERIFIED} by one")), "{}", first.said);
        let second = client.ask_again(&server, &first);
        assert!(second.resumed);
        assert_eq!(second.said, first.said);
    }
}

#[test]
fn a_root_can_get_another_name_without_a_restart_of_sessions() {
    let (mut site, one, _) = two_makers();
    site.tls.client_roots[0].name = "renamed".to_owned();
    let server = site.server();
    let said = site.client(SslVersion::TLS1_3).showing(&phone_of(&one, |_| {})).ask(&server).said;
    assert!(said.ends_with(" by renamed"), "{said}");
}

#[test]
fn one_root_has_one_name() {
    let (mut site, one, _) = two_makers();
    let again = one.write_certificate(site.path(), "again");
    site.tls.client_roots[0].files.push(again.clone());
    assert_eq!(files::problems(&site.tls), []);
    site.tls.client_roots[1].files.push(again.clone());
    site.tls.client_ca.push(again.clone());
    let found = files::problems(&site.tls);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|(_, message)| message.contains("by another name")), "{found:?}");
}
