//! The end of a run: what failed and how to go on, where the time went, and a last line that is the answer.
//! Knows nothing of how steps are run; pure text and a pure longest path.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::format;
use super::problem::{self, Tally, Unready};
use super::shell::{self, Severity, Style};
use model::problem::Problem;
use plan::engine::{Failure, Outcome, StepEvent};
use plan::{Plan, Step, StepKey};
use tool::Exit;

/// Steps of the critical path that took less than this are not shown.
const NOTABLE: Duration = Duration::from_secs(1);

/// Everything that the end of a run is told from.
pub struct End<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// How long each step took.
    pub times: &'a BTreeMap<StepKey, Duration>,
    /// How long all of it took, by the world's clock.
    pub took: Duration,
    /// Whether that clock was simulated.
    pub rehearsed: bool,
    /// The command that goes on from here.
    pub again: &'a str,
    /// What a failure means in the input, where it is known: told in place of the command and its last words.
    pub meaning: &'a dyn Fn(&Failure) -> Vec<Problem>,
    /// What a failed step says of the way on.
    pub hint: &'a dyn Fn(&Failure) -> Option<String>,
    /// The log of a step's last attempt, as a person would open it.
    pub log: &'a dyn Fn(&Failure) -> Option<String>,
}

/// How many steps ended in which way.
pub fn tally(outcome: &Outcome) -> Tally {
    Tally {
        done: outcome.done.len(),
        kept: outcome.unchanged.len(),
        failed: outcome.failed.len(),
        blocked: outcome.blocked.len(),
        skipped: outcome.skipped.len(),
    }
}

/// The failed steps: tools that are not ready in one table, any other with its command and last words.
pub fn failures(end: &End<'_>, style: Style) -> String {
    let (tools, others): (Vec<_>, Vec<_>) = end.outcome.failed.iter().partition(|f| tool(end, f).is_some());
    let block = |failure: &Failure| {
        let problems = (end.meaning)(failure);
        if !problems.is_empty() {
            return problem::all(&problems, style);
        }
        let own = (end.hint)(failure);
        problem::step(failure, (end.log)(failure).as_deref(), own.as_deref().unwrap_or(end.again), style)
    };
    let mut texts: Vec<String> = others.into_iter().map(block).collect();
    let unready: Vec<Unready> = tools.into_iter().filter_map(|failure| tool(end, failure)).collect();
    if !unready.is_empty() {
        texts.push(problem::unready(&unready, "`cargo xtask bootstrap --simulate` needs none of them", style));
    }
    texts.join("\n")
}

/// A failed look for a tool: `host/helm`, which asks helm itself.
fn tool(end: &End<'_>, failure: &Failure) -> Option<Unready> {
    let name = failure.precondition.then(|| failure.step.action())?;
    let step = end.plan.step(&failure.step).filter(|step| step.done_when.ask.tool.program() == name)?;
    let (state, mend) = match failure.output.exit {
        Exit::Missing => ("not found on PATH".to_owned(), (end.hint)(failure)),
        // It is there: to get it once more would not help.
        Exit::TimedOut => ("no answer in time".to_owned(), Some(step.done_when.ask.to_string())),
        _ => (step.done_when.want.mismatch(&failure.output), (end.hint)(failure)),
    };
    Some(Unready { tool: name.to_owned(), state, mend })
}

/// The command that goes on from here: the same again, or where every failed step names one of ours, that.
fn next(end: &End<'_>) -> String {
    let commands: BTreeSet<String> = end.outcome.failed.iter().map(|failure| command(end, failure)).collect();
    match &Vec::from_iter(commands)[..] {
        [one] if !end.outcome.interrupted => one.clone(),
        _ => end.again.to_owned(),
    }
}

/// A hint without its remark, if it is a command of ours.
fn command(end: &End<'_>, failure: &Failure) -> String {
    let hint = (end.hint)(failure).filter(|hint| hint.starts_with("cargo xtask ") && tool(end, failure).is_none());
    hint.map_or(end.again.to_owned(), |hint| hint.split("   #").next().unwrap_or_default().to_owned())
}

