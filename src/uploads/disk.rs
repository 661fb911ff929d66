//! The folder of uploads: `<data_dir>/uploads/<six digits>/<id>`, and `partial/` for those that are coming.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::record::UploadId;
use super::{Shared, UploadError};

/// Makes a folder that nobody else may look into: reports tell of a customer's phone.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Held, shared, by every process that takes uploads into a folder: only one that has it alone may clean up. A server that is
/// being replaced may still be finishing what the next one would take for leftovers.
#[derive(Debug)]
pub struct Lock(fs::File);

impl Lock {
    /// The lock, and whether nobody else has it. To be shared once there is nothing more to do alone.
    pub(super) fn take(folder: &Path) -> Result<(Self, bool), UploadError> {
        let path = folder.join("lock");
        let failed = |error| UploadError::disk(&path, error);
        make_folder(folder).map_err(|error| UploadError::disk(folder, error))?;
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok((Self(file), true)),
            Err(Errno::WOULDBLOCK) => Ok((Self(file), false)),
            // No locks there, as on some network file systems: then nobody can be asked, and nothing is removed.
            Err(Errno::NOTSUP | Errno::NOLCK) => Ok((Self(file), false)),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Lets others have it as well. Waits for one that is cleaning up.
    pub(super) fn share(&self) {
        // Without it the next process may take what is coming here for leftovers; the upload then fails, and is not kept.
        if let Err(error) = flock(&self.0, FlockOperation::LockShared) {
            tracing::warn!("the folder of uploads can't be locked: {error}");
        }
    }
}

impl Shared {
    /// Removes what an earlier run left: uploads that did not come to their end, and files without a row. Only what is named
    /// as an upload is removed. Tells how many went.
    pub(super) async fn clean(&self) -> Result<usize, UploadError> {
        let partial = self.partial();
        let mut removed = 0;
        for name in names(&partial)? {
            let path = partial.join(name);
            fs::remove_file(&path).map_err(|error| UploadError::disk(&path, error))?;
            removed += 1;
        }
        if self.store.holds_content() {
            // What lies here is another database's.
            return Ok(removed);
        }
        for folder in names(&self.folder)? {
            let Some((first, last)) = UploadId::in_folder(&folder) else { continue };
            let path = self.folder.join(&folder);
            let files: Vec<UploadId> = names(&path)?.iter().filter_map(|name| name.parse().ok()).collect();
            if files.is_empty() {
                // It fails where something else is in it, which then stays.
                let _ = fs::remove_dir(&path);
                continue;
            }
            let known: HashSet<UploadId> = self.store.upload_ids(first, last).await?.into_iter().collect();
            for id in files.iter().filter(|id| !known.contains(id)) {
                let path = path.join(id.to_string());
                fs::remove_file(&path).map_err(|error| UploadError::disk(&path, error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes a file that no row names any more. One that can't be removed now is found at the next start.
    pub(super) async fn remove(&self, path: &Path) {
        match tokio::fs::remove_file(path).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("the file of a deleted upload can't be removed: {}: {error}", path.display()),
        }
        if let Some(folder) = path.parent() {
            // It fails while there are others in it.
            let _ = tokio::fs::remove_dir(folder).await;
        }
    }
}

/// What is in a folder, by name; nothing where there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>, UploadError> {
    let failed = |error| UploadError::disk(folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is no text is none of ours.
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}
