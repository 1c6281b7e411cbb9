//! Changes the version of a release where it is written: in the list of releases, or in the fleet and the list.

use super::edit::Lines;
use super::lock::{is_pinned_by_fleet, loads_as, set_digest};
use model::fleet::Fleet;
use model::problem::{Problem, nearest};
use model::release::{self, Chart, RELEASES, Releases, Source};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFiles {
    pub fleet: String,
    /// The list of releases. After a bump the entry has no digest for the new version, unless it had one before.
    pub releases: String,
}

/// The current version of an entry.
///
/// # Errors
/// There is no such entry, or it has no version of its own.
pub fn version(releases: &Releases, fleet: &Fleet, name: &str) -> Result<String, Problem> {
    if let Some(chart) = releases.chart(name) {
        return Ok(chart.version.clone());
    }
    let Some(manifest) = releases.manifest(name) else { return Err(unknown_release(releases, name)) };
    let what = Problem::new(format!("`{name}` has no version to change")).at(RELEASES, releases.line(name));
    match &manifest.source {
        Source::File(file) => Err(what.why(format!("it is a file of this repository: {file}"))),
        Source::Url { .. } => release::pinned(fleet, name).ok_or_else(|| {
            what.why("its version is part of its address").hint("change `url`, then: cargo xtask charts lock")
        }),
    }
}

fn unknown_release(releases: &Releases, name: &str) -> Problem {
    let charts = releases.charts.iter().map(|c| c.placement.name.as_str());
    let names: Vec<&str> = charts.chain(releases.manifests.iter().map(|m| m.placement.name.as_str())).collect();
    let problem = Problem::new(format!("unknown release: `{name}`")).at(RELEASES, None);
    match nearest(name, names.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.why(format!("known releases: {}", names.join(", "))),
    }
}

/// Both files with another version of an entry.
///
/// # Errors
/// The entry has no version, or is written in an unexpected way.
pub fn bump(
    texts: &VersionFiles,
    releases: &Releases,
    fleet: &Fleet,
    name: &str,
    to: &str,
) -> Result<VersionFiles, Problem> {
    let from = version(releases, fleet, name)?;
    let (mut list, mut fleet_lines) = (Lines::of(&texts.releases), Lines::of(&texts.fleet));
    let not_found = |file: &str, key: &str, line: Option<usize>| {
        let problem = Problem::new(format!("cannot find the version of `{name}` in {file}")).at(file, line);
        problem.why(format!("line of `{key}` does not contain \"{from}\"")).hint(format!("write it yourself: \"{to}\""))
    };
    if is_pinned_by_fleet(&list, releases, name) {
        let key = format!("versions.{}", name.replace('-', "_"));
        let line = fleet.lines.get(&key).copied();
        if !line.is_some_and(|line| fleet_lines.replace_quoted(line, &from, to)) {
            return Err(not_found(&fleet.file, &key, line));
        }
        add_address(&mut list, releases, name, &from, to);
    } else {
        let line = releases.line(&format!("{name}.version"));
        if !line.is_some_and(|line| list.replace_quoted(line, &from, to)) {
            return Err(not_found(RELEASES, "version", line));
        }
        if let Some(line) = releases.line(&format!("{name}.sha256")) {
            list.remove(line);
        }
        loads_as(&list.text(), fleet, &expected(releases, name, to)).map_err(|why| {
            let problem = Problem::new(format!("cannot change `{name}` from {from} to {to}"));
            problem.at(RELEASES, line).why(why).hint("--to VERSION, as 1.2.3")
        })?;
    }
    Ok(VersionFiles { fleet: fleet_lines.text(), releases: list.text() })
}

/// Adds the address of the new version, derived from that of the current one.
fn add_address(list: &mut Lines, releases: &Releases, name: &str, from: &str, to: &str) {
    let table = releases.line(&format!("{name}.url"));
    let (Some(manifest), Some(table)) = (releases.manifest(name), table) else { return };
    let Source::Url { url, .. } = &manifest.source else { return };
    if let (Some(row), None) = (list.row_of(table, from), list.row_of(table, to)) {
        list.insert_after(row, &[format!("\"{to}\" = \"{}\"", url.replace(from, to))]);
    }
}

