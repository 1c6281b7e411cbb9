//! `kubectl create --dry-run=server`: whether an object would be let in, and how it would look.
//! Knows nothing of how anything is kept: nothing is.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::ask::{Disk, Go, refused, said};
use super::super::clockwork;
use super::super::copies;
use super::super::stage::Stage;
use super::super::yaml::text;
use super::desk::Desk;
use super::{accept, write};
use tool::Output;

/// Where the refusal of an object names its source (measured for Pod Security, Kyverno's own pages for its webhook).
const HEAD: &str = "error when creating \"STDIN\"";

/// Goes through admission and keeps nothing.
pub fn create(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<Output> {
    if desk.parsed.get("dry-run") != Some("server") || desk.parsed.get("output") != Some("json") {
        let text = "error: the embedded world only tries what is created: --dry-run=server --output json";
        return Err(stage.strange(desk.ask, refused(1, text)));
    }
    let given = write::given(desk, disk, 1)?;
    let up = write::kyverno_up(stage, desk);
    let cluster = stage.cluster(&desk.vm).ok_or_else(|| refused(1, "error: the server is gone"))?;
    let mut out = String::new();
    for (from, object) in &given {
        let kind = write::mapped(cluster, from, object).map_err(|why| refused(1, format!("error: {why}")))?;
        let namespace = write::place(&kind, object, desk);
        let warning = accept::admitted(cluster, &kind, object, namespace, up).map_err(|why| refused(1, named(&why)))?;
        if !warning.is_empty() {
            return Ok(Output { stderr: warning, ..said(shown(object, desk.now)) });
        }
        out.push_str(&shown(object, desk.now));
    }
    Ok(said(out))
}

/// `Error from server: …` becomes `Error from server: error when creating "STDIN": …`.
fn named(why: &str) -> String {
    match why.strip_prefix("Error from server: ") {
        Some(rest) if !rest.starts_with("error when") => format!("Error from server: {HEAD}: {rest}"),
        _ => why.to_owned(),
    }
}

/// The object as the API server would keep it; it sets the time of creation also when it only tries (upstream:
/// registry/rest, BeforeCreate).
fn shown(object: &Value, now: Duration) -> String {
    let mut object = object.clone();
    object["metadata"]["creationTimestamp"] = json!(copies::utc(clockwork::EPOCH + now.as_secs()));
    object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", text(&object, "/metadata/name").len()));
    format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
}
