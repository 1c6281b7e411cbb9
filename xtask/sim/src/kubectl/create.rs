//! `kubectl create --dry-run=server`: admission without storing; and a Job of a CronJob.

use super::{admit, objects, write};
use crate::prelude::*;
use crate::{external_secrets, mesh};

/// The source in an error (measured for PodSecurity, from Kyverno's pages for its webhook).
const HEAD: &str = "error when creating \"STDIN\"";

pub fn create(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    if let (["job", name], Some(from)) = (&cmd.args.words[..], cmd.args.get("from")) {
        return job(sim, cmd, name, from);
    }
    if cmd.args.get("dry-run") != Some("server") || cmd.args.get("output") != Some("json") {
        let text = "error: the simulator supports only: --dry-run=server --output json";
        return Err(sim.unsupported(cmd.request, failure(1, text)));
    }
    let given = write::read_manifests(cmd, disk, 1)?;
    let up = write::kyverno_up(sim, cmd);
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let mut out = String::new();
    for (from, object) in &given {
        let kind = write::resolve_kind(cluster, from, object).map_err(|why| failure(1, format!("error: {why}")))?;
        let namespace = write::namespace_of(&kind, object, cmd);
        let warning =
            admit::admitted(cluster, &kind, object, namespace, up).map_err(|why| failure(1, with_source(&why)))?;
        if !warning.is_empty() {
            return Ok(Output { stderr: warning, ..success(as_created(object, cmd.now)) });
        }
        out.push_str(&as_created(object, cmd.now));
    }
    Ok(success(out))
}

/// `kubectl create job NAME --from cronjob/NAME`: the one that issues the mesh's certificates.
fn job(sim: &mut SimState, cmd: &Invocation<'_>, name: &str, from: &str) -> ToolResult<Output> {
    let clock = sim.clock_of(&cmd.vm, cmd.now);
    let cluster = sim.cluster_mut(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let cron = from.trim_start_matches("cronjob/");
    if cron != mesh::CERTIFICATES || !cluster.workloads.contains_key(mesh::SERVER) {
        return Err(failure(1, format!("Error from server (NotFound): cronjobs.batch \"{cron}\" not found")));
    }
    let certificate = objects::deleted("Secret", cmd.namespace(), "clustermesh-apiserver-");
    cluster.objects.retain(|key, _| !key.starts_with(&certificate));
    if let Some(certified) = cluster.object_mut(mesh::CERTIFIED) {
        *certified = json!(clock);
    }
    Ok(success(format!("job.batch/{name} created\n")))
}

fn with_source(why: &str) -> String {
    match why.strip_prefix("Error from server: ") {
        Some(rest) if !rest.starts_with("error when") => format!("Error from server: {HEAD}: {rest}"),
        _ => why.to_owned(),
    }
}

/// The object as it would be stored; a dry run sets the creation time too (upstream: registry/rest, BeforeCreate).
fn as_created(object: &Value, now: Duration) -> String {
    let mut object = object.clone();
    object["metadata"]["creationTimestamp"] = json!(external_secrets::utc(timings::EPOCH + now.as_secs()));
    object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", text(&object, "/metadata/name").len()));
    format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
}
