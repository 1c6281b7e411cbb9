//! `verify-contract`: whether C1 to C5 hold, clause by clause, with what shows it.
//! Knows nothing of how a clause is judged.

pub mod drilled;
pub mod live;
pub mod outage;
pub mod record;
pub mod rendered;

use camino::{Utf8Path, Utf8PathBuf};

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION, USAGE};
use super::load::Inputs;
use super::{Session, load};
use crate::cli::{Format, VerifyContract};
use crate::ui::shell::Severity;
use crate::ui::verdict::drill::Drill;
use crate::ui::verdict::{self, Excused, Told};
use contract::{self, Clause, Evidence, Report};
use exec::workspace::clock;
use live::Looked;
use model::problem::Problem;

/// Judges.
///
/// # Errors
/// Problems of the input, a clause that is not there, clusters that were never brought up, a report that cannot be
/// written.
pub fn run(session: &mut Session, asked: &VerifyContract) -> CmdResult {
    let wanted = clauses(&asked.clauses)?;
    let excused = excuses(asked)?;
    let length = outage::length(&asked.outage)?;
    // The one combination of flags that clap cannot refuse.
    if session.flags.dry_run && asked.live && asked.drill.is_some() {
        let problem = Problem::new("`--dry-run` prints the plan of one tier: `--live` or `--drill`");
        return Err(CmdError::new(USAGE, problem.hint("cargo xtask verify-contract --live --dry-run")));
    }
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut evidence = evidence.map_err(CmdError::all(USAGE))?;
    if !session.flags.dry_run {
        rendered::add(session, &inputs, &mut evidence)?;
    }
    let mut report = contract::check(&evidence);
    let plot = outage::Drill { inputs: &inputs, evidence: &evidence, report: &report, excused: &excused, length };
    if session.flags.dry_run {
        return if asked.live { live::printed(session, &inputs, &evidence) } else { outage::print(session, &plot) };
    }
    let mut looked = asked.live.then(|| live::look(session, &inputs, &evidence)).transpose()?;
    let drill = asked.drill.map(|_| played(session, &plot)).transpose()?;
    if looked.is_some() || drill.is_some() {
        let live = looked.as_ref().map(|l| &l.live);
        let told = Told { report: &report, live, drill: drill.as_ref(), excused: &excused };
        leave(session, &inputs, &told, looked.as_ref())?;
    }
    report.verdicts.retain(|v| wanted.contains(&v.clause));
    if let Some(looked) = &mut looked {
        looked.live.narrow(&wanted);
    }
    let live = looked.as_ref().map(|l| &l.live);
    let told = Told { report: &report, live, drill: drill.as_ref(), excused: &excused };
    say(session, asked, &told)?;
    Ok(if told.broken() { FAILED } else { DONE })
}

/// The drill: as a model, and then on machines. A model of what is broken is worth looking at; machines of it are not
/// stopped, not even simulated ones.
fn played(session: &mut Session, plot: &outage::Drill<'_>) -> Result<Drill, CmdError> {
    let model = drilled::play(plot.evidence, plot.report)?;
    let broken = session.flags.simulate && verdict::breached(plot.report, plot.excused).next().is_some();
    if broken {
        session.shell.status(
            Severity::Warning,
            "Skipping",
            "the machines: the contract does not hold as it is rendered",
        );
    }
    let measured = if broken { None } else { Some(outage::run(session, plot)?) };
    Ok(Drill { measured, ..model })
}

/// Says it all, in the form that was asked for.
fn say(session: &mut Session, asked: &VerifyContract, told: &Told<'_>) -> Result<(), CmdError> {
    if let Some(path) = &asked.junit {
        let report = with_measured(told.report, told.drill);
        write(session, path, &verdict::junit::report(&Told { report: &report, ..*told }))?;
    }
    let rehearsed = session.flags.simulate;
    let text = match session.flags.format {
        Format::Text => {
            told.text(session.flags.explain) + &told.drill.map_or_else(String::new, |d| of_drill(d, rehearsed))
        }
        Format::Json => lines(told, rehearsed),
    };
    session.shell.result(&text);
    Ok(())
}

fn of_drill(drill: &Drill, rehearsed: bool) -> String {
    let measured = drill.measured.as_ref().map(|m| verdict::measured::text(m, rehearsed));
    verdict::drill::text(drill) + &measured.unwrap_or_default()
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

fn lines(told: &Told<'_>, rehearsed: bool) -> String {
    let mut lines = vec![verdict::json::report(told.report, told.excused)];
    lines.extend(told.live.map(|live| verdict::live::json(live, told.excused)));
    lines.extend(told.drill.map(verdict::drill::json));
    let measured = told.drill.and_then(|d| d.measured.as_ref());
    lines.extend(measured.map(|m| verdict::measured::json(m, rehearsed)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The folder of evidence, with every clause in it.
fn leave(session: &mut Session, inputs: &Inputs, told: &Told<'_>, looked: Option<&Looked>) -> Result<(), CmdError> {
    let report = record::report(inputs, told, looked, (&clock::now(), session.flags.simulate));
    let folder = record::leave(&session.workspace, &report, told, looked).map_err(CmdError::with(PRECONDITION))?;
    let said = format!("{}/{folder}/report.html", session.out());
    session.shell.status(Severity::Success, "Wrote", &said);
    Ok(())
}

/// The clauses of these names; all of them for none.
fn clauses(names: &[String]) -> Result<Vec<Clause>, CmdError> {
    let unknown: Vec<Problem> =
        names.iter().filter(|name| Clause::named(name).is_none()).map(|n| no_clause(n)).collect();
    if !unknown.is_empty() {
        return Err(CmdError { code: USAGE, problems: unknown });
    }
    let known: Vec<Clause> = names.iter().filter_map(|name| Clause::named(name)).collect();
    Ok(if known.is_empty() { Clause::ALL.to_vec() } else { known })
}

fn no_clause(name: &str) -> Problem {
    Problem::new(format!("no clause of the contract: `{name}`")).hint("cargo xtask verify-contract C2")
}

/// What is excused, with the one reason that was given.
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

/// Writes where the user said, from where they stand.
fn write(session: &mut Session, path: &Utf8PathBuf, text: &str) -> Result<(), CmdError> {
    let path: &Utf8Path = &session.cwd.join(path);
    session.workspace.write_to(path, text).map_err(CmdError::with(USAGE))?;
    let said = session.workspace.shown(path).to_owned();
    session.shell.status(Severity::Success, "Wrote", &said);
    Ok(())
}
