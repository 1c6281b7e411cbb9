//! `verify-contract`: whether C1 to C5 hold, clause by clause, with what shows it.
//! Knows nothing of how a clause is judged.

pub mod drilled;
pub mod live;
pub mod record;
pub mod rendered;

use camino::{Utf8Path, Utf8PathBuf};

use super::exit::{DONE, Ended, NOT_READY, REFUSED, Stop, WRONG};
use super::load::Inputs;
use super::{Session, load};
use crate::cli::{Format, VerifyContract};
use crate::contract::{self, Clause, Evidence};
use crate::problem::Problem;
use crate::ui::shell::Tone;
use crate::ui::verdict::{self, Excused, Told};
use crate::workspace::clock;
use live::Looked;

/// Judges.
///
/// # Errors
/// Problems of the input, a clause that is not there, clusters that were never brought up, a report that cannot be
/// written.
pub fn run(session: &mut Session, asked: &VerifyContract) -> Ended {
    let wanted = clauses(&asked.clauses)?;
    let excused = excuses(asked)?;
    fitting(session, asked)?;
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let mut evidence = evidence.map_err(Stop::all(WRONG))?;
    if session.flags.dry_run {
        return live::printed(session, &inputs, &evidence);
    }
    rendered::add(session, &inputs, &mut evidence)?;
    let mut report = contract::check(&evidence);
    let mut looked = asked.live.then(|| live::look(session, &inputs, &evidence)).transpose()?;
    let drill = asked.drill.map(|_| drilled::play(&evidence, &report)).transpose()?;
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
    if let Some(path) = &asked.junit {
        write(session, path, &verdict::junit::report(&told))?;
    }
    let text = match session.flags.format {
        Format::Text => {
            told.text(session.flags.explain) + &drill.as_ref().map_or_else(String::new, verdict::drill::text)
        }
        Format::Json => lines(&told),
    };
    session.shell.data(&text);
    Ok(if told.broken() { REFUSED } else { DONE })
}

/// Which tiers and flags can be meant together. A drill stops machines; there is one for the embedded world alone.
fn fitting(session: &Session, asked: &VerifyContract) -> Result<(), Stop> {
    let hint = "cargo xtask verify-contract --rehearse --drill mgmt-outage";
    if asked.drill.is_some() && !session.flags.rehearse {
        let problem = Problem::new("a drill is played in the embedded world alone");
        return Err(Stop::one(WRONG, problem.why("it would stop the platform's machines").hint(hint)));
    }
    if session.flags.rehearse && asked.drill.is_none() && !asked.live {
        return Err(Stop::one(
            WRONG,
            Problem::new("`--rehearse` means nothing without `--live` or `--drill`").hint(hint),
        ));
    }
    if session.flags.dry_run && asked.drill.is_some() {
        return Err(Stop::one(WRONG, Problem::new("`--dry-run` prints the questions of `--live`; a drill has none")));
    }
    Ok(())
}

fn lines(told: &Told<'_>) -> String {
    let live = told.live.map(|live| format!("{}\n", verdict::live::json(live, told.excused)));
    let drill = told.drill.map(|d| format!("{}\n", verdict::drill::json(d)));
    let report = verdict::json::report(told.report, told.excused);
    format!("{report}\n{}{}", live.unwrap_or_default(), drill.unwrap_or_default())
}

/// The folder of evidence, with every clause in it.
fn leave(session: &mut Session, inputs: &Inputs, told: &Told<'_>, looked: Option<&Looked>) -> Result<(), Stop> {
    let report = record::report(inputs, told, looked, &clock::now());
    let folder = record::leave(&session.space, &report, told, looked).map_err(Stop::with(NOT_READY))?;
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
