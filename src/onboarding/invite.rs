//! Invitations: made, listed and withdrawn.

use std::time::Duration;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{Code, Onboarding, OnboardingError};
use crate::fleet::{Actor, Edit, Expect, Liberties, Name, Refused, Secrecy, What};
use crate::model::MacAddr;
use crate::records::{Tree, open_tree, seal_tree};
use crate::store::CodeRow;

/// An invitation to be made.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// For this phone only; none: for whichever phone comes with the code.
    pub mac: Option<MacAddr>,
    /// What the device is to be: `model`, `group`, `settings`. What the phone says of its own model goes before.
    pub device: Tree,
    /// A phone that is a device of another group changes hands.
    pub takes_over: bool,
    /// How many phones may come with the code.
    pub uses: u32,
    pub valid: Duration,
}

/// Phones that may come with one code.
pub const MOST_USES: u32 = 10_000;

/// The longest that a code is good for.
pub const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Invitations that there may be at a time.
const MOST_CODES: u64 = 1_000_000;

/// What an invitation is tried with where it names no phone.
const STAND_IN: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

impl Onboarding {
    /// Makes an invitation. The code is told here and never again.
    ///
    /// # Errors
    /// When what the device is to be is wrong, as far as that can be told before the phone is known.
    pub async fn invite(&self, invitation: &Invitation, actor: &Actor) -> Result<(Code, CodeRow), OnboardingError> {
        let now = OffsetDateTime::now_utc();
        if self.fleet.store().count_codes().await? >= MOST_CODES {
            return Err(OnboardingError::TooMany);
        }
        self.try_out(invitation).await?;
        let code = Code::generate()?;
        let id = self.fleet.next_id(now);
        let device = invitation.device.as_map();
        let group = device.get("group").and_then(Value::as_str).map(str::to_owned);
        let settings = Tree::new(device.get("settings").and_then(Value::as_object).cloned().unwrap_or_default());
        let mut secret = std::collections::BTreeSet::new();
        if let Ok(layer) = settings.layer("") {
            let secrecy = Secrecy::new(&self.fleet.generation().packs);
            let within = |path: Vec<String>| std::iter::once("settings".to_owned()).chain(path).collect::<Vec<_>>();
            secret.extend(secrecy.paths(&settings, &layer).into_iter().map(within));
        }
        let sealed = seal_tree(invitation.device.clone(), &secret, &place(&id), self.fleet.vault())?;
        let row = CodeRow {
            hash: code.hash(),
            mac: invitation.mac,
            group,
            settings: Value::Object(sealed.into_map()).to_string(),
            takes_over: invitation.takes_over,
            uses: 0,
            max_uses: i64::from(invitation.uses.clamp(1, MOST_USES)),
            failures: 0,
            created: now,
            created_by: actor.name.clone(),
            expires: now + invitation.valid.min(LONGEST),
            id,
        };
        self.fleet.store().add_code(&row).await?;
        self.fleet.audit(actor, "create", "invitation", &row.id, None).await?;
        Ok((code, row))
    }

    /// Judges what the device would be, where its model is known.
    async fn try_out(&self, invitation: &Invitation) -> Result<(), OnboardingError> {
        let mac = match invitation.mac {
            Some(mac) => mac,
            None => MacAddr::from_octets(STAND_IN).map_err(|_| OnboardingError::TooMany)?,
        };
        let is_known = match invitation.mac {
            Some(mac) => self.fleet.device(mac).await?.is_some(),
            None => false,
        };
        let mut device = invitation.device.as_map().clone();
        if !is_known && !device.contains_key("model") {
            // Any model will do to see whether the settings are settings.
            let generation = self.fleet.generation();
            let model = generation.packs.iter().find_map(|pack| pack.models.list.first());
            device.extend(model.map(|model| ("model".to_owned(), Value::from(&*model.name))));
        }
        let edit = Edit { row: None, name: Name::Device(mac), what: What::Merge(device), expect: Expect::Any };
        let plan = self.fleet.plan(vec![edit], Liberties::default()).await?;
        if plan.refused.is_empty() { Ok(()) } else { Err(OnboardingError::Refused(plan.refused)) }
    }

    /// Withdraws an invitation. False where there is none.
    pub async fn withdraw(&self, id: &str, actor: &Actor) -> Result<bool, OnboardingError> {
        let was_there = self.fleet.store().remove_code(id).await?;
        if was_there {
            self.fleet.audit(actor, "remove", "invitation", id, None).await?;
        }
        Ok(was_there)
    }

    /// What the device of an invitation is to be, its secrets open.
    pub(super) fn device_of(&self, row: &CodeRow) -> Result<Map<String, Value>, OnboardingError> {
        let sealed: Map<String, Value> = serde_json::from_str(&row.settings)
            .map_err(|error| OnboardingError::Damaged { id: row.id.clone(), why: error.to_string() })?;
        Ok(open_tree(Tree::new(sealed), &place(&row.id), self.fleet.vault())?.into_map())
    }
}

fn place(id: &str) -> String {
    format!("code/{id}")
}

/// What was wrong with a plan, in one line.
pub(super) fn told(refused: &[Refused]) -> String {
    refused.iter().map(|one| one.problem.to_string()).collect::<Vec<_>>().join("; ")
}
