//! Tokens in the URLs of phones that show no certificate: from the first contact to the profile, and what others get.

use resyncd::identity::url_token::UrlToken;
use resyncd::onboarding::Onboarding;
use serde_json::Value;

use crate::support::deployment::{Deployment, Running};

const MAC: &str = "000e08d0d0d0";
const OTHER: &str = "000e08d0d0d1";
const MODEL: &str = "CP-6841-3PCC";
const PASSWORD: &str = "not-a-real-password";

/// Two phones that prove themselves by their tokens, one that does by its certificate, and one in a staging network.
fn start() -> Running {
    let deployment = Deployment::empty();
    let device = |access: &str| {
        format!("model = \"{MODEL}\"\n[access]\n{access}\n[lines.1]\nuser = \"2001\"\npassword = \"{PASSWORD}\"\n")
    };
    for mac in [MAC, OTHER] {
        deployment.write(&format!("profiles/devices/{mac}.toml"), device("token = true"));
    }
    deployment.write("profiles/devices/000e08d0d0d2.toml", device("certificate = true"));
    deployment.write("profiles/devices/000e08d0d0d3.toml", device("token = true\nnetworks = [\"127.0.0.0/8\"]"));
    deployment.certificates(&[("000e08d0d0d2", Some((MODEL, "FCH2047F24A")))]);
    let running = deployment.start();
    let port = running.port("https");
    let url = format!("[provisioning]\nurl = \"https://localhost:{port}\"\n");
    running.deployment.write("profiles/defaults.toml", url);
    running.reload().unwrap();
    running
}

fn onboarding(running: &Running) -> Onboarding {
    running.server().onboarding().clone()
}

