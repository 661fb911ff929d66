//! An upload on its way: streamed to a file of its own, and kept only when all of it has come and is on disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempPath;
use time::OffsetDateTime;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use super::multipart::{Multipart, Piece, is_multipart};
use super::opened::{Opened, Opening, is_packed, open};
use super::record::{TEXT_LIMIT, Upload, UploadId, cut};
use super::{Shared, UploadError, Uploads};
use crate::model::MacAddr;
use crate::packs::UploadKind;

/// How long the database may take for an upload. A phone is told to come again, and whoever waits as long as that is in the
/// way of others (`uploads.at_once`).
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of an upload before its body has come. Texts of the phone's are as they came.
#[derive(Debug, Clone)]
pub struct About {
    pub device: MacAddr,
    pub kind: UploadKind,
    pub pack: String,
    pub upload: String,
    pub partial: bool,
    /// The field of a form that holds the file.
    pub part: Option<String>,
    /// Bytes that the pack allows.
    pub size: u64,
    pub opening: Opening,
    /// Nothing has proved yet who sends it: it has to open by a cipher that only the device's key can have made.
    pub must_open: bool,
    pub time: OffsetDateTime,
    pub peer: SocketAddr,
    pub listener: Arc<str>,
    /// The last of the path.
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
}

/// What was kept, and what the operator should know of it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub upload: Upload,
    /// Of packing that was not undone.
    pub problem: Option<String>,
}

/// Bytes that tell how a file is packed.
const BEGIN: usize = 8;

/// Fields of a form that are kept beside its file.
const FIELDS: usize = 16;

/// An upload that is coming. Dropped before its end, it leaves nothing behind.
pub struct Receiving {
    shared: Arc<Shared>,
    about: About,
    limit: u64,
    received: u64,
    form: Option<Form>,
    file: Partial,
    _place: OwnedSemaphorePermit,
}

/// A form on its way.
struct Form {
    reader: Multipart,
    fields: BTreeMap<String, String>,
    into: Into,
    has_file: bool,
}

/// Where the bytes of a form's part go.
enum Into {
    Nowhere,
    Field(String),
    File,
}

/// A file that is being written, gone when this is dropped unless it is moved to its place.
struct Partial {
    file: File,
    path: TempPath,
    digest: Sha256,
    bytes: u64,
    /// The first bytes, as far as [`is_packed`] wants them.
    begin: Vec<u8>,
}

impl Partial {
    async fn new(shared: &Shared) -> Result<Self, UploadError> {
        let folder = shared.partial();
        let path = folder.clone();
        let made = tokio::task::spawn_blocking(move || tempfile::Builder::new().prefix("").tempfile_in(path)).await?;
        let (file, path) = made.map_err(|error| UploadError::disk(&folder, error))?.into_parts();
        Ok(Self { file: File::from_std(file), path, digest: Sha256::new(), bytes: 0, begin: Vec::new() })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.digest.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let wanted = BEGIN.saturating_sub(self.begin.len());
        self.begin.extend(bytes.iter().take(wanted));
        self.file.write_all(bytes).await.map_err(|error| UploadError::disk(&self.path, error))
    }

    /// All that was written, once it is known to be written.
    async fn read(&mut self) -> Result<Vec<u8>, UploadError> {
        let mut all = Vec::new();
        let read = async {
            self.file.flush().await?;
            self.file.rewind().await?;
            self.file.read_to_end(&mut all).await
        };
        read.await.map_err(|error| UploadError::disk(&self.path, error))?;
        Ok(all)
    }

