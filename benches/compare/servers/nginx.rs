//! nginx as Debian packages it, with one static file a phone.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Server, find, free_address, is_root, on_server_core};
use crate::cases::{Load, Tls, Version};
use crate::measure::Counted;
use crate::scene::Scene;

pub fn program() -> Option<PathBuf> {
    find("nginx")
}

pub fn start(scene: &Scene, load: &Load, bodies: &Path, log: bool) -> Option<Server> {
    let program = program()?;
    let (folder, address) = (scene.folder(), free_address());
    let here = folder.path().display();
    let user = if is_root() { "user www-data;" } else { "" };
    let log = if log { format!("{here}/access.log combined") } else { "off".to_owned() };
    let tls = load.tls.map_or(String::new(), |tls| secured(scene, tls));
    let ssl = if load.tls.is_some() { " ssl" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {here}/{kind};\n")).collect();
    // One process that works, as resyncd has one thread on the one core.
    let text = format!(
        "daemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\n{user}\npid {here}/nginx.pid;\n\
         error_log {here}/error.log warn;\nevents {{ worker_connections 19000; }}\n\
         http {{\naccess_log {log};\nsendfile on;\ntcp_nopush on;\nkeepalive_timeout 300s;\nkeepalive_requests 1000000;\n\
         default_type application/xml;\n{temporary}\
         server {{\nlisten {address}{ssl};\nserver_name localhost;\nroot {};\n{tls}}}\n}}\n",
        bodies.display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, text).unwrap();
    // -e: the file of errors until the configuration is read, for which only root may take the packaged one.
    let errors = folder.path().join("error.log");
    let arguments = ["-e", errors.to_str().unwrap(), "-c", file.to_str().unwrap()].map(str::to_owned).to_vec();
    Some(Server::launch(folder, Counted::new(), address, &on_server_core(&program, arguments)))
}

fn secured(scene: &Scene, tls: Tls) -> String {
    let (certificate, key) = scene.certificate(tls.key);
    let version = match tls.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    let mut text = format!(
        "ssl_certificate {};\nssl_certificate_key {};\nssl_protocols {version};\nssl_session_cache shared:SSL:10m;\n\
         ssl_session_timeout 1d;\n",
        certificate.display(),
        key.display()
    );
    if tls.certificate {
        text += &format!("ssl_client_certificate {};\nssl_verify_client on;\n", scene.phone_ca.display());
    }
    text
}
