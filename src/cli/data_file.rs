//! The files that commands read and write as a whole: bounded, never half written, and no binary on a terminal.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::delivery;

use super::Failure;

/// The most that is read of a file: far beyond every profile, and what phones report is a few megabytes.
pub(super) const LIMIT: u64 = 64 << 20;

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    /// Whoever the umask lets.
    Public,
    /// Its owner: it holds secrets.
    Private,
}

/// The file as messages name it.
pub(super) fn name(file: &Path) -> String {
    if is_standard(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// The whole file, or of standard input for `-`.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    read_at_most(file, LIMIT)
}

/// The same of a file that may be larger, up to `limit` bytes.
pub(super) fn read_at_most(file: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let result = if is_standard(file) {
        io::stdin().lock().take(limit + 1).read_to_end(&mut content)
    } else {
        File::open(file).and_then(|opened| opened.take(limit + 1).read_to_end(&mut content))
    };
    match result {
        Ok(size) if size as u64 > limit => Err(Failure::because(name(file), format_args!("more than {limit} bytes"))),
        Ok(_) => Ok(content),
        Err(error) => Err(Failure::because(name(file), error)),
    }
}

/// Writes to the file, or to standard output where there is none or it is `-`.
pub(super) fn write(file: Option<&Path>, content: &[u8], privacy: Privacy) -> Result<(), Failure> {
    match file {
        Some(file) if !is_standard(file) => {
            replace(file, content, privacy).map_err(|error| Failure::because(file.display(), error))
        }
        _ => print(content),
    }
}

fn print(content: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    if output.is_terminal() && !delivery::is_text(content) {
        let message = "the result is binary and standard output is a terminal: give --output FILE, or redirect it";
        return Err(Failure::Other(message.to_owned()));
    }
    match output.write_all(content).and_then(|()| output.flush()) {
        // Who reads has seen enough: `| head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::because("standard output", error)),
    }
}

/// Writes a new file beside the old one and puts it in its place, so that a reader meets the one or the other, whole.
fn replace(file: &Path, content: &[u8], privacy: Privacy) -> io::Result<()> {
    let target = match fs::metadata(file) {
        // A link stays, and what it points to is replaced.
        Ok(metadata) if metadata.is_file() => fs::canonicalize(file)?,
        // A device or a pipe cannot be replaced, only written to; a folder refuses.
        Ok(_) => return File::options().write(true).open(file)?.write_all(content),
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    let mode = match privacy {
        Privacy::Public => 0o666,
        Privacy::Private => 0o600,
    };
    let mut new = tempfile::Builder::new()
        .prefix(".resyncd-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(&target))?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    new.persist(&target)?;
    Ok(())
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}