    fn sha256(&self) -> String {
        self.digest.clone().finalize().iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl Uploads {
    /// Begins to take an upload.
    ///
    /// # Errors
    /// When too many are being taken, the form names no boundary, or there is no room for a file.
    pub async fn receive(&self, about: About) -> Result<Receiving, UploadError> {
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| UploadError::Busy)?;
        let form = match about.content_type.as_deref().filter(|content_type| is_multipart(content_type)) {
            Some(content_type) => Some(Form {
                reader: Multipart::new(content_type)?,
                fields: BTreeMap::new(),
                into: Into::Nowhere,
                has_file: false,
            }),
            None => None,
        };
        let limit = about.size.min(self.0.limits.size);
        let file = Partial::new(&self.0).await?;
        Ok(Receiving { shared: self.0.clone(), about, limit, received: 0, form, file, _place: place })
    }

    /// The most bytes that an upload may have whose pack allows so many.
    pub fn limit(&self, size: u64) -> u64 {
        size.min(self.0.limits.size)
    }
}

impl Receiving {
    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// When they are too many, no form, or can't be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.received = self.received.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.received > self.limit {
            return Err(UploadError::TooLarge(self.limit));
        }
        let Some(form) = &mut self.form else { return self.file.write(bytes).await };
        for piece in form.reader.push(bytes)? {
            match piece {
                Piece::Part(head) => {
                    let is_file = head.file_name.is_some() || self.about.part.as_ref() == Some(&head.name);
                    form.into = if is_file {
                        if std::mem::replace(&mut form.has_file, true) {
                            return Err(UploadError::TwoFiles);
                        }
                        self.about.name = head.file_name;
                        self.about.content_type = head.content_type;
                        Into::File
                    } else if form.fields.len() < FIELDS {
                        Into::Field(cut(&head.name))
                    } else {
                        Into::Nowhere
                    };
                }
                Piece::Data(data) => match &form.into {
                    Into::File => self.file.write(&data).await?,
                    Into::Field(name) => {
                        let value = form.fields.entry(name.clone()).or_default();
                        if value.len() <= TEXT_LIMIT {
                            value.push_str(&String::from_utf8_lossy(&data));
                            *value = cut(value);
                        }
                    }
                    Into::Nowhere => {}
                },
            }
        }
        Ok(())
    }

    /// The whole body has come: unpacks it, and keeps it. When this returns, the upload is on disk with its row in the
    /// database, and the phone may be told so. Once begun it is carried through, even if nobody waits for it any more.
    ///
    /// # Errors
    /// When it is no whole form, doesn't open where it has to, or can't be kept. Then nothing of it is left.
    pub async fn finish(mut self) -> Result<Kept, UploadError> {
        if let Some(form) = &self.form {
            form.reader.finish()?;
            if !form.has_file {
                return Err(UploadError::NoFile(self.about.part.clone()));
            }
        }
        let opened = self.open().await?;
        if self.about.must_open && !opened.authentic {
            let why = opened.problem.unwrap_or_else(|| "it is not encrypted with aes128gcm".to_owned());
            return Err(UploadError::NotOpened(why));
        }
        if let Some(content) = &opened.content {
            let mut file = Partial::new(&self.shared).await?;
            file.write(content).await?;
            self.file = file;
        }
        tokio::spawn(self.keep(opened)).await?
    }

    async fn open(&mut self) -> Result<Opened, UploadError> {
        let coding = self.about.content_encoding.clone().filter(|_| self.form.is_none());
        let opening =
            Opening { limit: usize::try_from(self.limit).unwrap_or(usize::MAX), ..self.about.opening.clone() };
        let wanted = opening.decrypt || opening.gunzip;
        if !wanted || !is_packed(&self.file.begin, coding.as_deref()) {
            return Ok(Opened::default());
        }
        let body = self.file.read().await?;
        let limit = self.limit;
        let opened = tokio::task::spawn_blocking(move || open(&body, coding.as_deref(), &opening)).await?;
        opened.map_err(|_| UploadError::UnpacksTooLarge(limit))
    }

    async fn keep(self, opened: Opened) -> Result<Kept, UploadError> {
        let Self { shared, about, received, form, mut file, .. } = self;
        let id = UploadId::new(about.time)?;
        let in_database = shared.store.holds_content();
        let upload = Upload {
            id,
            time: to_milliseconds(about.time),
            device: about.device,
            kind: about.kind,
            pack: about.pack,
            upload: about.upload,
            partial: about.partial,
            name: about.name.as_deref().map(cut),
            content_type: about.content_type.as_deref().map(cut),
            fields: form.map(|form| form.fields).unwrap_or_default(),
            received,
            bytes: file.bytes,
            sha256: file.sha256(),
            encoding: opened.encoding.map(str::to_owned),
            sealed: opened.sealed,
            peer: about.peer,
            listener: about.listener.to_string(),
            node: shared.node.clone(),
            path: (!in_database).then(|| format!("{}/{id}", id.folder())),
        };
        let written = async {
            file.file.flush().await?;
            if in_database { file.file.rewind().await.map(drop) } else { file.file.sync_all().await }
        };
        written.await.map_err(|error| UploadError::disk(&file.path, error))?;
        let Partial { file: mut content, path, .. } = file;
        let placed = if in_database {
            None
        } else {
            let target = shared.path(id);
            let place = target.clone();
            tokio::task::spawn_blocking(move || put(path, &place)).await??;
            Some(target)
        };
        let inserting = shared.store.insert_upload(&upload, &mut content, shared.limits.per_device);
        let kept = shared.store.in_time(PATIENCE, inserting).await;
        let gone = match kept {
            Ok(gone) => gone,
            Err(error) => {
                // A commit may have been done though its answer was lost; then the file stays with its row, and the phone,
                // which is told otherwise, sends it once more. Where that can't be told, the next start looks again.
                if let (Some(target), Ok(None)) = (placed, shared.store.upload(id).await) {
                    shared.remove(&target).await;
                }
                return Err(error.into());
            }
        };
        shared.gone(&gone).await;
        shared.added(upload.bytes);
        Ok(Kept { upload, problem: opened.problem })
    }
}

/// Moves a file to its place, so that it is there after a power cut.
fn put(path: TempPath, target: &Path) -> Result<(), UploadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| UploadError::disk(&path, error)
    };
    let folder: PathBuf = target.parent().map(Path::to_owned).unwrap_or_default();
    let above: PathBuf = folder.parent().map(Path::to_owned).unwrap_or_default();
    // Another upload may have made it, and pruning may have taken it away again.
    let mut moved = Err((None, path));
    for _ in 0..3 {
        let Err((_, path)) = moved else { break };
        super::disk::make_folder(&folder).map_err(failed(&folder))?;
        moved = path.persist_noclobber(target).map_err(|error| (Some(error.error), error.path));
    }
    if let Err((error, _)) = moved {
        return Err(failed(target)(error.unwrap_or_else(|| std::io::ErrorKind::Other.into())));
    }
    for folder in [&folder, &above] {
        let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        if let Err(error) = synced {
            // The file is in its place already, and its row will not come.
            let _ = std::fs::remove_file(target);
            return Err(failed(folder)(error));
        }
    }
    Ok(())
}

fn to_milliseconds(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}
