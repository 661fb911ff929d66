//! What a phone can be asked to do, as it stands in the database and comes by the API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::data_path;
use crate::packs::data_model::{Content, Kind, Notification};

/// Most paths or values of one task.
pub const MOST_PATHS: usize = 1000;

/// The longest value or host, in bytes.
const TEXT: usize = 65_536;

/// The longest URL that phones take (TR-069, Download), in characters.
const URL: usize = 256;

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Spec {
    /// Read parameters; a path that ends with a dot means all below it.
    Get {
        paths: Vec<String>,
    },
    /// Set parameters, all or none of them.
    Set {
        #[schema(value_type = BTreeMap<String, String>)]
        values: BTreeMap<String, Given>,
        /// The types of those that the data model doesn't have: `string`, `int`, `unsignedInt`, `boolean`, `dateTime` …
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        types: BTreeMap<String, String>,
    },
    /// List the names below a path.
    Names {
        path: String,
        /// Only one level below it.
        #[serde(default)]
        next_level: bool,
    },
    /// Read the attributes of parameters; or set their notification.
    Attributes {
        paths: Vec<String>,
        /// `off`, `passive` or `active`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(pattern = "^(off|passive|active)$")]
        notification: Option<String>,
    },
    /// Add an instance of an object.
    AddObject {
        path: String,
    },
    /// Delete an instance of an object.
    DeleteObject {
        path: String,
    },
    /// Have the phone open a session so many seconds later.
    ScheduleInform {
        seconds: u32,
    },
    /// List the transfers that the phone has still to do.
    Transfers {},
    /// Have the phone fetch a file, and use it.
    Download {
        /// `firmware`, `configuration`, `trusted-certificates` or `other`.
        content: String,
        /// A path on this server, or a URL. Left out: the firmware or the profile that its settings name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// The upload that is given back to the phone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restore: Option<String>,
        /// The file type as SOAP has it; left out: the one that the pack has for the content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_type: Option<String>,
        /// Fetch firmware also where the phone runs it already.
        #[serde(default)]
        always: bool,
        #[serde(default)]
        #[schema(maximum = 4294967295_u32)]
        delay_seconds: u32,
    },
    /// Have the phone send a file, which is kept among the uploads.
    Upload {
        /// `configuration`, `server-configuration`, `log` or `other`.
        content: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_type: Option<String>,
        #[serde(default)]
        #[schema(maximum = 4294967295_u32)]
        delay_seconds: u32,
    },
    /// Have the phone send echo requests.
    Ping {
        host: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(maximum = 4294967295_u32)]
        count: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(maximum = 4294967295_u32)]
        timeout_ms: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(maximum = 4294967295_u32)]
        bytes: Option<u32>,
    },
    /// Have the phone find the way to a host.
    Traceroute {
        host: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(maximum = 4294967295_u32)]
        timeout_ms: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(maximum = 4294967295_u32)]
        hops: Option<u32>,
    },
    /// Have the phone fetch a URL and measure that (TR-143).
    DownloadTest {
        url: String,
    },
    /// Have the phone send so many bytes to a URL and measure that (TR-143).
    UploadTest {
        url: String,
        bytes: u32,
    },
    Reboot {},
    FactoryReset {},
}

/// A value to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Given {
    Text(String),
    /// As it stands in the database; never taken from outside.
    Sealed {
        sealed: String,
    },
}

/// What is wrong with a task, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct Mistake {
    /// The dotted key.
    pub key: String,
    pub message: String,
}

