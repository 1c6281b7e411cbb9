//! Helm releases and plain manifests of the clusters, as listed in `charts/releases.toml`.

pub mod apps;
mod load;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Role;

pub use load::{load, pinned};

pub const RELEASES: &str = "charts/releases.toml";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Releases {
    pub charts: Vec<Chart>,
    pub manifests: Vec<Manifest>,
    /// Line of each entry and key in the file, by `cilium` or `cilium.version`.
    pub lines: BTreeMap<String, usize>,
}

impl Releases {
    pub fn chart(&self, name: &str) -> Option<&Chart> {
        self.charts.iter().find(|c| c.placement.name == name)
    }

    pub fn manifest(&self, name: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|m| m.placement.name == name)
    }

    /// The names of all charts and manifests.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let charts = self.charts.iter().map(|chart| &chart.placement);
        charts.chain(self.manifests.iter().map(|manifest| &manifest.placement)).map(|placement| placement.name.as_str())
    }

    pub fn charts_on(&self, role: Role) -> impl Iterator<Item = &Chart> {
        self.charts.iter().filter(move |c| c.placement.clusters.contains(&role))
    }

    pub fn manifests_on(&self, role: Role) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().filter(move |m| m.placement.clusters.contains(&role))
    }

    /// The line of an entry (`cilium`) or of its key (`cilium.version`).
    pub fn line(&self, key: &str) -> Option<usize> {
        self.lines.get(key).copied()
    }

    /// The chart of this name, if it is for clusters of this role.
    pub fn on(&self, role: Role, name: &str) -> Option<&Chart> {
        self.charts_on(role).find(|c| c.placement.name == name)
    }

    /// Whether there is a manifest of this name for clusters of this role.
    pub fn manifest_on(&self, role: Role, name: &str) -> bool {
        self.manifests_on(role).any(|m| m.placement.name == name)
    }
}

/// Where and when a chart or manifest is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Its name, unique among charts and manifests: the Helm release name and the folder under `charts/`.
    pub name: String,
    pub clusters: Vec<Role>,
    /// Installed after everything of a smaller wave on its cluster is ready. Starts at 1.
    pub wave: u32,
    /// Entries that must be ready on the same cluster first.
    pub needs: Vec<String>,
    /// Outer time limit: `helm --timeout` is not an overall one (measured: Cilium took 73 s under 60 s).
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    pub placement: Placement,
    pub chart: String,
    /// `https://…` for a chart repository, `oci://…` for a registry folder.
    pub repository: String,
    pub version: String,
    /// sha256 of the archive; `None`: unlocked, not yet known.
    pub sha256: Option<String>,
    pub app_version: String,
    pub namespace: String,
    /// Whether its images exist for arm64, and how that is known.
    pub arm64: Option<String>,
    /// Upper bound of the memory request of one pod, in bytes, that the memory budget is based on.
    pub memory: Option<u64>,
    /// Sections of the values, as dotted paths, that the chart passes through unchanged: any key is accepted.
    pub free: Vec<String>,
    /// Values derived from the fleet: dotted path in the values to binding (see
    /// `render::helm::BINDINGS`: `cluster.name`, `cluster.id`, `cluster.ip`, `cluster.mesh_port`, `secret:NAME`, …).
    pub bindings: BTreeMap<String, String>,
    /// Workloads that must be rolled out before the release counts as ready: `daemonset/cilium`.
    pub ready: Vec<String>,
    /// What else it brings: `crd/NAME`, `secret/NAME`, workloads. Without it and `ready` it counts as not installed.
    pub brings: Vec<String>,
    /// Its web page: `title`, `when` (the value that turns it on), `route` (an HTTPRoute in its namespace), `service`
    /// (`NAME:PORT`), `path`, `user`, and `password` (`secret:NAME` in out/secrets, `cluster:NAME/KEY` for a Secret in its
    /// namespace).
    pub access: BTreeMap<String, String>,
    /// Whether Helm itself waits (`--wait`); off where pods become ready only after a later step.
    pub wait: bool,
}

impl Chart {
    /// File name of the archive as `helm pull` names it.
    pub fn archive(&self) -> String {
        format!("{}-{}.tgz", self.chart, self.version)
    }
}

/// Objects applied by `kubectl apply --server-side`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub placement: Placement,
    pub source: Source,
    /// CRDs that must be established before it counts as ready.
    pub crds: Vec<String>,
    /// Values derived from the fleet: `Kind/name:dotted.path` in the file to binding, as in [`Chart::bindings`].
    pub bindings: BTreeMap<String, String>,
}

impl Manifest {
    /// Whether its objects are a download, and not a file of this repository.
    pub fn is_downloaded(&self) -> bool {
        matches!(self.source, Source::Url { .. })
    }

    /// The digest of its download; `None` also if it is unlocked.
    pub fn sha256(&self) -> Option<&str> {
        match &self.source {
            Source::Url { sha256, .. } => sha256.as_deref(),
            Source::File(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file in this repository.
    File(String),
    /// A pinned download.
    Url {
        url: String,
        /// sha256 of the file; `None`: unlocked.
        sha256: Option<String>,
    },
}
