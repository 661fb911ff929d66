//! A resync: whether it is due, the four profile rules in their order, and what comes next (guide: "Enables", "Triggers",
//! "Profile Rules").

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::phone::{Fetch, Method, State};

use super::alias::AliasMap;
use super::condition::Condition;
use super::download::Sent;
use super::emulation::{Now, Phone};
use super::factory::Family;
use super::macros;
use super::profile::Profile;
use super::random::Random;
use super::rule::{Alternative, Kind};
use super::schedule::{Schedule, TimeOfDay};
use super::session::{Failure, Outcome, Session};
use super::transcript::{Action, Next, Step, Transcript};

/// In this order; the first that fails ends the resync.
const RULES: [&str; 4] = ["Profile_Rule", "Profile_Rule_B", "Profile_Rule_C", "Profile_Rule_D"];

/// Why a resync is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    PowerUp,
    /// The reboot after an upgrade, or the end of an attempt at one.
    Upgrade,
    /// `Resync_Periodic` or `Resync_At`.
    Periodic,
    /// `Resync_Error_Retry_Delay`.
    Retry,
    /// A SIP NOTIFY with `Event: resync`.
    Notify,
    /// The phone's own pages or keypad; a rule that was given there takes the place of the four.
    Command(Option<String>),
}

impl Reason {
    /// Without a command's rule, which may hold keys: it is written down by itself, with those masked.
    fn shown(&self) -> Self {
        if matches!(self, Self::Command(_)) { Self::Command(None) } else { self.clone() }
    }

    /// `$PRVST`
    fn provisioning_state(&self) -> i8 {
        match self {
            Self::Notify | Self::Command(_) => -1,
            Self::PowerUp | Self::Upgrade => 0,
            Self::Periodic => 1,
            Self::Retry => 2,
        }
    }
}

/// Does a resync, if the phone would. Time stands still meanwhile: what a phone would wait for is written down.
pub async fn resync(
    phone: &Phone,
    state: State,
    reason: Reason,
    now: Now,
    fetch: &impl Fetch,
    random: &mut impl Random,
) -> Outcome {
    let provisioning_state = reason.provisioning_state();
    let transcript = Transcript { steps: vec![Step::Begin { reason: reason.shown() }] };
    let (location, error) = (None, String::new());
    let mut session = Session { phone, fetch, random, now, state, transcript, provisioning_state, location, error };
    if let Err(why) = session.is_due(&reason) {
        session.transcript.push(Step::Refused { why });
        let next = session.next_periodic();
        return session.end(true, next);
    }
    session.random_delay(&reason);
    let succeeded = session.rules(&reason).await;
    session.state.last_attempt = Some(now.unix);
    let next = if succeeded {
        session.state.last_success = Some(now.unix);
        session.state.failures = 0;
        session.state.successes = session.state.successes.saturating_add(1);
        session.state.settled = Some(session.state.parameters.clone());
        session.next_periodic()
    } else {
        session.state.successes = 0;
        session.state.failures = session.state.failures.saturating_add(1);
        session.next_retry()
    };
    session.end(succeeded, next)
}