/// The list with the app version of a chart, if the entry has one.
///
/// # Errors
/// The entry is written in an unexpected way.
pub fn set_app_version(
    text: &str,
    releases: &Releases,
    fleet: &Fleet,
    chart: &Chart,
    app: &str,
) -> Result<String, Problem> {
    let name = &chart.placement.name;
    let Some(line) = releases.line(&format!("{name}.app_version")) else { return Ok(text.to_owned()) };
    let mut lines = Lines::of(text);
    lines.replace_quoted(line, &chart.app_version, app);
    let mut expected = releases.clone();
    expected.charts.iter_mut().filter(|c| c.placement.name == *name).for_each(|c| c.app_version = app.to_owned());
    loads_as(&lines.text(), fleet, &expected).map(|()| lines.text()).map_err(|why| {
        let problem = Problem::new(format!("cannot write the app version of `{name}` into the list"));
        problem.at(RELEASES, Some(line)).why(why).hint(format!("write it yourself: app_version = \"{app}\""))
    })
}

/// Other releases of the same chart; a bump does not change their version.
pub fn siblings<'a>(releases: &'a Releases, name: &str) -> Vec<&'a Chart> {
    let Some(chart) = releases.chart(name) else { return vec![] };
    let same = |c: &&Chart| c.placement.name != name && c.chart == chart.chart && c.repository == chart.repository;
    releases.charts.iter().filter(same).collect()
}

/// The list after an entry has another version and no digest.
fn expected(releases: &Releases, name: &str, to: &str) -> Releases {
    let mut expected = releases.clone();
    set_digest(&mut expected, name, None);
    let has_app_version = releases.lines.contains_key(&format!("{name}.app_version"));
    for chart in expected.charts.iter_mut().filter(|c| c.placement.name == name) {
        chart.version = to.to_owned();
        if !has_app_version {
            chart.app_version = to.to_owned();
        }
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fleet;
    use model::samples::{FLEET, LIST, digest, fleet, known, list};

    fn bump_list(text: &str, name: &str, to: &str) -> Result<VersionFiles, Problem> {
        let fleet = fleet();
        let texts = VersionFiles { fleet: FLEET.to_owned(), releases: text.to_owned() };
        bump(&texts, &list(text, &fleet), &fleet, name, to)
    }

    #[test]
    fn bump_of_a_release_removes_its_digest() {
        let locked = LIST.replace("# why\n", &format!("# why\nsha256 = \"{}\"\n", digest('b')));
        let bumped = bump_list(&locked, "plain", "1.3.0").unwrap();
        assert_eq!(bumped.releases, LIST.replace("version = \"1.2.3\"", "version = \"1.3.0\""));
        assert_eq!(bumped.fleet, FLEET);
        let fleet = fleet();
        let releases = list(&bumped.releases, &fleet);
        let text = set_app_version(&bumped.releases, &releases, &fleet, &releases.charts[1], "v10").unwrap();
        assert!(text.contains("app_version = \"v10\"\n"), "{text}");
    }

    #[test]
    fn invalid_versions_are_refused() {
        for to in ["latest", "1.3", "1.3.0\"\nwave = 9 #"] {
            let why = bump_list(LIST, "plain", to).unwrap_err().why.unwrap();
            assert!(why.starts_with("it would not load: "), "{to}");
        }
    }

    #[test]
    fn app_version_defaults_to_the_version() {
        let text = LIST.replace("app_version = \"v9\"\n", "");
        let bumped = bump_list(&text, "plain", "1.3.0").unwrap();
        assert_eq!(bumped.releases, text.replace("\"1.2.3\"", "\"1.3.0\""));
    }

    #[test]
    fn version_pinned_by_the_fleet_changes_in_the_fleet() {
        let bumped = bump_list(LIST, "cilium", "1.20.3").unwrap();
        assert_eq!(bumped.releases, LIST, "digests of other versions stay");
        assert_eq!(bumped.fleet, FLEET.replace("cilium = \"1.20.2\"", "cilium = \"1.20.3\""));
        let fleet = fleet::load("infra/fleet.toml", &bumped.fleet, &known()).unwrap();
        assert_eq!(list(LIST, &fleet).charts[0].sha256, None);
    }

    #[test]
    fn manifest_pinned_by_the_fleet_gets_an_address() {
        let bumped = bump_list(LIST, "gateway-api", "1.6.9").unwrap();
        let row = "\"1.6.1\" = \"https://charts.test/v1.6.1/install.yaml\"\n";
        assert!(bumped.releases.contains(&format!("{row}\"1.6.9\" = \"https://charts.test/v1.6.9/install.yaml\"\n")));
    }

    #[test]
    fn entries_without_a_version_are_reported() {
        let fleet = fleet();
        let problem = |name: &str| version(&list(LIST, &fleet), &fleet, name).unwrap_err();
        assert_eq!(problem("plainn").hint.as_deref(), Some("did you mean `plain`?"));
        assert!(problem("namespaces").why.unwrap().contains("a file of this repository"));
    }
}
