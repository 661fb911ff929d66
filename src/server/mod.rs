//! The running server: everything put together, started, reloaded and stopped. The configuration is handed in and the
//! shutdown is a call, so that a test runs the same server as `resyncd serve`.

mod expiry;
mod first_start;
mod passwords;
mod privileges;
mod reload;
mod watch;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::sync::watch as tokio_watch;
use tokio::task::JoinSet;

use crate::acs::Acs;
use crate::api::{self, Api};
use crate::brakes::Brakes;
use crate::config::{Config, DatabaseUrl, Limits};
use crate::document::{Problem, Problems};
use crate::events::{Flushed, Metrics, Recorder, RecorderError};
use crate::fleet::{Fleet, FleetError};
use crate::http::{Admin, Endpoint, Folders, Load, Phones, Work};
use crate::identity::password::Passwords;
use crate::model::Secret;
use crate::onboarding::Onboarding;
use crate::records::{Follower, Records};
use crate::resync::{Generation, Pipeline};
use crate::store::{Store, StoreError};
use crate::tls::{Acceptor, BindError, Bounds, ConnectionFailure, Listening, bind, serve};
use crate::uploads::{UploadError, Uploads};
use crate::vault::{self, UnlockError};
use crate::webhooks::{self, WebhookError};

use privileges::Becoming;

pub use expiry::Expiry;
pub use first_start::{FirstStart, first_start};
pub use privileges::{PrivilegeError, warn_of_root};
pub use reload::Reloader;
pub use watch::Watching;

