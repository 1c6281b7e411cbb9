//! `kubectl create --dry-run=server`: admission without storing.

use super::{admit, write};
use crate::external_secrets;
use crate::prelude::*;

/// The source in an error (measured for PodSecurity, from Kyverno's pages for its webhook).
const HEAD: &str = "error when creating \"STDIN\"";

pub fn create(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
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
