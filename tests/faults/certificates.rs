//! Certificates and lists run out while the server runs, one after the other, and are replaced.

use std::net::{SocketAddr, TcpStream};

use openssl::ssl::SslStream;
use time::OffsetDateTime;

use super::clock::Clock;
use super::site::*;
use crate::support::certificates::{Leaf, Pair, Purpose, authority, authority_of, rsa_key};
use crate::support::deployment::Deployment;
use crate::support::process::Process;

const DAY: i64 = 86_400;

/// Phones whose certificates end after a day, and after all else.
const SHORT: &str = "000e08fa0060";
const LONG: &str = "000e08fa0061";

const LISTENERS: &str = r#"
[[listener]]
name = "strict"
address = "127.0.0.1:0"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_certificate = "optional"
client_ca = ["certs/phones.pem"]
crl = ["certs/phones.crl"]
crl_expired = "refuse"

[[listener]]
name = "lenient"
address = "127.0.0.1:0"
[listener.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_certificate = "optional"
client_ca = ["certs/phones.pem"]
crl = ["certs/phones.crl"]
crl_expired = "allow"
allow_expired = true
"#;

/// What runs out: the phone's certificate after a day, the server's after two, the list after three, the phones' CA after four.
struct Site {
    clock: Clock,
    process: Process,
    /// When everything was made.
    begin: i64,
    short: Pair,
    long: Pair,
}

/// The phones' CA; two of them differ in their end only.
fn phones_ca(days: i64) -> Pair {
    authority_of(Leaf { days: (-1, days), key: Some(rsa_key()), ..Leaf::of(&[("CN", "phones")]) })
}

fn server(days: i64) -> Pair {
    let leaf =
        Leaf { days: (-1, days), purpose: Purpose::Server, names: &["localhost"], ..Leaf::of(&[("CN", "server")]) };
    authority("servers").sign(&leaf)
}

fn serial(mac: &str) -> String {
    format!("FCH{}", mac[4..].to_uppercase())
}

fn phone(ca: &Pair, mac: &str, days: i64) -> Pair {
    let serial = serial(mac);
    let subject = [("OU", MODEL), ("L", &serial), ("ST", mac)];
    ca.sign(&Leaf { days: (-1, days), purpose: Purpose::Client, ..Leaf::of(&subject) })
}

fn write(deployment: &Deployment, ca: &Pair, list: i64) {
    ca.write_certificate(&deployment.path("certs"), "phones");
    deployment.write("certs/phones.crl", ca.revoke(&[], list).to_pem().unwrap());
}

impl Site {
    fn start() -> Option<Self> {
        let deployment = deployment(None, LISTENERS);
        let begin = OffsetDateTime::now_utc().unix_timestamp();
        let ca = phones_ca(4);
        let (short, long) = (phone(&ca, SHORT, 1), phone(&ca, LONG, 9));
        server(2).write(&deployment.path("certs"), "server");
        write(&deployment, &ca, 3);
        for mac in [SHORT, LONG] {
            let text = format!("model = \"{MODEL}\"\nserial = \"{}\"\n[access]\ncertificate = true\n", serial(mac));
            deployment.write(&format!("profiles/devices/{mac}.toml"), text);
        }
        let clock = Clock::new(&deployment)?;
        let process = clock.start(deployment);
        Some(Self { clock, process, begin, short, long })
    }

    /// Sets the clock to so many seconds after the end of a day.
    fn go_to(&self, day: i64, seconds: i64) {
        self.clock.set(self.begin + day * DAY + seconds - OffsetDateTime::now_utc().unix_timestamp());
    }

    fn reload(&mut self) {
        self.process.signal("HUP");
        self.process.wait_for("is in force");
    }

    fn address(&self, listener: &str) -> SocketAddr {
        self.process.address(listener)
    }

    /// Asks for a phone's profile on a new connection: what is answered.
    fn status(&self, listener: &str, mac: &str) -> u16 {
        let pair = if mac == SHORT { &self.short } else { &self.long };
        on(&mut secure(self.address(listener), Some(pair), None).unwrap(), mac)
    }

    /// The newest event of a phone's on a listener.
    fn told(&self, listener: &str, mac: &str, column: &str) -> String {
        let statement = format!(
            "SELECT COALESCE({column}, '') FROM events WHERE listener = '{listener}' AND target = '{}' ORDER BY time DESC, id DESC",
            profile(mac)
        );
        sql(&sqlite(&self.process.deployment), &statement).into_iter().next().unwrap_or_default()
    }

    /// When the metrics say that a file ends.
    fn end(&self, file: &str) -> i64 {
        let reply = get(self.address("admin"), "/metrics", "a");
        let is_it = |line: &&str| {
            line.starts_with("resyncd_certificate_expiry_timestamp_seconds{listener=\"strict\"") && line.contains(file)
        };
        let line = reply.text().lines().find(is_it).unwrap_or_else(|| panic!("{}", reply.text()));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

fn on(stream: &mut SslStream<TcpStream>, mac: &str) -> u16 {
    exchange(stream, &request("GET", &profile(mac), "", b"")).expect("the connection was closed").status
}

#[test]
fn what_runs_out_is_told_and_replaced_without_a_restart() {
    let Some(mut site) = Site::start() else { return };

    // A phone's certificate. Its connection goes on; its session is worth what the certificate is.
    site.go_to(1, -60);
    let mut open = secure(site.address("strict"), Some(&site.short), None).unwrap();
    assert_eq!(on(&mut open, SHORT), 200);
    let session = open.ssl().session().unwrap().to_owned();
    assert_eq!((site.status("strict", SHORT), site.status("lenient", SHORT)), (200, 200));
    site.go_to(1, 60);
    assert_eq!(on(&mut open, SHORT), 200, "a connection that is open");
    let mut resumed = secure(site.address("strict"), Some(&site.short), Some(&session)).unwrap();
    assert!(resumed.ssl().session_reused());
    assert_eq!(on(&mut resumed, SHORT), 404, "a session of before");
    assert_eq!(site.status("strict", SHORT), 404);
    until("the reason is told", || site.told("strict", SHORT, "reason").contains("expired"));
    assert_eq!((site.status("lenient", SHORT), site.status("strict", LONG)), (200, 200));
    until("it is flagged", || site.told("lenient", SHORT, "flags").contains("certificate-dates"));

    // The server's own, by itself: a phone that doesn't look at dates is served on.
    site.go_to(2, -3);
    site.reload();
    let told = site.process.wait_for("expired on");
    assert!(told.contains("server.pem") && told.contains("phones that look at dates refuse this server"), "{told}");
    assert_eq!(site.status("strict", LONG), 200);
    let end = site.end("server.pem");
    assert!((end - site.begin - 2 * DAY).abs() < 60, "{end}");
    let new = server(30);
    new.write(&site.process.deployment.path("certs"), "server");
    site.reload();
    let shown = secure(site.address("strict"), None, None).unwrap().ssl().peer_certificate().unwrap();
    assert_eq!(shown.to_der().unwrap(), new.certificate.to_der().unwrap());
    until("the metric tells the new end", || site.end("server.pem") > end + 20 * DAY);
    assert_eq!(on(&mut open, SHORT), 200, "a connection that is open");

    // The revocation list: by the policy of the listener.
    assert_eq!(site.status("strict", LONG), 200);
    site.go_to(3, 60);
    assert_eq!((site.status("strict", LONG), site.status("lenient", LONG)), (404, 200));
    until("the reason is told", || {
        site.told("strict", LONG, "reason").contains("the revocation list of its issuer expired on")
    });
    site.reload();
    let told = site.process.wait_for("the revocation list of");
    assert!(told.contains("phones.crl") && told.contains("expired on"), "{told}");
    write(&site.process.deployment, &phones_ca(4), 30);
    site.reload();
    assert_eq!(site.status("strict", LONG), 200);

    // The phones' CA: all of them, unless that is allowed.
    site.go_to(4, 60);
    assert_eq!((site.status("strict", LONG), site.status("lenient", LONG)), (404, 200));
    until("it is flagged", || site.told("lenient", LONG, "flags").contains("certificate-dates"));
    write(&site.process.deployment, &phones_ca(30), 30);
    site.reload();
    assert_eq!((site.status("strict", LONG), site.status("lenient", LONG)), (200, 200));
    assert_eq!(on(&mut open, SHORT), 200, "a connection that is open");
    let (status, log, _deployment) = site.process.stop();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
