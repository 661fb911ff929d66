//! The folder that a site is written to: which one may be taken, and how a site comes into it whole or not at all.
//!
//! Everything is written to a hidden folder within, and moved into its place at the end; the overview, `index.html`, goes
//! first and comes last, so that what is left of a run that was killed has no way in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Error;
use super::paths::OVERVIEW;

/// The file that tells a preview from anyone else's folder.
pub const MARKER: &str = "resyncd-preview.json";

/// What hidden folders of a run are called, before a random end.
const HIDDEN: &str = ".resyncd-preview-";

/// A site that is being written.
#[derive(Debug)]
pub struct Folder {
    out: PathBuf,
    /// Within `out`; goes when this is dropped.
    new: TempDir,
}

impl Folder {
    /// Takes a folder that is absent, empty, or holds an earlier preview.
    ///
    /// # Errors
    /// When it holds anything else, or can't be written to.
    pub fn take(out: &Path) -> Result<Self, Error> {
        let failed = |why| Error::Io { path: out.to_owned(), why };
        let mut left = Vec::new();
        match fs::read_dir(out) {
            Ok(entries) => {
                let mut foreign = None;
                for entry in entries {
                    let entry = entry.map_err(failed)?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if name.starts_with(HIDDEN) {
                        left.push(entry.path());
                    } else {
                        foreign = Some(name);
                    }
                }
                if let Some(name) = foreign.filter(|_| !out.join(MARKER).is_file()) {
                    return Err(Error::Foreign { folder: out.to_owned(), holds: name });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(out).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        }
        // What a run left behind that was killed.
        for path in left {
            fs::remove_dir_all(&path).map_err(|why| Error::Io { path, why })?;
        }
        let new = hidden(out).map_err(failed)?;
        Ok(Self { out: out.to_owned(), new })
    }

    /// Where pages are written to.
    pub fn path(&self) -> &Path {
        self.new.path()
    }

    /// Puts the site into its place, that of an earlier one if there is one. `marker` is the marker's content.
    ///
    /// # Errors
    /// When a file can't be moved; the site then has no overview.
    pub fn finish(self, marker: &str) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| Error::Io { path, why }
        };
        let written = self.new.path().join(MARKER);
        fs::write(&written, marker).map_err(failed(&written))?;
        let mut names = names(self.new.path()).map_err(failed(self.new.path()))?;
        names.retain(|name| name != MARKER && name != OVERVIEW);
        let old = hidden(&self.out).map_err(failed(&self.out))?;
        // The way in first, and the marker never: this folder stays known as a preview.
        for name in std::iter::once(OVERVIEW).chain(PARTS) {
            let path = self.out.join(name);
            match fs::rename(&path, old.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::Io { path, why: error }),
                _ => {}
            }
        }
        for name in std::iter::once(MARKER).chain(names.iter().map(String::as_str)).chain([OVERVIEW]) {
            let path = self.out.join(name);
            fs::rename(self.new.path().join(name), &path).map_err(failed(&path))?;
        }
        for folder in [old, self.new] {
            let path = folder.path().to_owned();
            folder.close().map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Everything that stands at the top of a site, beside the overview and the marker.
pub const PARTS: [&str; 9] =
    ["style.css", "findings", "changes", "devices", "device", "groups", "group", "model", "public"];

fn hidden(out: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(HIDDEN).tempdir_in(out)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Folder, name: &str) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }

    fn listed(out: &Path) -> Vec<String> {
        let mut names = names(out).unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_site_replaces_an_earlier_one_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("a/site");
        let first = Folder::take(&out).unwrap();
        write(&first, OVERVIEW);
        write(&first, "changes/1.html");
        first.finish("{}").unwrap();
        assert_eq!(listed(&out), ["changes", "index.html", MARKER]);
        // What a reader put there stays.
        fs::write(out.join("notes.txt"), "").unwrap();
        let second = Folder::take(&out).unwrap();
        write(&second, OVERVIEW);
        write(&second, "device/ef/x.html");
        second.finish("{}").unwrap();
        assert_eq!(listed(&out), ["device", "index.html", "notes.txt", MARKER]);
    }

    #[test]
    fn a_run_that_fails_leaves_the_earlier_site_or_nothing() {
        let out = tempfile::tempdir().unwrap();
        let failing = Folder::take(out.path()).unwrap();
        write(&failing, OVERVIEW);
        drop(failing);
        assert!(listed(out.path()).is_empty());
        let whole = Folder::take(out.path()).unwrap();
        write(&whole, OVERVIEW);
        whole.finish("{}").unwrap();
        drop(Folder::take(out.path()).unwrap());
        assert_eq!(listed(out.path()), ["index.html", MARKER]);
    }

    #[test]
    fn a_killed_run_is_cleaned_up_and_a_foreign_folder_is_not() {
        let out = tempfile::tempdir().unwrap();
        let killed = Folder::take(out.path()).unwrap();
        write(&killed, OVERVIEW);
        std::mem::forget(killed);
        assert_eq!(listed(out.path()).len(), 1);
        drop(Folder::take(out.path()).unwrap());
        assert!(listed(out.path()).is_empty());
        fs::write(out.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(Folder::take(out.path()), Err(Error::Foreign { holds, .. }) if holds == "thesis.tex"));
        fs::remove_file(out.path().join("thesis.tex")).unwrap();
        fs::write(out.path().join("file"), "").unwrap();
        assert!(matches!(Folder::take(&out.path().join("file")), Err(Error::Io { .. })));
    }
}
