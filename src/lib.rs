//! resyncd: the provisioning file server for SIP phones.
//!
//! The modules point one way: `cli` → {`tls`, `http`} → `resync` → {`identity`, `packs`, `settings`, `render`, `delivery`, `store`,
//! `events`} → {`model`, `document`}. ARCHITECTURE.md has the map.

pub mod acs;
pub mod api;
pub mod brakes;
pub mod capacity;
pub mod cli;
pub mod config;
pub mod cwmp;
pub mod delivery;
pub mod diff;
pub mod document;
pub mod drift;
pub mod events;
pub mod fleet;
pub mod http;
pub mod identity;
pub mod lint;
pub mod model;
pub mod onboarding;
pub mod packs;
pub mod phone;
pub mod preview;
pub mod records;
pub mod render;
pub mod resync;
pub mod revision;
pub mod server;
pub mod settings;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod uploads;
pub mod vault;
pub mod webhooks;

/// The program's version and that of the OpenSSL it speaks with, `0.1.0 (OpenSSL 3.6.3 9 Jun 2026)`: who builds OpenSSL in
/// has to follow its releases, and can see here what runs.
pub static VERSION: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{} ({})", env!("CARGO_PKG_VERSION"), openssl::version::version()));
