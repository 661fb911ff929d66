use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::multipart::MultipartError;
use crate::store::StoreError;

/// Why an upload was not kept, or can't be read. For the operator; phones get a status alone. None names a secret.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("more than {0} bytes come; the pack's upload (size) and uploads.size of the configuration allow no more")]
    TooLarge(u64),
    #[error(
        "it unpacks to more than {0} bytes; the pack's upload (size) and uploads.size of the configuration allow no more"
    )]
    UnpacksTooLarge(u64),
    #[error(transparent)]
    Malformed(#[from] MultipartError),
    #[error("the form holds no file: no part with a file name{}", named(.0))]
    NoFile(Option<String>),
    #[error("the form holds more than one file")]
    TwoFiles,
    #[error("nothing but its encryption could prove who sent it, and that doesn't: {0}")]
    NotOpened(String),
    #[error("as many uploads are being taken as uploads.at_once allows")]
    Busy,
    #[error("the disk that {} is on is full", .0.display())]
    Full(PathBuf),
    #[error("{} can't be written or read: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
    #[error("the file of the upload is gone: {}", .0.display())]
    Missing(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("the task that kept it broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

fn named(part: &Option<String>) -> String {
    part.as_ref().map(|part| format!(" or named \"{part}\"")).unwrap_or_default()
}

impl UploadError {
    pub(super) fn disk(path: &Path, error: io::Error) -> Self {
        // FileTooLarge: the process may write no larger files (RLIMIT_FSIZE).
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full(path.to_owned()),
            _ => Self::Disk { path: path.to_owned(), error },
        }
    }

    /// Whether there was no room for it.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Store(StoreError::Full { .. }))
    }
}
