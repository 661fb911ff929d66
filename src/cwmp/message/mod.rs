//! The messages of CWMP: [`FromPhone`] is what is read, [`ToPhone`] what is written. One file a family of RPCs.
//!
//! Read leniently: what only informs and is missing or unreadable has a value that says so; what the meaning hangs on
//! ([`Inform::device`], the instance of an AddObjectResponse) is an error. Values never show in `Debug`, since any may be a password.

mod attributes;
mod fault;
mod inform;
mod lifecycle;
mod methods;
mod objects;
mod parameters;
mod transfers;
mod value;

pub use attributes::{Notification, ParameterAttribute, SetParameterAttribute};
pub use fault::{Fault, FaultCode, ParameterFault};
pub use inform::{DeviceId, Event, EventCode, Inform};
pub use lifecycle::{Kicked, ScheduleInform};
pub use methods::{ACS_METHODS, Method};
pub use objects::{AddedObject, ObjectChange};
pub use parameters::{ParameterInfo, ParameterValue, SetParameterValues};
pub use transfers::{
    AutonomousTransfer, Download, FinishedTransfer, QueuedTransfer, RequestDownload, TransferAnswer, TransferFault,
    TransferState, Upload,
};
pub use value::{Value, ValueKind};

use super::soap::{ReadError, Reader, Writer};

/// Whether a change is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Applied {
    /// Status 0: validated and applied.
    Now,
    /// Status 1: validated and committed, and not yet in force, for example before a reboot.
    Later,
}

/// A message that a phone sent.
#[derive(Debug, Clone, PartialEq)]
pub enum FromPhone {
    Request(PhoneRequest),
    Response(Response),
    /// It could not do what was asked.
    Fault(Fault),
    /// A message that is none of these, by its name: of a vendor, or of a later version.
    Unknown(String),
}

/// What a phone asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum PhoneRequest {
    Inform(Inform),
    GetRpcMethods,
    TransferComplete(FinishedTransfer),
    AutonomousTransferComplete(AutonomousTransfer),
    RequestDownload(RequestDownload),
    Kicked(Kicked),
}

/// A message to a phone.
#[derive(Debug, Clone, PartialEq)]
pub enum ToPhone {
    Request(Request),
    Response(Answer),
    Fault(Fault),
}

/// The answer to what a phone asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With MaxEnvelopes 1, which is all that TR-069 allows.
    Inform,
    /// [`ACS_METHODS`].
    GetRpcMethods,
    TransferComplete,
    AutonomousTransferComplete,
    RequestDownload,
    /// Where the user's browser goes next.
    Kicked {
        next_url: String,
    },
}

/// What is asked of a phone.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    GetRpcMethods,
    /// Names of parameters, or of objects with a `.` at their end: then everything below.
    GetParameterValues(Vec<String>),
    SetParameterValues(SetParameterValues),
    /// Names below a path. The empty path is the whole data model; `next_level` stops one level below.
    GetParameterNames {
        path: String,
        next_level: bool,
    },
    GetParameterAttributes(Vec<String>),
    SetParameterAttributes(Vec<SetParameterAttribute>),
    AddObject(ObjectChange),
    DeleteObject(ObjectChange),
    Download(Download),
    Upload(Upload),
    /// The CommandKey comes back with the event `M Reboot`.
    Reboot {
        command_key: String,
    },
    FactoryReset,
    ScheduleInform(ScheduleInform),
    GetQueuedTransfers,
    GetAllQueuedTransfers,
}

/// A phone's answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    GetRpcMethods(Vec<String>),
    GetParameterValues(Vec<ParameterValue>),
    SetParameterValues(Applied),
    GetParameterNames(Vec<ParameterInfo>),
    GetParameterAttributes(Vec<ParameterAttribute>),
    SetParameterAttributes,
    AddObject(AddedObject),
    DeleteObject(Applied),
    Download(TransferAnswer),
    Upload(TransferAnswer),
    Reboot,
    FactoryReset,
    ScheduleInform,
    GetQueuedTransfers(Vec<QueuedTransfer>),
    GetAllQueuedTransfers(Vec<QueuedTransfer>),
}

