//! The whole server: which root opens whose profile, what is flagged, and whom the events name behind a proxy.

use std::fs;

use resyncd::tls::certificates::ensure_development_certificates;

use crate::support::deployment::{Deployment, Running};
use crate::support::{certificates, program};

const CISCO: &str = "000e08abc001";
const OTHER: &str = "000e08abc002";
const PHONE: &str = "000b82abc003";
/// A Cisco phone by its record, with a Grandstream's MAC and certificate.
const STRANGE: &str = "000b82abc004";

/// Cisco phones with a certificate each, and a Grandstream; the development CA is a maker's root of this name.
fn deployment(root: &str) -> Deployment {
    let deployment = Deployment::empty();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let named = format!(
        "[[listener.tls.client_root]]\nname = \"{root}\"\nfile = \"certs/dev/phone-ca.pem\"\n\n[[listener]]\nname = \"http\""
    );
    let config = config.replace("client_ca = [\"certs/dev/phone-ca.pem\"]", "");
    deployment.write("resyncd.toml", config.replace("[[listener]]\nname = \"http\"", &named));
    for (mac, serial) in [(CISCO, "88012BA00001"), (OTHER, "88012BA00002")] {
        deployment.write(
            &format!("profiles/devices/{mac}.toml"),
            format!("model = \"CP-6841-3PCC\"\nserial = \"{serial}\"\n[access]\ncertificate = true\n"),
        );
    }
    deployment
        .write(&format!("profiles/devices/{STRANGE}.toml"), "model = \"CP-6841-3PCC\"\n[access]\ncertificate = true\n");
    let grandstream = "model = \"GXP2170\"\n[access]\ncertificate = true\n";
    deployment.write(&format!("profiles/devices/{PHONE}.toml"), grandstream);
    deployment.certificates(&[
        (CISCO, Some(("CP-6841-3PCC", "88012BA00001"))),
        (OTHER, Some(("CP-6841-3PCC", "88012BA00002"))),
        (PHONE, None),
        (STRANGE, None),
    ]);
    deployment
}

fn status(server: &Running, phone: &str, path: &str) -> u16 {
    server.curl(Some(phone), path, &[]).unwrap().status
}

#[test]
fn a_root_vouches_for_the_phones_of_its_maker_only() {
    if program("curl").is_none() {
        return;
    }
    let server = deployment("cisco").start();
    assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), 200);
    // A form that a Grandstream phone's certificate has, by Cisco's root.
    assert_eq!(status(&server, PHONE, &format!("/grandstream/cfg{PHONE}.xml")), 404);
    let reason = server.last_event()["reason"].to_string();
    assert!(reason.contains("the root \\\"cisco\\\" does not vouch for phones of"), "{reason}");
    server.stop();

    let server = deployment("grandstream").start();
    assert_eq!(status(&server, PHONE, &format!("/grandstream/cfg{PHONE}.xml")), 200);
    // Cisco's form, all of it right, by another maker's root.
    assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), 404);
    assert_eq!(server.last_event()["refusal"], "no-proof");
    // Grandstream's form and root, and the MAC of a device that is no Grandstream.
    assert_eq!(status(&server, STRANGE, &format!("/cisco/{STRANGE}.xml")), 404);
    let event = server.last_event();
    assert_eq!(event["refusal"], "no-proof");
    assert!(event["reason"].as_str().unwrap().contains("does not vouch for phones of cisco-mpp"), "{event}");
    // Unknown, it looks the same.
    let [known, unknown] =
        [STRANGE, "000b82ffffff"].map(|mac| server.curl(Some(STRANGE), &format!("/cisco/{mac}.xml"), &[]));
    assert_eq!(known, unknown);
    server.stop();

    // Without a name it may vouch for any.
    let server = deployment("x");
    let config = fs::read_to_string(server.path("resyncd.toml")).unwrap();
    let start = config.find("[[listener.tls.client_root]]").unwrap();
    let end = config[start..].find("\n\n").unwrap() + start;
    let config = format!("{}{}", &config[..start], &config[end..]);
    server.write(
        "resyncd.toml",
        config.replace("= \"optional\"", "= \"optional\"\nclient_ca = [\"certs/dev/phone-ca.pem\"]"),
    );
    let server = server.start();
    assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), 200);
    assert_eq!(status(&server, PHONE, &format!("/grandstream/cfg{PHONE}.xml")), 200);
}

