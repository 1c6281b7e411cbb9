//! `verify-contract`: whether C1 to C5 hold, clause by clause, with what shows it.
//! Knows nothing of how a clause is judged.

use camino::{Utf8Path, Utf8PathBuf};

use super::exit::{DONE, Ended, REFUSED, Stop, WRONG};
use super::{Session, load};
use crate::cli::{Format, VerifyContract};
use crate::contract::{self, Clause, Evidence, Report};
use crate::problem::Problem;
use crate::ui::shell::Tone;
use crate::ui::verdict::{self, Excused};

/// Judges.
///
/// # Errors
/// Problems of the input, a clause that is not there, a report that cannot be written.
pub fn run(session: &mut Session, asked: &VerifyContract) -> Ended {
    let wanted = clauses(&asked.clauses)?;
    let excused = excuses(asked)?;
    let report = judge(session, &wanted)?;
    if let Some(path) = &asked.junit {
        write(session, path, &verdict::junit::report(&report, &excused))?;
    }
    let text = match session.flags.format {
        Format::Text => verdict::text(&report, &excused, session.flags.explain),
        Format::Json => format!("{}\n", verdict::json::report(&report, &excused)),
    };
    session.shell.data(&text);
    let broken = verdict::breached(&report, &excused).next().is_some();
    Ok(if broken { REFUSED } else { DONE })
}

/// The static tier, of the clauses that are asked for.
fn judge(session: &Session, wanted: &[Clause]) -> Result<Report, Stop> {
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut report = contract::check(&evidence.map_err(Stop::all(WRONG))?);
    report.verdicts.retain(|v| wanted.contains(&v.clause));
    Ok(report)
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
