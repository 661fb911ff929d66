//! Apache as Debian packages it (mpm_event, mod_cgid), with mod_ssl and a Perl script as the maker's guide proposes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Server, find, free_address, is_root, on_server_core};
use crate::cases::{Load, Tls, Version};
use crate::measure::Counted;
use crate::scene::Scene;

const MODULES: &str = "/usr/lib/apache2/modules";
const SCRIPT: &str = include_str!("profile.pl");

/// None where the script can't be run either.
pub fn program() -> Option<PathBuf> {
    find("perl")?;
    find("apache2").filter(|_| Path::new(MODULES).is_dir())
}

pub fn start(scene: &Scene, load: &Load, bodies: &Path) -> Option<Server> {
    let program = program()?;
    let (folder, address) = (scene.folder(), free_address());
    let here = folder.path().display();
    let script = folder.path().join("profile.pl");
    fs::write(&script, SCRIPT.replace("BODIES", bodies.to_str().unwrap())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let modules = ["mpm_event", "authz_core", "cgid", "alias", "env", "socache_shmcb", "ssl"];
    let modules: String =
        modules.iter().map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).collect();
    let user = if is_root() { "User www-data\nGroup www-data\n" } else { "" };
    let tls = load.tls.map_or(String::new(), |tls| secured(scene, tls, folder.path()));
    // Threads and servers as the package sets them. Apache takes no length from a script unless it is told to.
    let text = format!(
        "ServerRoot {here}\nServerName localhost\nDefaultRuntimeDir {here}\nPidFile {here}/apache.pid\n{modules}{user}\
         StartServers 2\nMinSpareThreads 25\nMaxSpareThreads 75\nThreadsPerChild 25\nMaxRequestWorkers 150\n\
         Listen {address}\nErrorLog {here}/error.log\nLogLevel warn\n\
         LogFormat \"%h %l %u %t \\\"%r\\\" %>s %O \\\"%{{Referer}}i\\\" \\\"%{{User-Agent}}i\\\"\" combined\n\
         CustomLog {here}/access.log combined\nKeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 300\n\
         ScriptSock {here}/cgi.sock\nScriptAlias /cisco {}\n\
         SetEnv ap_trust_cgilike_cl 1\n<Directory {here}>\nRequire all granted\n</Directory>\n{tls}",
        script.display()
    );
    let file = folder.path().join("apache.conf");
    fs::write(&file, text).unwrap();
    let arguments = ["-D", "FOREGROUND", "-f", file.to_str().unwrap()].map(str::to_owned).to_vec();
    Some(Server::launch(folder, Counted::new(), address, &on_server_core(&program, arguments)))
}

fn secured(scene: &Scene, tls: Tls, folder: &Path) -> String {
    let (certificate, key) = scene.certificate(tls.key);
    let version = match tls.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    let mut text = format!(
        "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\nSSLProtocol {version}\nSSLOptions +StdEnvVars\n\
         SSLSessionCache shmcb:{}/sessions(512000)\n",
        certificate.display(),
        key.display(),
        folder.display()
    );
    if tls.certificate {
        text +=
            &format!("SSLCACertificateFile {}\nSSLVerifyClient require\nSSLVerifyDepth 2\n", scene.phone_ca.display());
    }
    text
}