impl FromPhone {
    /// Reads the element of the body that is open.
    pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Result<Self, ReadError> {
        let request = match name {
            "Inform" => PhoneRequest::Inform(Inform::read(reader)?),
            "GetRPCMethods" => {
                reader.skip()?;
                PhoneRequest::GetRpcMethods
            }
            "TransferComplete" => PhoneRequest::TransferComplete(FinishedTransfer::read(reader)?),
            "AutonomousTransferComplete" => PhoneRequest::AutonomousTransferComplete(AutonomousTransfer::read(reader)?),
            "RequestDownload" => PhoneRequest::RequestDownload(RequestDownload::read(reader)?),
            "Kicked" => PhoneRequest::Kicked(Kicked::read(reader)?),
            "Fault" => return Fault::read(reader).map(Self::Fault),
            _ => {
                let method = name.strip_suffix("Response").and_then(|method| method.parse().ok());
                if let Some(method) = method {
                    return Response::read(reader, method).map(Self::Response);
                }
                reader.skip()?;
                return Ok(Self::Unknown(name.to_owned()));
            }
        };
        Ok(Self::Request(request))
    }
}

impl Response {
    fn read(reader: &mut Reader<'_>, method: Method) -> Result<Self, ReadError> {
        match method {
            Method::GetRpcMethods => methods::read_response(reader).map(Self::GetRpcMethods),
            Method::GetParameterValues => parameters::read_values_response(reader).map(Self::GetParameterValues),
            Method::SetParameterValues => Applied::read(reader).map(Self::SetParameterValues),
            Method::GetParameterNames => parameters::read_names_response(reader).map(Self::GetParameterNames),
            Method::GetParameterAttributes => attributes::read_response(reader).map(Self::GetParameterAttributes),
            Method::AddObject => AddedObject::read(reader).map(Self::AddObject),
            Method::DeleteObject => Applied::read(reader).map(Self::DeleteObject),
            Method::Download => TransferAnswer::read(reader).map(Self::Download),
            Method::Upload => TransferAnswer::read(reader).map(Self::Upload),
            Method::GetQueuedTransfers => transfers::read_queue(reader).map(Self::GetQueuedTransfers),
            Method::GetAllQueuedTransfers => transfers::read_queue(reader).map(Self::GetAllQueuedTransfers),
            Method::SetParameterAttributes => reader.skip().map(|()| Self::SetParameterAttributes),
            Method::Reboot => reader.skip().map(|()| Self::Reboot),
            Method::FactoryReset => reader.skip().map(|()| Self::FactoryReset),
            Method::ScheduleInform => reader.skip().map(|()| Self::ScheduleInform),
        }
    }

    /// The method that this answers.
    pub fn method(&self) -> Method {
        match self {
            Self::GetRpcMethods(_) => Method::GetRpcMethods,
            Self::GetParameterValues(_) => Method::GetParameterValues,
            Self::SetParameterValues(_) => Method::SetParameterValues,
            Self::GetParameterNames(_) => Method::GetParameterNames,
            Self::GetParameterAttributes(_) => Method::GetParameterAttributes,
            Self::SetParameterAttributes => Method::SetParameterAttributes,
            Self::AddObject(_) => Method::AddObject,
            Self::DeleteObject(_) => Method::DeleteObject,
            Self::Download(_) => Method::Download,
            Self::Upload(_) => Method::Upload,
            Self::Reboot => Method::Reboot,
            Self::FactoryReset => Method::FactoryReset,
            Self::ScheduleInform => Method::ScheduleInform,
            Self::GetQueuedTransfers(_) => Method::GetQueuedTransfers,
            Self::GetAllQueuedTransfers(_) => Method::GetAllQueuedTransfers,
        }
    }
}

