//! Archipelago: three Kubernetes clusters on one machine, and an architecture contract: the apps outlive the platform.
//!
//! This package is the command line (`cli`), one module per command (`cmd`) and the screen (`ui`). The others, lowest
//! first; a package sees only those above it:
//!
//! | package | holds | I/O |
//! |---|---|---|
//! | `model` | fleet, releases, compatible versions, problems, tokens | none |
//! | `tool` | commands, outputs, events, the trait `World`, argv builders of the tools | none |
//! | `machines` | what can be done with a machine, by driver; what runs in guests | none |
//! | `render` | every generated file | none |
//! | `plan` | steps, expectations, planners, the engine, journal entries | none |
//! | `charts` | upkeep of the list of releases, what charts render | none |
//! | `contract` | clauses C1 to C5, verdicts, drills, report data, ADRs | none |
//! | `mesh` | Cluster Mesh: links, diagnosis, traffic | none |
//! | `sim` | the simulator behind `World`; sees `tool` and `model` only | none |
//! | `exec` | processes, files below `out/`, secrets, locks, clocks | all of it |
//!
//! Data runs one way: `infra/fleet.toml`, `charts/` and `infra/` become a fleet, files in memory, a plan of steps; the
//! engine runs the plan against a `World`, real or simulated. Printing the plan is the dry run and the snapshot at once.
//! Why things are so stands in `adr/`.

pub mod cli;
pub mod cmd;
pub mod ui;
