//! Parses and validates `charts/releases.toml`.

mod kinds;
mod rules;

use std::collections::BTreeMap;
use std::time::Duration;

use self::kinds::*;
pub(super) use self::rules::RESERVED;
use super::{Chart, Manifest, Placement, Releases, Source};
use crate::fleet::Fleet;
use crate::fleet::document::{Diagnostics, Field, Table, parse};
use crate::problem::Problem;

const CHART: [&str; 19] = [
    "name",
    "chart",
    "repository",
    "version",
    "sha256",
    "app_version",
    "clusters",
    "namespace",
    "wave",
    "needs",
    "timeout",
    "arm64",
    "free",
    "memory",
    "wait",
    "ready",
    "brings",
    "bindings",
    "access",
];
const MANIFEST: [&str; 10] =
    ["name", "clusters", "wave", "needs", "timeout", "file", "url", "sha256", "crds", "bindings"];

struct Entry<T> {
    value: Option<T>,
    title: String,
    line: Option<usize>,
}

/// Reads the list of releases. The version `fleet` means the one that the fleet pins under the same name.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn load(file: &str, text: &str, fleet: &Fleet) -> Result<Releases, Vec<Problem>> {
    let (entries, mut diagnostics) = parse(file, text);
    let root = Table::root(&mut diagnostics, &entries, &["chart", "manifest"]);
    let charts = read(&mut diagnostics, &root, "chart", &CHART, |diagnostics, table| chart(diagnostics, table, fleet));
    let manifests =
        read(&mut diagnostics, &root, "manifest", &MANIFEST, |diagnostics, table| manifest(diagnostics, table, fleet));
    let placements = charts.iter().map(|e| (&e.title, e.line, e.value.as_ref().map(|c| &c.placement)));
    let others = manifests.iter().map(|e| (&e.title, e.line, e.value.as_ref().map(|m| &m.placement)));
    let found: Vec<rules::Placed<'_>> = placements
        .chain(others)
        .filter_map(|(title, line, placement)| Some(rules::Placed { title, line, placement: placement? }))
        .collect();
    let whole = found.len() == charts.len() + manifests.len();
    rules::check(&mut diagnostics, &found, whole);
    if !diagnostics.problems.is_empty() {
        return Err(diagnostics.into_problems());
    }
    Ok(Releases {
        charts: charts.into_iter().filter_map(|e| e.value).collect(),
        manifests: manifests.into_iter().filter_map(|e| e.value).collect(),
        lines: diagnostics.lines,
    })
}

fn read<T>(
    diagnostics: &mut Diagnostics,
    root: &Table<'_>,
    key: &str,
    known: &[&'static str],
    one: impl Fn(&mut Diagnostics, &Table<'_>) -> Option<T>,
) -> Vec<Entry<T>> {
    let found = root.tables(diagnostics, key, &format!("[[{key}]]"));
    let mut entries = Vec::with_capacity(found.len());
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let title = name.map_or_else(|| format!("{key} {}", index + 1), |name| format!("`{name}`"));
        let path = name.map_or_else(|| format!("{key}.{}", index + 1), str::to_owned);
        let table = Table::open(diagnostics, value, (title, path), known);
        entries.push(Entry { value: one(diagnostics, &table), line: table.line, title: table.title });
    }
    entries
}

fn placement(diagnostics: &mut Diagnostics, table: &Table<'_>) -> Option<Placement> {
    let name = table.required(diagnostics, "name", &NAME);
    let clusters = table.required(diagnostics, "clusters", &ROLES);
    let wave = table.required(diagnostics, "wave", &WAVE);
    let needs = table.optional(diagnostics, "needs", &TEXTS).or(Vec::new());
    let timeout = table.optional(diagnostics, "timeout", &TIME).or(Duration::from_secs(600));
    rules::name(diagnostics, &name);
    if clusters.value.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::new(format!("`clusters` of {} is empty", table.title));
        diagnostics.add(problem.hint("clusters = [\"platform\", \"workload\"]"), clusters.line);
    }
    Some(Placement {
        name: name.value?,
        clusters: clusters.value?,
        wave: wave.value?,
        needs: needs.value?,
        timeout: timeout.value?,
    })
}

fn chart(diagnostics: &mut Diagnostics, table: &Table<'_>, fleet: &Fleet) -> Option<Chart> {
    let placement = placement(diagnostics, table);
    let chart = table.required(diagnostics, "chart", &NAME);
    let repository = table.required(diagnostics, "repository", &REPOSITORY);
    let version = table.required(diagnostics, "version", &VERSION);
    let sha256 = table.optional(diagnostics, "sha256", &VERSIONED);
    let app_version = table.optional(diagnostics, "app_version", &TEXT);
    let namespace = table.required(diagnostics, "namespace", &NAMESPACE);
    let arm64 = table.optional(diagnostics, "arm64", &TEXT);
    let memory = table.optional(diagnostics, "memory", &MEMORY);
    let free = table.optional(diagnostics, "free", &TEXTS).or(Vec::new());
    let bindings = table.optional(diagnostics, "bindings", &BINDINGS).or(BTreeMap::new());
    let ready = table.optional(diagnostics, "ready", &TEXTS).or(Vec::new());
    let brings = table.optional(diagnostics, "brings", &TEXTS).or(Vec::new());
    let access = table.optional(diagnostics, "access", &BINDINGS).or(BTreeMap::new());
    let wait = table.optional(diagnostics, "wait", &YES_OR_NO).or(true);
    rules::chart_name(diagnostics, &chart);
    rules::address(diagnostics, &repository, &["https://", "oci://"]);
    rules::namespace(diagnostics, &namespace);
    rules::objects(diagnostics, &ready, &rules::WORKLOADS, "ready = [\"daemonset/cilium\"]");
    rules::objects(diagnostics, &brings, &rules::BROUGHT, "brings = [\"crd/validatingpolicies.policies.kyverno.io\"]");
    rules::access(diagnostics, &access);
    rules::bindings(diagnostics, table, &bindings);
    let version = resolve(diagnostics, table, version, fleet);
    let sha256 = digest(diagnostics, table, &sha256, version.as_deref());
    Some(Chart {
        placement: placement?,
        chart: chart.value?,
        repository: repository.value?,
        sha256,
        app_version: app_version.value.or_else(|| version.clone())?,
        version: version?,
        namespace: namespace.value?,
        arm64: arm64.value,
        memory: memory.value,
        free: free.value?,
        bindings: bindings.value?,
        ready: ready.value?,
        brings: brings.value?,
        access: access.value?,
        wait: wait.value?,
    })
}

