//! Requests to a phone as a test writes them down in TOML.

use resyncd::cwmp::message::{
    Download, Notification, ObjectChange, ParameterValue, Request, ScheduleInform, SetParameterAttribute,
    SetParameterValues, Upload, Value, ValueKind,
};
use resyncd::model::Secret;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "method", deny_unknown_fields)]
pub enum Work {
    #[serde(rename = "GetRPCMethods")]
    GetRpcMethods {},
    GetParameterValues {
        names: Vec<String>,
    },
    SetParameterValues {
        values: Vec<Set>,
        #[serde(default)]
        key: String,
    },
    GetParameterNames {
        path: String,
        next_level: bool,
    },
    GetParameterAttributes {
        names: Vec<String>,
    },
    SetParameterAttributes {
        attributes: Vec<Attribute>,
    },
    AddObject {
        name: String,
        key: String,
    },
    DeleteObject {
        name: String,
        key: String,
    },
    Download {
        key: String,
        file_type: String,
        url: String,
        #[serde(default)]
        user: String,
        #[serde(default)]
        password: String,
        #[serde(default)]
        size: u32,
        #[serde(default)]
        target: String,
        #[serde(default)]
        delay: u32,
    },
    Upload {
        key: String,
        file_type: String,
        url: String,
        #[serde(default)]
        user: String,
        #[serde(default)]
        password: String,
        #[serde(default)]
        delay: u32,
    },
    Reboot {
        key: String,
    },
    FactoryReset {},
    ScheduleInform {
        delay: u32,
        key: String,
    },
    GetQueuedTransfers {},
    GetAllQueuedTransfers {},
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    name: String,
    /// As in the schema, `unsignedInt`; or `secret`.
    kind: String,
    value: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    name: String,
    notification: Option<u8>,
    access: Option<Vec<String>>,
}

const KINDS: [ValueKind; 9] = [
    ValueKind::String,
    ValueKind::Int,
    ValueKind::UnsignedInt,
    ValueKind::Long,
    ValueKind::UnsignedLong,
    ValueKind::Boolean,
    ValueKind::DateTime,
    ValueKind::Base64,
    ValueKind::HexBinary,
];

impl From<Set> for ParameterValue {
    fn from(set: Set) -> Self {
        let value = if set.kind == "secret" {
            Value::Secret(Secret::new(set.value))
        } else {
            let kind = KINDS.into_iter().find(|kind| kind.xsi_type().split_once(':').unwrap().1 == set.kind);
            Value::parse(kind.unwrap_or_else(|| panic!("no type {}", set.kind)), &set.value).unwrap()
        };
        Self { name: set.name, value }
    }
}

impl From<Attribute> for SetParameterAttribute {
    fn from(attribute: Attribute) -> Self {
        let notification = attribute.notification.map(|number| match number {
            0 => Notification::Off,
            1 => Notification::Passive,
            2 => Notification::Active,
            other => Notification::Other(other),
        });
        Self { name: attribute.name, notification, access_list: attribute.access }
    }
}

impl From<Work> for Request {
    fn from(work: Work) -> Self {
        match work {
            Work::GetRpcMethods {} => Self::GetRpcMethods,
            Work::GetParameterValues { names } => Self::GetParameterValues(names),
            Work::SetParameterValues { values, key } => Self::SetParameterValues(SetParameterValues {
                values: values.into_iter().map(Into::into).collect(),
                parameter_key: key,
            }),
            Work::GetParameterNames { path, next_level } => Self::GetParameterNames { path, next_level },
            Work::GetParameterAttributes { names } => Self::GetParameterAttributes(names),
            Work::SetParameterAttributes { attributes } => {
                Self::SetParameterAttributes(attributes.into_iter().map(Into::into).collect())
            }
            Work::AddObject { name, key } => Self::AddObject(ObjectChange { name, parameter_key: key }),
            Work::DeleteObject { name, key } => Self::DeleteObject(ObjectChange { name, parameter_key: key }),
            Work::Download { key, file_type, url, user, password, size, target, delay } => Self::Download(Download {
                command_key: key,
                file_type,
                url: Secret::new(url),
                username: user,
                password: Secret::new(password),
                file_size: size,
                target_file_name: target,
                delay_seconds: delay,
            }),
            Work::Upload { key, file_type, url, user, password, delay } => Self::Upload(Upload {
                command_key: key,
                file_type,
                url: Secret::new(url),
                username: user,
                password: Secret::new(password),
                delay_seconds: delay,
            }),
            Work::Reboot { key } => Self::Reboot { command_key: key },
            Work::FactoryReset {} => Self::FactoryReset,
            Work::ScheduleInform { delay, key } => {
                Self::ScheduleInform(ScheduleInform { delay_seconds: delay, command_key: key })
            }
            Work::GetQueuedTransfers {} => Self::GetQueuedTransfers,
            Work::GetAllQueuedTransfers {} => Self::GetAllQueuedTransfers,
        }
    }
}
