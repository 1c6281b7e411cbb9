//! `verify-contract`: whether the contract holds, clause by clause, in each tier that was asked for.

pub mod live;
pub mod model;
pub mod outage;
pub mod record;
pub mod rendered;

use std::time::Duration;

use camino::Utf8Path;

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION, USAGE};
use super::inputs::Inputs;
use super::{Session, inputs};
use crate::cli::{Format, VerifyContract};
use crate::ui::contract::drill::{self, Drill};
use crate::ui::contract::{Excused, Results, breached, json, junit};
use crate::ui::events::annotation;
use crate::ui::format;
use crate::ui::shell::Severity;
use ::model::fleet::Role;
use ::model::problem::{At, Problem};
use contract::outage::judge;
use contract::{Clause, Finding, RenderedState, Report};
use exec::workspace::clock;
use record::Evidence;

/// Runs the tiers.
///
/// # Errors
/// Problems of the input, an unknown clause, clusters that were never brought up, a report that cannot be written.
pub fn run(session: &mut Session, asked: &VerifyContract) -> CmdResult {
    let began = clock::now_ms();
    let wanted = clauses(&asked.clauses)?;
    let excused = excuses(asked)?;
    let length = outage::length(&asked.outage)?;
    // The one combination of flags that clap cannot refuse.
    if session.flags.dry_run && asked.live && asked.drill.is_some() {
        let problem = Problem::new("`--dry-run` prints the plan of one tier: `--live` or `--drill`");
        return Err(CmdError::new(USAGE, problem.hint("cargo xtask verify-contract --live --dry-run")));
    }
    let inputs = inputs::load(session)?;
    let state = RenderedState::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut state = state.map_err(CmdError::all(USAGE))?;
    if !session.flags.dry_run {
        rendered::add(session, &inputs, &mut state)?;
    }
    if inputs.fleet.clusters.iter().all(|cluster| cluster.role != Role::Workload) {
        let problem = Problem::new("nothing to judge: the fleet has no app cluster").at(&inputs.fleet.file, None);
        return Err(CmdError::new(FAILED, problem.hint("cargo xtask add-cluster app1 --write")));
    }
    let mut report = contract::check(&state);
    let plot = outage::Drill { inputs: &inputs, state: &state, report: &report, excused: &excused, length };
    if session.flags.dry_run {
        return if asked.live { live::printed(session, &inputs, &state) } else { outage::print(session, &plot) };
    }
    let mut looked = asked.live.then(|| live::look(session, &inputs, &state)).transpose()?;
    let (drill, ran) = asked.drill.map(|_| run_drill(session, &plot)).transpose()?.unzip();
    let ran = ran.flatten();
    if looked.is_some() || drill.is_some() {
        // A drill asked before it stopped anything.
        let asked = looked.as_ref().or(ran.as_ref().map(|ran| &ran.looked));
        let live = asked.map(|l| &l.live);
        let results = Results { report: &report, live, drill: drill.as_ref(), excused: &excused };
        let evidence = Evidence { looked: asked, observed: ran.as_ref().map(|ran| &ran.observed) };
        write_report(session, &inputs, &results, evidence)?;
    }
    report.verdicts.retain(|v| wanted.contains(&v.clause));
    if let Some(looked) = &mut looked {
        looked.live.narrow(&wanted);
    }
    let live = looked.as_ref().map(|l| &l.live);
    let results = Results { report: &report, live, drill: drill.as_ref(), excused: &excused };
    print(session, asked, &results, Duration::from_millis(clock::now_ms().saturating_sub(began)))?;
    Ok(if results.broken() { FAILED } else { DONE })
}

fn breach(f: &Finding) -> Problem {
    let (clusters, title) = (format::list(&f.clusters), f.clause.title());
    let why = format!("{} on {clusters}: expected {}, found {}", f.subject, f.want, f.got);
    Problem { at: Some(f.at.clone()), ..Problem::new(format!("breaks {}: {title}", f.clause)).why(why).hint(&f.hint) }
}

/// Judges what is rendered before anything is built, and warns of what breaks the contract.
///
/// # Errors
/// With `--strict` every breach; values that cannot be read.
pub fn before_building(session: &mut Session, inputs: &Inputs) -> Result<(), CmdError> {
    let state = RenderedState::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let report = contract::check(&state.map_err(CmdError::all(USAGE))?);
    let problems: Vec<Problem> = report.findings().map(breach).collect();
    if session.flags.strict && !problems.is_empty() {
        return Err(CmdError { code: FAILED, problems });
    }
    for Problem { what, at, why, .. } in &problems {
        let (at, why) = (at.iter().map(At::to_string).collect::<String>(), why.as_deref().unwrap_or_default());
        session.shell.status(Severity::Warning, "Warning", &format!("{at} {what} ({why})"));
    }
    Ok(())
}

