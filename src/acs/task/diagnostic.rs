//! Tests that a phone does by itself: what is set to have it begin, and where its results are.
//!
//! IPPing and TraceRoute are TR-106's (below `Device.LAN.`) and TR-098's (below the root of a gateway); DownloadDiagnostics and
//! UploadDiagnostics are TR-143's. The phone begins when `DiagnosticsState` is set to `Requested`, does it after the session, and
//! opens another with the event `8 DIAGNOSTICS COMPLETE`.

use serde_json::{Map, Value as Json, json};

use super::spec::Spec;
use crate::cwmp::message::{ParameterValue, Value};
use crate::packs::data_model::DataModel;

/// A diagnostic: below which object, and what is set there.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// With a dot at its end.
    pub object: String,
    pub values: Vec<ParameterValue>,
}

/// What a phone's answer tells of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Diagnosed {
    Done(Json),
    Running,
    /// It knows of none.
    Lost,
    /// It could not do it; its word for that.
    Failed(String),
}

const STATE: &str = "DiagnosticsState";

impl Diagnostic {
    /// The diagnostic of a task; none where the task is none. `model`: the data model of the phone, if there is one.
    ///
    /// # Errors
    /// When the phone's data model has no such diagnostic.
    pub fn of(spec: &Spec, model: Option<&DataModel>) -> Option<Result<Self, String>> {
        let (objects, mut wanted): (&[&str], Vec<(&str, Value)>) = match spec {
            Spec::Ping { host, count, timeout_ms, bytes } => (
                &["LAN.IPPingDiagnostics.", "IPPingDiagnostics.", "IP.Diagnostics.IPPing."],
                optional(&[("NumberOfRepetitions", *count), ("Timeout", *timeout_ms), ("DataBlockSize", *bytes)])
                    .chain([("Host", Value::String(host.clone()))])
                    .collect(),
            ),
            Spec::Traceroute { host, timeout_ms, hops } => (
                &["LAN.TraceRouteDiagnostics.", "TraceRouteDiagnostics.", "IP.Diagnostics.TraceRoute."],
                optional(&[("Timeout", *timeout_ms), ("MaxHopCount", *hops)])
                    .chain([("Host", Value::String(host.clone()))])
                    .collect(),
            ),
            Spec::DownloadTest { url } => {
                (&["DownloadDiagnostics."], vec![("DownloadURL", Value::String(url.clone()))])
            }
            Spec::UploadTest { url, bytes } => (
                &["UploadDiagnostics."],
                vec![("UploadURL", Value::String(url.clone())), ("TestFileLength", Value::UnsignedInt(*bytes))],
            ),
            _ => return None,
        };
        // Last, since it is what the phone begins by.
        wanted.push((STATE, Value::String("Requested".to_owned())));
        let root = model.map_or("Device", |model| model.root.as_str());
        let has = |object: &str| model.is_none_or(|model| model.get(&format!("{root}.{object}{STATE}")).is_some());
        let is_open = model.is_none_or(|model| model.open);
        let found = objects.iter().find(|object| has(object)).or_else(|| objects.first().filter(|_| is_open));
        let Some(object) = found else {
            return Some(Err(format!("the data model of the phone has no diagnostic for {}", spec.word())));
        };
        let object = format!("{root}.{object}");
        let values = wanted.into_iter().map(|(name, value)| ParameterValue { name: format!("{object}{name}"), value });
        let values = values.collect();
        Some(Ok(Self { object, values }))
    }
}

fn optional<'n>(values: &[(&'n str, Option<u32>)]) -> impl Iterator<Item = (&'n str, Value)> {
    values
        .iter()
        .filter_map(|(name, value)| Some((*name, Value::UnsignedInt((*value)?))))
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the values below a diagnostic's object tell.
pub fn diagnosed(object: &str, values: &[ParameterValue]) -> Diagnosed {
    let text = |value: &ParameterValue| value.value.text(&crate::cwmp::Quirks::default()).into_owned();
    let state =
        values.iter().find(|value| value.name.strip_prefix(object) == Some(STATE)).map(text).unwrap_or_default();
    match state.trim() {
        "Requested" => Diagnosed::Running,
        "" | "None" => Diagnosed::Lost,
        // TR-143 and TR-181 have `Completed` and `Complete`.
        "Complete" | "Completed" => {
            let below = values
                .iter()
                .filter_map(|value| Some((value.name.strip_prefix(object)?.to_owned(), text(value).into())));
            let result: Map<String, Json> = below.filter(|(name, _)| name != STATE).collect();
            Diagnosed::Done(json!({"diagnostic": result}))
        }
        error => Diagnosed::Failed(error.to_owned()),
    }
}
