//! `resyncd serve` as its users run it: the program itself, in a process of its own, with its log and its signals.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::deployment::Deployment;
use super::{resyncd, run};

/// How long a line of the log may keep a test waiting: far longer than any takes, so that a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a process of its own. Dropping it ends it.
pub struct Process {
    pub deployment: Deployment,
    child: Child,
    lines: Receiver<String>,
    /// What it has written so far, as far as it was read.
    log: String,
    /// How much of that has been looked at by [`Process::wait_for`].
    seen: usize,
    addresses: HashMap<String, SocketAddr>,
}

impl Process {
    /// Starts the program and waits until it serves.
    pub fn start(deployment: Deployment) -> Self {
        let mut command = resyncd();
        command.args(["--config", deployment.path("resyncd.toml").to_str().unwrap(), "serve"]);
        command.current_dir(deployment.path(""));
        Self::start_by(deployment, command)
    }

    /// The same by a command that ends in running the program.
    pub fn start_by(deployment: Deployment, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { deployment, child, lines, log: String::new(), seen: 0, addresses: HashMap::new() };
        loop {
            let line = process.line();
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["phones:", url, name] => process.note(name.trim_matches(['(', ')']), url),
                ["admin:", url, _docs] => {
                    process.note("admin", url);
                    return process;
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, name: &str, url: &str) {
        let address = url.rsplit('/').next().unwrap().parse().unwrap();
        self.addresses.insert(name.to_owned(), address);
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    /// The same by the beginning of its name.
    pub fn listener(&self, begins: &str) -> SocketAddr {
        let is_it = |name: &&String| *name == begins || name.starts_with(&format!("{begins}-"));
        self.addresses[self.addresses.keys().find(is_it).unwrap()]
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it writes.
    fn line(&mut self) -> String {
        let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("no more lines:\n{}", self.log) };
        self.log.push_str(&line);
        self.log.push('\n');
        line
    }

    /// Waits for a line that has this in it, after the one that was waited for last.
    pub fn wait_for(&mut self, part: &str) -> String {
        loop {
            while let Some((line, _)) = self.log[self.seen..].split_once('\n') {
                let line = line.to_owned();
                self.seen += line.len() + 1;
                if line.contains(part) {
                    return line;
                }
            }
            self.line();
        }
    }

    /// Sends a signal: `HUP`, `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = run(Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()));
        assert!(sent.status.success());
    }

    /// Asks for a path over plain HTTP so many times on one connection; how often it was served.
    pub fn ask(&self, path: &str, times: usize) -> usize {
        let mut stream = TcpStream::connect(self.address("http")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(times).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK\r\n").count()
    }

    /// Whether a phone that may fetch it gets a file.
    pub fn serves(&self, path: &str) -> bool {
        self.ask(path, 1) == 1
    }

    /// The generation in force, as the metrics tell it.
    pub fn generation(&self) -> u64 {
        let mut stream = TcpStream::connect(self.address("admin")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let gauge = answer.lines().find_map(|line| line.strip_prefix("resyncd_generation "));
        gauge.unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a supervisor does, and gives how it ended, all that it has written, and the deployment.
    pub fn stop(self) -> (ExitStatus, String, Deployment) {
        self.signal("TERM");
        self.stopped()
    }

    /// The same of one that was told to end.
    pub fn stopped(mut self) -> (ExitStatus, String, Deployment) {
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        let log = std::mem::take(&mut self.log);
        (status, log, std::mem::replace(&mut self.deployment, Deployment::nowhere()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