impl<F: Fetch, R: Random> Session<'_, F, R> {
    fn is_due(&mut self, reason: &Reason) -> Result<(), String> {
        let no = |parameter: &str| Err(format!("{parameter} is No"));
        if !self.is_set("Provision_Enable", true) {
            return no("Provision_Enable");
        }
        match reason {
            Reason::PowerUp | Reason::Upgrade if !self.is_set("Resync_On_Reset", true) => no("Resync_On_Reset"),
            Reason::Upgrade if !self.is_set("Resync_After_Upgrade_Attempt", true) => no("Resync_After_Upgrade_Attempt"),
            Reason::Notify if !self.is_set("Resync_From_SIP", true) => no("Resync_From_SIP"),
            Reason::Periodic => self.triggered(),
            _ => Ok(()),
        }
    }

    /// On multiplatform phones triggers hold a periodic resync back until one is true. On SPA phones they bring one
    /// about, and hold nothing back.
    fn triggered(&mut self) -> Result<(), String> {
        let mut set = false;
        for parameter in ["Resync_Trigger_1", "Resync_Trigger_2"] {
            let expanded = macros::expand(self.parameter(parameter), &self.view());
            if expanded.trim().is_empty() {
                continue;
            }
            set = true;
            let condition = Condition::parse(&expanded);
            let holds = condition.as_ref().is_ok_and(Condition::holds);
            let error = condition.err().map(|error| error.to_string());
            self.transcript.push(Step::Trigger { parameter: parameter.to_owned(), expanded, holds, error });
            if holds {
                return Ok(());
            }
        }
        if set && self.phone.family == Family::Mpp { Err("no trigger is true".to_owned()) } else { Ok(()) }
    }

    /// So that phones that are powered up together don't ask together.
    fn random_delay(&mut self, reason: &Reason) {
        let units: u32 = self.parameter("Resync_Random_Delay").trim().parse().unwrap_or_default();
        let bound = units.min(65_535).saturating_mul(self.phone.emulation.random_delay_unit);
        if matches!(reason, Reason::PowerUp | Reason::Upgrade) && bound > 0 {
            let seconds = u64::from(self.random.up_to(bound));
            self.transcript.push(Step::Wait { parameter: "Resync_Random_Delay", seconds });
        }
    }

    /// Whether all rules succeeded.
    async fn rules(&mut self, reason: &Reason) -> bool {
        if let Reason::Command(Some(rule)) = reason {
            return self.evaluated("resync command", rule.clone()).await;
        }
        for parameter in RULES {
            // What an earlier profile has set counts already.
            let written = self.parameter(parameter).to_owned();
            if !self.evaluated(parameter, written).await {
                return false;
            }
        }
        true
    }

    async fn evaluated(&mut self, parameter: &str, written: String) -> bool {
        let [_, success, failure] = self.phone.family.log_parameters();
        (self.location, self.error) = (None, String::new());
        match self.evaluate(parameter, &written).await {
            Ok(()) => {
                if self.location.is_some() {
                    self.log(success);
                    self.transcript.push(Step::Succeeded { parameter: parameter.to_owned() });
                }
                true
            }
            Err(Failure::NotFound) if !self.is_set("Resync_Fails_On_FNF", true) => {
                self.log(success);
                let why = "the file is not there, which Resync_Fails_On_FNF = No takes for success".to_owned();
                self.transcript.push(Step::Skipped { parameter: parameter.to_owned(), why });
                true
            }
            Err(error) => {
                self.error = error.to_string();
                self.failed(parameter, &error);
                self.log(failure);
                false
            }
        }
    }

    async fn evaluate(&mut self, parameter: &str, written: &str) -> Result<(), Failure> {
        let skipped = |why: &str| Step::Skipped { parameter: parameter.to_owned(), why: why.to_owned() };
        if written.trim().is_empty() {
            self.transcript.push(skipped("it is empty"));
            return Ok(());
        }
        let rule = self.rule(parameter, written, Kind::Profile)?;
        let Some(chosen) = self.choose(&rule) else {
            self.transcript.push(skipped("no condition is true"));
            return Ok(());
        };
        self.assign(&chosen.assignments);
        if chosen.target.is_none() {
            self.transcript.push(skipped("there is no URL"));
        }
        self.fetch_and_apply(chosen).await
    }

    async fn fetch_and_apply(&mut self, chosen: &Alternative) -> Result<(), Failure> {
        let Some(target) = &chosen.target else { return Ok(()) };
        let location = target.locate(self.phone.emulation.origin.as_ref()).ok_or(Failure::NoServer)?;
        let [request, ..] = self.phone.family.log_parameters();
        self.location = Some(location.clone());
        let aliases = self.aliases(chosen.options.alias)?;
        let mut sent = Sent::get();
        if let Some(letter) = chosen.options.post {
            if location.scheme == super::target::Scheme::Tftp {
                return Err(Failure::PostByTftp);
            }
            let template = self.parameter(&format!("GPP_{letter}"));
            sent.body = Bytes::from(macros::expand(template, &self.view()));
            sent.method = Method::Post;
        }
        self.log(request);
        let response = self.exchange(&sent, &location, &chosen.options).await?;
        let file = self.opened(&response, chosen.options.key.as_ref())?;
        let profile = Profile::read(&file, &aliases)?;
        for change in self.target(|target| profile.apply(target)) {
            self.transcript.push(Step::Parameter(change));
        }
        Ok(())
    }

    fn aliases(&self, letter: Option<char>) -> Result<AliasMap, Failure> {
        let Some(letter) = letter else { return Ok(AliasMap::default()) };
        AliasMap::parse(self.parameter(&format!("GPP_{letter}"))).map_err(|error| Failure::Alias(letter, error))
    }

    /// After success. `Resync_At` wins, if it is a time; the periodic timer runs from the first success on. A timer that
    /// may bring about nothing is none.
    fn next_periodic(&mut self) -> Vec<Next> {
        if !self.is_set("Provision_Enable", true) {
            return Vec::new();
        }
        if let Ok(at) = TimeOfDay::parse(self.resync_at()) {
            let random: u32 = self.parameter("Resync_At_Random_Delay").trim().parse().unwrap_or_default();
            let after = at.next(self.now.local(), random, self.random);
            return vec![Next { action: Action::Resync, after, by: "Resync_At" }];
        }
        if self.state.last_success.is_none() {
            return Vec::new();
        }
        let nth = self.state.successes.saturating_sub(1);
        self.scheduled(Action::Resync, "Resync_Periodic", nth)
    }

    /// The field is "Resync At (HHmm)": its tag is seen written in two ways.
    fn resync_at(&self) -> &str {
        ["Resync_At__HHmm_", "Resync_At_HHmm", "Resync_At"]
            .into_iter()
            .map(|name| self.parameter(name).trim())
            .find(|value| !value.is_empty())
            .unwrap_or_default()
    }

    fn next_retry(&mut self) -> Vec<Next> {
        let nth = self.state.failures.saturating_sub(1);
        self.scheduled(Action::Retry, "Resync_Error_Retry_Delay", nth)
    }

    /// The nth delay of a schedule; one that can't be read counts as the default.
    pub(super) fn scheduled(&mut self, action: Action, parameter: &'static str, nth: u32) -> Vec<Next> {
        const DEFAULT: &str = "3600";
        let schedule = Schedule::parse(self.parameter(parameter)).or_else(|_| Schedule::parse(DEFAULT));
        let after = schedule.ok().and_then(|schedule| schedule.delay(nth, self.random));
        after.map(|after| Next { action, after, by: parameter }).into_iter().collect()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerUp => "resync after power-up",
            Self::Upgrade => "resync after an upgrade",
            Self::Periodic => "periodic resync",
            Self::Retry => "retry of a resync that failed",
            Self::Notify => "resync asked for by SIP NOTIFY",
            Self::Command(_) => "resync asked for on the phone",
        })
    }
}
