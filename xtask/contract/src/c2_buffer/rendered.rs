//! The agent as its chart renders it: the flags, the volume and the jobs that will really run. A chart may drop, rename
//! or add what values do not show. Knows nothing of values.

use serde_json::Value;

use super::super::case::Case;
use super::super::evidence::{Ground, Sheet};
use super::form::{Form, flag};
use super::{CEILING, MIB, agent, guarantee, held, retention, truncated_every};
use model::units::{format_hours, parse_quantity};

/// Where the agent's configuration is, in the ConfigMap of its release.
const CONFIG: &str = "data.prometheus\\.yml";

/// Judges what the release of an agent renders on a cluster, where it was rendered.
pub(super) fn judge(ground: &Ground, values: &Sheet, case: &mut Case) {
    let made: Vec<&Sheet> = ground.rendered().filter(|s| s.name == values.name).collect();
    if made.is_empty() {
        return;
    }
    case.rule("rendered");
    let Some((workload, form)) = made.iter().find_map(|sheet| Some((*sheet, Form::of_workload(sheet)?))) else {
        let want = "a workload with `--agent` among its arguments";
        case.missing(ground, &values.name, want, "its chart renders none", "charts/releases.toml: another version");
        return;
    };
    case.rule("guarantee");
    let mut needed = 0;
    if let Some((every, bound)) = guarantee(ground, workload, &form.flags, case) {
        retention(ground, workload, &form.flags, bound.shortest, case);
        needed = held(every);
        let said = truncated_every(values).unwrap_or(every);
        if every != said {
            let (want, hint) =
                (format!("truncated every {}, as its values say", format_hours(said)), "charts/releases.toml");
            case.breach(ground, workload, &form.flags, want, format!("every {}", format_hours(every)), hint);
        }
        case.figure("as rendered", format!("{}, truncated every {}", workload.subject(), format_hours(every)));
    }
    agent::judge(ground, workload, &form, case);
    volume(ground, workload, &form, needed, case);
    case.rule("queue");
    match made.iter().find(|s| s.word("kind") == "ConfigMap" && s.get(CONFIG).is_some()) {
        Some(config) => {
            agent::queue(ground, config, &format!("{CONFIG}.remote_write"), case);
            jobs(ground, config, case);
        }
        None => case.missing(
            ground,
            &values.name,
            "a ConfigMap with prometheus.yml",
            "none",
            "server.configMapOverrideName",
        ),
    }
}

/// The log lies on a claim of its own, which outlives the pod and is large enough for the log of three periods.
fn volume(ground: &Ground, workload: &Sheet, form: &Form, needed: u64, case: &mut Case) {
    case.rule("volume");
    let folder = flag(workload, &form.flags, "--storage.agent.path").map_or("data-agent/".to_owned(), |(_, path)| path);
    let mounts = case.list(workload, &format!("{}.volumeMounts", form.container()));
    let holds = |mount: &&Value| mount["mountPath"].as_str().is_some_and(|path| folder.starts_with(path));
    let name = mounts.iter().filter(holds).find_map(|mount| mount["name"].as_str()).unwrap_or_default();
    let templates = case.list(workload, "spec.volumeClaimTemplates");
    let Some(i) = templates.iter().position(|claim| claim["metadata"]["name"] == name) else {
        let got = format!("{folder} on no claim of a StatefulSet");
        let hint = "statefulSet.enabled and persistentVolume.enabled: true";
        case.breach(ground, workload, "spec.volumeClaimTemplates", "a log that outlives its pod", got, hint);
        return;
    };
    let path = format!("spec.volumeClaimTemplates.{i}.spec.resources.requests.storage");
    let has = case.text(workload, &path).and_then(|text| parse_quantity(&text)).unwrap_or_default();
    if has < needed {
        let want = format!("at least {} MiB for the log", (needed as f64 / MIB).ceil());
        case.breach(ground, workload, &path, want, format!("{} MiB", has >> 20), "size: 2Gi");
    }
}

/// Every job that really scrapes has a ceiling, those of the chart's own among them.
fn jobs(ground: &Ground, config: &Sheet, case: &mut Case) {
    case.rule("ceiling");
    let list = format!("{CONFIG}.scrape_configs");
    for (i, job) in case.list(config, &list).iter().enumerate() {
        let limited = job["sample_limit"].as_u64().is_some_and(|limit| limit > 0);
        let path = format!("{list}.{i}");
        if !limited && !super::keeps(config, &path) {
            let name = job["job_name"].as_str().unwrap_or_default();
            let got = format!("job {name} without sample_limit");
            case.breach(ground, config, &format!("{path}.job_name"), CEILING, got, "sample_limit: 3000");
        }
    }
}
