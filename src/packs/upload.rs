//! `[[upload]]` of `pack.toml`: what the phones of a family send, and what is done with it.

use std::fmt;
use std::str::FromStr;

use super::manifest::{FileEntry, Models, limited_models};
use super::path::PathPattern;
use crate::document::Reader;

/// What an upload is. The words are an interface: they stand in the manifest, in the database and in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadKind {
    /// The phone's parameters as it holds them (Cisco: `Report_Rule`).
    Report,
    /// The phone's state (Cisco: `Report_Rule` with `--status`).
    StatusReport,
    /// Logs that a user or NOTIFY asked for (Cisco: `PRT_Upload_Rule`).
    ProblemReport,
    /// The changes made on the phone itself (Aastra: `<MAC>_local.cfg`).
    LocalConfig,
    /// What the phone's files told it (Aastra: `server.cfg`).
    ServerConfig,
    CrashLog,
    /// Text that a phone posts, kept and not answered with a file.
    Form,
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no kind of upload: they are report, status-report, problem-report, local-config, server-config, \
     crash-log and form"
)]
pub struct ParseUploadKindError(String);

impl UploadKind {
    pub const ALL: [Self; 7] = [
        Self::Report,
        Self::StatusReport,
        Self::ProblemReport,
        Self::LocalConfig,
        Self::ServerConfig,
        Self::CrashLog,
        Self::Form,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::StatusReport => "status-report",
            Self::ProblemReport => "problem-report",
            Self::LocalConfig => "local-config",
            Self::ServerConfig => "server-config",
            Self::CrashLog => "crash-log",
            Self::Form => "form",
        }
    }

    /// Whether it is text, which a phone may compress on its way. Archives and logs stay as they are.
    fn is_text(self) -> bool {
        !matches!(self, Self::ProblemReport | Self::CrashLog)
    }
}

impl fmt::Display for UploadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UploadKind {
    type Err = ParseUploadKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| ParseUploadKindError(text.to_owned()))
    }
}

/// A path that phones send to, and what is done with what comes.
#[derive(Debug, Clone)]
pub struct UploadEntry {
    pub name: String,
    pub paths: Vec<PathPattern>,
    pub put: bool,
    pub post: bool,
    pub kind: UploadKind,
    /// Whether what is encrypted is opened with the device's delivery key.
    pub decrypt: bool,
    /// Whether a gzip file is unpacked.
    pub gunzip: bool,
    /// The field of a form (multipart) that holds the file; none: the first field with a file name.
    pub part: Option<String>,
    /// Whether it tells a part of the parameters only: what it leaves out says nothing.
    pub partial: bool,
    /// The most bytes that are taken, packed or not; `uploads.size` of the configuration may be less.
    pub size: u64,
    /// Indices of the models that send it; none: all.
    pub models: Option<Vec<usize>>,
    pub line: u32,
}

impl UploadEntry {
    /// Whether this model sends it.
    pub fn is_for(&self, model: usize) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(&model))
    }

    /// Whether it may come by this method.
    pub fn takes(&self, method: &str) -> bool {
        match method {
            "PUT" => self.put,
            "POST" => self.post,
            _ => false,
        }
    }
}

/// What a manifest may ask for at most, in bytes.
const LARGEST: u64 = 1 << 30;

/// The largest upload that is opened or unpacked, in bytes: that is done in memory.
const LARGEST_OPENED: u64 = 16 << 20;

/// What is taken where the manifest doesn't say, in bytes: a configuration report of the largest phones has 300 kB.
const USUAL: u64 = 2 << 20;

/// The same for logs and archives.
const USUAL_ARCHIVE: u64 = 32 << 20;

/// Reads `[[upload]]`.
pub fn uploads(reader: &Reader<'_>, models: &Models, files: &[FileEntry]) -> Vec<UploadEntry> {
    let mut uploads: Vec<UploadEntry> = Vec::new();
    for entry in reader.tables("upload") {
        let Some(upload) = upload(&entry, models) else {
            entry.finish();
            continue;
        };
        let names = uploads.iter().map(|other| &other.name).chain(files.iter().map(|file| &file.name));
        if names.into_iter().any(|name| *name == upload.name) {
            entry.problem("name", format!("there is another file or upload named \"{}\"", upload.name), None);
        }
        entry.finish();
        uploads.push(upload);
    }
    uploads
}

fn upload(entry: &Reader<'_>, models: &Models) -> Option<UploadEntry> {
    let name = entry.required_text("name");
    let any_case = entry.boolean("any_case").unwrap_or(false);
    if !entry.has("path") {
        entry.missing("path");
    }
    let mut paths = Vec::new();
    for text in entry.texts("path").unwrap_or_default() {
        match PathPattern::parse(&text, any_case) {
            // Who has nothing but a code is nobody's phone yet, and there would be no access to judge it by.
            Ok(path) if path.has_code() => {
                entry.problem("path", format!("{path} has {{code}}, which is for files"), None);
            }
            Ok(path) => paths.push(path),
            Err(error) => entry.problem("path", error.to_string(), None),
        }
    }
    let (mut put, mut post) = (true, true);
    if let Some(methods) = entry.texts("method") {
        (put, post) = (false, false);
        for method in methods {
            match method.as_str() {
                "put" => put = true,
                "post" => post = true,
                other => entry.problem("method", format!("must be \"put\" or \"post\", not \"{other}\""), None),
            }
        }
    }
    if !entry.has("kind") {
        entry.missing("kind");
    }
    let kind = entry.parsed::<UploadKind>("kind").unwrap_or(UploadKind::Report);
    let decrypt = entry.boolean("decrypt").unwrap_or(false);
    let gunzip = entry.boolean("gunzip").unwrap_or_else(|| kind.is_text());
    let largest = if decrypt || gunzip { LARGEST_OPENED } else { LARGEST };
    let size = entry.size("size").unwrap_or(if kind.is_text() { USUAL } else { USUAL_ARCHIVE.min(largest) });
    if size == 0 || size > largest {
        let why = if decrypt || gunzip { "; what is decrypted or unpacked is held in memory" } else { "" };
        entry.problem("size", format!("must be from 1 B to {} MiB{why}", largest >> 20), None);
    }
    let part = entry.text("part");
    let partial = entry.boolean("partial").unwrap_or(kind == UploadKind::LocalConfig);
    let models = limited_models(entry, models);
    // Last, so that every other key has been read.
    let name = name?;
    Some(UploadEntry { name, paths, put, post, kind, decrypt, gunzip, part, partial, size, models, line: entry.line() })
}
