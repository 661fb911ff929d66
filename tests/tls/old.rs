//! Listeners for old phones.

use std::process::Stdio;

use openssl::pkey::PKey;
use openssl::provider::Provider;
use openssl::rsa::Rsa;
use resyncd::config::LegacyCipher;

use super::*;

#[test]
fn old_protocols_need_a_listener_for_them() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let key = Some(rsa_key());
    site.tls.certificate =
        site.server_ca.sign(&Leaf { key, ..server_leaf(&[("CN", "old")]) }).write(site.path(), "rsa");
    let server = site.server();
    for (version, name) in [(SslVersion::TLS1, "TLSv1"), (SslVersion::TLS1_1, "TLSv1.1")] {
        assert!(site.client(version).try_ask(&server, None).is_err());
        assert_eq!(
            server.handshake_failure(),
            HandshakeError::Version { offered: name, min: "TLSv1.2", max: "TLSv1.3" }
        );
    }

    (site.tls.legacy, site.tls.min_version) = (true, TlsVersion::Tls1_0);
    let legacy = site.server();
    let phone = site.phone(|leaf| leaf.key = Some(rsa_key()));
    for (version, name) in
        [(SslVersion::TLS1, "TLSv1"), (SslVersion::TLS1_1, "TLSv1.1"), (SslVersion::TLS1_3, "TLSv1.3")]
    {
        let client = site.client(version).showing(&phone);
        let first = client.ask(&legacy);
        assert_eq!(first.said, format!("{name} {VERIFIED}"));
        assert!(client.ask_again(&legacy, &first).resumed);
    }
}

#[test]
fn old_signatures_need_a_listener_for_them() {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    let phone = site.phone(|leaf| leaf.hash = MessageDigest::sha1());
    let client = site.client(SslVersion::TLS1_2).showing(&phone);
    let said = client.ask(&site.server()).said;
    assert!(said.contains(&format!("{UNVERIFIED}CA signature digest algorithm too weak")), "{said}");
    site.tls.legacy = true;
    assert!(client.ask(&site.server()).said.ends_with(VERIFIED));
}

#[test]
fn no_cipher_in_common_is_said() {
    let mut site = Site::new(ClientCertificatePolicy::None);
    site.tls.max_version = TlsVersion::Tls1_2;
    // The certificate's key is of an elliptic curve, so an RSA suite alone can't be used.
    site.tls.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned());
    let server = site.server();
    assert!(site.client(SslVersion::TLS1_2).try_ask(&server, None).is_err());
    assert_eq!(server.handshake_failure(), HandshakeError::NoSharedCipher);
}

/// A listener for old phones, with an RSA key: they can't do elliptic curves.
fn legacy(ciphers: &[LegacyCipher]) -> Site {
    let mut site = Site::new(ClientCertificatePolicy::Optional);
    (site.tls.legacy, site.tls.min_version) = (true, TlsVersion::Tls1_0);
    site.tls.legacy_ciphers = ciphers.to_vec();
    let key = Some(rsa_key());
    site.tls.certificate =
        site.server_ca.sign(&Leaf { key, ..server_leaf(&[("CN", "old")]) }).write(site.path(), "rsa");
    site
}

/// Whether this OpenSSL has 3DES and RC4. The one that is built in does; the system's may not, and then says so.
fn has_broken_ciphers() -> bool {
    let site = legacy(&[LegacyCipher::TripleDes, LegacyCipher::Rc4]);
    let found = files::problems(&site.tls);
    if cfg!(feature = "vendored") {
        assert_eq!(found, []);
    }
    for (_, message) in &found {
        assert!(message.contains("listener.tls.legacy_ciphers: 3des can't be had: OpenSSL"), "{message}");
        eprintln!("SKIPPED: {message}");
    }
    found.is_empty()
}

/// What a phone agrees on that knows these ciphers only.
fn agreed(client: &Client, server: &Server, ciphers: &'static str) -> Result<String, String> {
    let client = Client { ciphers, ..client.clone() };
    let (mut stream, _) = client.connect(server, None)?;
    let cipher = stream.ssl().current_cipher().unwrap().name().to_owned();
    get(&mut stream).map(|said| format!("{cipher} {said}")).map_err(|error| error.to_string())
}

const OLD: [(SslVersion, &str); 3] =
    [(SslVersion::TLS1, "TLSv1"), (SslVersion::TLS1_1, "TLSv1.1"), (SslVersion::TLS1_2, "TLSv1.2")];

#[test]
fn each_cipher_of_an_old_phone_is_agreed_on() {
    if !has_broken_ciphers() {
        return;
    }
    let site = legacy(&[LegacyCipher::TripleDes, LegacyCipher::Rc4]);
    let server = site.server();
    let phone = site.phone(|leaf| (leaf.key, leaf.hash) = (Some(rsa_key()), MessageDigest::sha1()));
    for (version, name) in OLD {
        let client = site.client(version).showing(&phone);
        for cipher in ["AES128-SHA", "AES256-SHA", "DHE-RSA-AES128-SHA", "DES-CBC3-SHA", "RC4-SHA", "RC4-MD5"] {
            let list: &'static str = format!("{cipher}:@SECLEVEL=0").leak();
            let said = agreed(&client, &server, list).unwrap_or_else(|error| panic!("{name} {cipher}: {error}"));
            assert_eq!(said, format!("{cipher} {name} {VERIFIED}"));
        }
        // The broken ones are for who has nothing better, whatever the phone likes.
        let said = agreed(&client, &server, "RC4-SHA:DES-CBC3-SHA:AES128-SHA:@SECLEVEL=0").unwrap();
        assert!(said.starts_with("AES128-SHA "), "{said}");
    }
}

