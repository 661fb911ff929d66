//! A whole deployment in a folder of its own, with a server that runs in the test: real listeners on free ports, real
//! certificates, a real database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use resyncd::config::Config;
use resyncd::document::Problems;
use resyncd::events::Flushed;
use resyncd::model::{MacAddr, Serial};
use resyncd::server::Server;
use resyncd::tls::certificates::{PhoneCertificate, SubjectForm, ensure_development_certificates};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{program, resyncd, root};

/// A folder with a configuration, profiles and certificates.
pub struct Deployment {
    folder: TempDir,
}

const CONFIG: &str = r#"
data_dir = "data"
templates = "TEMPLATES"
profiles = "profiles"

[[listener]]
name = "https"
address = "127.0.0.1:0"
[listener.tls]
certificate = "certs/dev/server.pem"
key = "certs/dev/server.key"
client_certificate = "optional"
client_ca = ["certs/dev/phone-ca.pem"]

[[listener]]
name = "http"
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[process]
keep_root = true

[[folder]]
path = "/firmware/"
folder = "firmware"
"#;

impl Deployment {
    /// The working example of the repository, on ports of its own.
    pub fn example() -> Self {
        let deployment = Self::empty();
        copy(&root().join("profiles"), &deployment.path("profiles"));
        deployment
    }

    /// No profiles yet, and no certificates.
    pub fn bare() -> Self {
        let deployment = Self { folder: tempfile::tempdir().unwrap() };
        let templates = root().join("templates");
        deployment.write("resyncd.toml", CONFIG.replace("TEMPLATES", templates.to_str().unwrap()));
        deployment.write("profiles/defaults.toml", "");
        deployment
    }

    /// No profiles yet.
    pub fn empty() -> Self {
        let deployment = Self::bare();
        copy(shared_certificates(), &deployment.path("certs/dev"));
        deployment
    }

    /// An empty folder.
    pub fn nowhere() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// What lies in a folder already.
    pub fn in_folder(folder: TempDir) -> Self {
        Self { folder }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of the deployment, and the folders above it.
    pub fn write(&self, relative: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn append_config(&self, text: &str) -> &Self {
        let config = fs::read_to_string(self.path("resyncd.toml")).unwrap();
        self.write("resyncd.toml", config + text)
    }

    pub fn config(&self) -> Config {
        Config::load_with_environment(&self.path("resyncd.toml"), std::iter::empty::<(String, String)>())
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Makes further phones' certificates: MAC, and model and serial for Cisco's form of subject.
    pub fn certificates(&self, phones: &[(&str, Option<(&str, &str)>)]) -> &Self {
        let phones: Vec<_> = phones
            .iter()
            .map(|(mac, cisco)| PhoneCertificate {
                mac: mac.parse::<MacAddr>().unwrap(),
                form: match cisco {
                    Some((model, serial)) => {
                        SubjectForm::Cisco { model: (*model).to_owned(), serial: serial.parse::<Serial>().unwrap() }
                    }
                    None => SubjectForm::CommonName,
                },
            })
            .collect();
        ensure_development_certificates(&self.path("certs/dev"), &phones, &[]).unwrap();
        self
    }

    /// Starts the server.
    pub fn start(self) -> Running {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_start(self) -> Result<Running, resyncd::server::StartError> {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(self.config()))?;
        Ok(Running { deployment: self, runtime, server: Some(server) })
    }

    /// Runs a command of resyncd's in this deployment.
    pub fn run(&self, arguments: &[&str]) -> Output {
        resyncd()
            .args(["--config", self.path("resyncd.toml").to_str().unwrap()])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

/// Both CAs and the server's certificate: making RSA keys takes most of a test's time, so every deployment has the same.
fn shared_certificates() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        ensure_development_certificates(folder.path(), &[], &[]).unwrap();
        folder
    })
    .path()
}

/// Copies a folder's content over another's.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A deployment that is being served.
pub struct Running {
    pub deployment: Deployment,
    runtime: Runtime,
    server: Option<Server>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers as they came, but for the date.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Running {
    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn port(&self, listener: &str) -> u16 {
        self.server().address(listener).unwrap().port()
    }

    /// Plays a phone by `curl` over TLS, with the development certificate of `phone` if one is named.
    pub fn curl(&self, phone: Option<&str>, path: &str, more: &[&str]) -> Option<Reply> {
        let certs = self.deployment.path("certs/dev");
        let file = |name: &str| certs.join(name).to_str().unwrap().to_owned();
        let mut arguments = vec!["--cacert".to_owned(), file("server-ca.pem")];
        if let Some(phone) = phone {
            arguments.extend(["--cert".to_owned(), file(&format!("phone-{phone}.pem"))]);
            arguments.extend(["--key".to_owned(), file(&format!("phone-{phone}.key"))]);
        }
        arguments.push(format!("https://localhost:{}{path}", self.port("https")));
        self.raw_curl(&arguments, more)
    }

    /// The same over plain HTTP.
    pub fn plain_curl(&self, path: &str, more: &[&str]) -> Option<Reply> {
        self.raw_curl(&[format!("http://localhost:{}{path}", self.port("http"))], more)
    }

    fn raw_curl(&self, arguments: &[String], more: &[&str]) -> Option<Reply> {
        let mut curl = program("curl")?;
        let head = self.deployment.path("head");
        curl.args(["--silent", "--show-error", "--path-as-is", "--ipv4", "--noproxy", "*", "--dump-header"]).arg(&head);
        let output = curl.args(more).args(arguments).output().unwrap();
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        let head = fs::read_to_string(head).unwrap();
        // Before the answer there may be a "100 Continue".
        let head = head.trim_end().rsplit("\r\n\r\n").next().unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        let head = head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n");
        Some(Reply { status, head, body: output.stdout })
    }

    /// Reloads, as SIGHUP does.
    pub fn reload(&self) -> Result<u64, Problems> {
        self.runtime.block_on(self.server().reloader().reload())
    }

    /// Runs a future on the server's runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Brings every event into the database, and gives them as `resyncd log` does, the newest last.
    pub fn events(&self) -> Vec<serde_json::Value> {
        assert_eq!(self.block_on(self.server().recorder().flush()), Flushed::Stored);
        let output = self.deployment.run(&["log", "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn last_event(&self) -> serde_json::Value {
        self.events().pop().unwrap()
    }

    /// Stops the server as SIGTERM does, and gives the deployment back.
    pub fn stop(mut self) -> (Deployment, Flushed) {
        let flushed = self.runtime.block_on(self.server.take().unwrap().stop());
        (self.deployment, flushed)
    }
}
