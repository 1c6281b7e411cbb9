//! Another version of a release, in the files where its version stands: the list, or the fleet and the list.
//! Knows nothing of whether that version exists, nor which one is the newest.

use super::edit::Lines;
use super::lock::{by_version, put, reads_as};
use model::fleet::Fleet;
use model::problem::{Problem, nearest};
use model::release::RELEASES;
use model::release::{self, Chart, Releases, Source};

/// New texts of the files; those that did not change are as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bumped {
    /// The fleet.
    pub fleet: String,
    /// The list of releases. The entry has no digest for the new version, unless one was written before.
    pub releases: String,
}

/// The version that an entry has now.
///
/// # Errors
/// There is no such entry, or it has no version of its own.
pub fn version(releases: &Releases, fleet: &Fleet, name: &str) -> Result<String, Problem> {
    if let Some(chart) = releases.charts.iter().find(|c| c.placement.name == name) {
        return Ok(chart.version.clone());
    }
    let manifest = releases.manifests.iter().find(|m| m.placement.name == name);
    let Some(manifest) = manifest else { return Err(unknown(releases, name)) };
    let what = Problem::new(format!("`{name}` has no version that could be raised"));
    let at = |problem: Problem| problem.at(RELEASES, releases.lines.get(name).copied());
    match &manifest.source {
        Source::File(file) => Err(at(what.why(format!("it is a file of this repository: {file}")))),
        Source::Url { .. } => release::pinned(fleet, name).ok_or_else(|| {
            at(what.why("its version stands in its address alone").hint("change `url`, then: cargo xtask charts lock"))
        }),
    }
}

fn unknown(releases: &Releases, name: &str) -> Problem {
    let charts = releases.charts.iter().map(|c| c.placement.name.as_str());
    let names: Vec<&str> = charts.chain(releases.manifests.iter().map(|m| m.placement.name.as_str())).collect();
    let problem = Problem::new(format!("no release of that name: `{name}`")).at(RELEASES, None);
    match nearest(name, names.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.why(format!("there is {}", names.join(", "))),
    }
}

/// Both files with another version of an entry.
///
/// # Errors
/// The entry cannot be raised, or is written in a way that this does not know.
pub fn bump(texts: &Bumped, releases: &Releases, fleet: &Fleet, name: &str, to: &str) -> Result<Bumped, Problem> {
    let from = version(releases, fleet, name)?;
    let (mut list, mut plan) = (Lines::of(&texts.releases), Lines::of(&texts.fleet));
    let strange = |file: &str, key: &str, line: Option<usize>| {
        let problem = Problem::new(format!("cannot find the version of `{name}` in {file}")).at(file, line);
        problem.why(format!("line of `{key}` does not hold \"{from}\"")).hint(format!("write it yourself: \"{to}\""))
    };
    if by_version(&list, releases, name) {
        let key = format!("versions.{}", name.replace('-', "_"));
        let line = fleet.lines.get(&key).copied();
        if !line.is_some_and(|line| plan.quoted(line, &from, to)) {
            return Err(strange(&fleet.file, &key, line));
        }
        address(&mut list, releases, name, &from, to);
    } else {
        let key = format!("{name}.version");
        let line = releases.lines.get(&key).copied();
        if !line.is_some_and(|line| list.quoted(line, &from, to)) {
            return Err(strange(RELEASES, "version", line));
        }
        if let Some(line) = releases.lines.get(&format!("{name}.sha256")) {
            list.remove(*line);
        }
        reads_as(&list.text(), fleet, &expected(releases, name, to)).map_err(|why| {
            let problem = Problem::new(format!("cannot raise `{name}` from {from} to {to}"));
            problem.at(RELEASES, line).why(why).hint("--to VERSION, as 1.2.3")
        })?;
    }
    Ok(Bumped { fleet: plan.text(), releases: list.text() })
}

/// The address of the new version, beside the one that it is made from.
fn address(list: &mut Lines, releases: &Releases, name: &str, from: &str, to: &str) {
    let manifest = releases.manifests.iter().find(|m| m.placement.name == name);
    let (Some(manifest), Some(table)) = (manifest, releases.lines.get(&format!("{name}.url"))) else { return };
    let Source::Url { url, .. } = &manifest.source else { return };
    let rows = *table + 1..list.next_header(*table);
    let has = |version: &str| rows.clone().find(|n| list.line(*n).starts_with(&format!("\"{version}\"")));
    if let (Some(row), None) = (has(from), has(to)) {
        list.insert_after(row, &[format!("\"{to}\" = \"{}\"", url.replace(from, to))]);
    }
}