impl Request {
    pub fn method(&self) -> Method {
        match self {
            Self::GetRpcMethods => Method::GetRpcMethods,
            Self::GetParameterValues(_) => Method::GetParameterValues,
            Self::SetParameterValues(_) => Method::SetParameterValues,
            Self::GetParameterNames { .. } => Method::GetParameterNames,
            Self::GetParameterAttributes(_) => Method::GetParameterAttributes,
            Self::SetParameterAttributes(_) => Method::SetParameterAttributes,
            Self::AddObject(_) => Method::AddObject,
            Self::DeleteObject(_) => Method::DeleteObject,
            Self::Download(_) => Method::Download,
            Self::Upload(_) => Method::Upload,
            Self::Reboot { .. } => Method::Reboot,
            Self::FactoryReset => Method::FactoryReset,
            Self::ScheduleInform(_) => Method::ScheduleInform,
            Self::GetQueuedTransfers => Method::GetQueuedTransfers,
            Self::GetAllQueuedTransfers => Method::GetAllQueuedTransfers,
        }
    }

    /// Whether nothing may follow it in a session. Grandstream's guide: a phone carries out Reboot and FactoryReset at once, and
    /// drops what comes after.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Reboot { .. } | Self::FactoryReset)
    }

    fn write_content(&self, writer: &mut Writer<'_>) {
        match self {
            Self::GetRpcMethods | Self::FactoryReset | Self::GetQueuedTransfers | Self::GetAllQueuedTransfers => {}
            Self::GetParameterValues(names) | Self::GetParameterAttributes(names) => {
                writer.array("ParameterNames", "xsd:string", names, |writer, name| writer.text("string", name));
            }
            Self::SetParameterValues(set) => set.write(writer),
            Self::GetParameterNames { path, next_level } => {
                writer.text("ParameterPath", path);
                writer.flag("NextLevel", *next_level);
            }
            Self::SetParameterAttributes(list) => attributes::write_list(list, writer),
            Self::AddObject(change) | Self::DeleteObject(change) => change.write(writer),
            Self::Download(download) => download.write(writer),
            Self::Upload(upload) => upload.write(writer),
            Self::Reboot { command_key } => writer.text("CommandKey", command_key),
            Self::ScheduleInform(schedule) => schedule.write(writer),
        }
    }
}

impl ToPhone {
    /// Writes the content of the body.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Request(request) => {
                let name = format!("cwmp:{}", request.method().name());
                writer.within(&name, |writer| request.write_content(writer));
            }
            Self::Response(answer) => answer.write(writer),
            Self::Fault(fault) => fault.write(writer),
        }
    }
}

impl Answer {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Inform => writer.within("cwmp:InformResponse", |writer| writer.text("MaxEnvelopes", "1")),
            Self::GetRpcMethods => methods::write_response(writer),
            Self::TransferComplete => writer.within("cwmp:TransferCompleteResponse", |_| {}),
            Self::AutonomousTransferComplete => writer.within("cwmp:AutonomousTransferCompleteResponse", |_| {}),
            Self::RequestDownload => writer.within("cwmp:RequestDownloadResponse", |_| {}),
            Self::Kicked { next_url } => {
                writer.within("cwmp:KickedResponse", |writer| writer.text("NextURL", next_url));
            }
        }
    }
}

impl Applied {
    /// The `Status` of a response: anything but 0, and nothing at all, is taken for "not yet", so that who asked looks again.
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut applied = Self::Later;
        while let Some(child) = reader.child()? {
            match child.name {
                "Status" => applied = Self::of_status(&reader.word()?),
                _ => reader.skip()?,
            }
        }
        Ok(applied)
    }

    fn of_status(status: &str) -> Self {
        if status == "0" { Self::Now } else { Self::Later }
    }
}
