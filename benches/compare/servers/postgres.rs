//! A PostgreSQL of a case's own, on the client's core: it would be on a machine of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{end, find, is_root};
use crate::measure::{CLIENT_CORE, Counted, Cpu};
use crate::scene::Scene;

pub struct Postgres {
    child: Child,
    counted: Counted,
    folder: TempDir,
}

impl Postgres {
    /// None where it isn't installed. It keeps what it is told as it is packaged to: every commit is on disk.
    pub fn start(scene: &Scene) -> Option<Self> {
        let programs = programs()?;
        let folder = scene.folder();
        if is_root() {
            // It refuses to be run by root.
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(owned.success());
        }
        let data = folder.path().join("data");
        let made = as_user(
            Command::new(programs.join("initdb")).args(["--auth=trust", "--username=resyncd", "-D"]).arg(&data),
        )
        .output()
        .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let counted = Counted::new();
        let mut command = counted.command(CLIENT_CORE, &setpriv().unwrap_or_else(|| programs.join("postgres")));
        if is_root() {
            command.args(AS_POSTGRES).arg(programs.join("postgres"));
        }
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c"]);
        command.arg(format!("unix_socket_directories={}", folder.path().display()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let postgres = Self { child, counted, folder };
        let ready = || {
            let mut command = Command::new(programs.join("pg_isready"));
            command.arg("--quiet").arg("--host").arg(postgres.folder.path()).status().unwrap().success()
        };
        assert!((0..10_000).any(|_| ready()), "PostgreSQL does not start");
        Some(postgres)
    }

    pub fn url(&self) -> String {
        format!("postgres://resyncd@localhost/postgres?host={}", self.folder.path().display())
    }

    pub fn used(&self) -> Cpu {
        self.counted.used(self.child.id())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: end now, with all connections.
        end(&mut self.child, Signal::INT);
    }
}

const AS_POSTGRES: [&str; 4] = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];

/// What lets root run it.
fn setpriv() -> Option<PathBuf> {
    if is_root() { Some(find("setpriv").unwrap()) } else { None }
}

/// The same command, run as the user that its package makes where we are root.
fn as_user(command: &Command) -> Command {
    let Some(setpriv) = setpriv() else {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return same;
    };
    let mut other = Command::new(setpriv);
    other.args(AS_POSTGRES).arg(command.get_program()).args(command.get_args());
    other
}

/// The folder of the server's programs. Debian keeps them out of the way of those that choose the version.
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).max();
    newest.or_else(|| Some(Path::new(&find("initdb")?).parent()?.to_owned()))
}
