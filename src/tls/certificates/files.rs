//! Several files written as one: all of them or none, and none over another.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};
use zeroize::Zeroizing;

use super::error::CertificateError;

/// A file to be.
pub(super) struct NewFile {
    pub path: PathBuf,
    pub contents: Zeroizing<Vec<u8>>,
    /// For the owner's eyes only.
    pub secret: bool,
}

/// Writes all files, or none. With `overwrite` what is there is replaced.
///
/// Everything is on the disk under a temporary name before the first file gets its own; so what can go wrong has gone wrong
/// by then, and a file that turns up meanwhile is found by the system itself, not by looking beforehand.
pub(super) fn write_all(files: &[NewFile], overwrite: bool) -> Result<Vec<PathBuf>, CertificateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Write { path, source }
    };
    let mut ready: Vec<(TempPath, &NewFile)> = Vec::with_capacity(files.len());
    for file in files {
        ready.push((write_temporary(file).map_err(failed(&file.path))?, file));
    }

    let mut written = Vec::with_capacity(files.len());
    for (temporary, file) in ready {
        let persisted = if overwrite { temporary.persist(&file.path) } else { temporary.persist_noclobber(&file.path) };
        match persisted {
            Ok(()) => written.push(file.path.clone()),
            Err(error) => {
                if !overwrite {
                    // These were not there before, so they are ours to take back. One that can't be removed is no worse
                    // than the error that is reported.
                    written.iter().for_each(|path| drop(fs::remove_file(path)));
                }
                return Err(match error.error.kind() {
                    io::ErrorKind::AlreadyExists => CertificateError::Exists(vec![file.path.clone()]),
                    _ => failed(&file.path)(error.error),
                });
            }
        }
    }
    Ok(written)
}

fn write_temporary(file: &NewFile) -> io::Result<TempPath> {
    let folder = file.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".resyncd-");
    // Opened exclusively, and with its final mode from the first byte on: 0600 is the default.
    #[cfg(unix)]
    if !file.secret {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o644));
    }
    let mut temporary: NamedTempFile = builder.tempfile_in(folder)?;
    temporary.write_all(&file.contents)?;
    temporary.as_file().sync_all()?;
    Ok(temporary.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, contents: &str) -> NewFile {
        NewFile { path, contents: Zeroizing::new(contents.into()), secret: true }
    }

    #[test]
    fn all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("new/first"), folder.path().join("second"));
        fs::write(&second, "old").unwrap();
        let files = [file(first.clone(), "1"), file(second.clone(), "2")];

        assert!(matches!(write_all(&files, false), Err(CertificateError::Exists(paths)) if paths == [second.clone()]));
        assert!(!first.exists());
        assert_eq!(fs::read_to_string(&second).unwrap(), "old");

        assert_eq!(write_all(&files, true).unwrap(), [first, second.clone()]);
        assert_eq!(fs::read_to_string(&second).unwrap(), "2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }
}
