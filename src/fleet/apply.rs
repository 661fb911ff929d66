//! Making planned changes: all of them or none, with who made them.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::plan::{Action, Difference, Plan, Write};
use super::{Actor, Fleet, FleetError, Name};
use crate::store::{AuditRow, FleetWrite};

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    pub created: usize,
    pub changed: usize,
    pub removed: usize,
    pub kept: usize,
    /// The fleet's revision since; none where nothing was different.
    pub revision: Option<i64>,
}

impl Fleet {
    /// Makes the changes of a plan, and returns once they are in force on this server.
    ///
    /// # Errors
    /// When one of them was refused, or what they change has changed meanwhile. Then nothing is written.
    pub async fn apply(&self, plan: Plan, actor: &Actor) -> Result<Applied, FleetError> {
        if !plan.refused.is_empty() {
            return Err(FleetError::Refused(plan.refused.len()));
        }
        let mut applied = Applied::default();
        let mut write = FleetWrite { time: plan.time, devices: Vec::new(), groups: Vec::new(), audit: Vec::new() };
        for planned in plan.planned {
            match planned.action {
                Action::Create => applied.created += 1,
                Action::Change => applied.changed += 1,
                Action::Remove => applied.removed += 1,
                Action::Keep => {
                    applied.kept += 1;
                    continue;
                }
            }
            let (kind, name) = match &planned.name {
                Name::Device(mac) => ("device", mac.to_string()),
                Name::Group(name) => ("group", name.clone()),
            };
            let (before, after) = (side(&planned.differences, false), side(&planned.differences, true));
            let action = planned.action.as_str();
            write.audit.push(self.audit_row(actor, plan.time, action, kind, &name, before, after));
            match planned.write {
                Write::Device(device) => write.devices.push(*device),
                Write::Group(group) => write.groups.push(*group),
            }
        }
        if write.devices.is_empty() && write.groups.is_empty() {
            return Ok(applied);
        }
        applied.revision = Some(self.store.write_fleet(&write).await?);
        self.take_in().await;
        Ok(applied)
    }

    /// Returns once everything that was committed before is in force on this server.
    pub async fn take_in(&self) {
        if let Some(follower) = &self.follower {
            follower.take_in().await;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of a row")]
    pub(super) fn audit_row(
        &self,
        actor: &Actor,
        time: OffsetDateTime,
        action: &str,
        kind: &str,
        name: &str,
        before: Option<String>,
        after: Option<String>,
    ) -> AuditRow {
        AuditRow {
            id: self.ids.next(time).to_string(),
            time,
            actor: actor.name.clone(),
            peer: actor.peer.map(|peer| peer.to_string()),
            action: action.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            before,
            after,
        }
    }
}

/// The values on one side of differences, as JSON; none where there are none.
fn side(differences: &[Difference], after: bool) -> Option<String> {
    let values: BTreeMap<&str, &Value> = differences
        .iter()
        .filter_map(|one| Some((one.key.as_str(), if after { &one.after } else { &one.before }.as_ref()?)))
        .collect();
    if values.is_empty() { None } else { serde_json::to_string(&values).ok() }
}
