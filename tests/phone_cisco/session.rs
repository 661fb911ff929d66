//! Whole resyncs, upgrades and reports, against a server in memory.

use std::collections::BTreeMap;

use resyncd::delivery::{Delivery, Encryption, KeyDigest};
use resyncd::model::Secret;
use resyncd::phone::cisco::{Action, Next, Now, Outcome, Reason, report, resync, upgrade};
use resyncd::phone::{FetchError, Request, Response};
use serde::Deserialize;

use super::phone::{NOW, PhoneCase};
use crate::support::phone::{Extreme, ScriptedServer, block_on, response};

/// A resync, an upgrade or a report, with a server that answers as it is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCase {
    rule: String,
    /// power-up, after-upgrade, periodic, retry, notify, command; upgrade; report.
    what: String,
    /// The rule of a command.
    command: Option<String>,
    #[serde(default)]
    phone: PhoneCase,
    #[serde(default)]
    answer: Vec<AnswerCase>,
    #[serde(default)]
    most_random: bool,
    #[serde(default)]
    utc_offset: i32,
    succeeded: bool,
    /// `METHOD url`, in their order.
    requests: Option<Vec<String>>,
    /// The last request's.
    body: Option<String>,
    body_contains: Option<Vec<String>>,
    body_lacks: Option<Vec<String>>,
    user_agent: Option<String>,
    #[serde(default)]
    sent_headers: BTreeMap<String, String>,
    #[serde(default)]
    after: BTreeMap<String, String>,
    log: Option<Vec<String>>,
    /// Lines that the transcript holds.
    #[serde(default)]
    said: Vec<String>,
    #[serde(default)]
    unsaid: Vec<String>,
    /// `action seconds parameter`
    next: Option<Vec<String>>,
    failures: Option<u32>,
    firmware: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerCase {
    url: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    gzip: bool,
    /// `key`, and with `ikm` by RFC 8188.
    key: Option<String>,
    ikm: Option<String>,
    #[serde(default = "md5")]
    digest: String,
    /// So many bytes are left of it.
    cut: Option<usize>,
    /// This byte, so many times, instead of the body.
    repeat: Option<usize>,
    /// timeout, connect, broken, tls, too-large.
    fails: Option<String>,
}

fn ok() -> u16 {
    200
}

fn md5() -> String {
    "md5".to_owned()
}

impl AnswerCase {
    fn make(&self) -> Result<Response, FetchError> {
        let host = || "h".to_owned();
        match self.fails.as_deref() {
            None => {}
            Some("timeout") => return Err(FetchError::Timeout(std::time::Duration::from_secs(30))),
            Some("connect") => return Err(FetchError::Connect(host(), "refused".to_owned())),
            Some("broken") => return Err(FetchError::Broken("reset".to_owned())),
            Some("tls") => return Err(FetchError::Tls(host(), "unknown CA".to_owned())),
            Some("too-large") => return Err(FetchError::TooLarge(1)),
            Some(other) => panic!("{other}"),
        }
        let mut body = self.repeat.map_or_else(|| self.body.clone().into_bytes(), |times| vec![b' '; times]);
        let encryption = if let Some(key) = &self.key {
            let digest: KeyDigest = self.digest.parse().unwrap();
            Encryption::Aes256Cbc { passphrase: Secret::new(key.as_str()), digest }
        } else if let Some(material) = &self.ikm {
            let keying_material = Secret::new(material.as_str());
            Encryption::Aes128Gcm { keying_material, record_size: 4096, key_id: Vec::new() }
        } else {
            Encryption::None
        };
        body = Delivery { gzip: self.gzip, encryption }.pack(&body).unwrap().body;
        body.truncate(self.cut.unwrap_or(usize::MAX));
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(response(self.status, &headers, body))
    }
}

impl SessionCase {
    fn run(&self, server: &ScriptedServer) -> Outcome {
        let (phone, state) = self.phone.make();
        let mut random = if self.most_random { Extreme::Most } else { Extreme::Least };
        let now = Now { unix: NOW, utc_offset: self.utc_offset };
        let reason = match self.what.as_str() {
            "power-up" => Reason::PowerUp,
            "after-upgrade" => Reason::Upgrade,
            "periodic" => Reason::Periodic,
            "retry" => Reason::Retry,
            "notify" => Reason::Notify,
            "command" => Reason::Command(self.command.clone()),
            "upgrade" => return block_on(upgrade(&phone, state, now, server, &mut random)),
            "report" => return block_on(report(&phone, state, now, server, &mut random)),
            other => panic!("{}: {other}", self.rule),
        };
        block_on(resync(&phone, state, reason, now, server, &mut random))
    }

    pub fn check(&self) {
        let server = ScriptedServer::default();
        for answer in &self.answer {
            server.answer(&answer.url, answer.make());
        }
        let outcome = self.run(&server);
        let said = outcome.transcript.to_string();
        let about = format!("{}\n{said}", self.rule);
        assert_eq!(outcome.succeeded, self.succeeded, "{about}");
        let asked = server.asked();
        if let Some(requests) = &self.requests {
            let found: Vec<String> = asked
                .iter()
                .map(|request| format!("{} {}", format!("{:?}", request.method).to_uppercase(), request.url))
                .collect();
            assert_eq!(&found, requests, "{about}");
        }
        self.check_last(asked.last(), &about);
        for (name, value) in &self.after {
            assert_eq!(outcome.state.parameters.get(name), Some(value), "{about}: {name}");
        }
        if let Some(log) = &self.log {
            assert_eq!(&outcome.transcript.log().collect::<Vec<_>>(), log, "{about}");
        }
        for line in &self.said {
            assert!(said.contains(line), "{about}: {line}");
        }
        let json = serde_json::to_string(&outcome.transcript).unwrap();
        for line in &self.unsaid {
            assert!(!said.contains(line) && !json.contains(line), "{about}: {line}");
        }
        if let Some(expected) = &self.next {
            let found: Vec<String> = outcome.next.iter().map(next).collect();
            assert_eq!(&found, expected, "{about}");
        }
        if let Some(failures) = self.failures {
            assert_eq!(outcome.state.failures, failures, "{about}");
        }
        if let Some(firmware) = &self.firmware {
            assert_eq!(outcome.state.upgrade.firmware.as_ref(), Some(firmware), "{about}");
        }
    }

    fn check_last(&self, last: Option<&Request>, about: &str) {
        let body = last.map(|request| String::from_utf8_lossy(&request.body).into_owned()).unwrap_or_default();
        if let Some(expected) = &self.body {
            assert_eq!(&body, expected, "{about}");
        }
        for part in self.body_contains.iter().flatten() {
            assert!(body.contains(part), "{about}: {body}");
        }
        for part in self.body_lacks.iter().flatten() {
            assert!(!body.contains(part), "{about}: {body}");
        }
        if let Some(agent) = &self.user_agent {
            assert_eq!(last.map(|request| &request.user_agent), Some(agent), "{about}");
        }
        for (name, expected) in &self.sent_headers {
            let found = last.and_then(|request| request.headers.iter().find(|(header, _)| header == name));
            assert!(found.is_some_and(|(_, value)| value.contains(expected)), "{about}: {name}: {found:?}");
        }
    }
}

fn next(next: &Next) -> String {
    let action = match next.action {
        Action::Resync => "resync",
        Action::Retry => "retry",
        Action::Upgrade => "upgrade",
        Action::Reboot => "reboot",
    };
    format!("{action} {} {}", next.after, next.by)
}
