//! What a server may ask of a phone, and how a phone refuses.

use roxmltree::Node;

use super::memory::{Direction, Transfer};
use super::soap::{child, text};

/// A request of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    GetRpcMethods,
    SetParameterValues {
        values: Vec<SetValue>,
        key: String,
    },
    GetParameterValues(Vec<String>),
    GetParameterNames {
        path: String,
        next_level: bool,
    },
    SetParameterAttributes(Vec<SetAttribute>),
    GetParameterAttributes(Vec<String>),
    AddObject {
        object: String,
        key: String,
    },
    DeleteObject {
        object: String,
        key: String,
    },
    Reboot {
        key: String,
    },
    FactoryReset,
    ScheduleInform {
        delay: u32,
        key: String,
    },
    Transfer(Box<Transfer>),
    GetQueuedTransfers,
    GetAllQueuedTransfers,
    /// By its name.
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetValue {
    pub name: String,
    pub value: String,
    /// `boolean`, where it is said.
    pub kind: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAttribute {
    pub name: String,
    /// 0 off, 1 passive, 2 active; none: it stays.
    pub notification: Option<u8>,
}

/// How a phone refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    /// The parameters that are why, with a code of their own.
    pub parameters: Vec<(String, u16)>,
}

impl Refusal {
    pub fn new(code: u16) -> Self {
        Self { code, parameters: Vec::new() }
    }

    pub fn text(&self) -> &'static str {
        meaning(self.code)
    }
}

pub const METHOD_NOT_SUPPORTED: u16 = 9000;
pub const INVALID_ARGUMENTS: u16 = 9003;
pub const RESOURCES_EXCEEDED: u16 = 9004;
pub const INVALID_NAME: u16 = 9005;
pub const INVALID_TYPE: u16 = 9006;
pub const INVALID_VALUE: u16 = 9007;
pub const READ_ONLY: u16 = 9008;
pub const NOTIFICATION_REJECTED: u16 = 9009;
pub const UNSUPPORTED_PROTOCOL: u16 = 9013;

/// The words of TR-069 for a fault.
pub fn meaning(code: u16) -> &'static str {
    match code {
        9000 => "Method not supported",
        9001 => "Request denied",
        9002 => "Internal error",
        9003 => "Invalid arguments",
        9004 => "Resources exceeded",
        9005 => "Invalid parameter name",
        9006 => "Invalid parameter type",
        9007 => "Invalid parameter value",
        9008 => "Attempt to set a non-writable parameter",
        9009 => "Notification request rejected",
        9010 => "Download failure",
        9011 => "Upload failure",
        9012 => "File transfer server authentication failure",
        9013 => "Unsupported protocol for file transfer",
        9015 => "Unable to contact file server",
        9016 => "Unable to access file",
        9018 => "File corrupted",
        _ => "Vendor defined fault",
    }
}

/// Reads a request; what lacks a part that it needs is refused.
pub fn request(message: Node<'_, '_>) -> Result<Request, Refusal> {
    let optional = |name: &str| child(message, name).map(text).unwrap_or_default();
    let part = |name: &str| child(message, name).ok_or_else(|| Refusal::new(INVALID_ARGUMENTS));
    let names = |list: &str| part(list).map(|list| elements(list).map(|name| text(name).trim().to_owned()).collect());
    Ok(match message.tag_name().name() {
        "GetRPCMethods" => Request::GetRpcMethods,
        "SetParameterValues" => Request::SetParameterValues {
            values: elements(part("ParameterList")?).map(set_value).collect::<Result<_, _>>()?,
            key: text(part("ParameterKey")?),
        },
        "GetParameterValues" => Request::GetParameterValues(names("ParameterNames")?),
        "GetParameterAttributes" => Request::GetParameterAttributes(names("ParameterNames")?),
        "GetParameterNames" => Request::GetParameterNames {
            path: text(part("ParameterPath")?).trim().to_owned(),
            next_level: flag(&text(part("NextLevel")?)).ok_or_else(|| Refusal::new(INVALID_ARGUMENTS))?,
        },
        "SetParameterAttributes" => Request::SetParameterAttributes(
            elements(part("ParameterList")?).map(set_attribute).collect::<Result<_, _>>()?,
        ),
        "AddObject" => Request::AddObject { object: text(part("ObjectName")?), key: optional("ParameterKey") },
        "DeleteObject" => Request::DeleteObject { object: text(part("ObjectName")?), key: optional("ParameterKey") },
        "Reboot" => Request::Reboot { key: optional("CommandKey") },
        "FactoryReset" => Request::FactoryReset,
        "ScheduleInform" => Request::ScheduleInform {
            delay: number(&text(part("DelaySeconds")?))
                .filter(|delay| *delay > 0)
                .ok_or_else(|| Refusal::new(INVALID_ARGUMENTS))?,
            key: optional("CommandKey"),
        },
        name @ ("Download" | "Upload") => Request::Transfer(Box::new(Transfer {
            direction: if name == "Download" { Direction::Download } else { Direction::Upload },
            command_key: optional("CommandKey"),
            file_type: text(part("FileType")?),
            url: text(part("URL")?).trim().to_owned(),
            user: optional("Username"),
            password: optional("Password"),
            target: optional("TargetFileName"),
            ended: None,
        })),
        "GetQueuedTransfers" => Request::GetQueuedTransfers,
        "GetAllQueuedTransfers" => Request::GetAllQueuedTransfers,
        other => Request::Unknown(other.to_owned()),
    })
}

fn elements<'a, 'i: 'a>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn set_value(node: Node<'_, '_>) -> Result<SetValue, Refusal> {
    let (Some(name), Some(value)) = (child(node, "Name"), child(node, "Value")) else {
        return Err(Refusal::new(INVALID_ARGUMENTS));
    };
    let kind = value.attributes().find(|attribute| attribute.name() == "type");
    let kind = kind.map(|kind| kind.value().rsplit(':').next().unwrap_or_default().to_owned());
    Ok(SetValue { name: text(name).trim().to_owned(), value: text(value), kind })
}

fn set_attribute(node: Node<'_, '_>) -> Result<SetAttribute, Refusal> {
    let invalid = || Refusal::new(INVALID_ARGUMENTS);
    let part = |name: &str| child(node, name).map(text).ok_or_else(invalid);
    let changes = flag(&part("NotificationChange")?).ok_or_else(invalid)?;
    let notification =
        number(&part("Notification")?).and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= 2);
    let notification = if changes { Some(notification.ok_or_else(invalid)?) } else { None };
    Ok(SetAttribute { name: part("Name")?.trim().to_owned(), notification })
}

fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}