fn manifest(diagnostics: &mut Diagnostics, table: &Table<'_>, fleet: &Fleet) -> Option<Manifest> {
    let placement = placement(diagnostics, table);
    let file = table.optional(diagnostics, "file", &NAME);
    let url = table.optional(diagnostics, "url", &VERSIONED);
    let sha256 = table.optional(diagnostics, "sha256", &VERSIONED);
    let crds = table.optional(diagnostics, "crds", &TEXTS).or(Vec::new());
    let bindings = table.optional(diagnostics, "bindings", &BINDINGS).or(BTreeMap::new());
    if file.written == url.written {
        let what = if file.written { "has both `file` and `url`" } else { "has neither `file` nor `url`" };
        diagnostics
            .add(Problem::new(format!("{} {what}", table.title)).hint("file = \"infra/manifests/….yaml\""), table.line);
    }
    if bindings.written && !file.written && url.written {
        let problem = Problem::new(format!("`bindings` of {} cannot be applied to a download", table.title));
        diagnostics.add(problem.why("a download is applied unchanged, as its digest covers it"), bindings.line);
    }
    rules::path(diagnostics, &file);
    rules::object_bindings(diagnostics, table, &bindings);
    rules::crds(diagnostics, &crds);
    let version = pinned(fleet, &table.path);
    let address = match &url.value {
        Some(Versioned::One(url)) => Some(url.clone()),
        Some(Versioned::ByVersion(by)) => by_version(diagnostics, table, "url", url.line, by, version.as_deref()),
        None => None,
    };
    let address = Field { value: address, line: url.line, written: url.written };
    rules::address(diagnostics, &address, &["https://"]);
    let sha256 = digest(diagnostics, table, &sha256, version.as_deref());
    let source = match (file.value, address.value) {
        (Some(file), _) => Source::File(file),
        (None, url) => Source::Url { url: url?, sha256 },
    };
    Some(Manifest { placement: placement?, source, crds: crds.value?, bindings: bindings.value? })
}

/// The version that the fleet pins under the name of an entry: `gateway-api` is `versions.gateway_api`.
pub fn pinned(fleet: &Fleet, name: &str) -> Option<String> {
    let versions = &fleet.versions;
    match name {
        "cilium" => Some(versions.cilium.to_string()),
        "gateway-api" => Some(versions.gateway_api.to_string()),
        _ => None,
    }
}

fn resolve(diagnostics: &mut Diagnostics, table: &Table<'_>, version: Field<String>, fleet: &Fleet) -> Option<String> {
    let written = version.value?;
    if written != "fleet" {
        if semver::Version::parse(&written).is_ok() {
            return Some(written);
        }
        let problem = Problem::new(format!("`version` of {} is not a full version: {written:?}", table.title));
        diagnostics.add(
            problem.why("a range would install a different chart later").hint("version = \"1.2.3\""),
            version.line,
        );
        return None;
    }
    let found = pinned(fleet, &table.path);
    if found.is_none() {
        let problem = Problem::new(format!("the fleet does not pin a version of {}", table.title));
        diagnostics
            .add(problem.why("[versions] of the fleet has no such key").hint("version = \"1.2.3\""), version.line);
    }
    found
}

/// The digest for a version; `None` (unlocked) if the table does not list it.
fn digest(
    diagnostics: &mut Diagnostics,
    table: &Table<'_>,
    field: &Field<Versioned>,
    version: Option<&str>,
) -> Option<String> {
    let all: Vec<&String> = match field.value.as_ref()? {
        Versioned::One(digest) => vec![digest],
        Versioned::ByVersion(by) => by.values().collect(),
    };
    let is_digest = |d: &str| d.len() == 64 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    for wrong in all.into_iter().filter(|d| !is_digest(d)) {
        let problem = Problem::new(format!("`sha256` of {} is not 64 hexadecimal digits: {wrong:?}", table.title));
        diagnostics.add(problem.hint("leave it out and run `cargo xtask charts lock`"), field.line);
    }
    match field.value.as_ref()? {
        Versioned::One(digest) => Some(digest.clone()),
        Versioned::ByVersion(by) => by.get(version?).cloned(),
    }
}

fn by_version(
    diagnostics: &mut Diagnostics,
    table: &Table<'_>,
    key: &str,
    line: Option<usize>,
    by: &BTreeMap<String, String>,
    version: Option<&str>,
) -> Option<String> {
    let found = version.and_then(|v| by.get(v));
    if found.is_none() {
        let version = version.unwrap_or("of that name");
        let what = format!("`{key}` of {} has no entry for the fleet's version {version}", table.title);
        let known: Vec<_> = by.keys().map(String::as_str).collect();
        diagnostics.add(Problem::new(what).why(format!("it has {}", known.join(", "))), line);
    }
    found.cloned()
}
