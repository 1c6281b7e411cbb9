//! From the text of `charts/releases.toml` to [`Releases`], or to every problem that it has.
//! Knows nothing of the disk, of rendering or of fetching.

mod kinds;
mod rules;

use std::collections::BTreeMap;
use std::time::Duration;

use self::kinds::*;
use super::{Chart, Manifest, Placement, Releases, Source};
use crate::fleet::Fleet;
use crate::fleet::document::{Field, Notes, Table, parse};
use crate::problem::Problem;

const CHART: [&str; 17] = [
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
    "set",
];
const MANIFEST: [&str; 10] = ["name", "clusters", "wave", "needs", "timeout", "file", "url", "sha256", "crds", "set"];

/// One table, with what could be read of it.
struct Entry<T> {
    value: Option<T>,
    title: String,
    line: Option<usize>,
}

/// Reads the list of releases. A version that is the word `fleet` is the one that `fleet` pins under the same name.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn load(file: &str, text: &str, fleet: &Fleet) -> Result<Releases, Vec<Problem>> {
    let (entries, mut notes) = parse(file, text);
    let root = Table::root(&mut notes, &entries, &["chart", "manifest"]);
    let charts = read(&mut notes, &root, "chart", &CHART, |notes, table| chart(notes, table, fleet));
    let manifests = read(&mut notes, &root, "manifest", &MANIFEST, |notes, table| manifest(notes, table, fleet));
    let placements = charts.iter().map(|e| (&e.title, e.line, e.value.as_ref().map(|c| &c.placement)));
    let others = manifests.iter().map(|e| (&e.title, e.line, e.value.as_ref().map(|m| &m.placement)));
    let found: Vec<rules::Placed<'_>> = placements
        .chain(others)
        .filter_map(|(title, line, placement)| Some(rules::Placed { title, line, placement: placement? }))
        .collect();
    let whole = found.len() == charts.len() + manifests.len();
    rules::check(&mut notes, &found, whole);
    if !notes.problems.is_empty() {
        return Err(notes.into_problems());
    }
    Ok(Releases {
        charts: charts.into_iter().filter_map(|e| e.value).collect(),
        manifests: manifests.into_iter().filter_map(|e| e.value).collect(),
        lines: notes.lines,
    })
}

fn read<T>(
    notes: &mut Notes,
    root: &Table<'_>,
    key: &str,
    known: &[&'static str],
    one: impl Fn(&mut Notes, &Table<'_>) -> Option<T>,
) -> Vec<Entry<T>> {
    let found = root.tables(notes, key, &format!("[[{key}]]"));
    let mut entries = Vec::with_capacity(found.len());
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let title = name.map_or_else(|| format!("{key} {}", index + 1), |name| format!("`{name}`"));
        let path = name.map_or_else(|| format!("{key}.{}", index + 1), str::to_owned);
        let table = Table::open(notes, value, (title, path), known);
        entries.push(Entry { value: one(notes, &table), line: table.line, title: table.title });
    }
    entries
}

fn placement(notes: &mut Notes, table: &Table<'_>) -> Option<Placement> {
    let name = table.must(notes, "name", &NAME);
    let clusters = table.must(notes, "clusters", &ROLES);
    let wave = table.must(notes, "wave", &WAVE);
    let needs = table.may(notes, "needs", &TEXTS).or(Vec::new());
    let timeout = table.may(notes, "timeout", &TIME).or(Duration::from_secs(600));
    rules::name(notes, &name);
    if clusters.value.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::new(format!("`clusters` of {} is empty", table.title));
        notes.add(problem.hint("clusters = [\"platform\", \"workload\"]"), clusters.line);
    }
    Some(Placement {
        name: name.value?,
        clusters: clusters.value?,
        wave: wave.value?,
        needs: needs.value?,
        timeout: timeout.value?,
    })
}

fn chart(notes: &mut Notes, table: &Table<'_>, fleet: &Fleet) -> Option<Chart> {
    let placement = placement(notes, table);
    let chart = table.must(notes, "chart", &NAME);
    let repository = table.must(notes, "repository", &REPOSITORY);
    let version = table.must(notes, "version", &VERSION);
    let sha256 = table.may(notes, "sha256", &VERSIONED);
    let app_version = table.may(notes, "app_version", &TEXT);
    let namespace = table.must(notes, "namespace", &NAMESPACE);
    let arm64 = table.may(notes, "arm64", &TEXT);
    let memory = table.may(notes, "memory", &MEMORY);
    let free = table.may(notes, "free", &TEXTS).or(Vec::new());
    let set = table.may(notes, "set", &SET).or(BTreeMap::new());
    let ready = table.may(notes, "ready", &TEXTS).or(Vec::new());
    let wait = table.may(notes, "wait", &YES_OR_NO).or(true);
    rules::chart_name(notes, &chart);
    rules::address(notes, &repository, &["https://", "oci://"]);
    rules::namespace(notes, &namespace);
    rules::ready(notes, &ready);
    rules::set(notes, table, &set);
    let version = resolve(notes, table, version, fleet);
    let sha256 = digest(notes, table, &sha256, version.as_deref());
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
        set: set.value?,
        ready: ready.value?,
        wait: wait.value?,
    })
}

