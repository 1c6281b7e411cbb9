//! Every generated file, as bytes in memory: data from `infra/` and `charts/` plus the keys that follow from the fleet.
//! Knows nothing of commands or of the disk.

use std::collections::BTreeMap;

/// Generated files by their path below `out/`, with tokens in place of what only a run knows.
pub type Files = BTreeMap<String, String>;

/// Texts of the data files of this repository (everything under `infra/` and `charts/`) by their path.
pub type Data = BTreeMap<String, String>;
