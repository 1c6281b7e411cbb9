//! The report's folder: verdicts, what they rest on, questions and answers, and a digest of each file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::inputs::Inputs;
use super::live::{Looked, versions};
use crate::ui::contract::{Results, json as verdicts, page};
use contract::live::{Answers, Times};
use contract::outage::Observed;
use exec::workspace::{Workspace, sha256_of};
use model::problem::Problem;
use plan::{StepKey, text};
use tool::Output;
use tool::helm::Helm;

/// Every question with its command and its answer, a line each.
pub const ANSWERS: &str = "answers.jsonl";

/// Everything that was observed in a drill on machines, as [`judge`](contract::outage::judge) takes it.
pub const OBSERVED: &str = "observed.json";

/// What verdicts rest on.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    pub looked: Option<&'a Looked>,
    pub observed: Option<&'a Observed>,
}

/// What `report.json` holds.
pub fn report(
    inputs: &Inputs,
    results: &Results<'_>,
    looked: Option<&Looked>,
    (when, simulated): (&str, bool),
) -> Value {
    let files: BTreeMap<&String, String> = inputs.data.iter().map(|(f, t)| (f, sha256_of(t.as_bytes()))).collect();
    let tools = match looked {
        Some(looked) => json!(versions(&looked.answers)),
        None => json!("none was asked: static tier and model"),
    };
    let mut report = json!({
        "when": when,
        "simulated": simulated,
        "contract": verdicts::report(results),
        "digests": {
            "fleet": sha256_of(inputs.data.get(&inputs.fleet.file).map_or("", String::as_str).as_bytes()),
            "plan": sha256_of(text::print(&inputs.bootstrap(Helm::V4)).as_bytes()),
            "data": files,
        },
        "tools": tools,
    });
    if let Some(drill) = results.drill {
        report["drill"] = verdicts::drill(drill);
        report["measured"] = json!(drill.measured.as_ref().map(|m| verdicts::measured(m, simulated)));
    }
    if let (Some(live), Some(looked)) = (verdicts::live(results), looked) {
        report["live"] = live;
        report["digests"]["questions"] = json!(sha256_of(text::print(&looked.plan).as_bytes()));
    }
    report
}

/// Writes the folder; returns its path below `out/`.
///
/// # Errors
/// The disk refuses.
pub fn leave(
    space: &Workspace,
    report: &Value,
    results: &Results<'_>,
    Evidence { looked, observed }: Evidence<'_>,
) -> Result<String, Problem> {
    let when = report["when"].as_str().unwrap_or_default();
    let folder = free(space, &when.replace(':', ""));
    let mut files = vec![
        ("report.json", format!("{report:#}\n")),
        ("report.html", page::page(results, (when, report["simulated"] == json!(true)))),
    ];
    files.extend(looked.map(|looked| (ANSWERS, answers(looked))));
    let observed = observed.map(|observed| serde_json::to_string_pretty(observed).expect("bug: it is JSON"));
    files.extend(observed.map(|text| (OBSERVED, text + "\n")));
    let sums: String = files.iter().map(|(name, text)| format!("{}  {name}\n", sha256_of(text.as_bytes()))).collect();
    files.push(("SHA256SUMS", sums));
    for (name, text) in &files {
        space.write_public(&format!("{folder}/{name}"), text)?;
    }
    Ok(folder)
}

/// A folder of its own: two reports of one second do not become one.
fn free(space: &Workspace, when: &str) -> String {
    let there = space.reports();
    let names = std::iter::once(when.to_owned()).chain((2..).map(|n: usize| format!("{when}-{n:02}")));
    let name = names.into_iter().find(|name| !there.contains(name)).unwrap_or_else(|| when.to_owned());
    format!("reports/{name}")
}

/// The log of what was asked, in the order of the plan. A question that was not asked has no line.
fn answers(looked: &Looked) -> String {
    let asked = looked.plan.steps.iter().filter_map(|step| Some((step, looked.answers.get(&step.id)?)));
    let line = |(step, output): (&plan::Step, &Output)| {
        let (ask, at) = (step.done_when.ask.to_string(), looked.times.get(&step.id).map(Duration::as_secs_f64));
        format!("{}\n", json!({ "question": step.id, "command": ask, "at": at, "answer": output }))
    };
    asked.map(line).collect()
}

/// The answers of such a log, and when each came.
///
/// # Errors
/// A line that is none of it, by its number.
pub fn recorded(log: &str) -> Result<(Answers, Times), Problem> {
    let line = |(i, line): (usize, &str)| {
        let bad =
            |why: String| Problem::new("a line of the log of answers cannot be read").at(ANSWERS, Some(i + 1)).why(why);
        let value: Value = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let question: StepKey = value["question"].as_str().ok_or_else(|| bad("it has no question".to_owned()))?.into();
        let at = Duration::try_from_secs_f64(value["at"].as_f64().unwrap_or_default()).unwrap_or_default();
        let output: Output = serde_json::from_value(value["answer"].clone()).map_err(|e| bad(e.to_string()))?;
        Ok(((question.clone(), output), (question, at)))
    };
    log.lines().enumerate().map(line).collect()
}