fn manifest(notes: &mut Notes, table: &Table<'_>, fleet: &Fleet) -> Option<Manifest> {
    let placement = placement(notes, table);
    let file = table.may(notes, "file", &NAME);
    let url = table.may(notes, "url", &VERSIONED);
    let sha256 = table.may(notes, "sha256", &VERSIONED);
    let crds = table.may(notes, "crds", &TEXTS).or(Vec::new());
    let set = table.may(notes, "set", &SET).or(BTreeMap::new());
    if file.written == url.written {
        let what = if file.written { "has both `file` and `url`" } else { "has neither `file` nor `url`" };
        notes
            .add(Problem::new(format!("{} {what}", table.title)).hint("file = \"infra/manifests/….yaml\""), table.line);
    }
    if set.written && !file.written && url.written {
        let problem = Problem::new(format!("`set` of {} has nothing to go into", table.title));
        notes.add(problem.why("a download is applied as it is, or its digest would say nothing"), set.line);
    }
    rules::path(notes, &file);
    rules::set_objects(notes, table, &set);
    rules::crds(notes, &crds);
    let version = pinned(fleet, &table.path);
    let address = match &url.value {
        Some(Versioned::One(url)) => Some(url.clone()),
        Some(Versioned::ByVersion(by)) => by_version(notes, table, "url", url.line, by, version.as_deref()),
        None => None,
    };
    let address = Field { value: address, line: url.line, written: url.written };
    rules::address(notes, &address, &["https://"]);
    let sha256 = digest(notes, table, &sha256, version.as_deref());
    let source = match (file.value, address.value) {
        (Some(file), _) => Source::File(file),
        (None, url) => Source::Url { url: url?, sha256 },
    };
    Some(Manifest { placement: placement?, source, crds: crds.value?, set: set.value? })
}

/// What the fleet pins under the name of an entry: `gateway-api` is `versions.gateway_api`.
pub fn pinned(fleet: &Fleet, name: &str) -> Option<String> {
    let versions = &fleet.versions;
    match name {
        "cilium" => Some(versions.cilium.to_string()),
        "gateway-api" => Some(versions.gateway_api.to_string()),
        _ => None,
    }
}

fn resolve(notes: &mut Notes, table: &Table<'_>, version: Field<String>, fleet: &Fleet) -> Option<String> {
    let written = version.value?;
    if written != "fleet" {
        if semver::Version::parse(&written).is_ok() {
            return Some(written);
        }
        let problem = Problem::new(format!("`version` of {} is not a full version: {written:?}", table.title));
        notes
            .add(problem.why("a range would install another chart tomorrow").hint("version = \"1.2.3\""), version.line);
        return None;
    }
    let found = pinned(fleet, &table.path);
    if found.is_none() {
        let problem = Problem::new(format!("the fleet pins no version of {}", table.title));
        notes.add(
            problem.why("[versions] of the fleet has none of that name").hint("version = \"1.2.3\""),
            version.line,
        );
    }
    found
}

/// The digest for a version. A version that the table does not list is unlocked, and said to be so elsewhere.
fn digest(notes: &mut Notes, table: &Table<'_>, field: &Field<Versioned>, version: Option<&str>) -> Option<String> {
    let all: Vec<&String> = match field.value.as_ref()? {
        Versioned::One(digest) => vec![digest],
        Versioned::ByVersion(by) => by.values().collect(),
    };
    let is_digest = |d: &str| d.len() == 64 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    for wrong in all.into_iter().filter(|d| !is_digest(d)) {
        let problem = Problem::new(format!("`sha256` of {} is not 64 hexadecimal digits: {wrong:?}", table.title));
        notes.add(problem.hint("leave it out until `cargo xtask charts lock` has learnt it"), field.line);
    }
    match field.value.as_ref()? {
        Versioned::One(digest) => Some(digest.clone()),
        Versioned::ByVersion(by) => by.get(version?).cloned(),
    }
}

fn by_version(
    notes: &mut Notes,
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
        notes.add(Problem::new(what).why(format!("it has {}", known.join(", "))), line);
    }
    found.cloned()
}
