//! Which procedures phones and server call on each other, and which files go which way.

use std::str::FromStr;

use super::quirks::words;
use crate::document::{Reader, nearest};
use crate::packs::manifest::FileEntry;
use crate::packs::upload::UploadEntry;

/// A procedure of CWMP (TR-069, annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rpc {
    GetRpcMethods,
    SetParameterValues,
    GetParameterValues,
    GetParameterNames,
    SetParameterAttributes,
    GetParameterAttributes,
    AddObject,
    DeleteObject,
    Reboot,
    Download,
    Upload,
    FactoryReset,
    ScheduleInform,
    GetQueuedTransfers,
    GetAllQueuedTransfers,
    ScheduleDownload,
    CancelTransfer,
    SetVouchers,
    GetOptions,
    Inform,
    TransferComplete,
    AutonomousTransferComplete,
    RequestDownload,
    Kicked,
}

impl Rpc {
    /// Those that the server calls on phones.
    pub const TO_PHONE: [Self; 19] = [
        Self::GetRpcMethods,
        Self::SetParameterValues,
        Self::GetParameterValues,
        Self::GetParameterNames,
        Self::SetParameterAttributes,
        Self::GetParameterAttributes,
        Self::AddObject,
        Self::DeleteObject,
        Self::Reboot,
        Self::Download,
        Self::Upload,
        Self::FactoryReset,
        Self::ScheduleInform,
        Self::GetQueuedTransfers,
        Self::GetAllQueuedTransfers,
        Self::ScheduleDownload,
        Self::CancelTransfer,
        Self::SetVouchers,
        Self::GetOptions,
    ];

    /// Those that phones call on the server.
    pub const FROM_PHONE: [Self; 6] = [
        Self::GetRpcMethods,
        Self::Inform,
        Self::TransferComplete,
        Self::AutonomousTransferComplete,
        Self::RequestDownload,
        Self::Kicked,
    ];

    /// As SOAP names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::GetRpcMethods => "GetRPCMethods",
            Self::SetParameterValues => "SetParameterValues",
            Self::GetParameterValues => "GetParameterValues",
            Self::GetParameterNames => "GetParameterNames",
            Self::SetParameterAttributes => "SetParameterAttributes",
            Self::GetParameterAttributes => "GetParameterAttributes",
            Self::AddObject => "AddObject",
            Self::DeleteObject => "DeleteObject",
            Self::Reboot => "Reboot",
            Self::Download => "Download",
            Self::Upload => "Upload",
            Self::FactoryReset => "FactoryReset",
            Self::ScheduleInform => "ScheduleInform",
            Self::GetQueuedTransfers => "GetQueuedTransfers",
            Self::GetAllQueuedTransfers => "GetAllQueuedTransfers",
            Self::ScheduleDownload => "ScheduleDownload",
            Self::CancelTransfer => "CancelTransfer",
            Self::SetVouchers => "SetVouchers",
            Self::GetOptions => "GetOptions",
            Self::Inform => "Inform",
            Self::TransferComplete => "TransferComplete",
            Self::AutonomousTransferComplete => "AutonomousTransferComplete",
            Self::RequestDownload => "RequestDownload",
            Self::Kicked => "Kicked",
        }
    }
}

/// What a family's phones can be asked, what they ask, and why they inform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpcSupport {
    pub to_phone: Vec<Rpc>,
    pub from_phone: Vec<Rpc>,
    /// Event codes, `1 BOOT`; none: not told.
    pub events: Vec<String>,
}

impl RpcSupport {
    pub(super) fn read(reader: Option<Reader<'_>>) -> Self {
        let Some(reader) = reader else { return Self::default() };
        let list = |key: &str, known: &[Rpc]| {
            let mut found = Vec::new();
            for word in reader.texts(key).unwrap_or_default() {
                match known.iter().find(|rpc| rpc.word() == word) {
                    Some(rpc) if found.contains(rpc) => reader.problem(key, format!("names {word} twice"), None),
                    Some(rpc) => found.push(*rpc),
                    None => {
                        let near = nearest(&word, known.iter().map(|rpc| rpc.word()));
                        let help = near.map(|near| format!("did you mean \"{near}\"?"));
                        reader.problem(key, format!("\"{word}\" is no procedure of CWMP in this direction"), help);
                    }
                }
            }
            found
        };
        let support = Self {
            to_phone: list("to_phone", &Rpc::TO_PHONE),
            from_phone: list("from_phone", &Rpc::FROM_PHONE),
            events: reader.texts("events").unwrap_or_default(),
        };
        reader.finish();
        support
    }

    /// Whether phones can be asked this, as far as the pack knows.
    pub fn has(&self, rpc: Rpc) -> bool {
        self.to_phone.contains(&rpc)
    }
}

words! {
    /// What a file that goes by Download or Upload is.
    Content, "nothing that a file holds", default Configuration, {
        Firmware = "firmware",
        Configuration = "configuration",
        /// What the phone last got from its server.
        ServerConfiguration = "server-configuration",
        Log = "log",
        /// Certificates by which the phone knows servers.
        TrustedCertificates = "trusted-certificates",
        /// Anything else that the makers name.
        Other = "other",
    }
}

/// A file type of Download or Upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileType {
    /// As SOAP has it, `1 Firmware Upgrade Image`.
    pub name: String,
    pub content: Content,
    /// The pack's `[[file]]` that a Download of this type fetches.
    pub file: Option<String>,
    /// The pack's `[[upload]]` that takes an Upload of this type.
    pub upload: Option<String>,
}

/// What a family's phones fetch and send when asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTypes {
    pub download: Vec<FileType>,
    pub upload: Vec<FileType>,
}

impl FileTypes {
    pub(super) fn read(reader: Option<Reader<'_>>, files: &[FileEntry], uploads: &[UploadEntry]) -> Self {
        let Some(reader) = reader else { return Self::default() };
        let files: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let uploads: Vec<&str> = uploads.iter().map(|upload| upload.name.as_str()).collect();
        let download = of_direction(&reader, "download", "file", &files);
        let upload = of_direction(&reader, "upload", "upload", &uploads);
        reader.finish();
        Self { download, upload }
    }

    /// The type of Download for what is wanted; the first that the pack names.
    pub fn download_of(&self, content: Content) -> Option<&FileType> {
        self.download.iter().find(|one| one.content == content)
    }

    /// The same of Upload.
    pub fn upload_of(&self, content: Content) -> Option<&FileType> {
        self.upload.iter().find(|one| one.content == content)
    }
}

fn of_direction(reader: &Reader<'_>, direction: &str, partner: &str, known: &[&str]) -> Vec<FileType> {
    let Some(table) = reader.table(direction) else { return Vec::new() };
    let mut types = Vec::new();
    for (name, _) in table.entries() {
        let Some(entry) = table.table(name) else { continue };
        if !entry.has("content") {
            entry.missing("content");
        }
        let content = entry.parsed::<Content>("content");
        let named = entry.text(partner);
        if let Some(named) = named.as_deref().filter(|named| !known.contains(named)) {
            let help = nearest(named, known.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
            entry.problem(partner, format!("pack.toml has no [[{partner}]] \"{named}\""), help);
        }
        let (file, upload) = if partner == "file" { (named, None) } else { (None, named) };
        entry.finish();
        types.extend(content.map(|content| FileType { name: name.to_owned(), content, file, upload }));
    }
    types
}

impl FromStr for Rpc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::TO_PHONE.into_iter().chain(Self::FROM_PHONE);
        all.find(|rpc| rpc.word() == text).ok_or_else(|| format!("\"{text}\" is no procedure of CWMP"))
    }
}
