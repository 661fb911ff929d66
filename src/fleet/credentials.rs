//! User and password of a device, for `access.password`: looked at, made anew, and the old one taken away once the phone has used
//! the new one. They are settings of its record like all others, sealed and audited like them.

use serde_json::{Map, Value, json};

use super::{Action, Actor, Edit, Expect, Fleet, FleetError, Liberties, Name, Refused, What};
use crate::identity::password::{new_password, new_user};
use crate::model::{MacAddr, Secret};
use crate::settings::{Effective, SecretError, Value as Setting};
use crate::store::WriteError;

/// What holds for a device now.
#[derive(Debug, Clone)]
pub struct DeviceCredentials {
    pub mac: MacAddr,
    pub user: Option<String>,
    /// None where there is none; or why it can't be had here.
    pub password: Option<Result<Secret, SecretError>>,
    /// The one before, while both hold.
    pub previous: Option<Result<Secret, SecretError>>,
    /// Whether they open anything: `access.password`.
    pub opens: bool,
}

/// Why new ones can't be made.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("there is no device {0}")]
    Unknown(MacAddr),
    #[error("the device is not served: {0}")]
    Broken(String),
    #[error(
        "the phone has not used its new password yet, and the one before still holds; rotate again by force, and that one stops"
    )]
    UnderWay,
    #[error(
        "the password in force can't be kept beside the new one: {0}; rotate where the server runs, or by force, and it stops at once"
    )]
    Unreadable(SecretError),
    #[error("{}", told(.0))]
    Refused(Vec<Refused>),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

fn told(refused: &[Refused]) -> String {
    refused.iter().map(|refused| refused.problem.to_string()).collect::<Vec<_>>().join("; ")
}

impl Fleet {
    /// The credentials of a device; none where there is no such device.
    ///
    /// # Errors
    /// When the database doesn't answer, or nothing can be made of the device's record.
    pub async fn credentials(&self, mac: MacAddr) -> Result<DeviceCredentials, RotateError> {
        let entry = self.device(mac).await?.ok_or(RotateError::Unknown(mac))?;
        let device = entry.device.map_err(RotateError::Broken)?;
        let generation = self.generation();
        if let Some(why) = generation.profiles.broken(&device) {
            return Err(RotateError::Broken(why));
        }
        Ok(of_settings(mac, &generation.settings(&device)))
    }

    /// Makes a new password, and a user where there is none, and puts them into the device's record. The password before holds as
    /// well until the phone has used the new one. `force`: even if that hasn't happened since the last time, or it can't be
    /// kept.
    ///
    /// # Errors
    /// When there is no such device, or its record can't be changed.
    pub async fn rotate_credentials(
        &self,
        mac: MacAddr,
        force: bool,
        actor: &Actor,
    ) -> Result<DeviceCredentials, RotateError> {
        let entry = self.device(mac).await?.ok_or(RotateError::Unknown(mac))?;
        let revision = entry.record.as_ref().map(|stored| stored.revision);
        let now = self.credentials(mac).await?;
        if now.previous.is_some() && !force {
            return Err(RotateError::UnderWay);
        }
        let before = match now.password {
            Some(Err(error)) if !force => return Err(RotateError::Unreadable(error)),
            // Without a user it opened nothing.
            Some(Ok(password)) if now.user.is_some() => password.expose_text().map(str::to_owned),
            _ => None,
        };
        let user = now.user.unwrap_or_else(|| new_user(mac));
        let password = new_password().map_err(FleetError::Randomness)?;
        let text = password.expose_text().unwrap_or_default();
        let expect = revision.map_or(Expect::Absent, Expect::Revision);
        self.set_credentials(mac, json!({"user": user, "password": text, "previous": before}), expect, actor).await?;
        self.credentials(mac).await
    }

    /// Takes the password before away, now that the phone has used this one. False where there is nothing to be done: it is another
    /// one by now, or another server was faster.
    ///
    /// # Errors
    /// When the database doesn't answer, or the record can't be changed.
    pub async fn forget_previous(&self, mac: MacAddr, used: &Secret) -> Result<bool, RotateError> {
        let Some(entry) = self.device(mac).await? else { return Ok(false) };
        let (Some(stored), Ok(device)) = (&entry.record, &entry.device) else { return Ok(false) };
        let path = ["credentials", "previous"].map(str::to_owned);
        let now = of_settings(mac, &self.generation().settings(device));
        // Had it been rotated again meanwhile, the one before would be the very one that the phone has.
        let is_in_force = now.password.and_then(Result::ok).as_ref() == Some(used);
        if stored.record.settings.get(&path).is_none() || !is_in_force {
            return Ok(false);
        }
        let actor = Actor { name: format!("phone:{mac}"), peer: None };
        let expect = Expect::Revision(stored.revision);
        match self.set_credentials(mac, json!({"previous": null}), expect, &actor).await {
            Ok(changed) => Ok(changed),
            Err(RotateError::Fleet(FleetError::Write(WriteError::Changed { .. }))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn set_credentials(
        &self,
        mac: MacAddr,
        credentials: Value,
        expect: Expect,
        actor: &Actor,
    ) -> Result<bool, RotateError> {
        let settings = json!({ "credentials": credentials });
        let patch = Map::from_iter([("settings".to_owned(), settings)]);
        let edit = Edit { row: None, name: Name::Device(mac), what: What::Merge(patch), expect };
        let plan = self.plan(vec![edit], Liberties::default()).await?;
        if !plan.refused.is_empty() {
            return Err(RotateError::Refused(plan.refused));
        }
        let changes = plan.planned.iter().any(|planned| planned.action != Action::Keep);
        self.apply(plan, actor).await?;
        Ok(changes)
    }
}

fn of_settings(mac: MacAddr, settings: &Effective) -> DeviceCredentials {
    let secret = |name: &str| match &settings.named(name)?.value {
        Setting::Secret(source) => Some(source.text()),
        _ => None,
    };
    DeviceCredentials {
        mac,
        user: settings.text("credentials.user").map(str::to_owned),
        password: secret("credentials.password"),
        previous: secret("credentials.previous"),
        opens: settings.boolean("access.password").unwrap_or(false),
    }
}
