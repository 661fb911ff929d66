//! The real program at work in a folder of its own, for benchmarks that look at it from outside. `BENCH_PROGRAM` names another
//! build of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The program that is measured.
pub fn program() -> Command {
    Command::new(std::env::var("BENCH_PROGRAM").as_deref().unwrap_or(env!("CARGO_BIN_EXE_resyncd")))
}

/// A folder with a configuration. Its name is given out as long as the program runs in it.
pub struct Deployment {
    folder: tempfile::TempDir,
}

impl Deployment {
    /// With this `resyncd.toml`, before which stand the packs of the repository and what every benchmark wants.
    pub fn new(config: &str) -> Self {
        let deployment = Self { folder: tempfile::tempdir().unwrap() };
        let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
        let common = "[admin]\naddress = \"127.0.0.1:0\"\n[process]\nkeep_root = true\n";
        deployment
            .write("resyncd.toml", &format!("templates = {templates:?}\ndata_dir = \"data\"\n{config}\n{common}"));
        deployment.write("profiles/defaults.toml", "[provisioning]\nurl = \"https://localhost\"\n");
        deployment
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.path("resyncd.toml")).current_dir(self.folder.path());
        command
    }

    /// What a command prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `resyncd serve`, as soon as phones can come.
    pub fn serve(&self) -> Serving {
        let mut child = self.command().arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut addresses = Vec::new();
        for line in lines.by_ref() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["phones:", url, name] => addresses.push((name.trim_matches(['(', ')']).to_owned(), address(url))),
                ["admin:", url, ..] => {
                    addresses.push(("admin".to_owned(), address(url)));
                    break;
                }
                _ => {}
            }
        }
        // Nobody else reads them, and the program may not wait for somebody who does.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { child, addresses }
    }
}

fn address(url: &str) -> SocketAddr {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

/// A server, which ends with this.
pub struct Serving {
    pub child: Child,
    addresses: Vec<(String, SocketAddr)>,
}

impl Serving {
    /// Of a listener, or of `admin`.
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.addresses.iter().find(|(name, _)| name == listener).unwrap_or_else(|| panic!("no {listener}")).1
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Nothing else can be done about a server that doesn't end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
