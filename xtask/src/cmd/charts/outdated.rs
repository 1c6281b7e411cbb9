//! `charts outdated`: the newest version of each chart beside the pinned one.
//! Knows nothing of manifests from GitHub: their versions are in the fleet, and nobody lists theirs in one place.

use serde_json::json;

use super::super::exit::{CmdResult, DONE, FAILED};
use super::super::load::Inputs;
use super::super::{Session, query, show};
use super::LIMIT;
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use crate::ui::table::table;
use charts::outdated::{Row, about, row};
use model::problem::Problem;
use model::release::RELEASES;
use model::release::{Chart, Releases};
use tool::World;
use tool::{Command, Output, helm};

/// Prints the table. Releases whose chart could not be asked for are problems, and the others are shown all the same.
///
/// # Errors
/// The user said stop.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    let releases = &inputs.releases;
    // Two releases of one chart are one question.
    let mut asked: Vec<Command> = releases.charts.iter().map(helm::newest).collect();
    asked.sort_by(|a, b| a.args.cmp(&b.args));
    asked.dedup();
    let answers = query::commands(world, &asked, LIMIT)?;
    let answer = |chart: &Chart| {
        let question = helm::newest(chart);
        asked.iter().position(|command| *command == question).map(|i| &answers[i])
    };
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for chart in &releases.charts {
        match answer(chart).map(|output| compare(releases, chart, output)) {
            Some(Ok(row)) => rows.push(row),
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    tell(session, &rows);
    unasked(session, releases);
    if problems.is_empty() {
        return Ok(DONE);
    }
    show(session, &problems);
    Ok(FAILED)
}

fn compare(releases: &Releases, chart: &Chart, output: &Output) -> Result<Row, Problem> {
    let name = &chart.placement.name;
    let at = |problem: Problem| problem.at(RELEASES, releases.lines.get(&format!("{name}.repository")).copied());
    if !output.ok() {
        return Err(
            at(Problem::new(format!("cannot ask for the newest `{}`", chart.chart)).why(query::reason(output))),
        );
    }
    about(&chart.chart, &output.stdout).map(|newest| row(chart, &newest)).map_err(at)
}

fn tell(session: &mut Session, rows: &[Row]) {
    if session.flags.format == Format::Json {
        for row in rows {
            let line = json!({"event": "chart", "release": row.release, "pinned": row.pinned, "newest": row.newest,
                "behind": row.behind, "note": row.note});
            session.shell.result(&format!("{line}\n"));
        }
        return;
    }
    let cells = |row: &Row| vec![row.release.clone(), row.pinned.clone(), row.newest.clone(), row.note.clone()];
    let text = table(&["release", "pinned", "newest", "note"], &rows.iter().map(cells).collect::<Vec<_>>());
    session.shell.result(&text);
    let behind = rows.iter().filter(|row| row.behind).count();
    let said = format!("{} behind, of {}", behind, format::count(rows.len(), "release"));
    session.shell.status(Severity::Success, "Compared", &said);
}

/// What was not looked at is said, so that nobody takes silence for "newest".
fn unasked(session: &mut Session, releases: &Releases) {
    let urls = releases.manifests.iter().filter(|m| m.is_downloaded());
    let names: Vec<String> = urls.map(|m| m.placement.name.clone()).collect();
    if !names.is_empty() {
        let said = format!("{}: downloaded by address, look for newer ones yourself", format::list(&names));
        session.shell.status(Severity::Dim, "Left out", &said);
    }
}
