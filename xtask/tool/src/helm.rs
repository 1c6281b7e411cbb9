//! Helm command lines, in the words of the version that is there.
//! Knows nothing of what a chart holds.

use super::{Command, Tool};
use model::release::Chart;
use model::token::fact;

pub mod revisions;

/// The label `archipelago/mesh` of a release whose peers were carried over from the revision before.
pub const KEPT: &str = "kept";

/// The values given are all there is. Without it an upgrade with no values at all takes those of the last revision
/// (upstream: `reuseValues`), and with them what somebody set by hand.
const WHOLE: &str = "--reset-values";

/// Which Helm: they differ in words and in how they write objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Helm {
    /// Client-side merge; overwrites hand edits in silence.
    V3,
    /// Server-side apply; a hand edit is a conflict unless forced (measured on 4.1.4).
    V4,
}

/// Its version, as `v4.1.4`.
pub fn version() -> Command {
    Command::ask(Tool::Helm, ["version", "--template", "{{.Version}}"])
}

/// Downloads a chart archive into a folder.
pub fn pull(chart: &Chart, folder: &str) -> Command {
    let rest = ["--version", &chart.version, "--destination", folder].map(str::to_owned);
    Command::act(Tool::Helm, ["pull".to_owned()].into_iter().chain(source(chart)).chain(rest))
}

/// Where a chart comes from: its name in a repository, or its address in a registry.
fn source(chart: &Chart) -> Vec<String> {
    match chart.repository.starts_with("oci://") {
        true => vec![format!("{}/{}", chart.repository.trim_end_matches('/'), chart.chart)],
        false => vec![chart.chart.clone(), "--repo".to_owned(), chart.repository.clone()],
    }
}

/// `Chart.yaml` of the newest version where the chart comes from; pre-releases do not count. It works for repositories
/// and registries, and wants no `helm repo add`.
pub fn newest(chart: &Chart) -> Command {
    let show = ["show", "chart"].map(str::to_owned);
    Command::ask(Tool::Helm, show.into_iter().chain(source(chart)))
}

/// `Chart.yaml` of an archive.
pub fn chart_of(archive: &str) -> Command {
    Command::ask(Tool::Helm, ["show", "chart", archive])
}

/// The values that an archive's chart begins with, as they are written there, comments too.
pub fn values_of(archive: &str) -> Command {
    Command::ask(Tool::Helm, ["show", "values", archive])
}

/// What a release would install on a cluster of some version of Kubernetes, with the values fed. Asks no cluster.
pub fn template(chart: &Chart, archive: &str, kubernetes: &str, values: &str) -> Command {
    let (name, namespace) = (chart.placement.name.as_str(), chart.namespace.as_str());
    let place = ["template", name, archive, "--namespace", namespace, "--kube-version", kubernetes];
    let rest = ["--include-crds", "--skip-tests", "--values", "-"];
    Command::ask(Tool::Helm, place.into_iter().chain(rest)).told(values)
}

/// A release of one cluster.
#[derive(Debug, Clone)]
pub struct Release<'a> {
    /// What to install.
    pub chart: &'a Chart,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The cluster's kubeconfig.
    pub kubeconfig: &'a str,
    /// Which Helm.
    pub helm: Helm,
}

