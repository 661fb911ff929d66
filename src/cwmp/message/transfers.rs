//! Download and Upload, what becomes of them, and what phones transfer or want to transfer by themselves.

use super::{Applied, FaultCode};
use crate::cwmp::Moment;
use crate::cwmp::soap::{Problem, ReadError, Reader, Writer};
use crate::model::Secret;

/// A file for the phone to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Up to 32 characters. TransferComplete brings it back, in this session or another.
    pub command_key: String,
    /// `1 Firmware Upgrade Image`, `3 Vendor Configuration File`, …
    pub file_type: String,
    /// Up to 256 characters. It may have a token in it.
    pub url: Secret,
    pub username: String,
    pub password: Secret,
    /// Bytes; 0 where it isn't known.
    pub file_size: u32,
    /// What the phone calls the file; empty lets it choose.
    pub target_file_name: String,
    /// Seconds from the answer on.
    pub delay_seconds: u32,
}

/// A file for the phone to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// As in [`Download::command_key`].
    pub command_key: String,
    /// `1 Vendor Configuration File`, `2 Vendor Log File`, `3 Vendor Configuration File 1`, `X_Aastra Server Configuration File`, …
    pub file_type: String,
    /// Where it goes by PUT. It may have a token in it.
    pub url: Secret,
    pub username: String,
    pub password: Secret,
    pub delay_seconds: u32,
}

/// The answer to a [`Download`] or [`Upload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferAnswer {
    /// `Later`: TransferComplete will tell.
    pub applied: Applied,
    /// Unknown where it is later.
    pub start: Moment,
    pub complete: Moment,
}

/// TransferComplete: what became of a transfer that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTransfer {
    /// That of the [`Download`] or [`Upload`].
    pub command_key: String,
    /// `None`: it succeeded.
    pub fault: Option<TransferFault>,
    pub start: Moment,
    pub complete: Moment,
}

/// Why a transfer failed: 9001, 9002, 9010 to 9020, or a vendor's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFault {
    pub code: FaultCode,
    pub text: String,
}

/// AutonomousTransferComplete: a transfer that nobody here asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutonomousTransfer {
    /// Who told the phone of the file, if anyone did.
    pub announce_url: Secret,
    /// Where the file was. Credentials may stand in it.
    pub transfer_url: Secret,
    pub is_download: bool,
    pub file_type: String,
    /// Bytes; 0 where it isn't known.
    pub file_size: u64,
    pub target_file_name: String,
    /// `None`: it succeeded.
    pub fault: Option<TransferFault>,
    pub start: Moment,
    pub complete: Moment,
}

/// RequestDownload: the phone wants a file. The answer says only that it was heard; a [`Download`] may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDownload {
    pub file_type: String,
    /// Names and values that say more, up to the limit of lists.
    pub arguments: Vec<(String, String)>,
}

/// A transfer that a phone still has to do, or has done and not yet reported. Of GetAllQueuedTransfers all of it, of
/// GetQueuedTransfers the key and the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedTransfer {
    pub command_key: String,
    pub state: TransferState,
    pub is_download: Option<bool>,
    pub file_type: Option<String>,
    /// Bytes.
    pub file_size: Option<u64>,
    pub target_file_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// 1
    NotStarted,
    /// 2
    InProgress,
    /// 3: and TransferComplete will follow.
    Completed,
}

impl Download {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.text("CommandKey", &self.command_key);
        writer.text("FileType", &self.file_type);
        writer.secret("URL", &self.url);
        writer.text("Username", &self.username);
        writer.secret("Password", &self.password);
        writer.number("FileSize", self.file_size);
        writer.text("TargetFileName", &self.target_file_name);
        writer.number("DelaySeconds", self.delay_seconds);
        // Where a user's browser would go: phones have none.
        writer.text("SuccessURL", "");
        writer.text("FailureURL", "");
    }
}

impl Upload {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.text("CommandKey", &self.command_key);
        writer.text("FileType", &self.file_type);
        writer.secret("URL", &self.url);
        writer.text("Username", &self.username);
        writer.secret("Password", &self.password);
        writer.number("DelaySeconds", self.delay_seconds);
    }
}

impl TransferAnswer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut answer = Self { applied: Applied::Later, start: Moment::Unknown, complete: Moment::Unknown };
        while let Some(child) = reader.child()? {
            match child.name {
                "Status" => answer.applied = Applied::of_status(&reader.word()?),
                "StartTime" => answer.start = reader.moment()?,
                "CompleteTime" => answer.complete = reader.moment()?,
                _ => reader.skip()?,
            }
        }
        Ok(answer)
    }
}

