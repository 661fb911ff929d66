//! A device's settings, each with the layers that had a say, as `resyncd explain` tells it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::{IntoParams, ToSchema};

use super::query::Query;
use super::reach::Mac;
use super::{Api, Problem};
use crate::records::MASK;
use crate::resync::{Explained, Provenance};
use crate::settings::{SecretSource, Setting, Step, Value};
use crate::tokens::Caller;

/// Which settings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// A dotted name: that setting, or what lies under it (`lines.1`, `delivery`).
    under: Option<String>,
}

/// The settings that hold for a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Settings {
    settings: Vec<Explanation>,
}

/// One setting, and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// Its dotted name.
    key: String,
    /// What holds; a secret is `***`, or where it stands.
    #[schema(required = true)]
    value: Json_,
    /// What every layer did to it, the weakest first; the last that set it holds.
    layers: Vec<Said>,
}

/// What one layer did to a setting: it has either a `value` or `unsets`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// The file, or `database/…`.
    source: String,
    /// Null in the database, which has no lines.
    #[schema(required = true)]
    line: Option<u32>,
    /// What it set it to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    value: Option<Json_>,
    /// What it took away: this setting, or what it lies under.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unsets: Option<String>,
}

/// Tell a device's settings and where each comes from.
///
/// What is set anywhere for the device, with the file and line, or record, that set it and what it overrode. Secrets are masked.
#[utoipa::path(get, path = "/devices/{mac}/settings", tag = "devices",
    params(("mac" = String, Path, description = "The MAC address, in any spelling"), Asked),
    responses((status = 200, body = Settings), (status = 404, body = super::problem::Document, content_type = "application/problem+json"),
        (status = 409, description = "Its record can't be used", body = super::problem::Document, content_type = "application/problem+json")))]
pub async fn get_settings(
    State(api): State<Api>,
    caller: Caller,
    Mac(mac): Mac,
    Query(asked): Query<Asked>,
) -> Result<Json<Settings>, Problem> {
    let (generation, device) = api.device(&caller, mac).await?;
    api.blocking(move |_| {
        let provenance = Provenance::new(&generation, &device).ok_or_else(Problem::not_found)?;
        let explained = asked.under.as_deref().map_or_else(|| provenance.all(), |name| provenance.under(name));
        Ok(Json(Settings { settings: explained.iter().map(explanation).collect() }))
    })
    .await
}

fn explanation(explained: &Explained) -> Explanation {
    let shown = |setting: &Setting| value(&setting.value, explained.is_secret());
    let said = |origin: &crate::settings::Origin| {
        let source = origin.source.display().to_string();
        let line = (!source.starts_with("database/")).then_some(origin.line);
        (source, line)
    };
    let layers: Vec<_> = explained
        .steps
        .iter()
        .map(|step| match step {
            Step::Set(setting) => {
                let (source, line) = said(&setting.origin);
                Said { source, line, value: Some(shown(setting)), unsets: None }
            }
            Step::Unset(origin, prefix) => {
                let (source, line) = said(origin);
                Said { source, line, value: None, unsets: Some(prefix.to_string()) }
            }
        })
        .collect();
    let holds = match explained.steps.last() {
        Some(Step::Set(setting)) => shown(setting),
        _ => Json_::Null,
    };
    Explanation { key: explained.key.to_string(), value: holds, layers }
}

/// A value as it may be shown.
fn value(found: &Value, is_secret: bool) -> Json_ {
    match found {
        // Where a secret stands may be told.
        Value::Secret(SecretSource::Env(name)) => json!({ "env": &**name }),
        Value::Secret(SecretSource::File(path)) => json!({ "file": path.display().to_string() }),
        Value::Secret(_) => json!(MASK),
        _ if is_secret => json!(MASK),
        Value::Text(text) => json!(&**text),
        Value::Bool(value) => json!(value),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::List(items) => items.iter().map(|item| value(item, false)).collect(),
    }
}