#[test]
fn a_certificate_that_two_phones_have_is_flagged() {
    if program("curl").is_none() {
        return;
    }
    let server = deployment("cisco").start();
    let flags = |phone: &str, path: &str, from: &str| {
        server.curl(Some(phone), path, &["--interface", from]).unwrap();
        server.last_event()["flags"].to_string()
    };
    let own = format!("/cisco/{CISCO}.xml");
    assert!(!flags(CISCO, &own, "127.0.0.1").contains("certificate-shared"));
    assert!(!flags(CISCO, &own, "127.0.0.9").contains("certificate-shared"));
    assert!(flags(CISCO, &own, "127.0.1.1").contains("certificate-shared"));
    assert!(flags(CISCO, &format!("/cisco/{OTHER}.xml"), "127.0.1.1").contains("certificate-shared"));
    assert!(!flags(OTHER, &format!("/cisco/{OTHER}.xml"), "127.0.2.1").contains("certificate-shared"));
    let (report, file) = (format!("/cisco/report/{OTHER}.xml"), server.deployment.path("resyncd.toml"));
    let sent = ["--interface", "127.0.3.1", "--upload-file", file.to_str().unwrap()];
    assert_eq!(server.curl(Some(OTHER), &report, &sent).unwrap().status, 200);
    assert!(server.last_event()["flags"].to_string().contains("certificate-shared"));
    let metrics = server.block_on(async { server.server().recorder().metrics().encode() });
    assert!(metrics.contains("resyncd_event_flags_total{flag=\"certificate-shared\"} 3"), "{metrics}");
    assert!(metrics.contains("resyncd_certificate_expiry_timestamp_seconds{listener=\"https\",file="), "{metrics}");
}

#[test]
fn an_expired_factory_certificate_is_taken_where_that_is_allowed_and_flagged() {
    if program("curl").is_none() {
        return;
    }
    for allowed in [true, false] {
        let deployment = deployment("cisco");
        let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
        let old = certificates::authority_of(certificates::Leaf {
            days: (-9, -1),
            ..certificates::Leaf::of(&[("CN", "Old maker")])
        });
        let leaf = certificates::Leaf {
            days: (-9, -1),
            ..certificates::Leaf::of(&[("OU", "CP-6841-3PCC"), ("L", "88012BA00001"), ("ST", CISCO)])
        };
        old.write_certificate(&deployment.path("certs/dev"), "old");
        old.sign(&leaf).write(&deployment.path("certs/dev"), &format!("phone-{CISCO}"));
        let config = config.replace("file = \"certs/dev/phone-ca.pem\"", "file = \"certs/dev/old.pem\"");
        let policy = format!("client_certificate = \"optional\"\nallow_expired = {allowed}");
        deployment.write("resyncd.toml", config.replace("client_certificate = \"optional\"", &policy));
        let server = deployment.start();
        assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), if allowed { 200 } else { 404 });
        let event = server.last_event().to_string();
        assert!(event.contains(if allowed { "certificate-dates" } else { "certificate has expired" }), "{event}");
    }
}