/// A server that is running.
pub struct Server {
    addresses: Vec<(Arc<str>, SocketAddr)>,
    admin: Option<SocketAddr>,
    reloader: Reloader,
    recorder: Recorder,
    follower: Follower,
    onboarding: Onboarding,
    uploads: Uploads,
    brakes: Brakes,
    stop: tokio_watch::Sender<bool>,
    listeners: JoinSet<()>,
    /// Dropped with the server: then nothing is watched any more.
    _watching: Option<Watching>,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Problems(#[from] Problems),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Uploads(#[from] UploadError),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error("{listener}: {error}")]
    Bind { listener: String, error: BindError },
    #[error("{path} can't be made or read: {why}")]
    State { path: String, why: String },
    #[error("the folders can't be watched: {0}; set watch = false and reload by SIGHUP")]
    Watch(String),
}

impl Server {
    /// Loads everything, binds every listener and begins to serve. Nothing is served unless all of it can be.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let mut problems = Problems::default();
        // Named in the configuration, but not to be had: checks run without it, a server must not.
        let is_made = vault::key_file_to_make(&config).is_some();
        problems.extend(config.secrets.master_key.clone().err().filter(|_| !is_made));
        problems.extend(config.webhooks.iter().filter_map(|webhook| webhook.secret.clone().err()));
        problems.extend(config.secrets.read_keys.iter().filter_map(|key| key.clone().err()));
        let generation = Generation::load(&config.templates, &config.profiles, 1).unwrap_or_else(|found| {
            problems.extend(found);
            Generation::default()
        });
        let mut acceptors = Vec::new();
        for listener in &config.listeners {
            let acceptor =
                listener.tls.as_ref().map(|tls| Acceptor::new(&config.file, tls, config.limits.handshake_timeout));
            acceptors.push(match acceptor.transpose() {
                Ok(acceptor) => acceptor.map(Arc::new),
                Err(found) => {
                    problems.extend(found);
                    None
                }
            });
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        for warning in acceptors.iter().flatten().flat_map(|acceptor| acceptor.warnings()) {
            tracing::warn!("{warning}");
        }
        tell_of_tls(&config, &acceptors, &generation);
        let becoming = Becoming::of(&config.process)?;
        let mut addresses = Vec::new();
        let mut bound = Vec::new();
        for (listener, acceptor) in config.listeners.iter().zip(acceptors.iter().cloned()) {
            let socket = bind(listener.address)
                .map_err(|error| StartError::Bind { listener: format!("listener \"{}\"", listener.name), error })?;
            let name: Arc<str> = listener.name.as_str().into();
            addresses.push((name.clone(), socket.local_addr().unwrap_or(listener.address)));
            bound.push(Listening {
                proxy: listener.proxy.clone().map(Arc::new),
                title_case_headers: listener.title_case_headers,
                ..Listening::new(name, socket, acceptor)
            });
        }
        let admin_socket = config.admin.address.map(bind).transpose();
        let admin_socket = admin_socket.map_err(|error| StartError::Bind { listener: "admin".to_owned(), error })?;
        let admin = admin_socket.as_ref().and_then(|socket| socket.local_addr().ok());
        let is_new = !config.data_dir.exists();
        make_folder(&config.data_dir)?;
        if let Some(becoming) = &becoming {
            if is_new {
                becoming.own(&config.data_dir)?;
            }
            becoming.become_it()?;
        }
        let etag_key = etag_key(&config)?;
        // Another label makes other digests of it.
        let revision_key = etag_key.clone();
        let store = Store::open(&config.database).await?;
        let vault::Unlocked { vault, made } = vault::unlock(&config, &store).await?;
        if let Some(made) = made {
            tracing::warn!("made the master key {}: keep a copy of it apart from the database", made.display());
        }
        let records = Arc::new(Records::new(store.clone(), vault, config.cache.records));
        let news = records.news().await?;
        let metrics = Arc::new(Metrics::new());
        let uploads = Uploads::start(store.clone(), &config.uploads, &config.data_dir).await?;
        let recorder = Recorder::start(store, &config.events, &config.data_dir, metrics.clone())?;
        let (passwords, settled) = Passwords::new(&config, nonce_key(&config)?).map_err(no_randomness)?;
        let pipeline = Pipeline::new(generation, config.cache.bytes, etag_key, &config.limits);
        let pipeline = pipeline.with_passwords(passwords).counting(metrics.counters().renders_stopped.clone());
        let pipeline = Arc::new(pipeline);
        let reloader = Reloader::new(
            config.clone(),
            pipeline.clone(),
            acceptors.iter().flatten().cloned().collect(),
            metrics.clone(),
        );
        if let Some(mut news) = news {
            reloader.set_groups(news.groups.take().unwrap_or_default()).await;
            records.take_in(news);
        }
        reloader.announce();
        let (follower, following) = Follower::new();
        let fleet = Fleet::of_server(config.clone(), &records, pipeline.clone(), follower.clone())?;
        let onboarding = Onboarding::new(fleet.clone(), &config.onboarding);

        let named = config.listeners.iter().zip(&acceptors);
        let named = named.filter_map(|(listener, acceptor)| Some((listener.name.as_str().into(), acceptor.clone()?)));
        let expiry = Expiry::new(named.collect(), config.lint.certificate_expiry, OffsetDateTime::now_utc());
        expiry.measure(&metrics);
        let folders = Folders::new(&config.folders);
        let (inviting, keeping) = (onboarding.clone(), uploads.clone());
        let bounds = Bounds::new(&config.limits).counting(metrics.counters().clone());
        let brakes = Brakes::new(&config.brakes, metrics.counters().clone());
        let work = Work::new(config.limits.requests, metrics.counters().requests_shed.clone());
        let braking = (brakes.clone(), work.clone());
        let mut phones = Phones::new(pipeline, records.clone(), inviting, recorder.clone(), keeping, folders, braking);
        let (stop, stopping) = tokio_watch::channel(false);
        let mut listeners = JoinSet::new();
        let paths =
            config.listeners.iter().filter_map(|listener| Some((listener.name.clone(), listener.cwmp.clone()?)));
        let paths: HashMap<_, _> = paths.collect();
        if !paths.is_empty() {
            let limits = &config.limits;
            let acs = Acs::new(fleet.clone(), recorder.clone(), limits.sessions, revision_key, limits);
            listeners.spawn(acs.clone().keep_swept(stopping.clone()));
            phones = phones.with_sessions(Endpoint::new(acs, paths));
        }
        listeners.spawn(uploads.clone().keep_pruned(stopping.clone()));
        for listening in bound {
            let (answering, failing) = (phones.clone(), phones.clone());
            let answer = move |connection, request| {
                let phones = answering.clone();
                async move { phones.answer(connection, request).await }
            };
            let failed = move |failure| failing.record_failure(failure);
            listeners.spawn(serve(listening, bounds.clone(), answer, failed, stopping.clone()));
        }
        if let Some(socket) = admin_socket {
            let to_reload = reloader.clone();
            let api = Api::new(api::Parts {
                pipeline: reloader.pipeline().clone(),
                store: records.store().clone(),
                records: records.clone(),
                fleet: fleet.clone(),
                onboarding: onboarding.clone(),
                uploads: uploads.clone(),
                reload: Box::new(move || {
                    let reloader = to_reload.clone();
                    Box::pin(async move { reloader.reload().await })
                }),
                body_bytes: config.admin.body_bytes,
                rendering: (&config.limits).into(),
            });
            let admin = Admin::new(
                metrics,
                Load { bounds, brakes: brakes.clone(), work },
                &config.admin.metrics_networks,
                records.clone(),
                api,
            );
            let answer = move |connection, request| {
                let admin = admin.clone();
                async move { admin.answer(connection, request).await }
            };
            let limits = Limits { connections: config.admin.connections, ..config.limits.clone() };
            let listening = Listening::new("admin", socket, None);
            let failed = |failure: ConnectionFailure| tracing::debug!(peer = %failure.peer, "admin: {}", failure.error);
            listeners.spawn(serve(listening, Bounds::new(&limits), answer, failed, stopping.clone()));
        }
        let (rotating, mut stopping_rotating) = (fleet.clone(), stopping.clone());
        listeners.spawn(async move {
            tokio::select! {
                () = passwords::settle(rotating, settled) => {}
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping_rotating.wait_for(|stop| *stop) => {}
            }
        });
        let ends = expiry.keep_told(recorder.metrics().clone(), reloader.reloaded());
        let mut stopping_to_tell = stopping.clone();
        listeners.spawn(async move {
            tokio::select! {
                () = ends => {}
                _ = stopping_to_tell.wait_for(|stop| *stop) => {}
            }
        });
        let (keys, mut stopping_keys) = (records.store().clone(), stopping.clone());
        listeners.spawn(async move {
            tokio::select! {
                () = api::prune_hourly(keys) => {}
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping_keys.wait_for(|stop| *stop) => {}
            }
        });
        let parts = webhooks::Parts {
            store: records.store().clone(),
            records: records.clone(),
            pipeline: reloader.pipeline().clone(),
            fleet,
            metrics: recorder.metrics().clone(),
        };
        webhooks::start(&config.webhooks, parts, &recorder, &stopping, &mut listeners)?;
        let mut stopping_to_follow = stopping.clone();
        let (groups, to_flush) = (reloader.clone(), recorder.clone());
        listeners.spawn(async move {
            let came_back = || {
                // What waits on disk need not wait for the writer's next try.
                let recorder = to_flush.clone();
                tokio::spawn(async move { recorder.flush().await });
            };
            let follow = following.run(records, |layers| groups.set_groups(layers), came_back);
            tokio::select! {
                () = follow => {}
                // An error means that the server is gone: a reason to stop as well.
                _ = stopping_to_follow.wait_for(|stop| *stop) => {}
            }
        });
        let inviting = onboarding.clone();
        let mut stopping_to_prune = stopping.clone();
        listeners.spawn(async move {
            tokio::select! {
                () = onboarding.prune_hourly() => {}
                _ = stopping_to_prune.wait_for(|stop| *stop) => {}
            }
        });
        let watching = config.watch.then(|| Watching::start(&config, reloader.clone())).transpose();
        let watching = watching.map_err(|error| StartError::Watch(error.to_string()))?;
        Ok(Self {
            addresses,
            admin,
            reloader,
            recorder,
            follower,
            onboarding: inviting,
            uploads,
            brakes,
            stop,
            listeners,
            _watching: watching,
        })
    }

