//! The properties of `tests/it/adversarial/properties.rs` and the repository's own input files.

#[path = "../../tests/it/adversarial/properties.rs"]
pub mod properties;

use std::sync::LazyLock;

use model::fleet::{self, Compatibility, Fleet};
use model::release::{self, Releases};
use plan::Plan;
use plan::mesh::{MeshScope, survey};

pub static KNOWN: LazyLock<Compatibility> = LazyLock::new(|| {
    Compatibility::load("c.toml", include_str!("../../infra/compatibility.toml")).expect("a valid table")
});
pub static FLEET: LazyLock<Fleet> =
    LazyLock::new(|| fleet::load("f.toml", include_str!("../../infra/fleet.toml"), &KNOWN).expect("a valid fleet"));
pub static RELEASES: LazyLock<Releases> = LazyLock::new(|| {
    release::load("r.toml", include_str!("../../charts/releases.toml"), &FLEET).expect("a valid list")
});
pub static PLAN: LazyLock<Plan> = LazyLock::new(|| survey::plan(&FLEET, &MeshScope::all(&FLEET)));
