//! Applications of the user: a folder below `apps/` is an entry of the list of releases for every workload cluster, after
//! all others. A folder with several files is one entry for each, in the order of their names.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Manifest, Placement, RELEASES, Releases, Source};
use crate::fleet::{Fleet, Role, is_label};
use crate::problem::Problem;

pub const APPS: &str = "apps";
/// Longest name: it is part of paths and step ids.
const NAME: usize = 53;

/// Adds the applications among these files, unless Argo CD delivers them: an object has one owner.
///
/// # Errors
/// Every name that cannot be used, or that something else on a cluster has.
pub fn add<'a>(
    releases: &mut Releases,
    fleet: &Fleet,
    files: impl Iterator<Item = &'a String>,
) -> Result<(), Vec<Problem>> {
    if fleet.gitops.repository.is_some() {
        return Ok(());
    }
    let mut apps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        let path = file.strip_prefix(APPS).and_then(|rest| rest.strip_prefix('/'));
        let Some((app, rest)) = path.and_then(|path| path.split_once('/')) else { continue };
        if rest.ends_with(".yaml") || rest.ends_with(".yml") {
            apps.entry(app).or_default().push(file);
        }
    }
    let mut problems = Vec::new();
    let others = releases.charts.iter().map(|chart| chart.placement.wave);
    let wave = others.chain(releases.manifests.iter().map(|m| m.placement.wave)).max().unwrap_or(0) + 1;
    for (app, files) in apps {
        problems.extend(unusable(releases, fleet, app, files[0]));
        let mut needs = vec![];
        for file in &files {
            let stem = file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(stem, _)| stem);
            let name = if files.len() == 1 { app.to_owned() } else { format!("{app}/{stem}") };
            let clusters = vec![Role::Workload];
            let timeout = Duration::from_secs(300);
            let placement = Placement {
                name: name.clone(),
                clusters,
                wave,
                needs: std::mem::replace(&mut needs, vec![name]),
                timeout,
            };
            let source = Source::File((*file).to_owned());
            releases.manifests.push(Manifest { placement, source, crds: vec![], bindings: BTreeMap::new() });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn unusable(releases: &Releases, fleet: &Fleet, app: &str, file: &str) -> Option<Problem> {
    let problem = Problem::new(format!("an application cannot be named `{app}`")).at(file, None);
    let nodes = || fleet.clusters.iter().flat_map(|cluster| &cluster.nodes).map(|node| node.name.as_str());
    let why = match releases.line(app) {
        _ if !is_label(app) || app.len() > NAME => {
            format!("it names steps and files: lower-case letters, digits and `-`, at most {NAME}")
        }
        Some(line) => format!("{RELEASES}:{line} has a release of that name"),
        None if super::load::RESERVED.contains(&app) || nodes().any(|node| node == app) => {
            "steps of a cluster are called so".to_owned()
        }
        None => return None,
    };
    Some(problem.why(why).hint(format!("git mv {APPS}/{app} {APPS}/my-{app}   # or another name that is free")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{LIST, fleet, list};

    #[test]
    fn folders_are_entries_behind_all_others() {
        let mut releases = list(LIST, &fleet());
        let last = releases.charts.iter().map(|c| c.placement.wave).max().unwrap();
        let files = ["apps/shop/a.yaml", "apps/shop/b.yml", "apps/shop/README.md", "apps/one/x.yaml", "infra/x/y.yaml"]
            .map(str::to_owned);
        add(&mut releases, &fleet(), files.iter()).unwrap();
        let added = releases.manifests.iter().rev().take(3).map(|m| &m.placement);
        let mut added: Vec<_> = added.map(|p| (p.name.as_str(), p.wave > last, p.needs.join(","))).collect();
        added.reverse();
        let want = [("one", true, ""), ("shop/a", true, ""), ("shop/b", true, "shop/a")];
        assert_eq!(added, want.map(|(name, later, needs)| (name, later, needs.to_owned())));
    }

    #[test]
    fn names_that_are_taken_are_refused_with_their_line() {
        for (app, word) in [
            ("cilium", "charts/releases.toml:"),
            ("nodes", "steps of a cluster"),
            ("cp", "steps of a cluster"),
            ("Shop", "lower-case"),
        ] {
            let files = [format!("apps/{app}/x.yaml")];
            let problems = add(&mut list(LIST, &fleet()), &fleet(), files.iter()).unwrap_err();
            assert!(problems[0].why.as_ref().is_some_and(|why| why.contains(word)), "{problems:?}");
        }
    }
}
