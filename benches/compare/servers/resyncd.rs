//! resyncd itself: the program as it is released, with a deployment of its own.

use std::fs;
use std::path::Path;

use super::{Postgres, Server, free_address, on_server_core};
use crate::cases::{Load, Tls, Version};
use crate::measure::Counted;
use crate::scene::{self, Scene};

pub use resyncd::VERSION;

pub fn start(scene: &Scene, devices: u32, load: &Load, postgres: bool) -> Option<Server> {
    let database = if postgres { Some(Postgres::start(scene)?) } else { None };
    let folder = scene.folder();
    scene::deployment(folder.path(), devices, load);
    let address = free_address();
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut text = format!("templates = {templates:?}\n");
    if let Some(database) = &database {
        text += &format!("[database]\nurl = {:?}\n", database.url());
    }
    text += &format!("[admin]\naddress = \"off\"\n[cache]\nsize = \"{}\"\n", if load.cold { "0 B" } else { "64 MiB" });
    // All phones come from one address here, and each asks more than any real one does.
    text += "[limits]\nconnections = 19000\nconnections_per_network = 19000\nrequests_per_connection = 1000000\n\
             header_timeout = \"5m\"\n";
    // As many as a round has, so that none has to go by way of the disk: no city sends that many in half a second.
    text += "[events]\nqueue = 100000\n";
    text += &format!("[[listener]]\nname = \"phones\"\naddress = \"{address}\"\n");
    if let Some(tls) = load.tls {
        text += &listener(scene, tls);
    }
    fs::write(folder.path().join("resyncd.toml"), text).unwrap();
    let run = on_server_core(Path::new(env!("CARGO_BIN_EXE_resyncd")), vec!["serve".to_owned()]);
    let mut server = Server::launch(folder, Counted::new(), address, &run);
    server.database = database;
    Some(server)
}

fn listener(scene: &Scene, tls: Tls) -> String {
    let (certificate, key) = scene.certificate(tls.key);
    let version = match tls.version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    let mut text = format!(
        "[listener.tls]\ncertificate = {certificate:?}\nkey = {key:?}\nmin_version = \"{version}\"\nmax_version = \"{version}\"\n"
    );
    if tls.certificate {
        text += &format!("client_certificate = \"required\"\nclient_ca = {:?}\n", scene.phone_ca);
    }
    text
}
