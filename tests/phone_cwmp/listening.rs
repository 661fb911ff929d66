//! Phones that are driven step by step: files, sessions, and connection requests by HTTP, for which `curl` stands for a server.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use resyncd::phone::Maker;
use resyncd::phone::cisco::SeededRandom;
use resyncd::phone::cwmp::{CheckSync, Life, Phone, Played, Step, Way};
use resyncd::phone::network::{ClientCertificate, Network, Options, Roots, Stack, TlsOptions};

use super::life::{AASTRA, ALL, CISCO, Made, PROFILE, assert_state_holds, identity, last_reason, served, text};
use crate::support::deployment::Running;
use crate::support::{program, resyncd, run};

const NOW: i64 = 1_769_860_800;
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longer than anything takes here: who waits for it has failed.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A phone from the factory, with its certificate.
pub(super) fn living(running: &Running, made: Made) -> Life<SeededRandom> {
    let certs = running.deployment.path("certs/dev");
    let options = Options {
        tls: TlsOptions { roots: Roots::File(certs.join("server-ca.pem")), ..TlsOptions::default() },
        keep_alive: true,
        ..Options::default()
    };
    let (certificate, key) = (format!("phone-{}.pem", made.0), format!("phone-{}.key", made.0));
    let certificate = ClientCertificate::read(&certs.join(certificate), &certs.join(key)).unwrap();
    let network = Network::new(Arc::new(Stack::new(options).unwrap()), Some(Arc::new(certificate)));
    let phone = Phone::new(Maker::of(made.1).unwrap(), identity(made));
    Life::new(phone, network, SeededRandom(1), NOW)
}

/// From the factory to a phone that holds its record, and listens.
pub(super) async fn set_up(running: &Running, made: Made) -> Life<SeededRandom> {
    let mut life = living(running, made);
    let server = format!("https://localhost:{}", running.port("https"));
    let resynced = life.resync(Some(&server)).await;
    assert_eq!(resynced.failure, None, "{:#?}", resynced.steps);
    life.listen(HERE, Some(0), None).await.unwrap();
    let sessions = life.sessions(&[]).await.unwrap();
    assert_eq!((sessions.len(), &sessions[0].failure), (1, &None), "{sessions:#?}");
    assert_eq!(events(&sessions[0]), ["0 BOOTSTRAP", "1 BOOT"]);
    life
}

/// Why a session was opened.
pub(super) fn events(played: &Played) -> Vec<&str> {
    let informed = played.steps.iter().find_map(|step| match step {
        Step::Informed { events, .. } => Some(events.iter().map(String::as_str).collect()),
        _ => None,
    });
    informed.unwrap_or_else(|| panic!("{:#?}", played.steps))
}

/// A connection request, and the HTTP status that came of it.
async fn asked(url: &str, more: &[&str]) -> Option<String> {
    let mut curl = program("curl")?;
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "50"]).args(more).arg(url);
    let Output { stdout, .. } = tokio::task::spawn_blocking(move || run(&mut curl)).await.unwrap();
    Some(text(&stdout))
}

const REQUESTS: &str = "connection_user = \"acs\"\nconnection_password = \"example-only-request\"\n";
const DIGEST: [&str; 3] = ["--digest", "-u", "acs:example-only-request"];

#[test]
fn a_connection_request_opens_a_session() {
    let running = served(REQUESTS);
    for made in ALL {
        running.block_on(async {
            let mut life = set_up(&running, made).await;
            assert_state_holds(&running, made, &life.state, &[]);
            let url = life.value("Device.ManagementServer.ConnectionRequestURL").unwrap();
            let (http, _) = life.ears().unwrap();
            assert!(url.starts_with(&format!("http://{http}/")), "{url}");
            for (more, status) in [
                (&[][..], "401"),
                (&["--digest", "-u", "acs:another"], "401"),
                (&["-u", "acs:example-only-request"], "401"),
                (&["-X", "POST"], "405"),
                (&DIGEST[..], "200"),
            ] {
                let Some(told) = asked(&url, more).await else { return };
                assert_eq!(told, status, "{more:?}");
            }
            assert_eq!(asked(&format!("http://{http}/elsewhere"), &DIGEST).await.unwrap(), "404");
            let wake = life.woken(LONG).await.unwrap().unwrap();
            assert_eq!(wake.way, Way::Http);
            let sessions = life.sessions(&[]).await.unwrap();
            assert_eq!((sessions.len(), events(&sessions[0])), (1, vec!["6 CONNECTION REQUEST"]), "{sessions:#?}");
            assert!(sessions[0].steps.iter().any(|step| matches!(step, Step::Woken { way: Way::Http, .. })));
        });
        assert!(last_reason(&running).starts_with("6 CONNECTION REQUEST"), "{}", last_reason(&running));
    }
}

