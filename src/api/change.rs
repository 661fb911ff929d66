//! What changes of devices and groups have in common: planned, made or refused, all by `fleet`.

use std::sync::Arc;

use utoipa::IntoParams;

use super::problem::{Kind, Mistake};
use super::{Api, Problem};
use crate::fleet::{Actor, Edit, Entry, Expect, FleetError, Liberties, Refused, Secrecy, Why};
use crate::model::MacAddr;
use crate::store::WriteError;
use crate::tokens::Caller;

/// The headers that a change takes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "tells what `Conditions` reads")]
pub struct Condition {
    /// The ETag that was read, or `*`: what is there is changed only if it is still that. Needed to change what is there.
    #[param(rename = "If-Match", pattern = r#"^(\*|"[0-9]{1,18}")$"#)]
    if_match: Option<String>,
    /// `*`: nothing is to be there yet.
    #[param(rename = "If-None-Match", pattern = r"^\*$")]
    if_none_match: Option<String>,
}

/// What has to be there still when the change is made.
pub fn expect(revision: Option<i64>) -> Expect {
    revision.map_or(Expect::Absent, Expect::Revision)
}

/// The revision of a device's record; none where it has none.
pub fn record_revision(entry: &Entry) -> Option<i64> {
    entry.record.as_ref().map(|stored| stored.revision)
}

impl Api {
    /// Which settings are secret.
    pub fn secrecy(&self) -> Arc<Secrecy> {
        let generation = self.pipeline().generation();
        // Made once for a generation's packs: their lists of parameters are long.
        let known = self.0.secrecy.load();
        if known.0 == generation.number {
            return known.1.clone();
        }
        let secrecy = Arc::new(Secrecy::new(&generation.packs));
        self.0.secrecy.store(Arc::new((generation.number, secrecy.clone())));
        secrecy
    }

    /// Whether a caller sees what is in a group of this name; none: in no group.
    pub fn sees(&self, caller: &Caller, group: Option<&str>) -> bool {
        caller.token.group.as_ref().is_none_or(|own| self.fleet().is_within(group, own))
    }

    /// A device that the caller sees.
    pub async fn entry(&self, caller: &Caller, mac: MacAddr) -> Result<Option<Entry>, Problem> {
        let entry = self.fleet().device(mac).await?;
        Ok(entry.filter(|entry| self.sees(caller, entry.group.as_deref())))
    }

    /// Makes one change.
    pub async fn change(&self, caller: &Caller, edit: Edit) -> Result<(), Problem> {
        let plan = self.fleet().plan(vec![edit], Liberties::default()).await?;
        if !plan.refused.is_empty() {
            return Err(refusal(caller, plan.refused));
        }
        self.fleet().apply(plan, &caller.actor()).await?;
        Ok(())
    }
}

impl Caller {
    /// Who makes a change, for the audit.
    pub fn actor(&self) -> Actor {
        Actor { name: format!("token:{}", self.token.name), peer: Some(self.peer) }
    }
}

/// What a caller is told of changes that can't be made.
pub fn refusal(caller: &Caller, refused: Vec<Refused>) -> Problem {
    let kind = match refused.first().map_or(Why::Wrong, |refused| refused.why) {
        Why::Wrong => Kind::Invalid,
        Why::Missing => Kind::NotFound,
        Why::Stale => Kind::Stale,
        Why::Taken => Kind::Conflict,
    };
    let bound = caller.token.group.is_some();
    let mistakes = refused.into_iter().map(|refused| {
        let problem = refused.problem;
        if bound && refused.why == Why::Taken && problem.key.as_deref() == Some("serial") {
            // Whose it is may be none of the caller's business.
            return Mistake::of_key("serial", "is the serial number of another device");
        }
        Mistake { pointer: None, key: problem.key, message: problem.message, help: problem.help }
    });
    Problem::of(kind, mistakes.collect())
}

/// What the operator has to see to goes to the log; the client is told what it can do.
impl From<FleetError> for Problem {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Store(error) | FleetError::Write(WriteError::Store(error)) => error.into(),
            FleetError::Write(error @ WriteError::Changed { .. }) => Self::new(Kind::Stale, error.to_string()),
            FleetError::Write(WriteError::SerialTaken) => {
                Self::new(Kind::Conflict, "the serial number was given to another device just now")
            }
            FleetError::Record(error) => {
                tracing::error!("a record can't be read or written: {error}");
                Self::new(Kind::Conflict, error.to_string())
            }
            FleetError::Problems(problems) => Self::of(Kind::Invalid, problems.iter().map(Mistake::from).collect()),
            FleetError::Refused(_) => Self::new(Kind::Invalid, error.to_string()),
            FleetError::Randomness(_) | FleetError::Broken(_) | FleetError::Unlock(_) => {
                tracing::error!("the API could not change the fleet: {error}");
                Self::new(Kind::Internal, "the server's log tells what it was")
            }
        }
    }
}
