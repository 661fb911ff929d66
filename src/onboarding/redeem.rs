//! A phone comes with a code: it becomes the device that the invitation is for.

use std::time::Instant;

use serde_json::Value;
use time::OffsetDateTime;

use super::invite::told;
use super::{Code, MOST_WRONG, Onboarding, OnboardingError, PATIENCE};
use crate::brakes::network;
use crate::fleet::{Actor, Edit, Expect, FleetError, Liberties, Name, What};
use crate::model::{MacAddr, Secret};
use crate::packs::Identified;
use crate::resync::{Invited, Request};
use crate::store::{CodeRow, MOST_FAILURES, WriteError};

/// Times that a change is tried while others change the same.
const TRIES: usize = 3;

impl Onboarding {
    /// What becomes of a phone that comes with a code. Everything but [`Invited::Bound`] is the same refusal to it.
    pub async fn redeem(&self, code: &Secret, request: &Request<'_>, phone: &Phone) -> Invited {
        let peer = request.connection.peer.ip();
        if request.connection.tls.is_none() {
            return Invited::Refused("codes are taken over TLS only".to_owned());
        }
        let now = Instant::now();
        if self.wrong.get(&network(peer), now) >= MOST_WRONG {
            return Invited::Refused(format!("{peer} has come with too many wrong codes"));
        }
        let actor = Actor { name: String::new(), peer: Some(peer) };
        // What was begun and not ended is begun again when the phone comes again.
        let bound = self.fleet.store().within(PATIENCE, self.bind(code, phone, &actor)).await;
        match bound.unwrap_or_else(|error| Err(Stop::Error(error.into()))) {
            Ok(mac) => Invited::Bound(mac),
            Err(Stop::Wrong(why)) => {
                self.wrong.add(network(peer), now);
                Invited::Refused(why)
            }
            Err(Stop::Refused(why)) => Invited::Refused(why),
            Err(Stop::Error(OnboardingError::Store(error) | OnboardingError::Fleet(FleetError::Store(error)))) => {
                tracing::error!("the database does not answer, and a phone with a code was told to come back: {error}");
                Invited::Away
            }
            Err(Stop::Error(error)) => Invited::Refused(error.to_string()),
        }
    }

    async fn bind(&self, code: &Secret, phone: &Phone, from: &Actor) -> Result<MacAddr, Stop> {
        let store = self.fleet.store();
        let Some(code) = Code::parse(code.expose()) else { return Err(Stop::Wrong("it is no code".to_owned())) };
        let Some(mac) = phone.mac(self.certificate_required) else {
            let why = if self.certificate_required {
                "no client certificate tells which phone it is"
            } else {
                "neither a client certificate nor the User-Agent tells which phone it is"
            };
            return Err(Stop::Refused(why.to_owned()));
        };
        let Some(row) = store.code(&code.hash()).await? else {
            return Err(Stop::Wrong("there is no such code".to_owned()));
        };
        if row.failures >= MOST_FAILURES {
            return Err(Stop::Wrong(format!("invitation {} has come from too many wrong phones", row.id)));
        }
        if row.mac.is_some_and(|invited| invited != mac) {
            store.fail_code(&row.id).await?;
            return Err(Stop::Wrong(format!("invitation {} is for another phone than {mac}", row.id)));
        }
        let now = OffsetDateTime::now_utc();
        if row.expires <= now {
            return Err(Stop::Wrong(format!("invitation {} has expired", row.id)));
        }
        let again = store.has_used_code(&row.id, mac).await?;
        if !again {
            self.may_become(&row, mac).await?;
            if !store.use_code(&row.id, mac, now).await? {
                return Err(Stop::Wrong(format!("invitation {} is used up", row.id)));
            }
        }
        let actor = Actor { name: format!("phone:{mac}"), peer: from.peer };
        self.become_device(&row, mac, phone, &actor).await?;
        if !again {
            store.remove_waiting(mac).await?;
            self.fleet.audit(&actor, "use", "invitation", &row.id, None).await?;
        }
        Ok(mac)
    }

    /// Somebody's device stays theirs, unless the invitation says otherwise.
    async fn may_become(&self, row: &CodeRow, mac: MacAddr) -> Result<(), Stop> {
        if row.takes_over || row.mac == Some(mac) {
            return Ok(());
        }
        match self.fleet.device(mac).await? {
            Some(entry) if entry.group != row.group || row.group.is_none() => Err(Stop::Refused(format!(
                "{mac} is a device already{}; remove it, or invite it with --take-over",
                entry.group.map(|group| format!(" of the group {group}")).unwrap_or_default()
            ))),
            _ => Ok(()),
        }
    }

    async fn become_device(&self, row: &CodeRow, mac: MacAddr, phone: &Phone, actor: &Actor) -> Result<(), Stop> {
        let mut device = self.device_of(row)?;
        let is_known = self.fleet.device(mac).await?.is_some_and(|entry| entry.model.is_some());
        if !(is_known && row.mac.is_some()) {
            // The phone is what it is, whatever was expected.
            device.extend(phone.model().map(|model| ("model".to_owned(), Value::from(model))));
        }
        let mut last = None;
        for _ in 0..TRIES {
            let what = if row.takes_over { What::Put(device.clone()) } else { What::Merge(device.clone()) };
            let edit = Edit { row: None, name: Name::Device(mac), what, expect: Expect::Any };
            let plan = self.fleet.plan(vec![edit], Liberties::default()).await?;
            if !plan.refused.is_empty() {
                return Err(Stop::Refused(format!("invitation {}: {}", row.id, told(&plan.refused))));
            }
            match self.fleet.apply(plan, actor).await {
                Ok(_) => return Ok(()),
                Err(error @ FleetError::Write(WriteError::Changed { .. } | WriteError::SerialTaken)) => {
                    last = Some(error)
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(|| Stop::Refused("it was changed meanwhile".to_owned()), Stop::from))
    }
}

/// Why a phone doesn't become a device.
enum Stop {
    /// The code is: whoever goes on like this is tried.
    Wrong(String),
    Refused(String),
    Error(OnboardingError),
}

impl<E: Into<OnboardingError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What a request tells of its phone.
#[derive(Debug, Clone, Default)]
pub struct Phone {
    /// Of a certificate that verifies.
    pub certificate: Option<Identified>,
    pub user_agent: Option<Identified>,
}

impl Phone {
    fn mac(&self, certificate_required: bool) -> Option<MacAddr> {
        let certificate = self.certificate.as_ref().filter(|found| !found.generic);
        let of_certificate = certificate.and_then(|found| found.mac);
        if certificate_required {
            return of_certificate;
        }
        of_certificate.or_else(|| self.user_agent.as_ref().and_then(|found| found.mac))
    }

    fn model(&self) -> Option<&str> {
        let models = [&self.certificate, &self.user_agent].into_iter().flatten();
        models.filter(|found| !found.generic).find_map(|found| found.model.as_deref())
    }
}
