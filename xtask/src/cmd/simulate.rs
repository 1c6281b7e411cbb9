//! `simulate`: runs a command in the simulator with injected faults, then again without; both must converge.

mod coverage;
mod invariants;
mod scenario;
mod sim_run;
mod trial;
mod trial_runner;
mod workers;

use std::time::Duration;

use clap::ValueEnum;

use super::conduct::jobs;
use super::exit::{CRASH, DONE, Ended, Stop, WRONG};
use super::{Session, load};
use crate::cli::{Format, Planned, Simulate};
use crate::ui::shell::{Tone, Volume};
use crate::ui::words;
use exec::workspace::clock;
use model::problem::Problem;
use trial::Trial;
use trial_runner::TrialResult;

/// Sums over all trials.
#[derive(Default)]
struct Sum {
    seeds: usize,
    points: u64,
    injected: usize,
    failing: Vec<(Trial, u8)>,
    table: coverage::Coverage,
}

/// Runs the scenarios, each in a simulator of its own.
///
/// # Errors
/// Problems of the input, or an invalid range or fault.
pub fn run(session: &mut Session, asked: &Simulate) -> Ended {
    let began = clock::now_ms();
    let named = named(asked).map_err(Stop::with(WRONG))?;
    let inputs = load::inputs(session)?;
    let of = asked.command;
    let play = if asked.readdressed { scenario::moved(of, &inputs)? } else { scenario::of(of, &inputs)? };
    let scenario = play.scenario(jobs(session));
    let said = match of.to_possible_value() {
        Some(name) if of != Planned::Bootstrap => format!(" --command {}", name.get_name()),
        _ => String::new(),
    };
    let said = &(said + if asked.readdressed { " --readdressed" } else { "" });
    let baseline = trial_runner::baseline(scenario)
        .map_err(|reason| Stop::one(CRASH, Problem::new("a simulation without faults fails").why(reason)))?;
    let possible = &baseline.possible;
    let single = || possible.iter().step_by(asked.exhaustive.unwrap_or(1)).map(|s| Trial::Fault(s.point, s.kind));
    let trials = named.unwrap_or_else(|| single().collect());
    let mut sum = Sum::default();
    let alone = trials.len() == 1;
    for (trial, played) in workers::play(scenario, &baseline, trials) {
        tell(session, said, trial, &played, alone);
        sum.seeds += usize::from(matches!(trial, Trial::Seed(_)));
        sum.points += played.points;
        sum.injected += played.injected.len();
        sum.table.add(&played);
        sum.failing.extend(played.verdict.map(|(code, _)| (trial, code)));
    }
    if !alone {
        let json = session.flags.format == Format::Json;
        session.shell.data(&if json { format!("{}\n", sum.table.json()) } else { sum.table.text() });
    }
    let what = what(&sum, possible.len(), Duration::from_millis(clock::now_ms().saturating_sub(began)));
    Ok(answer(session, said, &sum, &what))
}

/// The scenarios that were named; none for `--exhaustive`.
fn named(asked: &Simulate) -> Result<Option<Vec<Trial>>, Problem> {
    match (&asked.seeds, &asked.fault, asked.seed) {
        (Some(text), ..) => range(text).map(|seeds| Some(seeds.map(Trial::Seed).collect())),
        (_, Some(text), _) => {
            let wrong = |why: String| Problem::new(format!("not a fault: `{text}`")).why(why).hint("--fault 17:crash");
            text.parse().map(|trial| Some(vec![trial])).map_err(wrong)
        }
        (.., Some(seed)) => Ok(Some(vec![Trial::Seed(seed)])),
        _ => Ok(None),
    }
}

/// `1..200`, both ends included.
fn range(text: &str) -> Result<std::ops::RangeInclusive<u64>, Problem> {
    let ends = text.split_once("..").map(|(a, b)| (a.parse(), b.trim_start_matches('=').parse()));
    match ends {
        Some((Ok(first), Ok(last))) if first <= last => Ok(first..=last),
        _ => Err(Problem::new(format!("not a range of seeds: `{text}`")).hint("--seeds 1..200")),
    }
}

/// One trial: always if it failed, else when it is the only one or more is asked for.
fn tell(session: &mut Session, of: &str, trial: Trial, played: &TrialResult, alone: bool) {
    if session.flags.format == Format::Json {
        session.shell.data(&format!("{}\n", json(trial, played)));
    }
    if alone || session.shell.volume() == Volume::Verbose || played.verdict.is_some() {
        story(session, trial, played);
    }
    if let Some((_, reason)) = &played.verdict {
        let problem = Problem::new(format!("simulation with {trial} failed"))
            .why(reason.clone())
            .hint(format!("reproduce: cargo xtask simulate{of} {}", trial.flag()));
        let text = crate::ui::problem::one(&problem, session.shell.paint());
        session.shell.tell(&text);
    }
}

fn story(session: &mut Session, trial: Trial, played: &TrialResult) {
    for injected in &played.injected {
        let line =
            format!("{} at injection point {}: $ {}", injected.kind, injected.point, words::cut(&injected.command, 90));
        session.shell.status(Tone::Warn, "Injected", &line);
    }
    let act = |outcome| crate::ui::report::tally(outcome).words();
    let lives = words::count(played.lives, "run");
    let said = format!("{trial}: {lives} with faults: {}; then without: {}", act(&played.first), act(&played.second));
    session.shell.status(Tone::Dim, "Ran", &said);
}

fn json(trial: Trial, played: &TrialResult) -> serde_json::Value {
    let (code, why) = played.verdict.clone().map_or((DONE, None), |(code, why)| (code, Some(why)));
    let mut event = serde_json::json!({
        "event": "simulated", "injection_points": played.points, "injected": played.injected, "runs": played.lives,
        "exit": code, "why": why,
    });
    let (name, value) = trial.field();
    event[name] = value;
    event
}

/// How much was simulated, in how much time, of how many `possible` single faults.
fn what(sum: &Sum, possible: usize, took: Duration) -> String {
    let Sum { seeds, points, injected, .. } = sum;
    let (faults, took) = (words::count(*injected, "fault"), words::duration(took));
    match seeds {
        0 => format!("{faults} of {possible} in {took}, one at a time"),
        _ => format!("{} in {took}: {points} injection points, {faults}", words::count(*seeds, "seed")),
    }
}

fn answer(session: &mut Session, of: &str, sum: &Sum, what: &str) -> u8 {
    let Some((first, code)) = sum.failing.first() else {
        session.shell.status(Tone::Good, "Simulated", &format!("{what}, all converged"));
        return DONE;
    };
    let line = format!("{what}, {} failing; reproduce: cargo xtask simulate{of} {}", sum.failing.len(), first.flag());
    let line = crate::ui::shell::status(session.shell.paint(), Tone::Bad, "Failed", &line);
    session.shell.tell(&line);
    *code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends() {
        assert_eq!(range("1..200").unwrap().count(), 200);
        assert_eq!(range("7..=7").unwrap().count(), 1);
        for wrong in ["", "7", "9..1", "a..b", "-1..3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
