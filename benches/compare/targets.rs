//! What resyncd is to reach, and whether it does. A shortfall is told and fails nothing: a clock is no judge of code.

use crate::results::Results;

/// Megabytes are of 1,000,000 bytes.
const KILOBYTES_OF_A_MEGABYTE: f64 = 1_000_000.0 / 1024.0;

/// A target and what came of it.
pub struct Judged {
    pub what: String,
    pub target: String,
    /// None where it was not measured.
    pub measured: Option<String>,
    pub met: bool,
}

/// What is compared, the case, the other server, and the most that resyncd may cost of it.
const RATIOS: [(&str, &str, &str, f64); 9] = [
    ("full mutual TLS 1.3, RSA, gzip and AES, ready; against nginx", "tls13-rsa-full", "nginx", 0.80),
    ("the same, resumed; against nginx", "tls13-rsa-resumed", "nginx", 0.65),
    ("the same, rendered for this request; against nginx", "tls13-rsa-full-cold", "nginx", 1.25),
    (
        "plain HTTP, keep-alive, encrypted profile, ready, event recorded; against nginx",
        "plain-keep-alive",
        "nginx",
        1.5,
    ),
    ("full mutual TLS; against Apache and CGI", "tls13-rsa-full", "Apache and CGI", 0.25),
    ("plain HTTP, a new connection; against Apache and CGI", "plain-close", "Apache and CGI", 0.02),
    ("full mutual TLS; against a bare server with the same OpenSSL", "tls13-rsa-full", "bare server", 1.10),
    ("full mutual TLS; 100,000 devices against 1", "full-devices", "1 device", 1.05),
    ("plain HTTP, keep-alive; 100,000 devices against 1", "plain-devices", "1 device", 1.05),
];

/// Megabytes of resyncd alone.
const IDLE: f64 = 600.0;
const CONNECTIONS: f64 = 1_000.0;

pub fn judge(results: &Results) -> Vec<Judged> {
    let ratios = RATIOS.iter().map(|(what, case, other, most)| {
        let measured = results.cases.get(*case);
        let ratio = measured.and_then(|measured| measured.ratio(measured.contender(other)?));
        Judged {
            what: (*what).to_owned(),
            target: format!("≤ {most:.2} ×"),
            measured: ratio.map(|ratio| format!("{:.2} × ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most)),
            met: ratio.is_some_and(|ratio| ratio.median <= *most),
        }
    });
    let idle = results.cases.get("memory").and_then(|measured| measured.contender("resyncd")?.idle);
    let memory = |what: &str, target: f64, of: fn(crate::results::Idle) -> f64| {
        let measured = idle.map(|idle| of(idle) / KILOBYTES_OF_A_MEGABYTE);
        Judged {
            what: what.to_owned(),
            target: format!("≤ {target:.0} MB"),
            measured: measured.map(|measured| format!("{measured:.0} MB")),
            met: measured.is_some_and(|measured| measured <= target),
        }
    };
    let memory = [
        memory("memory, 100,000 devices from files, idle", IDLE, |idle| idle.idle),
        memory("memory, 10,000 open TLS connections more", CONNECTIONS, |idle| idle.connected - idle.idle),
    ];
    ratios.chain(memory).collect()
}

impl Judged {
    pub fn verdict(&self) -> &'static str {
        match (&self.measured, self.met) {
            (None, _) => "not measured",
            (_, true) => "met",
            (_, false) => "**not met**",
        }
    }
}
