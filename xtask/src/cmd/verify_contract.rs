//! `verify-contract`: whether C1 to C5 hold, clause by clause, with what shows it.
//! Knows nothing of how a clause is judged.

pub mod drilled;
pub mod outage;

use camino::{Utf8Path, Utf8PathBuf};

use super::exit::{DONE, Ended, NOT_READY, REFUSED, Stop, WRONG};
use super::load::Inputs;
use super::{Session, load};
use crate::cli::{Format, VerifyContract};
use crate::contract::{self, Clause, Evidence, Report};
use crate::problem::Problem;
use crate::ui::shell::Tone;
use crate::ui::verdict::drill::Drill;
use crate::ui::verdict::{self, Excused};
use crate::workspace::clock;

/// Judges.
///
/// # Errors
/// Problems of the input, a clause that is not there, a report that cannot be written.
pub fn run(session: &mut Session, asked: &VerifyContract) -> Ended {
    let wanted = clauses(&asked.clauses)?;
    let excused = excuses(asked)?;
    let length = outage::length(&asked.outage)?;
    if asked.drill.is_none() && session.flags.rehearse {
        return Err(Stop::one(WRONG, lonely()));
    }
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let evidence = evidence.map_err(Stop::all(WRONG))?;
    let mut report = contract::check(&evidence);
    let mut drill = None;
    if asked.drill.is_some() {
        let (inputs, evidence, report, excused) = (&inputs, &evidence, &report, &excused);
        let plot = outage::Drill { inputs, evidence, report, excused, length };
        if session.flags.dry_run {
            return outage::print(session, &plot);
        }
        let model = drilled::play(evidence, report)?;
        // A model of what is broken is worth looking at; machines of it are not stopped, not even simulated ones.
        let broken = session.flags.rehearse && verdict::breached(report, excused).next().is_some();
        if broken {
            session.shell.status(Tone::Warn, "Skipping", "the machines: the contract does not hold as it is rendered");
        }
        let measured = if broken { None } else { Some(outage::run(session, &plot)?) };
        drill = Some(Drill { measured, ..model });
    }
    if let Some(drill) = &drill {
        leave(session, &inputs, &report, &excused, drill)?;
    }
    report.verdicts.retain(|v| wanted.contains(&v.clause));
    if let Some(path) = &asked.junit {
        write(session, path, &verdict::junit::report(&with_measured(&report, drill.as_ref()), &excused))?;
    }
    let (explain, rehearsed) = (session.flags.explain, session.flags.rehearse);
    let text = match session.flags.format {
        Format::Text => {
            verdict::text(&report, &excused, explain) + &drill.as_ref().map_or_else(String::new, |d| told(d, rehearsed))
        }
        Format::Json => lines(&report, &excused, drill.as_ref(), rehearsed),
    };
    session.shell.data(&text);
    let modelled = drill.iter().flat_map(|d| &d.failings).map(|(clause, _)| clause);
    let measured = drill.iter().filter_map(|d| d.measured.as_ref()).flat_map(|m| &m.findings).map(|f| &f.clause);
    let failed = modelled.chain(measured).any(|clause| !excused.contains_key(clause));
    let broken = failed || verdict::breached(&report, &excused).next().is_some();
    Ok(if broken { REFUSED } else { DONE })
}

/// Without a drill nothing is asked of any machine.
fn lonely() -> Problem {
    let hint = "cargo xtask verify-contract --rehearse --drill mgmt-outage";
    Problem::new("`--rehearse` means nothing without `--drill`").hint(hint)
}

fn told(drill: &Drill, rehearsed: bool) -> String {
    let measured = drill.measured.as_ref().map(|m| verdict::measured::text(m, rehearsed));
    verdict::drill::text(drill) + &measured.unwrap_or_default()
}

fn lines(report: &Report, excused: &Excused, drill: Option<&Drill>, rehearsed: bool) -> String {
    let mut lines = vec![verdict::json::report(report, excused)];
    lines.extend(drill.map(verdict::drill::json));
    lines.extend(drill.and_then(|d| d.measured.as_ref()).map(|m| verdict::measured::json(m, rehearsed)));
    lines.iter().map(|line| format!("{line}\n")).collect()
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

/// The folder of evidence, with every clause in it.
fn leave(
    session: &mut Session,
    inputs: &Inputs,
    report: &Report,
    excused: &Excused,
    drill: &Drill,
) -> Result<(), Stop> {
    let when = clock::now();
    let kind = (when.as_str(), session.flags.rehearse);
    let record = drilled::record(inputs, report, excused, drill, kind);
    let page = verdict::page::page(report, excused, drill, kind);
    let folder = drilled::leave(&session.space, &record, &page, &when).map_err(Stop::with(NOT_READY))?;
    let said = format!("{}/{folder}/report.html", session.out());
    session.shell.status(Tone::Good, "Wrote", &said);
    Ok(())
}

/// The clauses of these names; all of them for none.
fn clauses(names: &[String]) -> Result<Vec<Clause>, Stop> {
    let unknown: Vec<Problem> =
        names.iter().filter(|name| Clause::named(name).is_none()).map(|n| no_clause(n)).collect();
    if !unknown.is_empty() {
        return Err(Stop { code: WRONG, problems: unknown });
    }
    let known: Vec<Clause> = names.iter().filter_map(|name| Clause::named(name)).collect();
    Ok(if known.is_empty() { Clause::ALL.to_vec() } else { known })
}

fn no_clause(name: &str) -> Problem {
    Problem::new(format!("no clause of the contract: `{name}`")).hint("cargo xtask verify-contract C2")
}

/// What is excused, with the one reason that was given.
fn excuses(asked: &VerifyContract) -> Result<Excused, Stop> {
    let because = asked.because.clone().unwrap_or_default();
    if asked.allow.is_empty() {
        return Ok(Excused::new());
    }
    if because.trim().is_empty() {
        let problem = Problem::new("`--allow` needs a reason").hint("--allow C3 --because \"Vault moves this week\"");
        return Err(Stop::one(WRONG, problem));
    }
    Ok(clauses(&asked.allow)?.into_iter().map(|clause| (clause, because.clone())).collect())
}

/// Writes where the user said, from where they stand.
fn write(session: &mut Session, path: &Utf8PathBuf, text: &str) -> Result<(), Stop> {
    let path: &Utf8Path = &session.here.join(path);
    session.space.hand_out(path, text).map_err(Stop::with(WRONG))?;
    let said = session.space.shown(path).to_owned();
    session.shell.status(Tone::Good, "Wrote", &said);
    Ok(())
}
