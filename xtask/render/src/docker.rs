//! Harbor's configuration: `infra/docker/harbor.yaml` plus its two passwords.

use model::yaml;

use super::merge::{Derived, merge};
use super::{Data, Files, document, from_module};
use model::fleet::Fleet;
use model::problem::Problem;
use model::token::secret;

/// Path below `out/`; `infra/docker/compose.yaml` mounts it.
pub const CONFIG: &str = "docker/harbor/input/harbor.yml";
pub const ADMIN: &str = "harbor-admin-password";
pub const DATABASE: &str = "harbor-database-password";

/// # Errors
/// The data file is missing or broken, or sets a password.
pub fn files(fleet: &Fleet, data: &Data) -> Result<Files, Vec<Problem>> {
    if !(fleet.docker.services && fleet.docker.harbor) {
        return Ok(Files::new());
    }
    let base = document(data, "infra/docker/harbor.yaml")?;
    let keys = [("harbor_admin_password", ADMIN), ("database.password", DATABASE)];
    let keys = keys.map(|(path, name)| Derived::new(path, secret(name), from_module("docker")));
    Ok(Files::from([(CONFIG.to_owned(), yaml::write(&[merge(&base, &keys)?]))]))
}
