//! Archipelago: three Kubernetes clusters on one machine, and a contract that says the apps outlive the platform.
//! Knows nothing of any one cluster: what is wanted stands in `infra/fleet.toml`, `charts/` and `infra/`.
#![deny(missing_docs)]

pub mod adr;
pub mod cli;
pub mod cmd;
pub mod engine;
pub mod fleet;
pub mod journal;
pub mod plan;
pub mod problem;
pub mod release;
pub mod render;
pub mod token;
pub mod tools;
pub mod ui;
pub mod workspace;
pub mod world;