    /// The phone listeners by name, and the address that each is bound to.
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// The address of a listener.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(listener, _)| &**listener == name).map(|(_, address)| *address)
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Loads a new generation and the certificates, and puts them in force.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Lets phones become devices.
    pub fn onboarding(&self) -> &Onboarding {
        &self.onboarding
    }

    /// Asks it to take in what has been changed in the database.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What brakes those who ask in vain.
    pub fn brakes(&self) -> &Brakes {
        &self.brakes
    }

    /// What phones have sent.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Stops: no more connections are accepted, open ones finish their request, and every event reaches database or spool.
    pub async fn stop(mut self) -> Flushed {
        // An error means that no listener is left to be told.
        let _ = self.stop.send(true);
        self.brakes.release();
        while self.listeners.join_next().await.is_some() {}
        self.recorder.close().await
    }
}

/// Says once what listeners for old phones give up, and which roots vouch for nobody.
fn tell_of_tls(config: &Config, acceptors: &[Option<Arc<Acceptor>>], generation: &Generation) {
    for (listener, acceptor) in config.listeners.iter().zip(acceptors) {
        let Some(acceptor) = acceptor else { continue };
        if let Some(what) = acceptor.gives_up() {
            tracing::warn!(
                listener = %listener.name,
                "the listener \"{}\" takes {what} (legacy = true): whoever is on the way may read and change what it sends, \
                 so encrypt the profiles of its phones ([delivery])",
                listener.name
            );
        }
        for root in acceptor.root_names() {
            if !generation.packs.iter().any(|pack| pack.takes_root(Some(root))) {
                tracing::warn!(
                    listener = %listener.name,
                    "no pack lists the root \"{root}\" of the listener \"{}\" (roots in pack.toml), so it vouches for no phone",
                    listener.name
                );
            }
        }
    }
}

fn state_error(path: &Path, why: impl ToString) -> StartError {
    StartError::State { path: path.display().to_string(), why: why.to_string() }
}

fn make_folder(folder: &Path) -> Result<(), StartError> {
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            state_error(folder, "it is no folder; set data_dir in the configuration")
        }
        _ => state_error(folder, error),
    })
}

