//! `charts verify`: every release as real Helm renders it for every cluster, judged before there is a cluster.
//! Knows nothing of what is judged how.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::super::load::Inputs;
use super::super::{Session, show};
use super::templates::{self, Template, values};
use super::{offers, refuse_others, say_unlocked};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use crate::ui::table::table;
use charts::rendered::{Workload, workload, workloads};
use charts::verify::memory::{self, Need, Row};
use charts::verify::namespaces;
use charts::verify::{amounts, images};
use model::fleet::Cluster;
use model::problem::Problem;
use model::release::{Chart, Source};
use model::yaml::{self, Document};
use tool::World;

/// The kubelets' reservations stand here.
const KUBELET: &str = "infra/kubeadm/init.yaml";

/// Verifies all of it; the table of memory per node is the answer.
///
/// # Errors
/// The user said stop, or an archive is another file than the list says.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, values_only: bool) -> CmdResult {
    let mut findings = Findings::default();
    let all = inputs.releases.charts.iter();
    let (charts, missing) = match values_only {
        true => (Vec::new(), all.collect()),
        false => {
            refuse_others(world, &inputs.releases)?;
            templates::present(world, all)?
        }
    };
    for chart in &inputs.releases.charts {
        findings.problems.extend(images::arm64(&inputs.releases, chart));
    }
    let sound = findings.offers(world, inputs, &charts)?;
    findings.renders(world, inputs, &sound)?;
    findings.manifests(inputs)?;
    findings.estimates(inputs, &missing)?;
    if !values_only && !missing.is_empty() {
        findings.problems.push(not_there(&missing));
    }
    let rows = findings.spread(inputs)?;
    tell(session, &rows, &findings.paths);
    ending(session, inputs, findings.problems, values_only)
}

/// In the order of files, each once: one values file makes the same problem on every cluster.
pub(super) fn once(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (&a.at, &a.what).cmp(&(&b.at, &b.what)));
    problems.dedup_by(|b, a| (&a.what, &a.at) == (&b.what, &b.at));
    problems
}

fn ending(session: &mut Session, inputs: &Inputs, problems: Vec<Problem>, values_only: bool) -> CmdResult {
    let problems = once(problems);
    if !problems.is_empty() {
        show(session, &problems);
        return Ok(FAILED);
    }
    let releases = format::count(inputs.releases.charts.len(), "release");
    let clusters = format::count(inputs.fleet.clusters.len(), "cluster");
    say_unlocked(session, &inputs.releases);
    let how = if values_only { ", by their values alone: keys, namespaces and images were not looked at" } else { "" };
    session.shell.status(Severity::Success, "Verified", &format!("{releases} on {clusters}{how}"));
    Ok(DONE)
}

fn not_there(missing: &[&Chart]) -> Problem {
    let files: Vec<String> = missing.iter().map(|c| format!("out/charts/{}", c.archive())).collect();
    let what = format!("{} not there, so memory alone was judged, by values", format::count(files.len(), "archive"));
    Problem::new(what).why(files.join("\n")).hint("cargo xtask charts pull")
}

/// What a release does to the machine's own files: release, workload, path.
type HostPath = (String, String, String);

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// By cluster.
    needs: BTreeMap<String, Vec<Need>>,
    paths: Vec<HostPath>,
}

