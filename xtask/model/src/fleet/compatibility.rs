//! Version compatibility: `infra/compatibility.toml`, typed.

use semver::{Version, VersionReq};

use super::document::{Diagnostics, Field, FieldType, Table, parse};
use crate::problem::Problem;

/// Tested version pairs; the file cites a source for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    pub file: String,
    pub cilium: Vec<CiliumMinor>,
    pub kubernetes: Vec<KubernetesMinor>,
    pub faults: Vec<Fault>,
}

/// Versions of a tool that do not work on some machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub tool: String,
    pub versions: VersionReq,
    /// Of the machine, as Rust names them: `macos`, `aarch64`.
    pub os: String,
    pub arch: String,
    pub why: String,
    pub fix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiliumMinor {
    /// `1.20`.
    pub minor: String,
    /// Gateway API CRDs that its operator accepts.
    pub gateway_api: VersionReq,
    /// Kubernetes minors: `1.35`.
    pub kubernetes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesMinor {
    /// `1.35`.
    pub minor: String,
    /// Tag of the pause image that its kubeadm expects.
    pub pause: String,
    /// The containerd that a node needs.
    pub containerd: VersionReq,
}

const MINOR: FieldType<String> = FieldType {
    expected: "a minor version",
    example: "\"1.35\"",
    read: |v| v.as_str().filter(|s| Version::parse(&format!("{s}.0")).is_ok()).map(str::to_owned),
};
const MINORS: FieldType<Vec<String>> = FieldType {
    expected: "a list of minor versions",
    example: "[\"1.35\"]",
    read: |v| v.as_array()?.iter().map(|v| (MINOR.read)(v.get_ref())).collect(),
};
const RANGE: FieldType<VersionReq> = FieldType {
    expected: "a range of versions",
    example: "\">=1.6.1, <1.7\"",
    read: |v| v.as_str().and_then(|s| VersionReq::parse(s).ok()),
};
const TEXT: FieldType<String> =
    FieldType { expected: "a text", example: "\"macos\"", read: |v| v.as_str().map(str::to_owned) };
const TAG: FieldType<String> =
    FieldType { expected: "a tag", example: "\"3.10.1\"", read: |v| v.as_str().map(str::to_owned) };

impl Compatibility {
    /// # Errors
    /// Every problem of the file at once.
    pub fn load(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (entries, mut diagnostics) = parse(file, text);
        let root = Table::root(&mut diagnostics, &entries, &["cilium", "kubernetes", "fault"]);
        let cilium = tables(&mut diagnostics, &root, "cilium", &["minor", "gateway_api", "kubernetes"]);
        let cilium = cilium.iter().map(|t| read_cilium(&mut diagnostics, t)).collect::<Vec<_>>();
        let kubernetes = tables(&mut diagnostics, &root, "kubernetes", &["minor", "pause", "containerd"]);
        let kubernetes = kubernetes.iter().map(|t| read_kubernetes(&mut diagnostics, t)).collect::<Vec<_>>();
        let faults = tables(&mut diagnostics, &root, "fault", &["tool", "versions", "os", "arch", "why", "fix"]);
        let faults = faults.iter().map(|t| read_fault(&mut diagnostics, t)).collect::<Vec<_>>();
        if !diagnostics.problems.is_empty() {
            return Err(diagnostics.into_problems());
        }
        Ok(Compatibility {
            file: file.to_owned(),
            cilium: cilium.into_iter().flatten().collect(),
            kubernetes: kubernetes.into_iter().flatten().collect(),
            faults: faults.into_iter().flatten().collect(),
        })
    }
}

fn tables<'a>(diagnostics: &mut Diagnostics, root: &Table<'a>, key: &str, known: &[&'static str]) -> Vec<Table<'a>> {
    let header = format!("[[{key}]]");
    let found = root.tables(diagnostics, key, &header);
    let open = |(i, value)| Table::open(diagnostics, value, (header.clone(), format!("{key}.{}", i + 1)), known);
    found.into_iter().enumerate().map(open).collect()
}

fn read_cilium(diagnostics: &mut Diagnostics, table: &Table<'_>) -> Option<CiliumMinor> {
    let minor: Field<_> = table.required(diagnostics, "minor", &MINOR);
    let gateway_api = table.required(diagnostics, "gateway_api", &RANGE);
    let kubernetes = table.required(diagnostics, "kubernetes", &MINORS);
    Some(CiliumMinor { minor: minor.value?, gateway_api: gateway_api.value?, kubernetes: kubernetes.value? })
}

fn read_fault(diagnostics: &mut Diagnostics, table: &Table<'_>) -> Option<Fault> {
    let versions = table.required(diagnostics, "versions", &RANGE);
    let [tool, os, arch, why, fix] =
        ["tool", "os", "arch", "why", "fix"].map(|key| table.required(diagnostics, key, &TEXT).value);
    Some(Fault { tool: tool?, versions: versions.value?, os: os?, arch: arch?, why: why?, fix: fix? })
}

fn read_kubernetes(diagnostics: &mut Diagnostics, table: &Table<'_>) -> Option<KubernetesMinor> {
    let minor = table.required(diagnostics, "minor", &MINOR);
    let pause = table.required(diagnostics, "pause", &TAG);
    let containerd = table.required(diagnostics, "containerd", &RANGE);
    Some(KubernetesMinor { minor: minor.value?, pause: pause.value?, containerd: containerd.value? })
}