/// The last line: what happened, and how to go on if it is not finished.
pub fn answer(end: &End<'_>, style: Style) -> String {
    let (name, counts, took) = (end.plan.name, tally(end.outcome).words(), format::duration(end.took));
    let (tone, verb, rest) = match end {
        End { outcome, .. } if outcome.interrupted => {
            (Severity::Warning, "Stopped", format!("{name} after {took}: {counts}; to go on: {}", end.again))
        }
        End { outcome, .. } if !outcome.failed.is_empty() || !outcome.blocked.is_empty() => {
            (Severity::Error, "Failed", format!("{name} after {took}: {counts}; to go on: {}", next(end)))
        }
        End { outcome, rehearsed: true, .. } if outcome.done.is_empty() => {
            (Severity::Success, "Simulated", format!("{name}: {counts}, nothing to do"))
        }
        End { rehearsed: true, .. } => {
            (Severity::Success, "Simulated", format!("{name}: {counts}; would have taken {took}"))
        }
        End { outcome, .. } if outcome.done.is_empty() => {
            (Severity::Success, "Finished", format!("{name} in {took}: {counts}, nothing to do"))
        }
        _ => (Severity::Success, "Finished", format!("{name} in {took}: {counts}")),
    };
    shell::status_line(style, tone, verb, &rest)
}

/// Where the time went: the steps of the longest chain, one per line. Empty if nothing took long enough to matter.
pub fn path(end: &End<'_>, style: Style) -> String {
    let chain = critical_path(end.plan, end.times);
    let sum: Duration = chain.iter().map(|(_, took)| *took).sum();
    if sum < NOTABLE * 2 || end.outcome.done.is_empty() {
        return String::new();
    }
    let head = format!("chain of steps: {} of {}", format::duration(sum), format::duration(end.took));
    let mut lines = vec![shell::status_line(style, Severity::Hint, "Longest", &head)];
    let notable = chain.iter().filter(|(_, took)| *took >= NOTABLE);
    lines.extend(
        notable.map(|(id, took)| shell::status_line(style, Severity::Dim, &format::duration(*took), id.as_str())),
    );
    lines.join("\n")
}

/// The chain of steps, each needing or waiting for the one before, that took longest by measured times. Steps without
/// a time did not run and are passed over. The plan's order is one in which its steps could run.
pub fn critical_path(plan: &Plan, times: &BTreeMap<StepKey, Duration>) -> Vec<(StepKey, Duration)> {
    let mut best: BTreeMap<&StepKey, (Duration, Option<&StepKey>)> = BTreeMap::new();
    for step in &plan.steps {
        let own = times.get(&step.id).copied().unwrap_or_default();
        let before = step.needs.iter().chain(&step.after).filter_map(|id| best.get_key_value(id));
        let longest = before.max_by_key(|(_, (sum, _))| *sum).map(|(id, (sum, _))| (*id, *sum));
        let sum = own + longest.map_or(Duration::ZERO, |(_, sum)| sum);
        best.insert(&step.id, (sum, longest.map(|(id, _)| id)));
    }
    let mut at = best.iter().max_by_key(|(_, (sum, _))| *sum).map(|(id, _)| *id);
    let mut chain = Vec::new();
    while let Some(id) = at {
        chain.extend(times.get(id).map(|took| (id.clone(), *took)));
        at = best[id].1;
    }
    chain.reverse();
    chain
}

/// Why a step is kept or run: for `--explain`.
pub fn because(plan: &Plan, note: &StepEvent) -> Option<String> {
    match note {
        StepEvent::Unchanged(id) => plan.step(id).map(|step| format!("the answer is: {}", question(step))),
        StepEvent::Running { step, remedy: Some(remedy), mutates: true, .. } => {
            Some(format!("{step} is in state `{remedy}`"))
        }
        StepEvent::Running { step, mutates: true, attempt: 1, .. } => {
            plan.step(step).map(|step| format!("the answer is not yet: {}", question(step)))
        }
        _ => None,
    }
}

fn question(step: &Step) -> String {
    format!("{} from $ {}", step.done_when.want, step.done_when.ask)
}

#[cfg(test)]
mod tests {
    use super::super::progress::board::tests::{failure, plan, step};
    use super::*;

    const PLAIN: Style = Style { on: false };

    fn seconds(times: &[(&str, u64)]) -> BTreeMap<StepKey, Duration> {
        times.iter().map(|(id, s)| ((*id).into(), Duration::from_secs(*s))).collect()
    }

