//! `resyncd serve`: the server.

use tokio::signal::unix::{SignalKind, signal};

use super::descriptors::most_connections;
use super::{Ending, Failure, logging};
use crate::config::Config;
use crate::events::Flushed;
use crate::packs::{Audience, FileEntry, Source};
use crate::resync::Generation;
use crate::server::{FirstStart, Server, StartError, first_start, warn_of_root};

/// Serve phones.
///
/// SIGHUP reloads packs, settings and certificates; a bad edit is refused with its errors, and what was loaded before goes
/// on serving. SIGTERM and Ctrl-C finish what was begun and stop. A first start with no certificates under certs/dev/ makes a
/// set for development.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(&self, config: Config) -> Result<Ending, Failure> {
        logging::init(&config.log).map_err(|error| Failure::Other(error.to_string()))?;
        let (most, connections) = (most_connections(), config.limits.connections);
        if most < connections {
            tracing::warn!(
                "limits.connections is {connections}, and the system allows this process {most}: raise its limit of open files \
                 (systemd: LimitNOFILE=)"
            );
        }
        let made = first_start(&config).map_err(|error| Failure::Other(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::because("the runtime can't be started", error))?;
        runtime.block_on(serve(config, made))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Problems(problems) => Self::Problems(problems),
            other => Self::Other(other.to_string()),
        }
    }
}

async fn serve(config: Config, made: Option<FirstStart>) -> Result<Ending, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::because("signals can't be listened for", error));
    let (mut hangup, mut terminate) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
    // A file that may not grow (RLIMIT_FSIZE) is a full disk, which is no reason to die: with a handler, the write fails.
    let _too_large = listen(SignalKind::from_raw(libc::SIGXFSZ))?;
    let server = Server::start(config.clone()).await?;
    warn_of_root(&config.process);
    eprint!("{}", welcome(&config, &server, made.as_ref()));
    loop {
        tokio::select! {
            Some(()) = hangup.recv() => {
                // What is wrong has been logged.
                let _ = server.reloader().reload().await;
            }
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("stopping: open requests are finished first");
    if server.stop().await == Flushed::Spooled {
        tracing::warn!("the database took no more events: they wait in the spool for the next start");
    }
    Ok(Ending::Fine)
}

/// Where the server listens, and how to try it.
fn welcome(config: &Config, server: &Server, made: Option<&FirstStart>) -> String {
    let mut text = format!("resyncd {}\n", *crate::VERSION);
    let mut say = |line: std::fmt::Arguments<'_>| {
        text.push_str(&line.to_string());
        text.push('\n');
    };
    if let Some(FirstStart { folder, made }) = made {
        say(format_args!("made {} development certificates and keys in {}", made.files.len(), folder.display()));
    }
    for (name, address) in server.addresses() {
        let is_tls = config.listeners.iter().any(|listener| listener.name == **name && listener.tls.is_some());
        say(format_args!("phones: {}://{address} ({name})", if is_tls { "https" } else { "http" }));
    }
    if let Some(address) = server.admin_address() {
        say(format_args!("admin:  http://{address} (docs/api.md)"));
    }
    let generation = server.reloader().pipeline().generation();
    if let Some(command) = try_it(config, server, &generation) {
        say(format_args!("\nTo play one of its phones:\n\n  {command}\n"));
    }
    text
}

/// A command that plays a phone with a development certificate, if there is one.
fn try_it(config: &Config, server: &Server, generation: &Generation) -> Option<String> {
    let listener = config.listeners.iter().find(|listener| listener.tls.is_some())?;
    let folder = listener.tls.as_ref()?.certificate.certificate.parent()?;
    let port = server.address(&listener.name)?.port();
    let device = generation.profiles.devices().into_iter().find(|device| {
        folder.join(format!("phone-{}.pem", device.mac)).is_file()
            && generation.settings(device).boolean("access.certificate") == Some(true)
    })?;
    let (pack, model) = generation.packs.pack_and_model(device.model)?;
    let is_own = |file: &&FileEntry| {
        file.audience == Audience::Device
            && matches!(file.source, Source::Template { .. })
            && file.is_for(device.model.model)
    };
    let own = pack.files.iter().filter(is_own).flat_map(|file| &file.paths);
    let path = own.filter_map(|path| path.fill(Some(device.mac), device.serial.as_ref(), &model.name)).next()?;
    let file = |name: String| quoted(&folder.join(name).display().to_string());
    Some(format!(
        "curl --cacert {} --cert {} --key {} https://localhost:{port}{path}",
        file("server-ca.pem".to_owned()),
        file(format!("phone-{}.pem", device.mac)),
        file(format!("phone-{}.key", device.mac)),
    ))
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte));
    if is_plain { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
