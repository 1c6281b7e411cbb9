//! The drill `mgmt-outage` as a model, and the folder of evidence that it leaves.
//! Knows nothing of how it is played.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::exit::{Stop, WRONG};
use super::super::load::Inputs;
use crate::contract::c2_buffer::NEED;
use crate::contract::drill::{self, Setting};
use crate::contract::{Evidence, Report};
use crate::plan::text;
use crate::problem::Problem;
use crate::tools::helm::Helm;
use crate::ui::verdict::drill::Drill;
use crate::ui::verdict::{self, Excused};
use crate::workspace::{Workspace, sha256_of};

/// Plays it: the outage that is promised, then all others.
///
/// # Errors
/// There is nothing to play: no agent on any app cluster.
pub fn play(evidence: &Evidence, report: &Report) -> Result<Drill, Stop> {
    let Some(setting) = Setting::of(evidence, &report.references) else {
        let problem = Problem::new("nothing to drill: no app cluster has an agent with a truncate period")
            .hint("cargo xtask verify-contract C2");
        return Err(Stop::one(WRONG, problem));
    };
    let need = drill::play(&setting, NEED, Duration::ZERO);
    let sweep = drill::sweep(&setting);
    let failings = drill::failings(&need, &sweep);
    Ok(Drill { need, sweep, failings, measured: None })
}

/// What `report.json` holds: verdicts, the drill, and the digests of all they rest on.
pub fn record(
    inputs: &Inputs,
    report: &Report,
    excused: &Excused,
    drill: &Drill,
    (when, rehearsed): (&str, bool),
) -> Value {
    let files: BTreeMap<&String, String> = inputs.data.iter().map(|(f, t)| (f, sha256_of(t.as_bytes()))).collect();
    json!({
        "when": when,
        "contract": verdict::json::report(report, excused),
        "drill": verdict::drill::json(drill),
        "measured": drill.measured.as_ref().map(|m| verdict::measured::json(m, rehearsed)),
        "digests": {
            "plan": sha256_of(text::print(&inputs.bootstrap(Helm::V4)).as_bytes()),
            "data": files,
        },
        "tools": "none was asked: static tier and rehearsal",
    })
}

/// Writes the folder; returns its path below `out/`.
///
/// # Errors
/// The disk says no.
pub fn leave(space: &Workspace, record: &Value, page: &str, when: &str) -> Result<String, Problem> {
    let folder = format!("reports/{}", when.replace(':', ""));
    let text = format!("{record:#}\n");
    let sums = format!("{}  report.json\n{}  report.html\n", sha256_of(text.as_bytes()), sha256_of(page.as_bytes()));
    for (name, text) in [("report.json", text.as_str()), ("report.html", page), ("SHA256SUMS", sums.as_str())] {
        space.publish(&format!("{folder}/{name}"), text)?;
    }
    Ok(folder)
}
