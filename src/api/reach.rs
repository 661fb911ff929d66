//! What a caller sees of the fleet. A token that is bound to a group sees that and what lies under it; everything else is for
//! it as if it weren't there.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::Api;
use super::problem::{Kind, Mistake, Problem};
use crate::model::{MacAddr, ParseMacError};
use crate::resync::{Device, Generation, GroupId, Lookup};
use crate::tokens::Caller;

/// A MAC in a path.
#[derive(Debug, Clone, Copy)]
pub struct Mac(pub MacAddr);

impl FromRequestParts<Api> for Mac {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let read = Path::<HashMap<String, String>>::from_request_parts(parts, api).await;
        let Path(values) = read.map_err(|_| unreadable("mac", "can't be read".to_owned()))?;
        let text = values.get("mac").map_or("", String::as_str);
        mac("mac", Some(text))?.map(Self).ok_or_else(Problem::not_found)
    }
}

fn unreadable(name: &str, message: String) -> Problem {
    Problem::of(Kind::Malformed, vec![Mistake::of_key(name, message)])
}

/// A MAC address in any spelling.
pub fn mac(name: &str, text: Option<&str>) -> Result<Option<MacAddr>, Problem> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|error: ParseMacError| match error {
        // It looks like one, and is none of a phone.
        ParseMacError::NotUnicast(_) => Problem::of(Kind::Invalid, vec![Mistake::of_key(name, error.to_string())]),
        error => unreadable(name, error.to_string()),
    })
}

impl Caller {
    /// Whether it sees what is in this group; none: in no group.
    pub fn sees(&self, generation: &Generation, group: Option<GroupId>) -> bool {
        let Some(own) = &self.token.group else { return true };
        let groups = &generation.profiles.groups;
        let chain = group.and_then(|id| groups.get(id)).map(|group| group.chain.as_slice()).unwrap_or_default();
        groups.id(own).is_some_and(|own| chain.contains(&own))
    }
}

impl Api {
    /// A device as it would be served now.
    ///
    /// # Errors
    /// 404 where there is none, or none that the caller sees; 409 where its record can't be used.
    pub async fn device(&self, caller: &Caller, mac: MacAddr) -> Result<(Arc<Generation>, Arc<Device>), Problem> {
        let generation = self.pipeline().generation();
        let device = match self.records().lookup(&generation, mac).await {
            Lookup::File => generation.profiles.device(mac).cloned(),
            Lookup::Record(device) => Some(device),
            Lookup::Nothing => None,
            Lookup::Broken(why) => {
                // Which group it is in can't be told.
                caller.needs_whole_fleet().map_err(|_| Problem::not_found())?;
                return Err(Problem::new(Kind::Conflict, format!("its record can't be used: {why}")));
            }
            Lookup::Away => return Err(Problem::new(Kind::Unavailable, "the database does not answer at the moment")),
        };
        let device = device.filter(|device| caller.sees(&generation, device.group)).ok_or_else(Problem::not_found)?;
        if let Some(why) = generation.profiles.broken(&device) {
            return Err(Problem::new(Kind::Conflict, why));
        }
        Ok((generation, device))
    }
}