impl Spec {
    /// What is to be done, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Set { .. } => "set",
            Self::Names { .. } => "names",
            Self::Attributes { .. } => "attributes",
            Self::AddObject { .. } => "add-object",
            Self::DeleteObject { .. } => "delete-object",
            Self::ScheduleInform { .. } => "schedule-inform",
            Self::Transfers {} => "transfers",
            Self::Download { .. } => "download",
            Self::Upload { .. } => "upload",
            Self::Ping { .. } => "ping",
            Self::Traceroute { .. } => "traceroute",
            Self::DownloadTest { .. } => "download-test",
            Self::UploadTest { .. } => "upload-test",
            Self::Reboot {} => "reboot",
            Self::FactoryReset {} => "factory-reset",
        }
    }

    /// What can be said of it without knowing the phone.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check(&self) -> Result<(), Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut wrong = |key: String, message: String| mistakes.push(Mistake { key, message });
        match self {
            Self::Get { paths } | Self::Attributes { paths, .. } => {
                check_count(paths.len(), "paths", &mut wrong);
                for (place, path) in paths.iter().enumerate() {
                    check_path(path, &format!("paths.{place}"), Wanted::Any, &mut wrong);
                }
            }
            Self::Set { values, types } => {
                check_count(values.len(), "values", &mut wrong);
                for (path, value) in values {
                    let key = format!("values.{path}");
                    check_path(path, &key, Wanted::Parameter, &mut wrong);
                    match value {
                        Given::Text(text) if text.len() > TEXT => wrong(key, format!("is longer than {TEXT} bytes")),
                        Given::Text(text) if text.contains('\0') => wrong(key, "may not hold U+0000".to_owned()),
                        Given::Text(_) => {}
                        Given::Sealed { .. } => wrong(key, "must be a text".to_owned()),
                    }
                }
                for (path, kind) in types {
                    let key = format!("types.{path}");
                    if !values.contains_key(path) {
                        wrong(key.clone(), "there is no such value to be set".to_owned());
                    }
                    if let Err(error) = kind.parse::<Kind>() {
                        wrong(key, error);
                    }
                }
            }
            // The empty path is the whole data model.
            Self::Names { path, .. } if path.is_empty() => {}
            Self::Names { path, .. } => check_path(path, "path", Wanted::Any, &mut wrong),
            Self::AddObject { path } | Self::DeleteObject { path } => {
                check_path(path, "path", Wanted::Object, &mut wrong);
            }
            Self::Download { content, file, restore, .. } => {
                match content.parse::<Content>() {
                    Err(error) => wrong("content".to_owned(), error),
                    Ok(Content::Firmware | Content::Configuration) => {}
                    Ok(_) if file.is_none() && restore.is_none() => {
                        wrong("file".to_owned(), "say which file it is: a path on this server, or a URL".to_owned());
                    }
                    Ok(_) => {}
                }
                if let Some(file) = file {
                    if !file.starts_with('/') && !is_url(file) {
                        wrong(
                            "file".to_owned(),
                            "must be a path on this server, /…, or an http or https URL without a user".to_owned(),
                        );
                    }
                    check_length(file, "file", URL, &mut wrong);
                }
                if file.is_some() && restore.is_some() {
                    wrong("restore".to_owned(), "it is either a file or an upload that is restored".to_owned());
                }
            }
            Self::Upload { content, .. } => {
                if let Err(error) = content.parse::<Content>() {
                    wrong("content".to_owned(), error);
                }
            }
            Self::Ping { host, .. } | Self::Traceroute { host, .. } => {
                if host.is_empty() || host.contains(|character: char| character.is_control() || character == ' ') {
                    wrong("host".to_owned(), "must be a name or an address".to_owned());
                }
                check_length(host, "host", URL, &mut wrong);
            }
            Self::DownloadTest { url } | Self::UploadTest { url, .. } => {
                if !is_url(url) {
                    wrong("url".to_owned(), "must be an http or https URL without a user".to_owned());
                }
                check_length(url, "url", URL, &mut wrong);
            }
            Self::ScheduleInform { seconds: 0 } => wrong("seconds".to_owned(), "must be 1 or more".to_owned()),
            Self::ScheduleInform { .. } | Self::Transfers {} | Self::Reboot {} | Self::FactoryReset {} => {}
        }
        if let Self::Attributes { notification: Some(word), .. } = self
            && let Err(error) = word.parse::<Notification>()
        {
            wrong("notification".to_owned(), error);
        }
        if let Self::Download { file_type: Some(name), .. } | Self::Upload { file_type: Some(name), .. } = self {
            check_length(name, "file_type", 64, &mut wrong);
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }
}

/// A task of the database as it may be shown: what is sealed is masked.
pub fn shown(spec: &str) -> serde_json::Value {
    let mut value = serde_json::from_str(spec).unwrap_or_default();
    if let serde_json::Value::Object(spec) = &mut value
        && let Some(serde_json::Value::Object(values)) = spec.get_mut("values")
    {
        for value in values.values_mut().filter(|value| value.is_object()) {
            *value = super::veil::MASK.into();
        }
    }
    value
}

/// Without a user in it: a task's URL is told, and phones repeat it.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Parameter,
    Object,
    Any,
}

fn check_path(path: &str, key: &str, wanted: Wanted, wrong: &mut impl FnMut(String, String)) {
    let is_object = path.ends_with('.');
    if wanted == Wanted::Object && !is_object {
        wrong(key.to_owned(), "must be an object's path, with a dot at its end".to_owned());
    }
    let checked =
        if wanted == Wanted::Parameter { data_path::check_path(path) } else { data_path::check_partial(path) };
    if let Err(error) = checked {
        wrong(key.to_owned(), error.to_string());
    }
}

fn check_count(count: usize, key: &str, wrong: &mut impl FnMut(String, String)) {
    if count == 0 {
        wrong(key.to_owned(), "name at least one".to_owned());
    }
    if count > MOST_PATHS {
        wrong(key.to_owned(), format!("{MOST_PATHS} are as many as go into one task"));
    }
}

fn check_length(text: &str, key: &str, most: usize, wrong: &mut impl FnMut(String, String)) {
    if text.chars().count() > most {
        wrong(key.to_owned(), format!("is longer than {most} characters"));
    }
    if text.chars().any(char::is_control) {
        wrong(key.to_owned(), "may not hold control characters".to_owned());
    }
}