    fn said(outcome: &Outcome, rehearsed: bool) -> String {
        let (plan, times) = (plan(), seconds(&[]));
        let (took, again) = (Duration::from_secs(372), "cargo xtask bootstrap");
        let log = |_: &Failure| Some("out/logs/x.log".to_owned());
        let (meaning, hint) = (|_: &Failure| vec![], |failure: &Failure| hint_of(failure.step.as_str()));
        let (plan, times) = (&plan, &times);
        let end = End { plan, outcome, times, took, rehearsed, again, meaning: &meaning, hint: &hint, log: &log };
        answer(&end, PLAIN)
    }

    fn hint_of(step: &str) -> Option<String> {
        match step {
            "s1" => Some("kubectl get nodes".into()),
            "s2" => Some("cargo xtask start   # mends it".into()),
            _ => None,
        }
    }

    #[test]
    fn the_last_line_is_the_answer() {
        let ids = |n: usize| (0..n).map(|i| format!("s{i}").as_str().into()).collect::<Vec<_>>();
        let done = Outcome { done: ids(12), unchanged: ids(2), ..Outcome::default() };
        assert_eq!(said(&done, false), "    Finished bootstrap in 6m 12s: 12 done, 2 kept");
        assert_eq!(said(&done, true), "   Simulated bootstrap: 12 done, 2 kept; would have taken 6m 12s");
        let kept = Outcome { unchanged: ids(2), ..Outcome::default() };
        assert_eq!(said(&kept, false), "    Finished bootstrap in 6m 12s: 2 kept, nothing to do");
        let failed = Outcome { failed: vec![*failure("s1", 1, 1, 9)], ..done.clone() };
        let want = "      Failed bootstrap after 6m 12s: 12 done, 2 kept, 1 failed; to go on: cargo xtask bootstrap";
        assert_eq!(said(&failed, false), want);
        let stopped = Outcome { interrupted: true, ..failed };
        assert!(said(&stopped, false).starts_with("     Stopped bootstrap after 6m 12s: 12 done"));
    }

    #[test]
    fn the_way_on_is_what_every_failed_step_names() {
        let failed = |steps: &[&str]| {
            let failed = steps.iter().map(|step| *failure(step, 1, 1, 9)).collect();
            let said = said(&Outcome { failed, ..Outcome::default() }, false);
            said.rsplit_once("to go on: ").unwrap().1.to_owned()
        };
        assert_eq!(failed(&["s2", "s2"]), "cargo xtask start");
        assert_eq!(failed(&["s1", "s2"]), "cargo xtask bootstrap");
        assert_eq!(failed(&["s3"]), "cargo xtask bootstrap");
    }

    #[test]
    fn the_longest_chain_counts_times_not_steps() {
        let mut plan = plan();
        plan.steps.push(step("app2/cp/launch", "launch", &["host/helm"]));
        let chain = |times: &[(&str, u64)]| {
            let chain = critical_path(&plan, &seconds(times));
            chain.into_iter().map(|(id, took)| format!("{id} {}", took.as_secs())).collect::<Vec<_>>()
        };
        let times = [("host/helm", 1), ("app1/cp/launch", 10), ("app1/cp/init", 5), ("app2/cp/launch", 20)];
        assert_eq!(chain(&times), ["host/helm 1", "app2/cp/launch 20"]);
        // A step without a time is passed over, and what stands behind it still counts.
        assert_eq!(chain(&[("host/helm", 1), ("app1/w1/join", 3)]), ["host/helm 1", "app1/w1/join 3"]);
        assert!(chain(&[]).is_empty());
    }

    #[test]
    fn explaining_names_the_question_and_the_state() {
        let plan = plan();
        let running = |remedy, attempt| StepEvent::Running {
            step: "app1/cp/init".into(),
            attempt,
            remedy,
            command: String::new(),
            mutates: true,
        };
        let why = |note| because(&plan, &note);
        assert!(why(StepEvent::Unchanged("host/helm".into())).unwrap().ends_with("$ helm version"));
        assert_eq!(why(running(Some("half done"), 1)).unwrap(), "app1/cp/init is in state `half done`");
        assert!(why(running(None, 1)).unwrap().starts_with("the answer is not yet"));
        assert_eq!(why(running(None, 2)), None);
    }
}
