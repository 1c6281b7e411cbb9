//! `simulate`: simulates runs with injected faults, by seeds or one fault at a time, and checks that a re-run recovers.

mod coverage;
mod invariants;
mod scenario;
mod sim_run;
mod trial;
mod trial_runner;
mod workers;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;

use super::exit::{CmdError, CmdResult, DONE, STUCK, USAGE};
use super::run_plan::jobs;
use super::{Session, inputs};
use crate::cli::{Format, Planned, Simulate};
use crate::ui::format;
use crate::ui::shell::{Severity, Volume};
use exec::workspace::clock;
use model::problem::Problem;
use trial::Trial;
use trial_runner::TrialResult;

#[derive(Default)]
struct Totals {
    seeds: usize,
    points: u64,
    injected: usize,
    failing: Vec<(Trial, u8)>,
    coverage: coverage::Coverage,
}

/// Runs the trials, each in its own world.
pub fn run(session: &mut Session, wanted: &Simulate) -> CmdResult {
    let began = clock::now_ms();
    if let (None, None, None, None) = (&wanted.seeds, wanted.seed, wanted.exhaustive, &wanted.fault) {
        let problem = Problem::new("no scenario was chosen: `--seeds`, `--seed`, `--exhaustive` or `--fault`");
        let commands: Vec<String> = Planned::value_variants()
            .iter()
            .filter_map(|c| c.to_possible_value())
            .map(|c| c.get_name().to_owned())
            .collect();
        let why = format!("commands: {}", commands.join(", "));
        let hint =
            ["cargo xtask simulate --seeds 1..20", "cargo xtask simulate --command upgrade --exhaustive 25"].join("\n");
        return Err(CmdError::new(USAGE, problem.why(why).hint(hint)));
    }
    let named = named_trials(wanted).map_err(CmdError::with(USAGE))?;
    let inputs = inputs::load(session)?;
    let command = wanted.command;
    let plans =
        if wanted.readdressed { scenario::readdressed(command, &inputs)? } else { scenario::of(command, &inputs)? };
    let scenario = plans.scenario(jobs(session));
    let mut flags = match command.to_possible_value() {
        Some(name) if command != Planned::Bootstrap => format!(" --command {}", name.get_name()),
        _ => String::new(),
    };
    flags.push_str(if wanted.readdressed { " --readdressed" } else { "" });
    let baseline = trial_runner::baseline(scenario)
        .map_err(|reason| CmdError::new(STUCK, Problem::new("a simulation without faults fails").why(reason)))?;
    let possible = &baseline.possible;
    if let Some([Trial::Fault(point, kind)]) = named.as_deref()
        && !possible.iter().any(|fault| (fault.point, fault.kind) == (*point, *kind))
    {
        let last = possible.iter().map(|fault| fault.point).max().unwrap_or(0);
        let problem = Problem::new(format!("no such fault in this simulation: `{point}:{kind}`"));
        let kinds: BTreeSet<String> =
            possible.iter().filter(|f| f.point == *point).map(|f| f.kind.to_string()).collect();
        let why = match kinds.is_empty() {
            true => format!("injection points are 0 to {last}"),
            false => format!("kinds at point {point}: {}", Vec::from_iter(kinds).join(", ")),
        };
        return Err(CmdError::new(USAGE, problem.why(why)));
    }
    let single = || possible.iter().step_by(wanted.exhaustive.unwrap_or(1)).map(|s| Trial::Fault(s.point, s.kind));
    let trials = named.unwrap_or_else(|| single().collect());
    let mut totals = Totals::default();
    let only = trials.len() == 1;
    for (trial, result) in workers::run(scenario, &baseline, trials) {
        report(session, &flags, trial, &result, only);
        totals.seeds += usize::from(matches!(trial, Trial::Seed(_)));
        totals.points += result.points;
        totals.injected += result.injected.len();
        totals.coverage.add(&result);
        totals.failing.extend(result.verdict.map(|(code, _)| (trial, code)));
    }
    if !only {
        let json = session.flags.format == Format::Json;
        match json {
            true => session.shell.event(totals.coverage.json()),
            false => session.shell.screen(&totals.coverage.text()),
        }
    }
    let summary = summary(&totals, possible.len(), Duration::from_millis(clock::now_ms().saturating_sub(began)));
    Ok(conclude(session, &flags, &totals, &summary))
}

/// None if every possible fault is selected.
fn named_trials(wanted: &Simulate) -> Result<Option<Vec<Trial>>, Problem> {
    match (&wanted.seeds, &wanted.fault, wanted.seed) {
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

/// Details if the trial failed, is the only one, or with `--verbose`.
fn report(session: &mut Session, flags: &str, trial: Trial, result: &TrialResult, only: bool) {
    if session.flags.format == Format::Json {
        session.shell.event(json(trial, result));
    }
    if only || session.shell.volume() == Volume::Verbose || result.verdict.is_some() {
        for fault in &result.injected {
            let line = format!(
                "{} at injection point {}: $ {}",
                fault.kind,
                fault.point,
                format::truncate(&fault.command, 90)
            );
            session.shell.status(Severity::Warning, "Injected", &line);
        }
        let tally = |outcome| crate::ui::report::tally(outcome).text();
        let (faulty, recovery) = (tally(&result.faulty), tally(&result.recovery));
        let line =
            format!("{trial}: {} with faults: {faulty}; then without: {recovery}", format::count(result.runs, "run"));
        session.shell.status(Severity::Dim, "Ran", &line);
    }
    if let Some((_, reason)) = &result.verdict {
        let problem = Problem::new(format!("simulation with {trial} failed"))
            .why(reason.clone())
            .hint(format!("reproduce: cargo xtask simulate{flags} {}", trial.flag()));
        let text = crate::ui::problem::one(&problem, session.shell.style());
        session.shell.message(&text);
    }
}

fn json(trial: Trial, result: &TrialResult) -> serde_json::Value {
    let (code, why) = result.verdict.clone().map_or((DONE, None), |(code, why)| (code, Some(why)));
    let mut event = serde_json::json!({ "event": "simulated", "injection_points": result.points, "injected": result.injected,
        "runs": result.runs, "exit": code, "why": why });
    let (name, value) = trial.field();
    event[name] = value;
    event
}

fn summary(totals: &Totals, possible: usize, took: Duration) -> String {
    let Totals { seeds, points, injected, .. } = totals;
    let (faults, took) = (format::count(*injected, "fault"), format::duration(took));
    match seeds {
        0 => format!("{faults} of {possible} in {took}, one at a time"),
        _ => format!("{} in {took}: {points} injection points, {faults}", format::count(*seeds, "seed")),
    }
}

fn conclude(session: &mut Session, flags: &str, totals: &Totals, summary: &str) -> u8 {
    let Some((first, code)) = totals.failing.first() else {
        session.shell.status(Severity::Success, "Simulated", &format!("{summary}, all converged"));
        return DONE;
    };
    let reproduce = format!("reproduce: cargo xtask simulate{flags} {}", first.flag());
    let line = format!("{summary}, {} failing; {reproduce}", totals.failing.len());
    let line = crate::ui::shell::status_line(session.shell.style(), Severity::Error, "Failed", &line);
    session.shell.message(&line);
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
