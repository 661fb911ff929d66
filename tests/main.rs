//! The integration tests: one binary, one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should fail there"
)]

mod access;
mod acs;
mod api;
mod attacks;
mod backup;
mod brakes;
mod cert;
mod check_formats;
mod ci_example;
mod cli_device;
mod config;
mod connection_request;
mod cwmp;
mod data_model;
mod delivery;
mod diff;
mod docs;
mod drift;
mod events;
mod examples;
mod faults;
mod fleet;
mod fuzz;
mod lint;
mod migrate;
mod nodes;
mod onboarding;
mod packs;
mod passwords;
mod phone_cisco;
mod phone_cwmp;
mod phone_network;
mod phone_others;
mod phones;
mod pipeline_properties;
mod plan;
mod postgres;
mod preview;
mod problems;
mod refused;
mod serve;
mod state;
mod store;
mod support;
mod swarm;
mod threats;
mod tls;
mod token;
mod uploads;
mod url_tokens;
mod values;
mod vault;
mod webhooks;