#[test]
fn broken_ciphers_are_off_unless_they_are_named() {
    if !has_broken_ciphers() {
        return;
    }
    // For the phone: it knows RC4, whatever the listener takes.
    let _rc4 = Provider::try_load(None, "legacy", true).unwrap();
    let cases: [(&[LegacyCipher], &str, &str); 3] = [
        (&[], "DES-CBC3-SHA:@SECLEVEL=0", "RC4-SHA:@SECLEVEL=0"),
        (&[LegacyCipher::Rc4], "DES-CBC3-SHA:@SECLEVEL=0", "DES-CBC3-SHA:@SECLEVEL=0"),
        (&[LegacyCipher::TripleDes], "RC4-SHA:@SECLEVEL=0", "RC4-MD5:@SECLEVEL=0"),
    ];
    for (named, one, other) in cases {
        let site = legacy(named);
        let server = site.server();
        for (version, _) in OLD {
            for ciphers in [one, other] {
                assert!(agreed(&site.client(version), &server, ciphers).is_err());
                assert_eq!(server.handshake_failure(), HandshakeError::NoSharedCipher);
            }
        }
    }
}

#[test]
fn chains_of_1024_bits_need_a_listener_for_them() {
    let short = || Some(PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap());
    let old_ca = authority_of(Leaf { key: short(), hash: MessageDigest::sha1(), ..Leaf::of(&[("CN", "old ca")]) });
    let phone = phone_of(&old_ca, |leaf| (leaf.key, leaf.hash) = (short(), MessageDigest::sha1()));
    let mut site = legacy(&[]);
    site.tls.client_ca = vec![old_ca.write_certificate(site.path(), "old-ca")];
    let leaf = Leaf { key: short(), hash: MessageDigest::sha1(), ..server_leaf(&[("CN", "short")]) };
    site.tls.certificate = site.server_ca.sign(&leaf).write(site.path(), "short");
    let server = site.server();
    for (version, name) in OLD {
        let client = site.client(version).showing(&phone);
        let first = client.ask(&server);
        assert_eq!((first.said.as_str(), first.server.as_str()), (&*format!("{name} {VERIFIED}"), "short"));
        let again = client.ask_again(&server, &first);
        assert!(again.resumed);
        assert_eq!(again.said, first.said);
    }

    (site.tls.legacy, site.tls.min_version) = (false, TlsVersion::Tls1_2);
    let found = files::problems(&site.tls);
    assert!(found.len() == 1 && found[0].1.contains("legacy = true"), "{found:?}");
}

#[test]
fn an_old_phone_sees_the_headers_that_it_knows() {
    let handler = |connection: Connection, _: hyper::Request<hyper::body::Incoming>| -> Answer {
        Box::pin(async move { http::Response::new(Body::from(describe(&connection))) })
    };
    for (title_case, expected) in [(true, "Content-Length: 5"), (false, "content-length: 5")] {
        let server = Server::listening(None, limits(), handler, |listening| Listening {
            title_case_headers: title_case,
            ..listening
        });
        let mut stream = server.connect();
        stream.write_all(b"GET /spa504g.cfg HTTP/1.0\r\n\r\n").unwrap();
        let answer = String::from_utf8(connections::assert_closed(&mut stream)).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200") && answer.contains(expected), "{answer}");
        assert!(answer.ends_with("\r\n\r\nplain"), "{answer}");
    }
}

/// Debian's OpenSSL, as far as that goes: it has no 3DES and no RC4.
#[test]
fn the_openssl_program_is_served_at_each_version() {
    let site = legacy(&[]);
    let server = site.server();
    let pair = site.phone(|leaf| leaf.key = Some(rsa_key())).write(site.path(), "phone");
    for (option, name) in [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1"), ("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let Some(mut openssl) = program("openssl") else { return };
        let mut client = openssl
            .args(["s_client", "-quiet", "-noservername", option, "-cipher", "AES128-SHA:@SECLEVEL=0"])
            .args(["-connect", &server.address.to_string(), "-cert"])
            .arg(&pair.certificate)
            .arg("-key")
            .arg(&pair.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let said = String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.ends_with(&format!("\r\n\r\n{name} {VERIFIED}")), "{option}: {said}");
    }
}

#[test]
fn what_is_given_up_is_said() {
    if !has_broken_ciphers() {
        return;
    }
    let site = legacy(&[LegacyCipher::TripleDes, LegacyCipher::Rc4]);
    let said = site.acceptor().gives_up().unwrap();
    assert_eq!(said, "TLS 1.0 and 1.1, SHA-1 signatures, 1024-bit keys, ciphers without forward secrecy, 3DES, RC4");
    assert_eq!(Site::new(ClientCertificatePolicy::None).acceptor().gives_up(), None);
}
