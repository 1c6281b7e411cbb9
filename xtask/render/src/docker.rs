//! Harbor's configuration: `infra/docker/harbor.yaml` plus its two passwords.
//! Knows nothing of Docker.

use super::merge::{Derived, merge};
use super::{Data, Files, document, from_here, yaml};
use model::fleet::Fleet;
use model::problem::Problem;
use model::token::secret;

/// Where the configuration goes, below `out/`; `infra/docker/compose.yaml` mounts it from there.
pub const CONFIG: &str = "docker/harbor/input/harbor.yml";
/// The secret of Harbor's administrator.
pub const ADMIN: &str = "harbor-admin-password";
/// The secret of Harbor's database.
pub const DATABASE: &str = "harbor-database-password";

/// Harbor's configuration, if the fleet wants Harbor.
///
/// # Errors
/// The data file is missing or broken, or has a password of its own.
pub fn files(fleet: &Fleet, data: &Data) -> Result<Files, Vec<Problem>> {
    if !(fleet.docker.services && fleet.docker.harbor) {
        return Ok(Files::new());
    }
    let base = document(data, "infra/docker/harbor.yaml")?;
    let keys = [("harbor_admin_password", ADMIN), ("database.password", DATABASE)];
    let keys = keys.map(|(path, name)| Derived::new(path, secret(name), from_here("docker")));
    Ok(Files::from([(CONFIG.to_owned(), yaml::write(&[merge(&base, &keys)?]))]))
}
