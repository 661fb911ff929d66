//! What a caller sees of the fleet. A token that is bound to a group sees that and what lies under it; everything else is for
//! it as if it weren't there.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::Api;
use super::problem::{Kind, Mistake, Problem};
use crate::model::MacAddr;
use crate::resync::{Device, Generation, GroupId, Lookup};
use crate::tokens::Caller;

/// A MAC in a path.
#[derive(Debug, Clone, Copy)]
pub struct Mac(pub MacAddr);

impl FromRequestParts<Api> for Mac {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let wrong = |message: String| Problem::of(Kind::Malformed, vec![Mistake::of_key("mac", message)]);
        let Path(values) = Path::<std::collections::HashMap<String, String>>::from_request_parts(parts, api)
            .await
            .map_err(|_| wrong("can't be read".to_owned()))?;
        let text = values.get("mac").map_or("", String::as_str);
        text.parse().map(Self).map_err(|error: crate::model::ParseMacError| wrong(error.to_string()))
    }
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
