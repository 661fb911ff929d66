//! The emulated Cisco phone against its guides, rule by rule.
//!
//! A case is an entry of a TOML file dropped into tests/golden/phone/cisco/: any file may hold cases of any kind. `rule` says
//! which rule of the guide it is about, in other words than the guide's; what a case does not name is not looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use resyncd::delivery::{Delivery, Encryption, KeyDigest};
use resyncd::model::Secret;
use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::cisco::condition::Condition;
use resyncd::phone::cisco::macros;
use resyncd::phone::cisco::options::Arguments;
use resyncd::phone::cisco::profile::{EmptyElement, EmptyValue, KnownNames, Profile};
use resyncd::phone::cisco::rule::{Kind, Rule};
use resyncd::phone::cisco::schedule::{Schedule, TimeOfDay};
use resyncd::phone::cisco::target::Origin;
use resyncd::phone::cisco::version::Version;
use resyncd::phone::cisco::{
    Action, Emulation, Family, Next, Now, Outcome, Phone, ProductSeries, Reason, SeededRandom, View, report, resync,
    upgrade,
};
use resyncd::phone::{FetchError, Identity, Response, State};
use serde::Deserialize;

use crate::support::phone::{Extreme, ScriptedServer, block_on, response};
use crate::support::root;

/// 2023-11-14, 22:13:20 UTC.
const NOW: i64 = 1_700_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "macro")]
    macros: Vec<MacroCase>,
    #[serde(default, rename = "condition")]
    conditions: Vec<ConditionCase>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleCase>,
    #[serde(default, rename = "schedule")]
    schedules: Vec<ScheduleCase>,
    #[serde(default, rename = "time")]
    times: Vec<TimeCase>,
    #[serde(default, rename = "profile")]
    profiles: Vec<ProfileCase>,
    #[serde(default, rename = "session")]
    sessions: Vec<SessionCase>,
}

/// A phone; by default a CP-6841-3PCC that is factory-new but for what is said.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
struct PhoneCase {
    model: String,
    mac: String,
    firmware: String,
    certificate: bool,
    series_with_prefix: bool,
    server: Option<String>,
    digest: String,
    random_delay_unit: u32,
    empty_element_unchanged: bool,
    empty_value_is_default: bool,
    /// The names that it knows; all, if none are said.
    known: Vec<String>,
    parameters: BTreeMap<String, String>,
    /// Seconds ago.
    last_attempt: Option<i64>,
    last_success: Option<i64>,
    last_upgrade: Option<i64>,
    failures: u32,
    successes: u32,
    upgraded: Option<String>,
    upgraded_from: Option<String>,
    settled: Option<BTreeMap<String, String>>,
}

impl Default for PhoneCase {
    fn default() -> Self {
        Self {
            model: "CP-6841-3PCC".to_owned(),
            mac: "000e08abcdef".to_owned(),
            firmware: "11.0.1".to_owned(),
            certificate: true,
            series_with_prefix: false,
            server: None,
            digest: "md5".to_owned(),
            random_delay_unit: 1,
            empty_element_unchanged: false,
            empty_value_is_default: false,
            known: Vec::new(),
            parameters: BTreeMap::new(),
            last_attempt: None,
            last_success: None,
            last_upgrade: None,
            failures: 0,
            successes: 0,
            upgraded: None,
            upgraded_from: None,
            settled: None,
        }
    }
}

impl PhoneCase {
    fn make(&self) -> (Phone, State) {
        let identity = Identity {
            model: self.model.clone(),
            mac: self.mac.parse().unwrap(),
            serial: "88012BA01234".parse().unwrap(),
            firmware: self.firmware.clone(),
            has_certificate: self.certificate,
        };
        let emulation = Emulation {
            series: if self.series_with_prefix { ProductSeries::WithPrefix } else { ProductSeries::Short },
            origin: self.server.as_deref().map(|server| Origin::parse(server).unwrap()),
            digest: self.digest.parse().unwrap(),
            random_delay_unit: self.random_delay_unit,
            empty_element: if self.empty_element_unchanged { EmptyElement::Unchanged } else { EmptyElement::SetsEmpty },
            empty_value: if self.empty_value_is_default { EmptyValue::SetsDefault } else { EmptyValue::SetsEmpty },
            max_profile: 100_000,
            ..Emulation::default()
        };
        let mut phone = Phone::new(identity, emulation);
        if !self.known.is_empty() {
            let names = self.known.iter().map(|name| (name.clone(), false)).collect();
            phone.known = KnownNames { open: false, names };
        }
        let mut state = phone.family.new_phone();
        state.parameters.extend(self.parameters.clone());
        state.last_attempt = self.last_attempt.map(|ago| NOW - ago);
        state.last_success = self.last_success.map(|ago| NOW - ago);
        state.last_upgrade = self.last_upgrade.map(|ago| NOW - ago);
        (state.failures, state.successes) = (self.failures, self.successes);
        state.upgrade.firmware = self.upgraded.clone();
        state.upgrade.done = self.upgraded_from.clone();
        state.settled = self.settled.clone();
        (phone, state)
    }
}

