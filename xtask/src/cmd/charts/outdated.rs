//! `charts outdated`: compares the pinned version of each chart with the newest one.

use serde_json::json;

use super::super::exit::{CmdResult, DONE, FAILED};
use super::super::inputs::{self, Inputs};
use super::super::{Session, query, show};
use super::{LIMIT, require_helm};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use crate::ui::table::table;
use charts::outdated::{Comparison, compare, parse_chart_yaml};
use model::problem::Problem;
use model::release::{Chart, RELEASES, Releases};
use tool::{Command, Output, World, helm};

/// Prints the table. Charts whose newest version cannot be determined are problems; the others are still shown.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    require_helm(session, world, inputs)?;
    let releases = &inputs.releases;
    // Two releases of one chart are one query.
    let mut queries: Vec<Command> = releases.charts.iter().map(helm::newest).collect();
    queries.sort_by(|a, b| a.args.cmp(&b.args));
    queries.dedup();
    let answers = query::commands(world, &queries, LIMIT)?;
    let answer = |chart: &Chart| {
        let question = helm::newest(chart);
        queries.iter().position(|command| *command == question).map(|i| &answers[i])
    };
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let lines = inputs::lifetimes(inputs)?;
    for chart in &releases.charts {
        match answer(chart).map(|output| compare_with_newest(releases, chart, output)) {
            Some(Ok(mut row)) => {
                if let Some(notice) = inputs::ended(&lines, &chart.chart, &inputs::installed(inputs, chart)) {
                    row.note =
                        [notice, row.note].iter().filter(|n| !n.is_empty()).cloned().collect::<Vec<_>>().join("; ");
                }
                rows.push(row);
            }
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    print(session, &rows);
    report_excluded(session, releases);
    if problems.is_empty() {
        return Ok(DONE);
    }
    show(session, &problems);
    Ok(FAILED)
}

fn compare_with_newest(releases: &Releases, chart: &Chart, output: &Output) -> Result<Comparison, Problem> {
    let name = &chart.placement.name;
    let at = |problem: Problem| problem.at(RELEASES, releases.line(&format!("{name}.repository")));
    if !output.ok() {
        return Err(at(Problem::new(format!("cannot determine the newest version of `{}`", chart.chart))
            .why(query::reason(output))));
    }
    parse_chart_yaml(&chart.chart, &output.stdout).map(|newest| compare(chart, &newest)).map_err(at)
}

fn print(session: &mut Session, rows: &[Comparison]) {
    if session.flags.format == Format::Json {
        for row in rows {
            let line = json!({"event": "chart", "release": row.release, "pinned": row.pinned, "newest": row.newest,
                "behind": row.behind, "note": row.note});
            session.shell.event(line);
        }
        return;
    }
    let cells = |row: &Comparison| vec![row.release.clone(), row.pinned.clone(), row.newest.clone(), row.note.clone()];
    let text = table(&["release", "pinned", "newest", "note"], &rows.iter().map(cells).collect::<Vec<_>>());
    session.shell.screen(&text);
    let behind = rows.iter().filter(|row| row.behind).count();
    let summary = format!("{behind} of {} behind", format::count(rows.len(), "release"));
    session.shell.status(Severity::Success, "Compared", &summary);
}

/// Manifests are not compared: there is no index of their versions.
fn report_excluded(session: &mut Session, releases: &Releases) {
    let urls = releases.manifests.iter().filter(|m| m.is_downloaded());
    let names: Vec<String> = urls.map(|m| m.placement.name.clone()).collect();
    if !names.is_empty() {
        let excluded = format!("{}: downloaded by address, check for newer versions yourself", format::list(&names));
        session.shell.status(Severity::Dim, "Excluded", &excluded);
    }
}