const ETAG_KEY_BYTES: usize = 32;

/// What the master key is told to make the key of the ETags.
const ETAG_LABEL: &[u8] = b"resyncd etag key v1";

/// What the master key is told to make the key of the nonces.
const NONCE_LABEL: &[u8] = b"resyncd nonce key v1";

/// The key that signs what phones answer by Digest. Servers that share a database and its master key have the same: the answer may
/// come to another one than asked. Otherwise it lives as long as the process.
fn nonce_key(config: &Config) -> Result<Secret, StartError> {
    if let Some(key) = shared_key(config, NONCE_LABEL) {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(no_randomness)?;
    Ok(Secret::new(key))
}

fn no_randomness(error: getrandom::Error) -> StartError {
    StartError::Fleet(FleetError::Randomness(error))
}

/// A key that all servers of one database and one master key have; none where there is but one server.
fn shared_key(config: &Config, label: &[u8]) -> Option<Secret> {
    let (DatabaseUrl::Postgres(_), Ok(Some(master))) = (&config.database.url, &config.secrets.master_key) else {
        return None;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(master.expose()).ok()?;
    mac.update(label);
    Some(Secret::new(mac.finalize().into_bytes().as_slice()))
}

/// The key of the ETags. Servers that share a database and its master key have the same, made of that, so that a phone which
/// comes to another one doesn't fetch anew. Otherwise it is made at the first start and kept.
fn etag_key(config: &Config) -> Result<Secret, StartError> {
    shared_key(config, ETAG_LABEL).map_or_else(|| kept_etag_key(&config.data_dir), Ok)
}

fn kept_etag_key(data_dir: &Path) -> Result<Secret, StartError> {
    let path = data_dir.join("etag.key");
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let mut key = [0; ETAG_KEY_BYTES];
            getrandom::fill(&mut key).map_err(|error| state_error(&path, error))?;
            if let Err(error) = file.write_all(&key).and_then(|()| file.sync_all()) {
                // Half a key would be in the way of the next start. Where it can't be removed, that start says so.
                let _ = fs::remove_file(&path);
                return Err(state_error(&path, error));
            }
            Ok(Secret::new(key))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mut key = Vec::new();
            let file = fs::File::open(&path).map_err(|error| state_error(&path, error))?;
            let read = file.take(1024).read_to_end(&mut key).map_err(|error| state_error(&path, error))?;
            if read == ETAG_KEY_BYTES {
                return Ok(Secret::new(key));
            }
            Err(state_error(
                &path,
                format!("it has {read} bytes and should have {ETAG_KEY_BYTES}; remove it, and a new one is made"),
            ))
        }
        Err(error) => Err(state_error(&path, error)),
    }
}

/// A problem as a start error, for those who have but one.
impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self::Problems(problem.into())
    }
}