/// Expands a text as that phone does.
fn expanded(case: &PhoneCase, text: &str, is_rule: bool) -> String {
    let (phone, state) = case.make();
    let now = Now { unix: NOW, utc_offset: 0 };
    let view = View { phone: &phone, state: &state, now, provisioning_state: 1, location: None, error: "" };
    if is_rule { macros::expand_rule(text, &view) } else { macros::expand(text, &view) }
}

/// What a case says of an error: a part of its message, and its place.
fn check_error(about: &str, error: &dyn std::fmt::Display, at: usize, expected: Option<&str>, place: Option<usize>) {
    let message = error.to_string();
    let expected = expected.unwrap_or_else(|| panic!("{about}: {message} at {at}"));
    assert!(message.contains(expected), "{about}: {message}");
    if let Some(place) = place {
        assert_eq!(at, place, "{about}: {message}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MacroCase {
    rule: String,
    text: String,
    expanded: String,
    #[serde(default)]
    in_rule: bool,
    #[serde(default)]
    phone: PhoneCase,
}

impl MacroCase {
    fn check(&self) {
        assert_eq!(expanded(&self.phone, &self.text, self.in_rule), self.expanded, "{}: {}", self.rule, self.text);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionCase {
    rule: String,
    text: String,
    holds: Option<bool>,
    error: Option<String>,
    at: Option<usize>,
    #[serde(default)]
    phone: PhoneCase,
}

impl ConditionCase {
    fn check(&self) {
        let about = format!("{}: {}", self.rule, self.text);
        match Condition::parse(&expanded(&self.phone, &self.text, false)) {
            Ok(condition) => assert_eq!(Some(condition.holds()), self.holds, "{about}"),
            Err(error) => check_error(&about, &error, error.at(), self.error.as_deref(), self.at),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleCase {
    rule: String,
    text: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    phone: PhoneCase,
    error: Option<String>,
    at: Option<usize>,
    /// How many alternatives there are.
    alternatives: Option<usize>,
    /// The one that is taken, from 0; -1 for none.
    chosen: Option<i64>,
    unreachable: Option<usize>,
    /// Of the one that is taken:
    url: Option<String>,
    key: Option<String>,
    uid: Option<String>,
    pwd: Option<String>,
    post: Option<char>,
    alias: Option<char>,
    delta: Option<bool>,
    status: Option<bool>,
    assigned: Option<BTreeMap<String, String>>,
}

impl RuleCase {
    fn check(&self) {
        let about = format!("{}: {}", self.rule, self.text);
        let kind = match self.kind.as_str() {
            "" | "profile" => Kind::Profile,
            "upgrade" => Kind::Upgrade,
            "report" => Kind::Report,
            other => panic!("{about}: {other}"),
        };
        let rule = match Rule::parse(&expanded(&self.phone, &self.text, true), kind) {
            Ok(rule) => rule,
            Err(error) => return check_error(&about, &error, error.at(), self.error.as_deref(), self.at),
        };
        assert_eq!(self.error, None, "{about}: {rule:?}");
        if let Some(count) = self.alternatives {
            assert_eq!(rule.alternatives.len(), count, "{about}");
        }
        assert_eq!(rule.unreachable(), self.unreachable, "{about}");
        let chosen = rule.choose();
        if let Some(expected) = self.chosen {
            let found = rule.alternatives.iter().position(|alternative| Some(alternative) == chosen);
            assert_eq!(found.map_or(-1, |found| i64::try_from(found).unwrap()), expected, "{about}");
        }
        let Some(chosen) = chosen else { return };
        let origin = self.phone.make().0.emulation.origin;
        let url = chosen.target.as_ref().and_then(|target| target.locate(origin.as_ref()));
        assert_eq!(url.map(|url| url.to_string()), self.url, "{about}");
        let secret =
            |secret: &Option<Secret>| secret.as_ref().and_then(|secret| secret.expose_text().map(str::to_owned));
        let options = &chosen.options;
        assert_eq!(secret(&options.key), self.key, "{about}");
        assert_eq!(options.user, self.uid, "{about}");
        assert_eq!(secret(&options.password), self.pwd, "{about}");
        assert_eq!((options.post, options.alias), (self.post, self.alias), "{about}");
        assert_eq!(options.delta, self.delta.unwrap_or_default(), "{about}");
        assert_eq!(options.status, self.status.unwrap_or_default(), "{about}");
        let assigned = chosen.assignments.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
        assert_eq!(self.assigned.clone().unwrap_or_default(), assigned, "{about}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleCase {
    rule: String,
    text: String,
    /// The first delays, with the least and with the most of every random part; 0 for never.
    #[serde(default)]
    least: Vec<u64>,
    #[serde(default)]
    most: Vec<u64>,
    error: Option<String>,
}

impl ScheduleCase {
    fn check(&self) {
        let about = format!("{}: {}", self.rule, self.text);
        let schedule = match Schedule::parse(&self.text) {
            Ok(schedule) => schedule,
            Err(error) => return check_error(&about, &error, 0, self.error.as_deref(), None),
        };
        assert_eq!(self.error, None, "{about}");
        for (mut random, expected) in [(Extreme::Least, &self.least), (Extreme::Most, &self.most)] {
            let delays: Vec<u64> =
                (0..).take(expected.len()).map(|nth| schedule.delay(nth, &mut random).unwrap_or(0)).collect();
            assert_eq!(delays, *expected, "{about}");
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeCase {
    rule: String,
    at: String,
    /// The phone's own time, HH:MM:SS.
    #[serde(default)]
    now: String,
    #[serde(default)]
    delay: u32,
    #[serde(default)]
    least: u64,
    #[serde(default)]
    most: u64,
    #[serde(default)]
    ignored: bool,
}

impl TimeCase {
    fn check(&self) {
        let about = format!("{}: {} at {}", self.rule, self.at, self.now);
        let Ok(time) = TimeOfDay::parse(&self.at) else { return assert!(self.ignored, "{about}") };
        assert!(!self.ignored, "{about}");
        let now = self.now.split(':').fold(0, |seconds, part| seconds * 60 + part.parse::<i64>().unwrap());
        let next = |mut random| time.next(now, self.delay, &mut random);
        assert_eq!((next(Extreme::Least), next(Extreme::Most)), (self.least, self.most), "{about}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileCase {
    rule: String,
    file: String,
    #[serde(default)]
    aliases: String,
    #[serde(default)]
    phone: PhoneCase,
    error: Option<String>,
    at: Option<usize>,
    /// What parameters hold afterwards.
    #[serde(default)]
    after: BTreeMap<String, String>,
    /// The user's access afterwards: all of it.
    access: Option<BTreeMap<String, String>>,
    /// What is said of the settings, in their order.
    said: Option<Vec<String>>,
}

impl ProfileCase {
    fn check(&self) {
        let about = format!("{}: {}", self.rule, self.file);
        let aliases = match AliasMap::parse(&self.aliases) {
            Ok(aliases) => aliases,
            Err(error) => return check_error(&about, &error, 0, self.error.as_deref(), None),
        };
        match Profile::read(self.file.as_bytes(), &aliases) {
            Ok(_) => assert_eq!(self.error, None, "{about}"),
            Err(error) => return check_error(&about, &error, error.at(), self.error.as_deref(), self.at),
        }
        let mut phone = self.phone.clone();
        phone.parameters.insert("Profile_Rule".to_owned(), "[--alias p] http://h/f".to_owned());
        phone.parameters.insert("GPP_P".to_owned(), self.aliases.clone());
        let server = ScriptedServer::default();
        server.answer("http://h/f", Ok(response(200, &[], self.file.clone())));
        let outcome = resynced(&phone, Reason::Periodic, &server, Extreme::Least);
        for (name, value) in &self.after {
            assert_eq!(outcome.state.parameters.get(name), Some(value), "{about}: {name}");
        }
        if let Some(access) = &self.access {
            assert_eq!(&outcome.state.access, access, "{about}");
        }
        if let Some(said) = &self.said {
            let found: Vec<String> = outcome
                .transcript
                .steps
                .iter()
                .filter(|step| matches!(step, resyncd::phone::cisco::Step::Parameter(_)))
                .map(|step| step.to_string().trim().to_owned())
                .collect();
            assert_eq!(&found, said, "{about}");
        }
    }
}

/// A resync, an upgrade or a report, with a server that answers as it is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionCase {
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

fn resynced(case: &PhoneCase, reason: Reason, server: &ScriptedServer, mut random: Extreme) -> Outcome {
    let (phone, state) = case.make();
    block_on(resync(&phone, state, reason, Now { unix: NOW, utc_offset: 0 }, server, &mut random))
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

    fn check(&self) {
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

    fn check_last(&self, last: Option<&resyncd::phone::Request>, about: &str) {
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

#[test]
fn every_rule_of_the_guides_holds() {
    let folder = root().join("tests/golden/phone/cisco");
    let mut cases = 0;
    for entry in walkdir::WalkDir::new(&folder).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.macros.iter().for_each(MacroCase::check);
        file.conditions.iter().for_each(ConditionCase::check);
        file.rules.iter().for_each(RuleCase::check);
        file.schedules.iter().for_each(ScheduleCase::check);
        file.times.iter().for_each(TimeCase::check);
        file.profiles.iter().for_each(ProfileCase::check);
        file.sessions.iter().for_each(SessionCase::check);
        cases += file.macros.len() + file.conditions.len() + file.rules.len() + file.schedules.len();
        cases += file.times.len() + file.profiles.len() + file.sessions.len();
    }
    assert!(cases >= 1, "only {cases} cases in {}", folder.display());
}

/// Every status of the guide's table, and those between.
#[test]
fn every_status_is_taken_as_the_guide_has_it() {
    for status in 200..600_u16 {
        let server = ScriptedServer::default();
        let body = "<flat-profile><GPP_A>1</GPP_A></flat-profile>";
        server.answer("http://h/f", Ok(response(status, &[("location", "/there")], body)));
        server.answer("http://h/there", Ok(response(200, &[], body)));
        let mut phone = PhoneCase::default();
        phone.parameters.insert("Profile_Rule".to_owned(), "http://h/f".to_owned());
        let outcome = resynced(&phone, Reason::PowerUp, &server, Extreme::Least);
        let said = outcome.transcript.to_string();
        let expected = match status {
            200..=299 | 301 | 302 => None,
            404 => Some("failed (B)"),
            _ => Some("failed (C)"),
        };
        match expected {
            None => assert!(outcome.succeeded, "{status}: {said}"),
            Some(expected) => assert!(said.contains(expected), "{status}: {said}"),
        }
        let by = if expected.is_none() { "Resync_Periodic" } else { "Resync_Error_Retry_Delay" };
        assert_eq!(outcome.next[0].by, by, "{status}");
    }
}

#[test]
fn a_transcript_is_data_as_well() {
    let server = ScriptedServer::default();
    server.answer("https://h/f", Ok(response(200, &[], "<flat-profile><GPP_A>1</GPP_A></flat-profile>")));
    let mut phone = PhoneCase::default();
    phone.parameters.insert("Profile_Rule".to_owned(), "https://h/f".to_owned());
    let outcome = resynced(&phone, Reason::PowerUp, &server, Extreme::Least);
    let json = serde_json::to_value(&outcome.transcript).unwrap();
    let kinds: Vec<&str> = json.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "begin",
            "wait",
            "rule",
            "log",
            "request",
            "response",
            "parameter",
            "log",
            "succeeded",
            "skipped",
            "skipped",
            "skipped",
            "next"
        ]
    );
    let parameter = json.as_array().unwrap().iter().find(|step| step["step"] == "parameter").unwrap();
    assert_eq!((&parameter["name"], &parameter["effect"]), (&"GPP_A".into(), &"applied".into()));
    let state: State = serde_json::from_str(&serde_json::to_string(&outcome.state).unwrap()).unwrap();
    assert_eq!(state, outcome.state);
}

/// A phone runs in a task of its own among many others.
#[test]
fn a_resync_can_be_sent_to_another_thread() {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let (phone, state) = PhoneCase { server: Some("http://h".to_owned()), ..PhoneCase::default() }.make();
    let server = ScriptedServer::default();
    let mut random = SeededRandom(7);
    let now = Now { unix: NOW, utc_offset: 0 };
    let outcome = block_on(sendable(resync(&phone, state, Reason::PowerUp, now, &server, &mut random)));
    assert_eq!(server.asked()[0].url, "http://h/6841-3PCC.xml");
    let outcome = block_on(sendable(upgrade(&phone, outcome.state, now, &server, &mut random)));
    block_on(sendable(report(&phone, outcome.state, now, &server, &mut random)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(
        text in prop_oneof![
            "\\PC{0,80}",
            "[-$()\\[\\]\"?!|;:=<>&#/a-pA-P0-9. ]{0,80}",
            "(\\$\\(?(MA|SA|A|PN)(:[0-9]{1,3}){0,2}\\)?|\\[--(key|pwd|post) |\\(|\\)\\?|\\)!|\\||http://h[:/]|\"| and | eq |é){0,20}",
            "(<[/?!]?(flat-profile|X)?( ua=\"rw\")?/?>|<!--|-->|&(amp|#x?[0-9]{1,3});?|é|\n){0,24}",
        ],
    ) {
        let case = PhoneCase::default();
        for in_rule in [false, true] {
            let expanded = expanded(&case, &text, in_rule);
            let written: String = macros::tokens(&text).map(|token| match token {
                macros::Token::Text(text) => text,
                macros::Token::Dollar => "$$",
                macros::Token::Reference(reference) => reference.written,
            }).collect();
            prop_assert_eq!(&written, &text);
            let _ = Arguments::masked(&expanded);
            for kind in [Kind::Profile, Kind::Upgrade, Kind::Report] {
                if let Err(error) = Rule::parse(&expanded, kind) {
                    prop_assert!(error.at() <= expanded.len() && expanded.is_char_boundary(error.at()), "{error}");
                }
            }
            if let Err(error) = Condition::parse(&expanded) {
                prop_assert!(error.at() <= expanded.len() && expanded.is_char_boundary(error.at()), "{error}");
            }
        }
        let _ = (Schedule::parse(&text), TimeOfDay::parse(&text), Origin::parse(&text));
        let _ = (Version::parse(&text), Version::of_file(&text), AliasMap::parse(&text));
        if let Err(error) = Profile::read(text.as_bytes(), &AliasMap::default()) {
            prop_assert!(error.at() <= text.len() && text.is_char_boundary(error.at()), "{error}");
        }
    }

    #[test]
    fn any_answer_ends_a_resync(
        status in prop_oneof![Just(200_u16), Just(301), Just(302), Just(401), Just(407), 200..600_u16],
        location in "[a-z:/?#.]{0,12}",
        challenge in "(Basic|Digest|realm|nonce|qop|=|,|\"| |x){0,16}",
        coding in prop_oneof![Just("aes128gcm"), Just("gzip")],
        start in prop_oneof![Just(&b""[..]), Just(&b"Salted__"[..]), Just(&[0x1f, 0x8b, 8][..]), Just(&b"<flat-profile>"[..])],
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers =
            [("location", location.as_str()), ("www-authenticate", challenge.as_str()), ("content-encoding", coding)];
        let body = Bytes::from([start, &noise].concat());
        let server = ScriptedServer::default();
        server.answer("http://h/f", Ok(response(status, &headers, body)));
        let mut phone = PhoneCase::default();
        let rule = "[--key k --uid u --pwd p] http://h/f".to_owned();
        phone.parameters.extend([("Profile_Rule".to_owned(), rule), ("IKM_HTTP_Encrypt_Content".to_owned(), "x".to_owned())]);
        let outcome = resynced(&phone, Reason::PowerUp, &server, Extreme::Least);
        prop_assert!(server.asked().len() <= 8);
        prop_assert!(!outcome.next.is_empty());
    }
}

#[test]
fn families_differ_in_their_names() {
    for (model, family) in [("CP-8841-3PCC", Family::Mpp), ("8841-3PCC", Family::Mpp), ("SPA112", Family::Spa)] {
        assert_eq!(Family::of(model), family, "{model}");
    }
}
