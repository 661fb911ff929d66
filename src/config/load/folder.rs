//! Folders of static files: what anyone may fetch, and what must never be among it.

use std::path::{Component, Path, PathBuf};

use super::table::{Table, Wrong};
use crate::config::{Folder, Listener, reference};

/// What no static folder may hand out: a path, and what it is called.
type Private<'c> = (&'c Path, String);

/// All folders. `data_dir` and `profiles` hold secrets, and so do the master key's file and the listeners' keys.
pub fn folders(
    top: &Table<'_>,
    data_dir: Option<&Path>,
    profiles: Option<&Path>,
    key_file: Option<&Path>,
    listeners: &[Listener],
) -> Vec<Folder> {
    let mut private: Vec<Private<'_>> = Vec::new();
    private.extend(data_dir.map(|path| (path, "data_dir".to_owned())));
    private.extend(profiles.map(|path| (path, "profiles".to_owned())));
    private.extend(key_file.map(|path| (path, "secrets.master_key".to_owned())));
    for listener in listeners {
        let Some(tls) = &listener.tls else { continue };
        let pairs = std::iter::once(&tls.certificate).chain(tls.names.iter().map(|name| &name.pair));
        private.extend(pairs.map(|pair| (pair.key.as_path(), format!("a key of the listener \"{}\"", listener.name))));
    }
    let mut folders: Vec<Folder> = Vec::new();
    for table in top.tables("folder", &reference::FOLDER) {
        let path = table.parsed("path", |text| unused_path(text, &folders));
        let folder = table.parsed("folder", |text| {
            let folder = table.located(text)?;
            harmless(&folder, &private).map(|()| folder)
        });
        table.finish();
        if let (Some(path), Some(folder)) = (path, folder) {
            folders.push(Folder { path, folder });
        }
    }
    folders
}

fn unused_path(text: &str, others: &[Folder]) -> Result<String, Wrong> {
    if !text.starts_with('/') || !text.ends_with('/') {
        return Err(Wrong::new(format!("must begin and end with \"/\", not be \"{text}\"")));
    }
    // What a URL writes in another way would never be matched.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~!$&'()*+,;=:@".contains(c);
    let odd_segment =
        text.trim_matches('/').split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..");
    if !text.chars().all(is_plain) || text != "/" && (odd_segment || text.contains("//")) {
        return Err(Wrong::new(format!("\"{text}\" is no path that a URL can have")));
    }
    match others.iter().find(|other| text.starts_with(&other.path) || other.path.starts_with(text)) {
        Some(other) => Err(Wrong::new(format!("\"{text}\" overlaps with the folder at \"{}\"", other.path))),
        None => Ok(text.to_owned()),
    }
}

/// Refuses a folder that would hand out secrets. Symbolic links are the operator's own doing.
fn harmless(folder: &Path, private: &[Private<'_>]) -> Result<(), Wrong> {
    let cleaned = clean(folder);
    for (path, called) in private {
        let other = clean(path);
        if cleaned.starts_with(&other) || other.starts_with(&cleaned) {
            return Err(Wrong::new(format!("anyone may fetch what is in {}, and {called} is there", folder.display()))
                .help("put what anyone may fetch into a folder of its own"));
        }
    }
    Ok(())
}

/// An absolute path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut cleaned = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::CurDir => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}
