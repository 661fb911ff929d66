//! The integration tests: one binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should fail there"
)]

mod attacks;
mod cert;
mod config;
mod delivery;
mod docs;
mod events;
mod packs;
mod problems;
mod refused;
mod serve;
mod state;
mod support;
mod tls;
