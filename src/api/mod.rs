//! The admin API, `/api/v1`: a router, one file a resource, and what they share. It sits above everything that it shows and
//! changes; the server hands that in. Who asks, and whether they may, is decided in `guard` before any of it is reached; what
//! a caller may see of the fleet, in `reach`.

mod audit;
mod body;
mod change;
mod conditions;
mod credentials;
mod devices;
mod drift;
mod event_groups;
mod events;
mod files;
mod groups;
mod guard;
mod health;
mod invitations;
mod once;
mod openapi;
mod page;
mod problem;
mod query;
mod reach;
mod reload;
mod schema;
mod settings;
mod tasks;
mod uploads;
mod url_tokens;
mod waiting;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::acs::task::Tasks;
use crate::document::Problems;
use crate::fleet::{Fleet, Secrecy};
use crate::onboarding::Onboarding;
use crate::records::Records;
use crate::render::Limit;
use crate::resync::Pipeline;
use crate::store::Store;
use crate::tokens::Brake;
use crate::uploads::Uploads;

pub use guard::Peer;
pub use once::prune_hourly;
pub use openapi::{document, document_text};
pub use problem::{Kind, Problem};

/// Where the API begins.
pub const BASE: &str = "/api/v1";

type Reloading = Pin<Box<dyn Future<Output = Result<u64, Problems>> + Send>>;

/// Loads a new generation, and tells its number.
pub type Reload = Box<dyn Fn() -> Reloading + Send + Sync>;

/// What the API works with.
pub struct Parts {
    pub pipeline: Arc<Pipeline>,
    pub store: Store,
    pub records: Arc<Records>,
    pub fleet: Fleet,
    pub onboarding: Onboarding,
    pub uploads: Uploads,
    pub reload: Reload,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// What a template may render, in bytes.
    pub rendering: Limit,
}

struct Inner {
    parts: Parts,
    tasks: Tasks,
    brake: Brake,
    /// By the generation that it is of.
    secrecy: ArcSwap<(u64, Arc<Secrecy>)>,
}

/// The API's state. Clones share everything.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

impl Api {
    pub fn new(parts: Parts) -> Self {
        let generation = parts.pipeline.generation();
        let secrecy = ArcSwap::from_pointee((generation.number, Arc::new(Secrecy::new(&generation.packs))));
        let tasks = Tasks::new(parts.fleet.clone());
        Self(Arc::new(Inner { parts, tasks, brake: Brake::default(), secrecy }))
    }

    fn pipeline(&self) -> &Arc<Pipeline> {
        &self.0.parts.pipeline
    }

    fn store(&self) -> &Store {
        &self.0.parts.store
    }

    fn uploads(&self) -> &Uploads {
        &self.0.parts.uploads
    }

    fn fleet(&self) -> &Fleet {
        &self.0.parts.fleet
    }

    fn onboarding(&self) -> &Onboarding {
        &self.0.parts.onboarding
    }

    fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    fn records(&self) -> &Records {
        &self.0.parts.records
    }

    fn brake(&self) -> &Brake {
        &self.0.brake
    }

    fn body_bytes(&self) -> usize {
        self.0.parts.body_bytes
    }

    fn rendering(&self) -> Limit {
        self.0.parts.rendering
    }

    fn reload(&self) -> Reloading {
        (self.0.parts.reload)()
    }

    /// Runs what renders or reads files off the runtime's threads, so that no resync waits for it.
    async fn blocking<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    {
        let api = self.clone();
        match tokio::task::spawn_blocking(move || work(&api)).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(%error, "the API's work broke off");
                Err(Problem::new(Kind::Internal, "the server's log tells what it was"))
            }
        }
    }
}

/// Looks after idempotency keys of what can be done, and of nothing else: a wrong method is that first.
fn kept(routes: UtoipaMethodRouter<Api>) -> UtoipaMethodRouter<Api> {
    routes.map(|routes| routes.route_layer(from_fn(once::once)))
}

/// Every resource, and what the document says of it. Their paths are under [`BASE`].
fn resources() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(kept(routes!(openapi::get_document)))
        .routes(kept(routes!(health::get_health)))
        .routes(kept(routes!(reload::post_reload)))
        .routes(kept(routes!(devices::list_devices)))
        .routes(kept(routes!(devices::get_device, devices::put_device, devices::patch_device, devices::delete_device)))
        .routes(kept(routes!(credentials::get_credentials, credentials::post_credentials)))
        .routes(kept(routes!(groups::list_groups)))
        .routes(kept(routes!(groups::get_group, groups::put_group, groups::patch_group, groups::delete_group)))
        .routes(kept(routes!(invitations::list_invitations, invitations::post_invitation)))
        .routes(kept(routes!(invitations::delete_invitation)))
        .routes(kept(routes!(waiting::list_waiting)))
        .routes(kept(routes!(waiting::delete_waiting)))
        .routes(kept(routes!(waiting::approve_waiting)))
        .routes(kept(routes!(url_tokens::list_url_tokens, url_tokens::post_url_token, url_tokens::delete_url_tokens)))
        .routes(kept(routes!(url_tokens::rotate_url_tokens)))
        .routes(kept(routes!(settings::get_settings)))
        .routes(kept(routes!(files::list_files)))
        .routes(kept(routes!(files::get_file)))
        .routes(kept(routes!(drift::get_drift)))
        .routes(kept(routes!(tasks::list_tasks, tasks::post_task)))
        .routes(kept(routes!(tasks::get_task, tasks::delete_task)))
        .routes(kept(routes!(tasks::post_task_bulk)))
        .routes(kept(routes!(tasks::get_task_bulk, tasks::delete_task_bulk)))
        .routes(kept(routes!(uploads::list_uploads)))
        .routes(kept(routes!(uploads::get_upload, uploads::delete_upload)))
        .routes(kept(routes!(uploads::get_content)))
        .routes(kept(routes!(events::list_events)))
        .routes(kept(routes!(event_groups::list_event_groups)))
        .routes(kept(routes!(audit::list_audit)))
}

/// The API, and everything else on the admin listener that takes a token: whatever there is not, too.
pub fn router(api: Api) -> Router {
    let (resources, _) = OpenApiRouter::new().nest(BASE, resources()).split_for_parts();
    guard::guarded(resources.fallback(guard::nothing), api.clone()).with_state(api)
}
