//! The emulated Cisco phone against its guides, rule by rule.
//!
//! A case is an entry of a TOML file dropped into tests/golden/phone/cisco/: any file may hold cases of any kind. `rule` says
//! which rule of the guide it is about, in other words than the guide's; what a case does not name is not looked at.

mod cases;
mod noise;
mod phone;
mod samples;
mod session;

use resyncd::phone::State;
use resyncd::phone::cisco::{Family, Now, Reason, SeededRandom, report, resync, upgrade};
use serde::Deserialize;

use self::cases::{ConditionCase, MacroCase, ProfileCase, RuleCase, ScheduleCase, TimeCase};
use self::phone::{NOW, PhoneCase, resynced};
use self::session::SessionCase;
use crate::support::phone::{Extreme, ScriptedServer, block_on, response};
use crate::support::root;

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
    assert!(cases >= 300, "only {cases} cases in {}", folder.display());
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

#[test]
fn families_differ_in_their_names() {
    for (model, family) in [("CP-8841-3PCC", Family::Mpp), ("8841-3PCC", Family::Mpp), ("SPA112", Family::Spa)] {
        assert_eq!(Family::of(model), family, "{model}");
    }
}