#[test]
fn a_changed_setting_is_set_in_the_session_that_a_connection_request_opens() {
    let running = served(REQUESTS);
    for made in ALL {
        let mut life = running.block_on(set_up(&running, made));
        let set = running.deployment.run(&["device", "set", made.0, "lines.1.label=Front desk"]);
        assert!(set.status.success(), "{}", text(&set.stderr));
        running.reload().unwrap();
        running.block_on(async {
            let url = life.value("Device.ManagementServer.ConnectionRequestURL").unwrap();
            let Some(status) = asked(&url, &DIGEST).await else { return };
            assert_eq!(status, "200");
            assert!(life.woken(LONG).await.unwrap().is_some());
            let session = life.session(&[]).await.unwrap();
            let name = format!("{PROFILE}Name");
            let is_set = |step: &Step| matches!(step, Step::Set { parameter, value } if *parameter == name && value == "Front desk");
            assert!(session.steps.iter().any(is_set), "{:#?}", session.steps);
            assert_state_holds(&running, made, &life.state, &[]);
        });
    }
}

#[test]
fn what_is_changed_on_a_phone_is_told_at_its_next_session() {
    let path = format!("{PROFILE}SIP.ProxyServer");
    let running = served(&format!("{REQUESTS}[acs.notifications]\n\"{path}\" = \"active\"\n"));
    running.block_on(async {
        let mut life = set_up(&running, CISCO).await;
        assert!(life.change(&path, "elsewhere.example.com").unwrap());
        let session = life.session(&[]).await.unwrap();
        assert_eq!(events(&session), ["4 VALUE CHANGE"]);
        assert_state_holds(&running, CISCO, &life.state, &[]);
        // Nobody asks: the time is over at once.
        assert_eq!(life.woken(Duration::ZERO).await.unwrap(), None);
        life.power_cycle();
        assert!(life.is_pending());
        assert_eq!(events(&life.session(&[]).await.unwrap()), ["1 BOOT"]);
    });
}

#[test]
fn a_notify_is_turned_into_a_session_where_the_phone_was_told_so() {
    let running =
        served("check_sync = \"inform-and-call\"\ncheck_sync_url = \"http://127.0.0.1:1/sync?JobID=$$JOBID$$\"\n");
    running.block_on(async {
        let mut life = set_up(&running, AASTRA).await;
        assert_eq!(life.check_sync("j-1").await, CheckSync::Inform);
        assert!(life.is_pending());
        let session = life.session(&[]).await.unwrap();
        assert_eq!(events(&session), ["6 CONNECTION REQUEST"]);
        let called = Step::Called { url: "http://127.0.0.1:1/sync".to_owned(), status: None };
        assert!(session.steps.contains(&called), "{:#?}", session.steps);
        let mut cisco = set_up(&running, CISCO).await;
        assert_eq!(cisco.check_sync("j-2").await, CheckSync::Resync);
    });
}

#[test]
fn the_command_listens_and_tells_who_came() {
    let running = served(REQUESTS);
    let certs = running.deployment.path("certs/dev");
    let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
    let (mac, model, serial, firmware) = CISCO;
    let mut life = running.block_on(async { set_up(&running, CISCO).await });
    // The program goes on where this phone stops.
    life.state.cwmp.events.clear();
    let state = running.deployment.path("state.json");
    std::fs::write(&state, serde_json::to_vec(&life.state).unwrap()).unwrap();
    drop(life);
    let mut command = resyncd();
    command.args(["phone", "cwmp", "--mac", mac, "--model", model, "--serial", serial, "--firmware", firmware]);
    command.args(["--ca-file", &file("server-ca.pem"), "--certificate", &file(&format!("phone-{mac}.pem"))]);
    command.args(["--key", &file(&format!("phone-{mac}.key")), "--state", state.to_str().unwrap()]);
    command.args(["--listen", "127.0.0.1:0", "--wait", "60", "--times", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    talk.read_line(&mut line).unwrap();
    let address = line.split("listening at ").nth(1).and_then(|rest| rest.split(' ').next());
    let address = address.unwrap_or_else(|| panic!("{line}"));
    let status = running.block_on(asked(&format!("http://{address}/"), &DIGEST));
    if status.is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let Some(status) = status else { return };
    assert_eq!(status, "200");
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("heard a connection request from 127.0.0.1:"), "{told}");
    assert!(told.contains(": Inform 6 CONNECTION REQUEST"), "{told}");
}
