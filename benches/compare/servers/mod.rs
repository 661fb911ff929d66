//! The servers: how each is set up and started, and what it is asked while it runs.

mod apache;
pub mod bare;
mod nginx;
mod postgres;
mod resyncd;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::postgres::Postgres;
use crate::cases::{Contender, Load, Program};
use crate::measure::{Counted, Cpu, SERVER_CORE};
use crate::scene::Scene;

/// How long a server may take to start: resyncd has files of 100,000 devices to read.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs. Dropping it ends it.
pub struct Server {
    child: Child,
    counted: Counted,
    pub address: SocketAddr,
    /// Where it keeps its events, if that is a process.
    pub database: Option<Postgres>,
    folder: TempDir,
}

/// A program that a server is run by.
struct Runnable<'a> {
    program: &'a Path,
    arguments: Vec<String>,
    core: usize,
}

/// Starts a server of a case; none where its program isn't installed. `bodies` is the folder with what it has to
/// answer with; resyncd needs none.
pub fn start(scene: &Scene, contender: &Contender, load: &Load, bodies: Option<&Path>) -> Option<Server> {
    match contender.program {
        Program::Resyncd { postgres } => resyncd::start(scene, contender.devices, load, postgres),
        Program::Nginx { log } => nginx::start(scene, load, bodies.unwrap(), log),
        Program::Apache => apache::start(scene, load, bodies.unwrap()),
        Program::Bare => bare::start(scene, load, bodies.unwrap()),
    }
}

/// What isn't installed, and how it is.
pub fn missing() -> Vec<String> {
    let say = |name: &str, packages: &str| {
        format!("{name} is not installed, its column stays empty: apt-get install {packages}")
    };
    let mut missing = Vec::new();
    if nginx::program().is_none() {
        missing.push(say("nginx", "nginx-light"));
    }
    if apache::program().is_none() {
        missing.push(say("Apache", "apache2 perl"));
    }
    if postgres::programs().is_none() {
        missing.push(say("PostgreSQL", "postgresql"));
    }
    missing
}

/// The versions of those that are installed.
pub fn versions() -> Vec<String> {
    let openssl = format!("resyncd and the bare server with {}", openssl::version::version());
    let database = postgres::programs().map(|programs| programs.join("postgres"));
    let others = [(nginx::program(), "-V"), (apache::program(), "-v"), (database, "--version")];
    let others = others.into_iter().filter_map(|(program, argument)| said(&program?, argument));
    [format!("resyncd {}", *resyncd::VERSION), openssl].into_iter().chain(others).collect()
}

/// What a program says of its version.
fn said(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let tells = |line: &&str| ["version", "PostgreSQL", "running with"].iter().any(|word| line.contains(word));
    let lines: Vec<_> = text.lines().filter(tells).map(str::trim).collect();
    Some(lines.join(", "))
}

impl Server {
    /// Starts a program that will listen at this address. What it writes goes to a file of its folder.
    fn launch(folder: TempDir, counted: Counted, address: SocketAddr, run: &Runnable<'_>) -> Self {
        let log = File::create(folder.path().join("output.log")).unwrap();
        let mut command = counted.command(run.core, run.program);
        command.args(&run.arguments).current_dir(folder.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Self { child, counted, address, database: None, folder };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < PATIENCE, "it does not start:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn output(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    pub fn used(&self) -> Cpu {
        self.counted.used(self.child.id())
    }

    /// In kilobytes.
    pub fn memory(&self) -> f64 {
        self.counted.memory(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child, Signal::TERM);
    }
}

/// Ends a process as a supervisor does, and waits until it has.
fn end(child: &mut Child, signal: Signal) {
    // It fails only where it has ended already.
    let _ = kill_process(Pid::from_child(child), signal);
    let begin = Instant::now();
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if begin.elapsed() > Duration::from_secs(30) {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An address of this machine that is free now; nobody else is likely to be given it before the server has it.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A program of the system, where administrators' programs are too.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A static server's counted processes and core.
fn on_server_core(program: &Path, arguments: Vec<String>) -> Runnable<'_> {
    Runnable { program, arguments, core: SERVER_CORE }
}
