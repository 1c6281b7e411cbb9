//! `kubectl create --dry-run=server`: whether an object would be let in, and how it would look.
//! Knows nothing of how anything is kept: nothing is.

use std::time::Duration;

use serde_json::{Value, json};

use super::{admit, write};
use crate::argv::Invocation;
use crate::external_secrets;
use crate::request::{Disk, ToolResult, failure, success};
use crate::state::SimState;
use crate::timings;
use crate::yaml::text;
use tool::Output;

/// Where the refusal of an object names its source (measured for Pod Security, Kyverno's own pages for its webhook).
const HEAD: &str = "error when creating \"STDIN\"";

/// Goes through admission and keeps nothing.
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

/// `Error from server: …` becomes `Error from server: error when creating "STDIN": …`.
fn with_source(why: &str) -> String {
    match why.strip_prefix("Error from server: ") {
        Some(rest) if !rest.starts_with("error when") => format!("Error from server: {HEAD}: {rest}"),
        _ => why.to_owned(),
    }
}

/// The object as the API server would keep it; it sets the time of creation also when it only tries (upstream:
/// registry/rest, BeforeCreate).
fn as_created(object: &Value, now: Duration) -> String {
    let mut object = object.clone();
    object["metadata"]["creationTimestamp"] = json!(external_secrets::utc(timings::EPOCH + now.as_secs()));
    object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", text(&object, "/metadata/name").len()));
    format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
}
