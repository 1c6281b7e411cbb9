//! The agent as its chart renders it: the flags, the volume and the jobs that will really run. A chart may drop, rename
//! or add what values do not show.

use serde_json::Value;

use super::form::{Form, flag};
use super::wal::SEGMENT;
use super::{CEILING, MIB, agent, flags, guarantee, held, retention, segment_of, truncated_every};
use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document};
use model::units::{format_hours, parse_quantity};

/// Where the agent's configuration is, in the ConfigMap of its release.
const CONFIG: &str = "data.prometheus\\.yml";

/// Judges what the release of an agent renders on a cluster, where it was rendered.
pub(super) fn judge(cluster: &ClusterManifests, values: &Document, ctx: &mut ClauseContext) {
    let made: Vec<&Document> = cluster.rendered().filter(|s| s.name == values.name).collect();
    if made.is_empty() {
        return;
    }
    ctx.rule("rendered");
    let Some((workload, form)) = made.iter().find_map(|document| Some((*document, Form::of_workload(document)?)))
    else {
        let want = "a workload with `--agent` among its arguments";
        ctx.missing(cluster, &values.name, want, "its chart renders none", "charts/releases.toml: another version");
        return;
    };
    ctx.rule("guarantee");
    let mut needed = 0;
    if let Some((every, bound)) = guarantee(cluster, workload, &form.flags, ctx) {
        retention(cluster, workload, &form.flags, bound.shortest, ctx);
        needed = held(every, segment_of(workload, &form.flags).1.unwrap_or(SEGMENT));
        let set = truncated_every(values).unwrap_or(every);
        if every != set {
            let (want, hint) =
                (format!("truncated every {}, as its values set it", format_hours(set)), "charts/releases.toml");
            ctx.breach(cluster, workload, &form.flags, want, format!("every {}", format_hours(every)), hint);
        }
        ctx.metric("as rendered", format!("{}, truncated every {}", workload.subject(), format_hours(every)));
    }
    agent::judge(cluster, workload, &form, ctx);
    flags::judge(cluster, workload, &form.flags, ctx);
    volume(cluster, workload, &form, needed, ctx);
    ctx.rule("queue");
    match made.iter().find(|s| s.word("kind") == "ConfigMap" && s.get(CONFIG).is_some()) {
        Some(config) => {
            agent::queue(cluster, config, &format!("{CONFIG}.remote_write"), ctx);
            jobs(cluster, config, ctx);
        }
        None => ctx.missing(
            cluster,
            &values.name,
            "a ConfigMap with prometheus.yml",
            "none",
            "server.configMapOverrideName",
        ),
    }
}

/// The log lies on a claim of its own, which outlives the pod and is large enough for the log of three periods.
fn volume(cluster: &ClusterManifests, workload: &Document, form: &Form, needed: u64, ctx: &mut ClauseContext) {
    ctx.rule("volume");
    let folder = flag(workload, &form.flags, "--storage.agent.path").map_or("data-agent/".to_owned(), |(_, path)| path);
    let mounts = ctx.list(workload, &format!("{}.volumeMounts", form.container()));
    let holds = |mount: &&Value| mount["mountPath"].as_str().is_some_and(|path| folder.starts_with(path));
    let name = mounts.iter().filter(holds).find_map(|mount| mount["name"].as_str()).unwrap_or_default();
    let templates = ctx.list(workload, "spec.volumeClaimTemplates");
    let Some(i) = templates.iter().position(|claim| claim["metadata"]["name"] == name) else {
        let got = format!("{folder} on no claim of a StatefulSet");
        let hint = "statefulSet.enabled and persistentVolume.enabled: true";
        ctx.breach(cluster, workload, "spec.volumeClaimTemplates", "a log that outlives its pod", got, hint);
        return;
    };
    let path = format!("spec.volumeClaimTemplates.{i}.spec.resources.requests.storage");
    let has = ctx.text(workload, &path).and_then(|text| parse_quantity(&text)).unwrap_or_default();
    if has < needed {
        let want = format!("at least {} MiB for the log", (needed as f64 / MIB).ceil());
        ctx.breach(cluster, workload, &path, want, format!("{} MiB", has >> 20), "size: 2Gi");
    }
}

/// Every job that really scrapes has a ceiling, those of the chart's own among them.
fn jobs(cluster: &ClusterManifests, config: &Document, ctx: &mut ClauseContext) {
    ctx.rule("ceiling");
    let list = format!("{CONFIG}.scrape_configs");
    for (i, job) in ctx.list(config, &list).iter().enumerate() {
        let limited = job["sample_limit"].as_u64().is_some_and(|limit| limit > 0);
        let path = format!("{list}.{i}");
        if !limited && !super::keeps(config, &path) {
            let name = job["job_name"].as_str().unwrap_or_default();
            let got = format!("job {name} without sample_limit");
            ctx.breach(cluster, config, &format!("{path}.job_name"), CEILING, got, "sample_limit: 3000");
        }
    }
}
