//! `verify-contract`: whether C1 to C5 hold, clause by clause, with what shows it.
//! Knows nothing of how a clause is judged.

pub mod drilled;
pub mod rendered;

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
    if asked.drill.is_some() != session.flags.rehearse {
        return Err(Stop::one(WRONG, not_yet(session.flags.rehearse)));
    }
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut evidence = evidence.map_err(Stop::all(WRONG))?;
    rendered::add(session, &inputs, &mut evidence)?;
    let mut report = contract::check(&evidence);
    let drill = asked.drill.map(|_| drilled::play(&evidence, &report)).transpose()?;
    if let Some(drill) = &drill {
        leave(session, &inputs, &report, &excused, drill)?;
    }
    report.verdicts.retain(|v| wanted.contains(&v.clause));
    if let Some(path) = &asked.junit {
        write(session, path, &verdict::junit::report(&report, &excused))?;
    }
    let explain = session.flags.explain;
    let text = match session.flags.format {
        Format::Text => verdict::text(&report, &excused, explain) + &drill.as_ref().map_or_else(String::new, told),
        Format::Json => lines(&report, &excused, drill.as_ref()),
    };
    session.shell.data(&text);
    let failed = drill.iter().flat_map(|d| &d.failings).any(|(clause, _)| !excused.contains_key(clause));
    let broken = failed || verdict::breached(&report, &excused).next().is_some();
    Ok(if broken { REFUSED } else { DONE })
}

/// A drill stops machines; there is one for the embedded world alone.
fn not_yet(rehearsing: bool) -> Problem {
    let hint = "cargo xtask verify-contract --rehearse --drill mgmt-outage";
    if rehearsing {
        return Problem::new("`--rehearse` means nothing without `--drill`").hint(hint);
    }
    Problem::new("a drill is played in the embedded world alone")
        .why("it would stop the platform's machines")
        .hint(hint)
}

fn told(drill: &Drill) -> String {
    verdict::drill::text(drill)
}

fn lines(report: &Report, excused: &Excused, drill: Option<&Drill>) -> String {
    let drill = drill.map(|d| format!("{}\n", verdict::drill::json(d)));
    format!("{}\n{}", verdict::json::report(report, excused), drill.unwrap_or_default())
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
    let record = drilled::record(inputs, report, excused, drill, &when);
    let page = verdict::page::page(report, excused, drill, &when);
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