impl Release<'_> {
    fn command(&self, words: &[&str], rest: &[&str]) -> Command {
        let place = ["--kubeconfig", self.kubeconfig, "--namespace", &self.chart.namespace];
        Command::act(Tool::Helm, words.iter().chain(&place).chain(rest).copied())
    }

    /// `NAMESPACE/NAME`, as the table of revisions is asked for it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.chart.namespace, self.chart.placement.name)
    }

    /// The fact that holds the number of the next revision: what reads the table learns it just before an upgrade.
    pub fn next(&self) -> String {
        format!("{}.{}.revision", self.cluster, self.chart.placement.name)
    }

    /// Installs or upgrades from an archive with the values fed, and labels the revision with what it holds: Helm
    /// itself would make a new revision each time (measured: 34 s for nothing on mgmt). It is labelled with its own
    /// number too, since labels are sticky: see [`revisions`].
    pub fn upgrade(&self, archive: &str, values: &str, digest: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest)], &[WHOLE])
    }

    /// The same of a release that can have peers, by values without any. The label of those that it had goes with
    /// them: labels are sticky, and what it says would be believed. An empty one is no label to whoever reads the
    /// table, and an install takes it as well, where `null` would be a word like any other (assumed, from upstream).
    pub fn upgrade_without_peers(&self, archive: &str, values: &str, digest: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest), ("mesh", "")], &[WHOLE])
    }

    /// The same with the peers of the mesh among the values; `mesh` is the digest of those alone.
    pub fn upgrade_meshed(&self, archive: &str, values: &str, digest: &str, mesh: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest), ("mesh", mesh)], &[WHOLE])
    }

    /// The same with values that name no peers, for a release that has some: they stay, and so does everything that
    /// the last values had and these do not. The label says so, and the next `mesh-connect` writes the whole values.
    pub fn upgrade_keeping_peers(&self, archive: &str, values: &str, digest: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest), ("mesh", KEPT)], &["--reset-then-reuse-values"])
    }

    fn upgraded(&self, archive: &str, values: &str, digests: &[(&str, &str)], how: &[&str]) -> Command {
        let chart = self.chart;
        let name = &chart.placement.name;
        let mut labels = format!("archipelago/chart={}-{}", chart.chart, chart.version);
        for (what, digest) in digests {
            labels.push_str(&format!(",archipelago/{what}={digest}"));
        }
        labels.push_str(&format!(",archipelago/revision={}", fact(&self.next())));
        let timeout = format!("{}s", chart.placement.timeout.as_secs());
        let mut rest = vec!["--values", "-", "--labels", &labels, "--history-max", "5"];
        rest.extend(how);
        if chart.wait {
            rest.extend(["--wait", "--timeout", &timeout]);
        }
        if self.helm == Helm::V4 {
            rest.push("--force-conflicts");
        }
        self.command(&["upgrade", "--install", name, archive], &rest).fed(values)
    }

    /// The values that somebody gave to the newest revision, as JSON: those of the chart are not among them.
    pub fn values(&self) -> Command {
        Command {
            mutates: false,
            ..self.command(&["get", "values", &self.chart.placement.name], &["--output", "json"])
        }
    }

    /// Goes back to the revision before: repairs `pending-upgrade` (measured in 3.18 and 4.1).
    pub fn rollback(&self) -> Command {
        self.command(&["rollback", &self.chart.placement.name], &[])
    }

    /// Takes the release away; repairs `pending-install`, where there is nothing to go back to. Volumes stay.
    pub fn uninstall(&self) -> Command {
        self.command(&["uninstall", &self.chart.placement.name], &["--ignore-not-found"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, fleet, list};

    #[test]
    fn a_chart_is_named_by_its_repository_or_by_its_address() {
        let releases = list(LIST, &fleet());
        let [http, oci] = &releases.charts[..] else { panic!("two charts") };
        assert_eq!(newest(http).args.join(" "), "show chart cilium --repo https://charts.test");
        assert_eq!(newest(oci).args.join(" "), "show chart oci://charts.test/folder/plain");
        let pull = pull(oci, "out/charts").args.join(" ");
        assert_eq!(pull, "pull oci://charts.test/folder/plain --version 1.2.3 --destination out/charts");
    }

    #[test]
    fn only_what_changes_something_says_so() {
        let chart = list(LIST, &fleet()).charts.remove(0);
        let shows = [newest(&chart), chart_of("a"), values_of("a"), template(&chart, "a", "1.35.7", "{}")];
        assert!(shows.iter().all(|command| !command.mutates) && pull(&chart, "x").mutates);
    }
}
