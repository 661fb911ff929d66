//! resyncd: the provisioning file server for SIP phones.
//!
//! The modules point one way: `cli` → {`tls`, `http`} → `resync` → {`identity`, `packs`, `settings`, `render`, `delivery`, `store`,
//! `events`} → {`model`, `document`}. ARCHITECTURE.md has the map.

pub mod cli;
pub mod config;
pub mod delivery;
pub mod document;
pub mod events;
pub mod identity;
pub mod lint;
pub mod model;
pub mod packs;
pub mod phone;
pub mod render;
pub mod resync;
pub mod settings;
pub mod store;
