//! `charts verify`: renders every release for every cluster with the real Helm, and checks the result without a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::super::inputs::Inputs;
use super::super::{Session, show};
use super::templates::{self, Template, values};
use super::{archives, refuse_mismatches, require_helm, warn_unlocked};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use crate::ui::table::table;
use charts::rendered::{Workload, workload, workloads};
use charts::verify::memory::{self, NodeMemory, Request};
use charts::verify::{images, kinds as verify_kinds, namespaces, quantities};
use model::fleet::Cluster;
use model::kinds::KINDS;
use model::problem::Problem;
use model::release::{Chart, Source};
use model::yaml::{self, Document};
use tool::World;

/// Has the memory reserve of the kubelets.
const KUBELET: &str = "infra/kubeadm/init.yaml";

/// Prints the table of memory per node, and all problems.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, values_only: bool) -> CmdResult {
    let mut findings = Findings::default();
    let all = inputs.releases.charts.iter();
    let (charts, missing) = match values_only {
        true => (Vec::new(), all.collect()),
        false => {
            require_helm(session, world, inputs)?;
            refuse_mismatches(world, &inputs.releases)?;
            templates::present(world, all)?
        }
    };
    for chart in &inputs.releases.charts {
        findings.problems.extend(images::missing_arm64_note(&inputs.releases, chart));
    }
    let good = findings.archives(world, inputs, &charts)?;
    findings.rendered(world, inputs, &good)?;
    findings.manifests(inputs)?;
    findings.estimates(inputs, &missing)?;
    if !values_only && !missing.is_empty() {
        findings.problems.push(missing_archives(&missing));
    }
    let rows = findings.memory(inputs)?;
    print(session, &rows, &findings.paths);
    finish(session, inputs, findings.problems, values_only)
}

/// Memory per node, with requests by the values alone: an upper bound.
///
/// # Errors
/// A file that cannot be read.
pub fn budget(inputs: &Inputs) -> Result<Vec<NodeMemory>, CmdError> {
    let mut findings = Findings::default();
    findings.manifests(inputs)?;
    findings.estimates(inputs, &inputs.releases.charts.iter().collect::<Vec<_>>())?;
    findings.memory(inputs)
}

/// Sorted by file, without duplicates: a values file has the same problem on every cluster.
pub(super) fn distinct(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (&a.at, &a.what).cmp(&(&b.at, &b.what)));
    problems.dedup_by(|b, a| (&a.what, &a.at) == (&b.what, &b.at));
    problems
}

fn finish(session: &mut Session, inputs: &Inputs, problems: Vec<Problem>, values_only: bool) -> CmdResult {
    let problems = distinct(problems);
    if !problems.is_empty() {
        show(session, &problems);
        return Ok(FAILED);
    }
    let releases = format::count(inputs.releases.charts.len(), "release");
    let clusters = format::count(inputs.fleet.clusters.len(), "cluster");
    warn_unlocked(session, &inputs.releases);
    let how = if values_only { ", by their values only: keys, namespaces and images were not checked" } else { "" };
    session.shell.status(Severity::Success, "Verified", &format!("{releases} on {clusters}{how}"));
    Ok(DONE)
}

fn missing_archives(missing: &[&Chart]) -> Problem {
    let files: BTreeSet<String> = missing.iter().map(|c| format!("out/charts/{}", c.archive())).collect();
    let files = Vec::from_iter(files);
    let what = format!("{} missing: only memory was checked, by values", format::count(files.len(), "archive"));
    Problem::new(what).why(files.join("\n")).hint("cargo xtask charts pull")
}

/// A path of the node that a workload mounts: release, workload, path.
type HostPath = (String, String, String);

#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// By cluster.
    requests: BTreeMap<String, Vec<Request>>,
    paths: Vec<HostPath>,
}