impl FinishedTransfer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut start, mut complete) = (Moment::Unknown, Moment::Unknown);
        let (mut command_key, mut fault) = (String::new(), None);
        while let Some(child) = reader.child()? {
            match child.name {
                "CommandKey" => command_key = reader.name()?,
                "FaultStruct" => fault = TransferFault::read(reader)?,
                "StartTime" => start = reader.moment()?,
                "CompleteTime" => complete = reader.moment()?,
                _ => reader.skip()?,
            }
        }
        Ok(Self { command_key, fault, start, complete })
    }
}

impl TransferFault {
    /// `None` for the code 0, which is no fault.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, ReadError> {
        let (mut code, mut text) = (FaultCode(0), String::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "FaultCode" => {
                    // That a transfer succeeded can't be taken from a code that can't be read.
                    code = FaultCode::parse(&reader.word()?)
                        .ok_or_else(|| reader.error(Problem::Value("the code of a fault")))?;
                }
                "FaultString" => text = reader.word()?,
                _ => reader.skip()?,
            }
        }
        Ok((code != FaultCode(0)).then_some(Self { code, text }))
    }
}

impl AutonomousTransfer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut transfer = Self {
            announce_url: Secret::new(""),
            transfer_url: Secret::new(""),
            is_download: false,
            file_type: String::new(),
            file_size: 0,
            target_file_name: String::new(),
            fault: None,
            start: Moment::Unknown,
            complete: Moment::Unknown,
        };
        while let Some(child) = reader.child()? {
            match child.name {
                "AnnounceURL" => transfer.announce_url = Secret::new(reader.word()?),
                "TransferURL" => transfer.transfer_url = Secret::new(reader.word()?),
                "IsDownload" => transfer.is_download = reader.boolean()?,
                "FileType" => transfer.file_type = reader.name()?,
                "FileSize" => transfer.file_size = reader.word()?.parse().unwrap_or_default(),
                "TargetFileName" => transfer.target_file_name = reader.word()?,
                "FaultStruct" => transfer.fault = TransferFault::read(reader)?,
                "StartTime" => transfer.start = reader.moment()?,
                "CompleteTime" => transfer.complete = reader.moment()?,
                _ => reader.skip()?,
            }
        }
        Ok(transfer)
    }
}

impl RequestDownload {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut file_type, mut arguments) = (None, Vec::new());
        while let Some(child) = reader.child()? {
            match child.name {
                "FileType" => file_type = Some(reader.name()?),
                "FileTypeArg" => arguments = reader.list("ArgStruct", read_argument)?,
                _ => reader.skip()?,
            }
        }
        let file_type = file_type.ok_or_else(|| reader.error(Problem::Missing("the FileType")))?;
        Ok(Self { file_type, arguments })
    }
}

fn read_argument(reader: &mut Reader<'_>) -> Result<(String, String), ReadError> {
    let (mut name, mut value) = (String::new(), String::new());
    while let Some(child) = reader.child()? {
        match child.name {
            "Name" => name = reader.name()?,
            "Value" => value = reader.text()?,
            _ => reader.skip()?,
        }
    }
    Ok((name, value))
}

/// The `TransferList` of either response.
pub(super) fn read_queue(reader: &mut Reader<'_>) -> Result<Vec<QueuedTransfer>, ReadError> {
    let mut queue = Vec::new();
    while let Some(child) = reader.child()? {
        if child.name != "TransferList" {
            reader.skip()?;
            continue;
        }
        while let Some(item) = reader.child()? {
            if matches!(item.name, "QueuedTransferStruct" | "AllQueuedTransferStruct") {
                let transfer = QueuedTransfer::read(reader)?;
                reader.push(&mut queue, transfer)?;
            } else {
                reader.skip()?;
            }
        }
    }
    Ok(queue)
}

impl QueuedTransfer {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let (mut state, mut command_key) = (None, String::new());
        let (mut is_download, mut file_type, mut file_size, mut target_file_name) = (None, None, None, None);
        while let Some(child) = reader.child()? {
            match child.name {
                "CommandKey" => command_key = reader.name()?,
                "State" => {
                    state = match &*reader.word()? {
                        "1" => Some(TransferState::NotStarted),
                        "2" => Some(TransferState::InProgress),
                        "3" => Some(TransferState::Completed),
                        _ => return Err(reader.error(Problem::Value("the state of a transfer: 1, 2 or 3"))),
                    }
                }
                "IsDownload" => is_download = Some(reader.boolean()?),
                "FileType" => file_type = Some(reader.name()?),
                "FileSize" => file_size = reader.word()?.parse().ok(),
                "TargetFileName" => target_file_name = Some(reader.word()?),
                _ => reader.skip()?,
            }
        }
        let state = state.ok_or_else(|| reader.error(Problem::Missing("the State of a transfer")))?;
        Ok(Self { command_key, state, is_download, file_type, file_size, target_file_name })
    }
}