#[test]
fn networks_and_events_are_about_the_phone_and_not_the_proxy() {
    if program("curl").is_none() {
        return;
    }
    let deployment = Deployment::empty();
    let proxied = "\n[[listener]]\nname = \"balanced\"\naddress = \"127.0.0.1:0\"\n[listener.proxy]\n\
                   networks = [\"127.0.0.1\"]\nprotocol = \"x-forwarded-for\"\n";
    deployment.append_config(proxied);
    deployment.write(
        &format!("profiles/devices/{CISCO}.toml"),
        "model = \"CP-6841-3PCC\"\n[access]\nnetworks = [\"192.0.2.0/24\"]\n",
    );
    let server = deployment.start();
    let ask = |header: Option<&str>| {
        let header = header.map(|value| format!("X-Forwarded-For: {value}"));
        let url = format!("http://127.0.0.1:{}/cisco/{CISCO}.xml", server.port("balanced"));
        let mut curl = program("curl").unwrap();
        curl.args(["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}", &url]);
        let output = curl.args(header.iter().flat_map(|header| ["--header", header])).output().unwrap();
        let event = server.last_event();
        (String::from_utf8(output.stdout).unwrap(), event["peer"].as_str().unwrap().to_owned(), event)
    };
    let (status, peer, _) = ask(Some("192.0.2.7"));
    assert_eq!((status.as_str(), peer.split(':').next().unwrap()), ("200", "192.0.2.7"));
    let (status, peer, _) = ask(Some("192.0.2.7, 198.51.100.1"));
    assert_eq!((status.as_str(), peer.split(':').next().unwrap()), ("404", "198.51.100.1"));
    let (status, peer, event) = ask(None);
    assert_eq!((status.as_str(), peer.split(':').next().unwrap()), ("400", "127.0.0.1"));
    assert_eq!((&event["kind"], &event["refusal"]), (&"connection".into(), &"bad-request".into()), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("X-Forwarded-For"), "{event}");
}

#[test]
fn a_listener_for_old_phones_says_at_the_start_what_it_gives_up() {
    let deployment = Deployment::bare();
    ensure_development_certificates(&deployment.path("certs/dev"), &[], &[]).unwrap();
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let old = "client_certificate = \"optional\"\nmin_version = \"1.0\"\nlegacy = true\n";
    deployment.write("resyncd.toml", config.replace("client_certificate = \"optional\"", old));
    let process = crate::support::process::Process::start(deployment);
    let (status, log, _) = process.stop();
    assert!(status.success(), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("TLS 1.0 and 1.1, SHA-1 signatures")).collect();
    assert!(told.len() == 1 && told[0].contains("legacy = true"), "{log}");
}

#[test]
fn a_watched_list_is_taken_when_it_is_replaced() {
    if program("curl").is_none() {
        return;
    }
    let deployment = deployment("cisco");
    let certs = deployment.path("certs/dev");
    let read = |name: &str| fs::read(certs.join(name)).unwrap();
    let authority = certificates::Pair {
        certificate: openssl::x509::X509::from_pem(&read("phone-ca.pem")).unwrap(),
        key: openssl::pkey::PKey::private_key_from_pem(&read("phone-ca.key")).unwrap(),
    };
    let stolen = certificates::Pair {
        certificate: openssl::x509::X509::from_pem(&read(&format!("phone-{CISCO}.pem"))).unwrap(),
        key: authority.key.clone(),
    };
    let list = |revoked: &[&certificates::Pair]| authority.revoke(revoked, 1).to_pem().unwrap();
    deployment.write("crl/phones.crl", list(&[]));
    let config = fs::read_to_string(deployment.path("resyncd.toml")).unwrap();
    let config = config.replace("= \"optional\"", "= \"optional\"\ncrl = \"crl/phones.crl\"");
    deployment.write("resyncd.toml", format!("watch = true\n{config}"));
    let server = deployment.start();
    assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), 200);
    // As cron does it: beside it, then in its place. Other files of the folder are nobody's business.
    server.deployment.write("crl/phones.crl.new", list(&[&stolen]));
    fs::rename(server.deployment.path("crl/phones.crl.new"), server.deployment.path("crl/phones.crl")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.server().reloader().pipeline().generation().number == 1 {
        assert!(std::time::Instant::now() < deadline, "nothing was loaded");
        std::thread::yield_now();
    }
    assert_eq!(status(&server, CISCO, &format!("/cisco/{CISCO}.xml")), 404);
    assert!(server.last_event()["reason"].as_str().unwrap().contains("certificate revoked on"));
    assert_eq!(status(&server, OTHER, &format!("/cisco/{OTHER}.xml")), 200);
}
