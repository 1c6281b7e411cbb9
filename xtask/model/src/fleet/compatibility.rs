//! Which versions are known to work together: `infra/compatibility.toml`, typed.
//! Knows nothing of any fleet; `rules::versions` asks it.

use semver::{Version, VersionReq};

use super::document::{Field, Kind, Notes, Table, parse};
use crate::problem::Problem;

/// What is known, each entry with a source in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// The file, as the user named it, for hints.
    pub file: String,
    /// Cilium, by minor.
    pub cilium: Vec<CiliumMinor>,
    /// Kubernetes, by minor.
    pub kubernetes: Vec<KubernetesMinor>,
}

/// What one minor version of Cilium works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiliumMinor {
    /// `1.20`.
    pub minor: String,
    /// Gateway API CRDs that its operator accepts.
    pub gateway_api: VersionReq,
    /// Kubernetes minors: `1.35`.
    pub kubernetes: Vec<String>,
}

/// What one minor version of Kubernetes comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesMinor {
    /// `1.35`.
    pub minor: String,
    /// Tag of the pause image that its kubeadm expects.
    pub pause: String,
}

const MINOR: Kind<String> = Kind {
    want: "a minor version",
    example: "\"1.35\"",
    read: |v| v.as_str().filter(|s| Version::parse(&format!("{s}.0")).is_ok()).map(str::to_owned),
};
const MINORS: Kind<Vec<String>> = Kind {
    want: "a list of minor versions",
    example: "[\"1.35\"]",
    read: |v| v.as_array()?.iter().map(|v| (MINOR.read)(v.get_ref())).collect(),
};
const RANGE: Kind<VersionReq> = Kind {
    want: "a range of versions",
    example: "\">=1.6.1, <1.7\"",
    read: |v| v.as_str().and_then(|s| VersionReq::parse(s).ok()),
};
const TAG: Kind<String> = Kind { want: "a tag", example: "\"3.10.1\"", read: |v| v.as_str().map(str::to_owned) };

impl Compatibility {
    /// Reads the table.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn load(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (entries, mut notes) = parse(file, text);
        let root = Table::root(&mut notes, &entries, &["cilium", "kubernetes"]);
        let cilium = tables(&mut notes, &root, "cilium", &["minor", "gateway_api", "kubernetes"]);
        let cilium = cilium.iter().map(|t| read_cilium(&mut notes, t)).collect::<Vec<_>>();
        let kubernetes = tables(&mut notes, &root, "kubernetes", &["minor", "pause"]);
        let kubernetes = kubernetes.iter().map(|t| read_kubernetes(&mut notes, t)).collect::<Vec<_>>();
        if !notes.problems.is_empty() {
            return Err(notes.into_problems());
        }
        Ok(Compatibility {
            file: file.to_owned(),
            cilium: cilium.into_iter().flatten().collect(),
            kubernetes: kubernetes.into_iter().flatten().collect(),
        })
    }
}

fn tables<'a>(notes: &mut Notes, root: &Table<'a>, key: &str, known: &[&'static str]) -> Vec<Table<'a>> {
    let header = format!("[[{key}]]");
    let found = root.tables(notes, key, &header);
    let open = |(i, value)| Table::open(notes, value, (header.clone(), format!("{key}.{}", i + 1)), known);
    found.into_iter().enumerate().map(open).collect()
}

fn read_cilium(notes: &mut Notes, table: &Table<'_>) -> Option<CiliumMinor> {
    let minor: Field<_> = table.must(notes, "minor", &MINOR);
    let gateway_api = table.must(notes, "gateway_api", &RANGE);
    let kubernetes = table.must(notes, "kubernetes", &MINORS);
    Some(CiliumMinor { minor: minor.value?, gateway_api: gateway_api.value?, kubernetes: kubernetes.value? })
}

fn read_kubernetes(notes: &mut Notes, table: &Table<'_>) -> Option<KubernetesMinor> {
    let minor = table.must(notes, "minor", &MINOR);
    let pause = table.must(notes, "pause", &TAG);
    Some(KubernetesMinor { minor: minor.value?, pause: pause.value? })
}
