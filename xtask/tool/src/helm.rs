//! Helm command lines, for versions 3 and 4.

use super::{Command, Tool};
use model::release::Chart;
use model::token::fact;

pub mod revisions;

/// Value of the label `archipelago/mesh` if peers are those of the revision before.
pub const KEPT: &str = "kept";

/// Without it an upgrade with no values at all reuses those of the last revision (upstream: `reuseValues`), manual changes
/// included.
const WHOLE: &str = "--reset-values";

/// The two differ in flags and in how they write objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Helm {
    /// Client-side merge; overwrites manual changes silently.
    V3,
    /// Server-side apply; a manual change is a conflict unless forced (measured on 4.1.4).
    V4,
}

/// Prints `v4.1.4`.
pub fn version() -> Command {
    Command::ask(Tool::Helm, ["version", "--template", "{{.Version}}"])
}

pub fn pull(chart: &Chart, folder: &str) -> Command {
    let rest = ["--version", &chart.version, "--destination", folder].map(str::to_owned);
    Command::act(Tool::Helm, ["pull".to_owned()].into_iter().chain(source(chart)).chain(rest))
}

/// Its name in a repository, or its address in a registry.
fn source(chart: &Chart) -> Vec<String> {
    match chart.repository.starts_with("oci://") {
        true => vec![format!("{}/{}", chart.repository.trim_end_matches('/'), chart.chart)],
        false => vec![chart.chart.clone(), "--repo".to_owned(), chart.repository.clone()],
    }
}

/// `Chart.yaml` of the newest version, pre-releases left out. Needs no `helm repo add`.
pub fn newest(chart: &Chart) -> Command {
    let show = ["show", "chart"].map(str::to_owned);
    Command::ask(Tool::Helm, show.into_iter().chain(source(chart)))
}

pub fn chart_of(archive: &str) -> Command {
    Command::ask(Tool::Helm, ["show", "chart", archive])
}

/// Default values of an archive, with their comments.
pub fn values_of(archive: &str) -> Command {
    Command::ask(Tool::Helm, ["show", "values", archive])
}

/// Objects of a release for a version of Kubernetes, with these values. Needs no cluster.
pub fn template(chart: &Chart, archive: &str, kubernetes: &str, values: &str) -> Command {
    let (name, namespace) = (chart.placement.name.as_str(), chart.namespace.as_str());
    let place = ["template", name, archive, "--namespace", namespace, "--kube-version", kubernetes];
    let rest = ["--include-crds", "--skip-tests", "--values", "-"];
    Command::ask(Tool::Helm, place.into_iter().chain(rest)).stdin_text(values)
}

#[derive(Debug, Clone)]
pub struct Release<'a> {
    pub chart: &'a Chart,
    pub cluster: &'a str,
    pub kubeconfig: &'a str,
    pub helm: Helm,
}

impl Release<'_> {
    fn command(&self, words: &[&str], rest: &[&str]) -> Command {
        let place = ["--kubeconfig", self.kubeconfig, "--namespace", &self.chart.namespace];
        Command::act(Tool::Helm, words.iter().chain(&place).chain(rest).copied())
    }

    /// `NAMESPACE/NAME`, as in [`revisions`].
    pub fn id(&self) -> String {
        format!("{}/{}", self.chart.namespace, self.chart.placement.name)
    }

    /// The fact with the number of the next revision, captured just before an upgrade.
    pub fn next(&self) -> String {
        format!("{}.{}.revision", self.cluster, self.chart.placement.name)
    }

    /// Installs or upgrades with values from stdin, and labels the revision with its content: Helm itself would create a
    /// revision each time (measured: 34 s for nothing on mgmt). It is labelled with its own number too, since labels are
    /// sticky: see [`revisions`].
    pub fn upgrade(&self, archive: &str, values: &str, digest: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest)], &[WHOLE])
    }

    /// The same for a release that can have peers, with values without any. Labels are sticky, so that of earlier peers is
    /// emptied; an install accepts an empty one too, where `null` would be an ordinary value (assumed, from upstream).
    pub fn upgrade_without_peers(&self, archive: &str, values: &str, digest: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest), ("mesh", "")], &[WHOLE])
    }

    /// The same with peers among the values; `mesh` is their digest.
    pub fn upgrade_meshed(&self, archive: &str, values: &str, digest: &str, mesh: &str) -> Command {
        self.upgraded(archive, values, &[("values", digest), ("mesh", mesh)], &[WHOLE])
    }

    /// The same with values without peers for a release that has some: they stay, and so does every other key that only the
    /// last values had. The label records it, and the next `mesh-connect` writes all values.
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
        self.command(&["upgrade", "--install", name, archive], &rest).stdin_file(values)
    }

    /// The objects that an upgrade would write, as JSON in `manifest`, without hooks: rendered with what the API server
    /// serves and holds; nothing is sent (measured on 3.18 and 4.1). `merged` keeps the values of before, as with peers.
    pub fn planned(&self, archive: &str, values: &str, merged: bool) -> Command {
        let whole = if merged { "--reset-then-reuse-values" } else { WHOLE };
        let words = ["upgrade", "--install", &self.chart.placement.name, archive];
        let rest = ["--values", "-", whole, "--dry-run=server", "--output", "json"];
        Command { mutates: false, ..self.command(&words, &rest) }.stdin_file(values)
    }

    /// The objects of the newest revision, without hooks.
    pub fn manifest(&self) -> Command {
        Command { mutates: false, ..self.command(&["get", "manifest", &self.chart.placement.name], &[]) }
    }

    /// The values given to the newest revision, as JSON, without the chart's defaults.
    pub fn values(&self) -> Command {
        Command {
            mutates: false,
            ..self.command(&["get", "values", &self.chart.placement.name], &["--output", "json"])
        }
    }

    /// Repairs `pending-upgrade` (measured in 3.18 and 4.1).
    pub fn rollback(&self) -> Command {
        self.command(&["rollback", &self.chart.placement.name], &[])
    }

    /// Repairs `pending-install`, which has no revision to roll back to. Volumes stay.
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
    fn only_changes_are_reported() {
        let chart = list(LIST, &fleet()).charts.remove(0);
        let shows = [newest(&chart), chart_of("a"), values_of("a"), template(&chart, "a", "1.35.7", "{}")];
        assert!(shows.iter().all(|command| !command.mutates) && pull(&chart, "x").mutates);
    }
}
