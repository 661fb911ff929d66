//! Firmware: whether the upgrade rule asks for another one, and fetching it (guide: "Upgrade Rule"; SPA chapter:
//! "Downgrade Rev Limit"). Of the file itself only its name and that it is there count.

use crate::phone::{Fetch, State};

use super::download::Sent;
use super::emulation::{Now, Phone};
use super::options::Options;
use super::random::Random;
use super::rule::Kind;
use super::session::{Failure, Outcome, Session};
use super::target::Location;
use super::transcript::{Action, Next, Step, Transcript};
use super::version::Version;

const RULE: &str = "Upgrade_Rule";
const LIMIT: &str = "Downgrade_Rev_Limit";

/// Upgrades the phone, if its rule says so.
pub async fn upgrade(phone: &Phone, state: State, now: Now, fetch: &impl Fetch, random: &mut impl Random) -> Outcome {
    let (transcript, location, error) = (Transcript::default(), None, String::new());
    let mut session = Session { phone, fetch, random, now, state, transcript, provisioning_state: 1, location, error };
    if !session.is_set("Upgrade_Enable", true) {
        session.transcript.push(Step::Refused { why: "Upgrade_Enable is No".to_owned() });
        return session.end(true, Vec::new());
    }
    match session.attempt().await {
        Ok(None) => session.end(true, Vec::new()),
        Ok(Some(firmware)) => {
            session.log("Log_Upgrade_Success_Msg");
            session.transcript.push(Step::Upgraded { firmware: firmware.clone() });
            session.state.upgrade.done = session.location.as_ref().map(ToString::to_string);
            session.state.upgrade.firmware = Some(firmware);
            session.ended(String::new(), 0);
            session.end(true, vec![Next { action: Action::Reboot, after: 0, by: RULE }])
        }
        Err(failure) => {
            session.error = failure.to_string();
            session.failed(RULE, &failure);
            session.log("Log_Upgrade_Failure_Msg");
            let nth = session.state.upgrade.failures;
            session.ended(failure.to_string(), nth.saturating_add(1));
            let next = session.scheduled(Action::Upgrade, "Upgrade_Error_Retry_Delay", nth);
            session.end(false, next)
        }
    }
}

impl<F: Fetch, R: Random> Session<'_, F, R> {
    fn ended(&mut self, error: String, failures: u32) {
        self.state.last_upgrade = Some(self.now.unix);
        self.state.upgrade.error = error;
        self.state.upgrade.failures = failures;
    }

    /// The firmware that was put in, or none where nothing was to be done.
    async fn attempt(&mut self) -> Result<Option<String>, Failure> {
        let written = self.parameter(RULE).to_owned();
        if written.trim().is_empty() {
            return Ok(None);
        }
        let rule = self.rule(RULE, &written, Kind::Upgrade)?;
        let Some(chosen) = self.choose(&rule) else { return Ok(self.nothing("no condition is true")) };
        self.assign(&chosen.assignments);
        let Some(target) = &chosen.target else { return Ok(self.nothing("there is no URL")) };
        let location = target.locate(None).ok_or(Failure::NoServer)?;
        if self.state.upgrade.done.as_deref() == Some(location.to_string().as_str()) {
            return Ok(self.nothing("it was upgraded from this URL before, and the rule has not changed since"));
        }
        let firmware = firmware(&location);
        if self.has(&firmware) {
            return Ok(self.nothing("the phone has this firmware"));
        }
        self.location = Some(location.clone());
        self.log("Log_Upgrade_Request_Msg");
        self.check_limit(&location, &firmware)?;
        let response = self.exchange(&Sent::get(), &location, &Options::default()).await?;
        if response.body.is_empty() { Err(Failure::NoFirmware) } else { Ok(Some(firmware)) }
    }

    fn nothing(&mut self, why: &str) -> Option<String> {
        self.transcript.push(Step::Skipped { parameter: RULE.to_owned(), why: why.to_owned() });
        None
    }

    /// Whether the phone runs this firmware; one whose build is not told may be any build.
    fn has(&self, firmware: &str) -> bool {
        let own = self.phone.naming(&self.state).software();
        match (Version::parse(&own), Version::parse(firmware)) {
            (Some(own), Some(other)) => own.agrees(&other),
            _ => own == firmware,
        }
    }

    /// A file whose name doesn't tell its version is not held up: a phone reads the version in the file.
    fn check_limit(&self, location: &Location, firmware: &str) -> Result<(), Failure> {
        let limit = self.parameter(LIMIT).trim();
        // What is no version is no limit.
        let (Some(lowest), Some(version)) = (Version::parse(limit), Version::of_file(&location.path)) else {
            return Ok(());
        };
        match version.compare(&lowest) {
            Some(ordering) if ordering.is_lt() => Err(Failure::Downgrade(limit.to_owned(), firmware.to_owned())),
            Some(_) => Ok(()),
            None => Err(Failure::Incomparable(limit.to_owned(), firmware.to_owned())),
        }
    }
}

/// What a file calls its firmware: `sip68xx.11-0-1MPP-376`, `7.5.2b`; else its name.
fn firmware(location: &Location) -> String {
    let path = location.path.split_once('?').map_or(location.path.as_str(), |(path, _)| path);
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some(stem) = name.strip_suffix(".loads") {
        return stem.to_owned();
    }
    Version::of_file(path).map_or_else(|| name.to_owned(), |version| version.to_string())
}