/// The drill: as a model, and then on machines. Machines of a broken contract are not stopped, not even simulated ones.
fn run_drill(session: &mut Session, plot: &outage::Drill<'_>) -> Result<(Drill, Option<outage::Ran>), CmdError> {
    let model = model::simulate(plot.state, plot.report)?;
    let broken = session.flags.simulate && breached(plot.report, plot.excused).next().is_some();
    if broken {
        session.shell.status(
            Severity::Warning,
            "Skipping",
            "the machines: the contract does not hold as it is rendered",
        );
    }
    let ran = if broken { None } else { Some(outage::run(session, plot)?) };
    let measured = ran.as_ref().map(|ran| judge(&ran.observed, plot.report));
    Ok((Drill { measured, ..model }, ran))
}

fn print(session: &mut Session, asked: &VerifyContract, results: &Results<'_>, took: Duration) -> Result<(), CmdError> {
    if let Some(path) = &asked.junit {
        let report = with_measured(results.report, results.drill);
        let text = junit::report(&Results { report: &report, ..*results }, took);
        let path: &Utf8Path = &session.cwd.join(path);
        session.workspace.write_to(path, &text).map_err(CmdError::with(USAGE))?;
        let shown = session.workspace.shown(path).to_owned();
        session.shell.status(Severity::Success, "Wrote", &shown);
    }
    let simulated = session.flags.simulate;
    match session.flags.format {
        Format::Text | Format::Github => {
            let drill = results.drill.map(|drill| drill::text(drill, simulated));
            session.shell.screen(&(results.text(session.flags.explain) + &drill.unwrap_or_default()));
            if session.flags.format == Format::Github {
                let live = results.live.iter().flat_map(|live| &live.verdicts).flat_map(|v| &v.findings);
                let all = results.report.findings().chain(live).filter(|f| !results.excused.contains_key(&f.clause));
                let lines: String = all.map(|finding| annotation(&breach(finding))).collect();
                session.shell.result(&lines);
            }
        }
        Format::Json => events(results, simulated).into_iter().for_each(|event| session.shell.event(event)),
    }
    Ok(())
}

/// Breaches of the drill as the JUnit report shows them: among those of their clauses.
fn with_measured(report: &Report, drill: Option<&Drill>) -> Report {
    let mut report = report.clone();
    for finding in drill.and_then(|d| d.measured.as_ref()).iter().flat_map(|m| &m.findings) {
        let verdicts = report.verdicts.iter_mut().filter(|v| v.clause == finding.clause);
        verdicts.for_each(|v| v.findings.push(finding.clone()));
    }
    report
}

fn events(results: &Results<'_>, simulated: bool) -> Vec<serde_json::Value> {
    let measured = results.drill.and_then(|d| d.measured.as_ref()).map(|m| json::measured(m, simulated));
    let events = [Some(json::report(results)), json::live(results), results.drill.map(json::drill), measured];
    events.into_iter().flatten().collect()
}

/// The report's folder, with every clause in it.
fn write_report(
    session: &mut Session,
    inputs: &Inputs,
    results: &Results<'_>,
    evidence: Evidence<'_>,
) -> Result<(), CmdError> {
    let report = record::report(inputs, results, evidence.looked, (&clock::now(), session.flags.simulate));
    let folder = record::leave(&session.workspace, &report, results, evidence).map_err(CmdError::with(PRECONDITION))?;
    let path = format!("{}/{folder}/report.html", session.out());
    session.shell.status(Severity::Success, "Wrote", &path);
    Ok(())
}

/// The clauses of these names; all of them for none.
fn clauses(names: &[String]) -> Result<Vec<Clause>, CmdError> {
    if names.is_empty() {
        return Ok(Clause::all().collect());
    }
    let (known, unknown): (Vec<_>, Vec<_>) =
        names.iter().map(|name| (name, Clause::named(name))).partition(|c| c.1.is_some());
    if unknown.is_empty() {
        return Ok(known.into_iter().filter_map(|(_, clause)| clause).collect());
    }
    let all: Vec<String> = Clause::all().map(|clause| clause.to_string()).collect();
    let problem = |name: &String| {
        let problem = Problem::new(format!("the contract has no clause `{name}`"));
        problem.why(format!("clauses: {}", all.join(", "))).hint("cargo xtask verify-contract C2")
    };
    Err(CmdError { code: USAGE, problems: unknown.into_iter().map(|(name, _)| problem(name)).collect() })
}

/// The excused clauses, with the one reason that was given.
fn excuses(asked: &VerifyContract) -> Result<Excused, CmdError> {
    let because = asked.because.clone().unwrap_or_default();
    if asked.allow.is_empty() {
        return Ok(Excused::new());
    }
    if because.trim().is_empty() {
        let problem = Problem::new("`--allow` needs a reason").hint("--allow C3 --because \"Vault moves this week\"");
        return Err(CmdError::new(USAGE, problem));
    }
    Ok(clauses(&asked.allow)?.into_iter().map(|clause| (clause, because.clone())).collect())
}
