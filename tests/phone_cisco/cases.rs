//! The cases of what parses: macros, conditions, rules, schedules and profiles.

use std::collections::BTreeMap;

use resyncd::model::Secret;
use resyncd::phone::cisco::alias::AliasMap;
use resyncd::phone::cisco::condition::Condition;
use resyncd::phone::cisco::profile::Profile;
use resyncd::phone::cisco::rule::{Kind, Rule};
use resyncd::phone::cisco::schedule::{Schedule, TimeOfDay};
use resyncd::phone::cisco::{Reason, Step};
use serde::Deserialize;

use super::phone::{PhoneCase, check_error, expanded, resynced};
use crate::support::phone::{Extreme, ScriptedServer, response};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacroCase {
    rule: String,
    text: String,
    expanded: String,
    #[serde(default)]
    in_rule: bool,
    #[serde(default)]
    phone: PhoneCase,
}

impl MacroCase {
    pub fn check(&self) {
        assert_eq!(expanded(&self.phone, &self.text, self.in_rule), self.expanded, "{}: {}", self.rule, self.text);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionCase {
    rule: String,
    text: String,
    holds: Option<bool>,
    error: Option<String>,
    at: Option<usize>,
    #[serde(default)]
    phone: PhoneCase,
}

impl ConditionCase {
    pub fn check(&self) {
        let about = format!("{}: {}", self.rule, self.text);
        match Condition::parse(&expanded(&self.phone, &self.text, false)) {
            Ok(condition) => assert_eq!(Some(condition.holds()), self.holds, "{about}"),
            Err(error) => check_error(&about, &error, error.at(), self.error.as_deref(), self.at),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleCase {
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
    pub fn check(&self) {
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
pub struct ScheduleCase {
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
    pub fn check(&self) {
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
pub struct TimeCase {
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
    pub fn check(&self) {
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
pub struct ProfileCase {
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
    pub fn check(&self) {
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
                .filter(|step| matches!(step, Step::Parameter(_)))
                .map(|step| step.to_string().trim().to_owned())
                .collect();
            assert_eq!(&found, said, "{about}");
        }
    }
}
