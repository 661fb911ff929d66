//! Databases for tests: SQLite in a folder, and PostgreSQL as a process of its own, or the one that
//! `TEST_POSTGRES` (a URL whose user may create databases) names.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use resyncd::config::Database;
use resyncd::model::Secret;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::certificates::Pair;
use super::{program, run};

/// An empty database, gone when this is dropped.
pub struct Scratch {
    pub database: Database,
    /// What sqlx takes, for what the program itself wouldn't do.
    pub url: String,
    _folder: Option<tempfile::TempDir>,
    _server: Option<Arc<Postgres>>,
}

impl Scratch {
    pub fn sqlite() -> Self {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resyncd.db");
        let url = format!("sqlite:{}", path.display());
        Self { database: Database::sqlite(path), url, _folder: Some(folder), _server: None }
    }

    /// None where no server can be started and none is named; that is said.
    pub async fn postgres() -> Option<Self> {
        let (base, server) = match std::env::var("TEST_POSTGRES") {
            Ok(url) => (url, None),
            Err(_) => {
                let server = Postgres::shared()?;
                (server.url(), Some(server))
            }
        };
        let name = format!("resyncd_{:016x}", fastrand::u64(..));
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&base).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (start, query) = base.split_once('?').unwrap_or((&base, ""));
        let server_url = start.rsplit_once('/').map_or(start, |(server, _)| server);
        let url = format!("{server_url}/{name}?{query}");
        Some(Self { database: Database::postgres(Secret::new(url.as_str())), url, _folder: None, _server: server })
    }
}

/// A server of PostgreSQL that also speaks TLS, on a port of 127.0.0.1.
pub struct TlsPostgres {
    _server: Postgres,
    pub port: u16,
}

impl TlsPostgres {
    /// None where no server can be started; that is said.
    pub fn start(pair: &Pair) -> Option<Self> {
        let port = free_port();
        let server = Postgres::start_with(port, |folder| {
            let files = pair.write(folder, "server");
            std::fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
            own(&files.key);
            vec![
                "listen_addresses=127.0.0.1".to_owned(),
                "ssl=on".to_owned(),
                format!("ssl_cert_file={}", files.certificate.display()),
                format!("ssl_key_file={}", files.key.display()),
            ]
        })?;
        Some(Self { _server: server, port })
    }
}

/// A server of PostgreSQL of a test's own, on a port of 127.0.0.1, that can be stopped and started again.
pub struct OwnPostgres {
    server: Postgres,
    pub port: u16,
}

impl OwnPostgres {
    /// None where no server can be started; that is said.
    pub fn new() -> Option<Self> {
        let port = free_port();
        let server = Postgres::start_with(port, |_| vec!["listen_addresses=127.0.0.1".to_owned()])?;
        sqlx::any::install_default_drivers();
        Some(Self { server, port })
    }

    /// Ends it as who runs it does: with all connections, in the middle of what they do.
    pub fn stop(&mut self) {
        self.server.end();
    }

    pub fn start(&mut self) {
        self.server.launch(&programs().unwrap());
    }

    /// Its database, by way of this port.
    pub fn url(port: u16) -> String {
        format!("postgres://resyncd@127.0.0.1:{port}/postgres?sslmode=disable")
    }
}

/// Free now, and nobody else is likely to be given it before the server has it.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that listens on a socket in its own folder, and nowhere else.
struct Postgres {
    /// None while it is stopped.
    process: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    settings: Vec<String>,
}

/// The server while any test uses it.
static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Postgres {
    fn shared() -> Option<Arc<Self>> {
        let mut server = SERVER.lock().unwrap();
        if let Some(running) = server.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start()?);
        *server = Arc::downgrade(&started);
        Some(started)
    }

    fn start() -> Option<Self> {
        Self::start_with(5432, |_| Vec::new())
    }

    /// A server with further settings, which may name files that are made in its folder. The port is part of its socket's
    /// name.
    fn start_with(port: u16, settings: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (data, sockets) = (folder.path().join("data"), folder.path().join("sockets"));
        for made in [&data, &sockets] {
            std::fs::create_dir(made).unwrap();
            own(made);
        }
        let output = run(as_user(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=resyncd", "-D"])
            .arg(&data));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let settings = settings(folder.path());
        let mut server = Self { process: None, folder, port, settings };
        server.launch(&programs);
        Some(server)
    }

    fn launch(&mut self, programs: &Path) {
        let (data, sockets) = (self.folder.path().join("data"), self.folder.path().join("sockets"));
        let process = as_user(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c"])
            .arg(format!("unix_socket_directories={}", sockets.display()))
            .args(["-c", &format!("port={}", self.port)])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let port = self.port.to_string();
        let ready = || {
            let mut command = Command::new(programs.join("pg_isready"));
            run(command.arg("--quiet").arg("--host").arg(&sockets).args(["--port", &port])).status.success()
        };
        assert!((0..10_000).any(|_| ready()), "PostgreSQL does not start");
    }

    fn end(&mut self) {
        // SIGINT: end now, and leave nothing behind. Its child processes would outlive a SIGKILL.
        if let Some(mut process) = self.process.take() {
            let _ =
                rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::INT);
            let _ = process.wait();
        }
    }

    fn url(&self) -> String {
        format!("postgres://resyncd@localhost/postgres?host={}", self.folder.path().join("sockets").display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL refuses to run as root; where we are, it runs as the user that its package makes.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// The folder of the server's programs. Debian keeps them out of the way of those that choose the version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).max();
    newest.or_else(|| Some(Path::new(program("initdb")?.get_program()).parent()?.to_owned()))
}

fn own(folder: &Path) {
    if is_root() {
        let id = |flag| String::from_utf8(run(Command::new("id").args([flag, "postgres"])).stdout).unwrap();
        chown(folder, Some(id("-u").trim().parse().unwrap()), Some(id("-g").trim().parse().unwrap())).unwrap();
    }
}