/// The path of a URL that `resyncd device token` prints.
fn first_contact(running: &Running, mac: &str) -> String {
    let made = running.deployment.run(&["device", "token", mac]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let url = String::from_utf8(made.stdout).unwrap();
    assert!(!String::from_utf8_lossy(&made.stderr).contains("/cisco/"), "the URL is data");
    url.trim_end().strip_prefix(&format!("https://localhost:{}", running.port("https"))).unwrap().to_owned()
}

/// The path that a profile sends its phone on to.
fn leads_to(running: &Running, profile: &str) -> String {
    let server = format!("https://localhost:{}", running.port("https"));
    let rule = profile.split("<Profile_Rule").nth(1).unwrap().split(['>', '<']).nth(1).unwrap();
    rule.strip_prefix(&server).unwrap().replace("$MA", MAC)
}

fn states(running: &Running, mac: &str) -> Vec<String> {
    let output = running.deployment.run(&["device", "token", mac, "--list", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    rows.iter().map(|row| format!("{} {}", row["for"].as_str().unwrap(), row["state"].as_str().unwrap())).collect()
}

#[test]
fn a_phone_goes_from_its_first_contact_to_a_token_of_its_own() {
    let running = start();
    let first = first_contact(&running, MAC);
    assert!(first.starts_with("/t/") && first.ends_with(&format!("/cisco/init/{MAC}.xml")), "{first}");
    let Some(profile) = running.curl(None, &first, &[]) else { return };
    assert_eq!(profile.status, 200, "{}", profile.text());
    let own = leads_to(&running, profile.text());
    let (bootstrap, permanent) = (first.split('/').nth(2).unwrap(), own.split('/').nth(2).unwrap());
    assert_ne!(bootstrap, permanent);
    assert_eq!(own, format!("/t/{permanent}/cisco/{MAC}.xml"));
    assert_eq!(permanent.len(), 28);

    // It died with its first use; the permanent one goes on.
    assert_eq!(running.curl(None, &first, &[]).unwrap().status, 404);
    let profile = running.curl(None, &own, &[]).unwrap();
    assert!(profile.status == 200 && profile.text().contains(PASSWORD), "{}", profile.text());
    assert_eq!(leads_to(&running, profile.text()), own);
    let warm = running.curl(None, &own, &[]).unwrap();
    assert_eq!(warm.body, profile.body);
    assert_eq!(states(&running, MAC), ["first-contact used", "resync used"]);

    // What is declared as an upload goes the same way.
    let report = format!("/t/{permanent}/cisco/report/{MAC}.xml");
    let sent = ["-X", "POST", "-H", "Content-Type: text/xml", "-d", "<flat-profile></flat-profile>"];
    assert_eq!(running.curl(None, &report, &sent).unwrap().status, 200);
    assert_eq!(running.curl(None, &report.replace(permanent, bootstrap), &sent).unwrap().status, 404);

    // Neither events, log, audit nor database tell a token.
    let database = std::fs::read(running.deployment.path("data/resyncd.db")).unwrap();
    let wal = std::fs::read(running.deployment.path("data/resyncd.db-wal")).unwrap_or_default();
    let audit = running.deployment.run(&["audit", "--format", "json"]).stdout;
    let events = running.events();
    for token in [bootstrap, permanent] {
        let told =
            [&*database, &*wal, &*audit, events.iter().map(Value::to_string).collect::<String>().as_bytes()].concat();
        assert!(!told.windows(token.len()).any(|bytes| bytes == token.as_bytes()));
    }
    assert!(events.iter().any(|event| event["target"] == format!("/t/***/cisco/{MAC}.xml")), "{events:#?}");
}

#[test]
fn whatever_is_wrong_with_a_token_looks_like_no_device() {
    let running = start();
    let first = first_contact(&running, MAC);
    let bootstrap = first.split('/').nth(2).unwrap().to_owned();
    let file = format!("/cisco/{MAC}.xml");
    // A token for the first contact opens nothing but that, and is not used up by what it doesn't open.
    let Some(refused) = running.curl(None, &format!("/t/{bootstrap}{file}"), &[]) else { return };
    assert_eq!(refused.status, 404);
    let head = running.curl(None, &first, &["-I"]).unwrap();
    assert_eq!((head.status, states(&running, MAC)), (200, vec!["first-contact new".to_owned()]));
    let own = leads_to(&running, running.curl(None, &first, &[]).unwrap().text());
    let permanent = own.split('/').nth(2).unwrap();
    let expired = running.block_on(onboarding(&running).first_contact(
        MAC.parse().unwrap(),
        std::time::Duration::ZERO,
        &resyncd::fleet::Actor { name: "cli:test".to_owned(), peer: None },
    ));
    let expired = expired.unwrap().url;
    let expired = &expired[expired.find("/t/").unwrap()..];
    let never = UrlToken::generate().unwrap().url("");
    for (why, reply) in [
        ("no token", running.curl(None, &file, &[])),
        ("never given out", running.curl(None, &format!("{never}{file}"), &[])),
        ("unknown device", running.curl(None, &format!("{never}/cisco/000e08ffffff.xml"), &[])),
        ("cut off", running.curl(None, &format!("/t/{}{file}", &permanent[..20]), &[])),
        ("empty", running.curl(None, &format!("/t/{file}"), &[])),
        ("another phone's", running.curl(None, &format!("/t/{permanent}/cisco/{OTHER}.xml"), &[])),
        ("another phone's, by network", running.curl(None, &format!("/t/{permanent}/cisco/000e08d0d0d3.xml"), &[])),
        ("of a certificate's device", running.curl(None, &format!("/t/{permanent}/cisco/000e08d0d0d2.xml"), &[])),
        ("used up", running.curl(None, &first, &[])),
        ("expired", running.curl(None, expired, &[])),
        ("not over TLS", running.plain_curl(&own, &[])),
        ("nothing after it", running.curl(None, &format!("/t/{permanent}"), &[])),
    ] {
        let reply = reply.unwrap();
        assert_eq!((reply.status, &reply.head, &reply.body), (404, &refused.head, &refused.body), "{why}");
    }
    let events = running.events();
    let refusals: Vec<_> = events.iter().filter_map(|event| event["refusal"].as_str()).collect();
    assert!(refusals.contains(&"wrong-token") && refusals.contains(&"no-proof"), "{refusals:?}");
    assert_eq!(running.curl(None, &own, &[]).unwrap().status, 200);
}

#[test]
fn a_token_is_in_nothing_that_is_served_without_it() {
    let running = start();
    let mac = "000e08d0d0d3";
    let first = first_contact(&running, mac);
    let plain = format!("/cisco/{mac}.xml");
    let Some(before) = running.curl(None, &plain, &[]) else { return };
    assert_eq!((before.status, before.text().contains("/t/")), (200, false));
    let profile = running.curl(None, &first, &[]).unwrap();
    let own = leads_to(&running, profile.text()).replace(MAC, mac);
    let with = running.curl(None, &own, &[]).unwrap();
    assert!(with.text().contains("/t/"), "{}", with.text());
    // Opened by its network, it is as it was; also when an unknown token stands in the URL.
    assert_eq!(running.curl(None, &plain, &[]).unwrap().body, before.body);
    let never = UrlToken::generate().unwrap().url("");
    assert_eq!(running.curl(None, &format!("{never}{plain}"), &[]).unwrap().body, before.body);
}

#[test]
fn a_token_is_rotated_without_losing_the_phone_and_revoked_at_once() {
    let running = start();
    let first = first_contact(&running, MAC);
    let Some(profile) = running.curl(None, &first, &[]) else { return };
    let old = leads_to(&running, profile.text());
    assert_eq!(running.curl(None, &old, &[]).unwrap().status, 200);
    let rotate = running.block_on(
        onboarding(&running)
            .renew_url_tokens(MAC.parse().unwrap(), &resyncd::fleet::Actor { name: "cli:test".to_owned(), peer: None }),
    );
    assert_eq!(rotate.unwrap(), 1);
    // The answer is lost: the phone comes with the old one again, and is brought another.
    let lost = leads_to(&running, running.curl(None, &old, &[]).unwrap().text());
    let new = leads_to(&running, running.curl(None, &old, &[]).unwrap().text());
    assert!(lost != new && new != old);
    assert_eq!(running.curl(None, &new, &[]).unwrap().status, 200);
    running.block_on(onboarding(&running).fleet().take_in());
    assert_eq!(running.curl(None, &old, &[]).unwrap().status, 404);
    assert_eq!(running.curl(None, &lost, &[]).unwrap().status, 404);
    assert_eq!(running.curl(None, &new, &[]).unwrap().status, 200);
    let revoked =
        running.block_on(onboarding(&running).revoke_url_tokens(
            MAC.parse().unwrap(),
            &resyncd::fleet::Actor { name: "cli:test".to_owned(), peer: None },
        ));
    assert!(revoked.unwrap() > 0);
    assert_eq!(running.curl(None, &new, &[]).unwrap().status, 404);
}

#[test]
fn the_command_says_what_a_device_lacks() {
    let running = start();
    for (arguments, told) in [
        (vec!["000e08d0d0d2"], "000e08d0d0d2 is not opened by tokens: set access.token = true for it"),
        (vec!["000e08ffffff"], "there is no device 000e08ffffff"),
        (vec![MAC, "--rotate"], "has no token"),
        (vec![MAC, "--revoke"], "has no token"),
    ] {
        let output = running.deployment.run(&[vec!["device", "token"], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && error.contains(told), "{error}");
        assert!(output.stdout.is_empty());
    }
}
