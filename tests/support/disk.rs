//! A disk that can be filled.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// A file system of its own, of a few pages, that is there as long as this.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where we may not mount one; that is said.
    pub fn mount(folder: PathBuf, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let size = format!("size={kib}k");
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&folder));
        if mounted.status.success() {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no small disk can be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    /// Takes all room that is left.
    pub fn fill(&self) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.filler()).unwrap();
        loop {
            match file.write(&[0xa5; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}