impl Findings {
    /// Checks that archives are the charts in the list, and have our keys. Returns those that are.
    pub(super) fn archives<'a>(
        &mut self,
        world: &mut dyn World,
        inputs: &Inputs,
        charts: &[&'a Chart],
    ) -> Result<Vec<&'a Chart>, CmdError> {
        let (good, problems) = archives::compare(world, inputs, charts)?;
        self.problems.extend(problems);
        Ok(good)
    }

    /// Checks that Helm renders, and that the API server would accept the quantities.
    pub(super) fn templates(&mut self, inputs: &Inputs, templates: &[Template<'_>]) {
        self.problems.extend(templates::render_problems(inputs, templates));
        let kinds = inputs.data.get(KINDS).map_or(Ok(BTreeMap::new()), |text| model::kinds::load(text));
        let kinds = kinds.unwrap_or_else(|problem| {
            self.problems.push(problem);
            BTreeMap::new()
        });
        for Template { chart, objects, .. } in templates {
            let name = &chart.placement.name;
            let values = templates::our_values(inputs, &format!("charts/{name}/values.yaml"));
            if let (Some(values), Ok(objects)) = (values, objects) {
                self.problems.extend(quantities::invalid_quantities(name, &values, objects));
                let known = kinds.get(&chart.chart).map_or(&[][..], Vec::as_slice);
                self.problems.extend(verify_kinds::problems(name, &values.value, objects, known));
            }
        }
    }

    /// Renders each release for each of its clusters, and checks the workloads.
    fn rendered(&mut self, world: &mut dyn World, inputs: &Inputs, charts: &[&Chart]) -> Result<(), CmdError> {
        let templates = templates::render(world, inputs, charts, &|_, _| true)?;
        self.templates(inputs, &templates);
        for Template { cluster, chart, objects } in &templates {
            let Ok(objects) = objects else { continue };
            let (name, found) = (&chart.placement.name, workloads(objects, &chart.namespace));
            let requests = self.check(inputs, cluster, name, &format!("charts/{name}/values.yaml"), &found)?;
            self.problems.extend(memory::over_limit(&inputs.releases, chart, &requests));
        }
        Ok(())
    }

    /// Checks the workloads of manifests, as rendered for each cluster.
    fn manifests(&mut self, inputs: &Inputs) -> Result<(), CmdError> {
        for cluster in &inputs.fleet.clusters {
            for manifest in inputs.releases.manifests_on(cluster.role) {
                let Source::File(file) = &manifest.source else { continue };
                let name = &manifest.placement.name;
                let text = inputs.files.get(&format!("{}/{name}.yaml", cluster.name)).map_or("", String::as_str);
                let found: Vec<Workload> =
                    documents(file, text)?.iter().filter_map(|d| workload(&d.value, "default")).collect();
                self.check(inputs, cluster, name, file, &found)?;
            }
        }
        Ok(())
    }

    fn check(
        &mut self,
        inputs: &Inputs,
        cluster: &Cluster,
        name: &str,
        file: &str,
        found: &[Workload],
    ) -> Result<Vec<Request>, CmdError> {
        let levels =
            namespaces::cluster_levels(&inputs.releases, &inputs.data, cluster).map_err(CmdError::with(USAGE))?;
        self.problems.extend(namespaces::forbidden(name, found, &levels));
        self.problems.extend(images::unpinned(name, file, found));
        let requests: Vec<Request> = found.iter().map(|workload| memory::request(name, workload)).collect();
        self.requests.entry(cluster.name.clone()).or_default().extend(requests.iter().cloned());
        for workload in found {
            for (_, path) in workload.host_paths() {
                let path = (name.to_owned(), workload.name.clone(), path.to_owned());
                if !self.paths.contains(&path) {
                    self.paths.push(path);
                }
            }
        }
        Ok(requests)
    }

    /// Estimates the memory of charts that cannot be rendered, by their values.
    fn estimates(&mut self, inputs: &Inputs, charts: &[&Chart]) -> Result<(), CmdError> {
        for cluster in &inputs.fleet.clusters {
            for chart in charts.iter().filter(|chart| chart.placement.clusters.contains(&cluster.role)) {
                let documents = documents("values.yaml", values(inputs, cluster, chart))?;
                let value = documents.first().map_or(&Value::Null, |d| &d.value);
                self.requests.entry(cluster.name.clone()).or_default().push(memory::estimate(chart, value));
            }
        }
        Ok(())
    }

    /// The memory of every node.
    fn memory(&mut self, inputs: &Inputs) -> Result<Vec<NodeMemory>, CmdError> {
        let kubelet = documents(KUBELET, inputs.data.get(KUBELET).map_or("", String::as_str))?;
        let kubelet = kubelet.iter().map(|d| &d.value).find(|v| v["kind"] == "KubeletConfiguration");
        let reserve = memory::reserve(kubelet.unwrap_or(&Value::Null));
        let mut rows = Vec::new();
        for cluster in &inputs.fleet.clusters {
            let requests = self.requests.entry(cluster.name.clone()).or_default();
            let (some, problems) = memory::schedule(cluster, reserve, requests);
            rows.extend(some);
            let line = inputs.fleet.lines.get(&format!("{}.memory", cluster.name)).copied();
            self.problems.extend(problems.into_iter().map(|p| p.at(inputs.fleet.file.clone(), line)));
        }
        Ok(rows)
    }
}

fn documents(file: &str, text: &str) -> Result<Vec<Document>, CmdError> {
    yaml::foreign(file, text).map_err(CmdError::with(USAGE))
}

fn print(session: &mut Session, rows: &[NodeMemory], paths: &[HostPath]) {
    if session.flags.format == Format::Json {
        for row in rows {
            let line = json!({"event": "memory", "node": row.node, "memory": row.memory, "fixed": row.fixed,
                "allocatable": row.allocatable, "floating": row.floating, "free": row.free()});
            session.shell.event(line);
        }
        for (release, workload, path) in paths {
            let line = json!({"event": "host-path", "release": release, "workload": workload, "path": path});
            session.shell.event(line);
        }
        return;
    }
    let mib = |bytes: u64| (bytes >> 20).to_string();
    let cells = |row: &NodeMemory| {
        let numbers = [row.memory, row.allocatable, row.fixed, row.floating].map(mib);
        [row.node.clone()].into_iter().chain(numbers).chain([(row.free() >> 20).to_string()]).collect()
    };
    let heading = ["node, MiB", "memory", "for pods", "on every node", "anywhere", "free"];
    session.shell.screen(&table(&heading, &rows.iter().map(cells).collect::<Vec<_>>()));
    if !paths.is_empty() {
        let cells = |(release, workload, path): &HostPath| vec![path.clone(), release.clone(), workload.clone()];
        let text = table(&["path of the node", "release", "workload"], &paths.iter().map(cells).collect::<Vec<_>>());
        session.shell.screen(&format!("\n{text}"));
    }
}
