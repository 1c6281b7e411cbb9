//! The default fleet and a small list of releases, for the unit tests of every package.

use crate::fleet::{self, Compatibility, Fleet};
use crate::release::{self, Releases};

pub const FLEET: &str = include_str!("../../../infra/fleet.toml");

/// One entry of each kind, with comments and habits that an edit must leave alone.
pub const LIST: &str = r#"# A list.

[[chart]]
name = "cilium"
chart = "cilium"
repository = "https://charts.test"
version = "fleet" # versions.cilium
clusters = ["platform", "workload"]
namespace = "kube-system"
wave = 2

[chart.sha256] # by version
"1.20.2" = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

[chart.bindings]
cluster.name = "cluster.name"

# Plain.
[[chart]]
name = "plain"
chart = "plain"
repository = "oci://charts.test/folder"
version = "1.2.3" # why
app_version = "v9"
clusters = ["platform"]
namespace = "plain"
wave = 3
arm64 = "yes"

# Objects.
[[manifest]]
name = "gateway-api"
clusters = ["platform", "workload"]
wave = 1

[manifest.url]
"1.6.1" = "https://charts.test/v1.6.1/install.yaml"

# The end.
[[manifest]]
name = "namespaces"
clusters = ["platform", "workload"]
wave = 1
file = "infra/manifests/namespaces.yaml"
"#;

pub fn known() -> Compatibility {
    Compatibility::load("infra/compatibility.toml", include_str!("../../../infra/compatibility.toml")).unwrap()
}

pub fn fleet() -> Fleet {
    fleet::load("infra/fleet.toml", FLEET, &known()).unwrap()
}

pub fn list(text: &str, fleet: &Fleet) -> Releases {
    release::load(release::RELEASES, text, fleet).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

pub fn digest(letter: char) -> String {
    letter.to_string().repeat(64)
}
