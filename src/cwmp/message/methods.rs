//! GetRPCMethods, and the names of all methods.

use std::fmt;
use std::str::FromStr;

use crate::cwmp::soap::{ReadError, Reader, Writer};

/// What a phone is told that it may ask for.
pub const ACS_METHODS: [&str; 6] =
    ["Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload", "Kicked"];

/// A method that may be asked of a phone. Which of them a phone knows is told by its answer to GetRPCMethods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    GetRpcMethods,
    GetParameterValues,
    SetParameterValues,
    GetParameterNames,
    GetParameterAttributes,
    SetParameterAttributes,
    AddObject,
    DeleteObject,
    Download,
    Upload,
    Reboot,
    FactoryReset,
    ScheduleInform,
    GetQueuedTransfers,
    GetAllQueuedTransfers,
}

/// A name that is none of [`Method::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no method of CWMP that phones are asked for")]
pub struct UnknownMethod;

impl Method {
    pub const ALL: [Self; 15] = [
        Self::GetRpcMethods,
        Self::GetParameterValues,
        Self::SetParameterValues,
        Self::GetParameterNames,
        Self::GetParameterAttributes,
        Self::SetParameterAttributes,
        Self::AddObject,
        Self::DeleteObject,
        Self::Download,
        Self::Upload,
        Self::Reboot,
        Self::FactoryReset,
        Self::ScheduleInform,
        Self::GetQueuedTransfers,
        Self::GetAllQueuedTransfers,
    ];

    /// As the messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetRpcMethods => "GetRPCMethods",
            Self::GetParameterValues => "GetParameterValues",
            Self::SetParameterValues => "SetParameterValues",
            Self::GetParameterNames => "GetParameterNames",
            Self::GetParameterAttributes => "GetParameterAttributes",
            Self::SetParameterAttributes => "SetParameterAttributes",
            Self::AddObject => "AddObject",
            Self::DeleteObject => "DeleteObject",
            Self::Download => "Download",
            Self::Upload => "Upload",
            Self::Reboot => "Reboot",
            Self::FactoryReset => "FactoryReset",
            Self::ScheduleInform => "ScheduleInform",
            Self::GetQueuedTransfers => "GetQueuedTransfers",
            Self::GetAllQueuedTransfers => "GetAllQueuedTransfers",
        }
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or(UnknownMethod)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names as the phone has them, vendors' own among them.
pub(super) fn read_response(reader: &mut Reader<'_>) -> Result<Vec<String>, ReadError> {
    let mut methods = Vec::new();
    while let Some(child) = reader.child()? {
        match child.name {
            "MethodList" => methods = reader.list("string", Reader::name)?,
            _ => reader.skip()?,
        }
    }
    Ok(methods)
}

pub(super) fn write_response(writer: &mut Writer<'_>) {
    writer.within("cwmp:GetRPCMethodsResponse", |writer| {
        writer.array("MethodList", "xsd:string", &ACS_METHODS, |writer, method| writer.text("string", method));
    });
}