/// The list with the version of what a chart installs, where an entry names it.
///
/// # Errors
/// The entry is written in a way that this does not know.
pub fn app_version(
    text: &str,
    releases: &Releases,
    fleet: &Fleet,
    chart: &Chart,
    app: &str,
) -> Result<String, Problem> {
    let name = &chart.placement.name;
    let Some(line) = releases.lines.get(&format!("{name}.app_version")).copied() else { return Ok(text.to_owned()) };
    let mut lines = Lines::of(text);
    lines.quoted(line, &chart.app_version, app);
    let mut want = releases.clone();
    want.charts.iter_mut().filter(|c| c.placement.name == *name).for_each(|c| c.app_version = app.to_owned());
    reads_as(&lines.text(), fleet, &want).map(|()| lines.text()).map_err(|why| {
        let problem = Problem::new(format!("cannot write the app version of `{name}` into the list"));
        problem.at(RELEASES, Some(line)).why(why).hint(format!("write it yourself: app_version = \"{app}\""))
    })
}

/// Other releases of the same chart, which stay at the version that they have.
pub fn siblings<'a>(releases: &'a Releases, name: &str) -> Vec<&'a Chart> {
    let Some(chart) = releases.charts.iter().find(|c| c.placement.name == name) else { return vec![] };
    let same = |c: &&Chart| c.placement.name != name && c.chart == chart.chart && c.repository == chart.repository;
    releases.charts.iter().filter(same).collect()
}

/// The list as it should read once an entry has another version and no digest.
fn expected(releases: &Releases, name: &str, to: &str) -> Releases {
    let mut want = releases.clone();
    put(&mut want, name, None);
    let says = releases.lines.contains_key(&format!("{name}.app_version"));
    for chart in want.charts.iter_mut().filter(|c| c.placement.name == name) {
        chart.version = to.to_owned();
        if !says {
            chart.app_version = to.to_owned();
        }
    }
    want
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fleet;
    use model::samples::{FLEET, LIST, digest, fleet, known, list};

    fn check(text: &str, name: &str, to: &str) -> Bumped {
        let fleet = fleet();
        let texts = Bumped { fleet: FLEET.to_owned(), releases: text.to_owned() };
        bump(&texts, &list(text, &fleet), &fleet, name, to).unwrap()
    }

    #[test]
    fn a_plain_release_loses_its_digest() {
        let locked = LIST.replace("# why\n", &format!("# why\nsha256 = \"{}\"\n", digest('b')));
        let bumped = check(&locked, "plain", "1.3.0");
        assert_eq!(bumped.releases, LIST.replace("version = \"1.2.3\"", "version = \"1.3.0\""));
        assert_eq!(bumped.fleet, FLEET);
        let fleet = fleet();
        let releases = list(&bumped.releases, &fleet);
        let text = app_version(&bumped.releases, &releases, &fleet, &releases.charts[1], "v10").unwrap();
        assert!(text.contains("app_version = \"v10\"\n"), "{text}");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        let fleet = fleet();
        let texts = Bumped { fleet: FLEET.to_owned(), releases: LIST.to_owned() };
        for to in ["latest", "1.3", "1.3.0\"\nwave = 9 #"] {
            let problem = bump(&texts, &list(LIST, &fleet), &fleet, "plain", to).unwrap_err();
            assert!(problem.why.unwrap().starts_with("it would not load: "), "{to}");
        }
    }

    #[test]
    fn a_version_without_an_app_version_is_both() {
        let text = LIST.replace("app_version = \"v9\"\n", "");
        assert_eq!(check(&text, "plain", "1.3.0").releases, text.replace("\"1.2.3\"", "\"1.3.0\""));
    }

    #[test]
    fn a_version_of_the_fleet_changes_there() {
        let bumped = check(LIST, "cilium", "1.20.3");
        assert_eq!(bumped.releases, LIST, "what was known of other versions stays");
        assert_eq!(bumped.fleet, FLEET.replace("cilium = \"1.20.0\"", "cilium = \"1.20.3\""));
        let fleet = fleet::load("infra/fleet.toml", &bumped.fleet, &known()).unwrap();
        assert_eq!(list(LIST, &fleet).charts[0].sha256, None);
    }

    #[test]
    fn objects_of_the_fleet_get_an_address() {
        let bumped = check(LIST, "gateway-api", "1.6.9");
        let row = "\"1.6.1\" = \"https://charts.test/v1.6.1/install.yaml\"\n";
        assert!(bumped.releases.contains(&format!("{row}\"1.6.9\" = \"https://charts.test/v1.6.9/install.yaml\"\n")));
    }

    #[test]
    fn what_has_no_version_says_so() {
        let fleet = fleet();
        let why = |name: &str| version(&list(LIST, &fleet), &fleet, name).unwrap_err();
        assert_eq!(why("plainn").hint.as_deref(), Some("did you mean `plain`?"));
        assert!(why("namespaces").why.unwrap().contains("a file of this repository"));
    }
}