impl Findings {
    /// Looks into the archives: whether they are the right charts, and have our keys. Those that are, are the answer.
    pub(super) fn offers<'a>(
        &mut self,
        world: &mut dyn World,
        inputs: &Inputs,
        charts: &[&'a Chart],
    ) -> Result<Vec<&'a Chart>, CmdError> {
        let (sound, problems) = offers::compare(world, inputs, charts)?;
        self.problems.extend(problems);
        Ok(sound)
    }

    /// What Helm does not render, and what the API server would not take of what it does.
    pub(super) fn refusals(&mut self, inputs: &Inputs, templates: &[Template<'_>]) {
        self.problems.extend(templates::refused(inputs, templates));
        for Template { chart, objects, .. } in templates {
            let name = &chart.placement.name;
            let written = templates::written(inputs, &format!("charts/{name}/values.yaml"));
            if let (Some(written), Ok(objects)) = (written, objects) {
                self.problems.extend(amounts::unreadable(name, &written, objects));
            }
        }
    }

    /// Renders each release for each of its clusters, and judges what comes out.
    fn renders(&mut self, world: &mut dyn World, inputs: &Inputs, charts: &[&Chart]) -> Result<(), CmdError> {
        let templates = templates::all(world, inputs, charts, &|_, _| true)?;
        self.refusals(inputs, &templates);
        for Template { cluster, chart, objects } in &templates {
            let Ok(objects) = objects else { continue };
            let (name, found) = (&chart.placement.name, workloads(objects, &chart.namespace));
            let needs = self.judge(inputs, cluster, name, &format!("charts/{name}/values.yaml"), &found)?;
            self.problems.extend(memory::over(&inputs.releases, chart, &needs));
        }
        Ok(())
    }

    /// Judges what the plain manifests make, as each cluster gets them.
    fn manifests(&mut self, inputs: &Inputs) -> Result<(), CmdError> {
        for cluster in &inputs.fleet.clusters {
            for manifest in inputs.releases.manifests.iter().filter(|m| m.placement.clusters.contains(&cluster.role)) {
                let Source::File(file) = &manifest.source else { continue };
                let name = &manifest.placement.name;
                let text = inputs.files.get(&format!("{}/{name}.yaml", cluster.name)).map_or("", String::as_str);
                let found: Vec<Workload> =
                    documents(file, text)?.iter().filter_map(|d| workload(&d.value, "default")).collect();
                self.judge(inputs, cluster, name, file, &found)?;
            }
        }
        Ok(())
    }

    fn judge(
        &mut self,
        inputs: &Inputs,
        cluster: &Cluster,
        name: &str,
        file: &str,
        found: &[Workload],
    ) -> Result<Vec<Need>, CmdError> {
        let levels = namespaces::of(&inputs.releases, &inputs.data, cluster).map_err(CmdError::with(USAGE))?;
        self.problems.extend(namespaces::forbidden(name, found, &levels));
        self.problems.extend(images::moving(name, file, found));
        let needs: Vec<Need> = found.iter().map(|workload| memory::need(name, workload)).collect();
        self.needs.entry(cluster.name.clone()).or_default().extend(needs.iter().cloned());
        for workload in found {
            for (_, path) in workload.host_paths() {
                let path = (name.to_owned(), workload.name.clone(), path.to_owned());
                if !self.paths.contains(&path) {
                    self.paths.push(path);
                }
            }
        }
        Ok(needs)
    }

    /// Counts by its values what cannot be rendered.
    fn estimates(&mut self, inputs: &Inputs, charts: &[&Chart]) -> Result<(), CmdError> {
        for cluster in &inputs.fleet.clusters {
            for chart in charts.iter().filter(|chart| chart.placement.clusters.contains(&cluster.role)) {
                let documents = documents("values.yaml", values(inputs, cluster, chart))?;
                let value = documents.first().map_or(&Value::Null, |d| &d.value);
                self.needs.entry(cluster.name.clone()).or_default().push(memory::estimate(chart, value));
            }
        }
        Ok(())
    }

    /// The table of memory, of every cluster.
    fn spread(&mut self, inputs: &Inputs) -> Result<Vec<Row>, CmdError> {
        let kubelet = documents(KUBELET, inputs.data.get(KUBELET).map_or("", String::as_str))?;
        let kubelet = kubelet.iter().map(|d| &d.value).find(|v| v["kind"] == "KubeletConfiguration");
        let reserve = memory::reserve(kubelet.unwrap_or(&Value::Null));
        let mut rows = Vec::new();
        for cluster in &inputs.fleet.clusters {
            let needs = self.needs.entry(cluster.name.clone()).or_default();
            let (some, problems) = memory::spread(cluster, reserve, needs);
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

fn tell(session: &mut Session, rows: &[Row], paths: &[HostPath]) {
    if session.flags.format == Format::Json {
        for row in rows {
            let line = json!({"event": "memory", "node": row.node, "memory": row.memory, "fixed": row.fixed,
                "allocatable": row.allocatable, "floating": row.floating, "free": row.free()});
            session.shell.result(&format!("{line}\n"));
        }
        for (release, workload, path) in paths {
            let line = json!({"event": "host-path", "release": release, "workload": workload, "path": path});
            session.shell.result(&format!("{line}\n"));
        }
        return;
    }
    let mib = |bytes: u64| (bytes >> 20).to_string();
    let cells = |row: &Row| {
        let numbers = [row.memory, row.allocatable, row.fixed, row.floating].map(mib);
        [row.node.clone()].into_iter().chain(numbers).chain([(row.free() >> 20).to_string()]).collect()
    };
    let heading = ["node, MiB", "memory", "for pods", "on every node", "anywhere", "left"];
    session.shell.result(&table(&heading, &rows.iter().map(cells).collect::<Vec<_>>()));
    if !paths.is_empty() {
        let cells = |(release, workload, path): &HostPath| vec![path.clone(), release.clone(), workload.clone()];
        let text = table(&["path of the node", "release", "workload"], &paths.iter().map(cells).collect::<Vec<_>>());
        session.shell.result(&format!("\n{text}"));
    }
}
