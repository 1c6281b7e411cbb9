//! `report verify`: checks a report's digests, and that re-evaluating the recorded data gives the same verdicts.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::verify_contract::record::{self, ANSWERS, OBSERVED};
use super::verify_contract::{model as drill_model, rendered};
use super::{Session, inputs, show};
use crate::ui::contract::{Excused, Results, json as verdicts};
use crate::ui::shell::Severity;
use contract::outage::{Observed, judge};
use contract::{RenderedState, Report};
use exec::workspace::sha256_of;
use model::problem::Problem;

/// Verifies a folder; the newest one if none is named.
///
/// # Errors
/// There is no report, or the input is wrong.
pub fn verify(session: &mut Session, folder: Option<&str>) -> CmdResult {
    let newest = session.workspace.reports().pop();
    let Some(name) = folder.map(str::to_owned).or(newest) else {
        let hint = match session.flags.simulate {
            true => "cargo xtask verify-contract --simulate --drill mgmt-outage",
            false => {
                "cargo xtask report verify --simulate   # reports of the simulator; --live and --drill write reports"
            }
        };
        let what = format!("no report in {}/reports", session.out());
        return Err(CmdError::new(USAGE, Problem::new(what).hint(hint)));
    };
    let folder = place(session, &name);
    let read = |file: &str| session.workspace.read(&folder.join(file)).map_err(CmdError::with(USAGE));
    let (text, page, sums) = (read("report.json")?, read("report.html")?, read("SHA256SUMS")?);
    let log = if sums.contains(ANSWERS) { Some(read(ANSWERS)?) } else { None };
    let observed = if sums.contains(OBSERVED) { Some(read(OBSERVED)?) } else { None };
    let shown = session.workspace.shown(&folder).to_owned();
    let files = [
        ("report.json", Some(&text)),
        ("report.html", Some(&page)),
        (ANSWERS, log.as_ref()),
        (OBSERVED, observed.as_ref()),
    ];
    let files: Vec<(&str, &str)> = files.into_iter().filter_map(|(name, text)| Some((name, text?.as_str()))).collect();
    let mut wrong = changed(&shown, &sums, &files);
    let record: Value = serde_json::from_str(&text).map_err(|e| {
        CmdError::new(USAGE, Problem::new(format!("no JSON: {e}")).at(format!("{shown}/report.json"), None))
    })?;
    wrong.extend(differs(session, &shown, &record, (log.as_deref(), observed.as_deref()))?);
    if wrong.is_empty() {
        session.shell.status(
            Severity::Success,
            "Verified",
            &format!("{shown}: digests match, and re-evaluation gives the same verdicts"),
        );
        return Ok(DONE);
    }
    show(session, &wrong);
    Ok(FAILED)
}

/// The folder of a report: a path from where the user stands, as commands print it, or its name below `out/reports`.
fn place(session: &Session, name: &str) -> Utf8PathBuf {
    let space = &session.workspace;
    let of_file = |path: Utf8PathBuf| match path.extension() {
        Some("html" | "json") => path.parent().map(Utf8Path::to_owned).unwrap_or_default(),
        _ => path,
    };
    let typed = [session.cwd.join(name), space.root().join(name)].map(of_file);
    let there = typed.into_iter().find(|folder| space.exists(folder.join("report.json").as_str()));
    there.unwrap_or_else(|| space.out().join("reports").join(name))
}

/// Files that do not match the digests beside them.
fn changed(folder: &str, sums: &str, files: &[(&str, &str)]) -> Vec<Problem> {
    let known = |name: &str, text: &str| sums.lines().any(|l| l == format!("{}  {name}", sha256_of(text.as_bytes())));
    let wrong = files.iter().filter(|(name, text)| !known(name, text));
    let say = |(name, _): &(&str, &str)| {
        Problem::new("report was modified (digest mismatch)").at(format!("{folder}/{name}"), None)
    };
    wrong.map(say).collect()
}

/// Every file that has changed since the report, and every verdict that re-evaluation gives differently.
fn differs(
    session: &mut Session,
    folder: &str,
    record: &Value,
    (log, observed): (Option<&str>, Option<&str>),
) -> Result<Vec<Problem>, CmdError> {
    let inputs = inputs::load(session)?;
    let state = RenderedState::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut state = state.map_err(CmdError::all(USAGE))?;
    if !record["contract"]["rendered"].is_null() {
        rendered::add(session, &inputs, &mut state)?;
    }
    let report = contract::check(&state);
    let drill = record.get("drill").map(|_| drill_model::simulate(&state, &report)).transpose()?;
    let excused = Excused::new();
    let results = Results { report: &report, live: None, drill: drill.as_ref(), excused: &excused };
    let today = record::report(&inputs, &results, None, ("", session.flags.simulate));
    let at = format!("{folder}/report.json");
    let mut wrong = files_that_differ(record, &today);
    if record["digests"]["plan"] != today["digests"]["plan"] {
        wrong.push(Problem::new("the plan has changed since the report").at(&at, None));
    }
    wrong.extend(verdicts_that_differ("static tier", &record["contract"], &today["contract"], &at));
    if record["drill"] != today["drill"] {
        wrong.push(Problem::new("re-evaluating the drill differs from the report").at(&at, None));
    }
    if let Some(observed) = observed {
        let measured = serde_json::from_str::<Observed>(observed).map(|observed| judge(&observed, &report));
        let simulated = record["simulated"] == true;
        if measured.map_or(Value::Null, |measured| verdicts::measured(&measured, simulated)) != record["measured"] {
            wrong.push(Problem::new("re-evaluating what the drill observed differs from the report").at(&at, None));
        }
    }
    if record.get("live").is_some() {
        wrong.extend(answers_that_differ(&state, &report, record, log.unwrap_or_default(), &at));
    }
    Ok(wrong)
}

fn files_that_differ(record: &Value, today: &Value) -> Vec<Problem> {
    let digests = |record: &Value| record["digests"]["data"].as_object().cloned().unwrap_or_default();
    let (then, now) = (digests(record), digests(today));
    let all: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let differs = all.into_iter().filter(|file| then.get(*file) != now.get(*file));
    differs.map(|file| Problem::new("the file has changed since the report").at(file.as_str(), None)).collect()
}

fn verdicts_that_differ(what: &str, then: &Value, today: &Value, at: &str) -> Vec<Problem> {
    let mut wrong = Vec::new();
    for (i, clause) in today["clauses"].as_array().into_iter().flatten().enumerate() {
        let then = &then["clauses"][i];
        if ["findings", "metrics", "unanswered"].iter().any(|key| then[key] != clause[key]) {
            let name = clause["clause"].as_str().unwrap_or_default();
            wrong.push(Problem::new(format!("re-evaluating {name} differs from the report ({what})")).at(at, None));
        }
    }
    wrong
}

/// The recorded answers, judged again.
fn answers_that_differ(state: &RenderedState, report: &Report, record: &Value, log: &str, at: &str) -> Vec<Problem> {
    let (answers, times) = match record::recorded(log) {
        Ok(recorded) => recorded,
        Err(problem) => return vec![problem],
    };
    let asked = record["live"]["asked"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let asked: Vec<String> = asked.map(str::to_owned).collect();
    let (live, excused) = (contract::live::judge(state, &asked, &answers, &times), Excused::new());
    let results = Results { report, live: Some(&live), drill: None, excused: &excused };
    let live = verdicts::live(&results).unwrap_or_default();
    verdicts_that_differ("live tier", &record["live"], &live, at)
}
