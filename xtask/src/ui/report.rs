//! Formats the end of a run: failures, the critical path, and a last line with the result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::format;
use super::problem::{self, Tally};
use super::progress::board::{self, HOST};
use super::shell::{self, Severity, Style};
use model::problem::Problem;
use plan::engine::{Failure, Outcome, StepEvent};
use plan::survey::words;
use plan::{Plan, Step, StepKey};
use tool::Output;

/// Shorter steps of the critical path are not shown.
const NOTABLE: Duration = Duration::from_secs(1);

pub struct End<'a> {
    pub plan: &'a Plan,
    pub outcome: &'a Outcome,
    pub times: &'a BTreeMap<StepKey, Duration>,
    /// By the world's clock, since the command began.
    pub took: Duration,
    /// Whether that clock was simulated.
    pub simulated: bool,
    /// The command that continues.
    pub again: &'a str,
    /// Problems of the input that explain a failure; shown in place of its command and output.
    pub meaning: &'a dyn Fn(&Failure) -> Vec<Problem>,
    pub hint: &'a dyn Fn(&Failure) -> Option<String>,
    /// Path of the log of the step's last attempt.
    pub log: &'a dyn Fn(&Failure) -> Option<String>,
}

pub fn tally(outcome: &Outcome) -> Tally {
    Tally {
        changed: outcome.done.len(),
        unchanged: outcome.unchanged.len(),
        failed: outcome.failed.len(),
        blocked: outcome.blocked.len(),
        skipped: outcome.skipped.len(),
        stopped: outcome.stopped.len(),
    }
}

/// The failed steps: tools that are not ready in one table, others with command and output.
pub fn failures(end: &End<'_>, style: Style) -> String {
    let others = end.outcome.failed.iter().filter(|failure| tool(end, failure).is_none());
    let block = |failure: &Failure| {
        let problems = (end.meaning)(failure);
        if !problems.is_empty() {
            return problem::all(&problems, &|_| None, style);
        }
        let hint = (end.hint)(failure).filter(|hint| !repeats(hint, end.again)).unwrap_or_else(|| logs(failure));
        problem::step(failure, (end.log)(failure).as_deref(), &hint, style)
    };
    let mut texts: Vec<String> = others.map(block).collect();
    let unready: Vec<_> = end.outcome.failed.iter().filter_map(|failure| tool(end, failure)).collect();
    texts.extend(words::not_ready(&unready).map(|problem| problem::one(&problem, style)));
    texts.join("\n")
}

/// Whether a hint is the very command that has just failed.
pub fn repeats(hint: &str, command: &str) -> bool {
    hint.split("   #").next().unwrap_or_default().trim() == command
}

fn logs(failure: &Failure) -> String {
    format!("cargo xtask logs {}   # all that its commands printed", failure.step)
}

/// A failed check that a tool is there.
fn tool<'a>(end: &End<'a>, failure: &'a Failure) -> Option<(&'a Step, &'a Output)> {
    end.plan.step(&failure.step).filter(|step| words::is_tool(step)).map(|step| (step, &failure.output))
}

/// The command that continues: the same again, or the one that the hints of all failed steps name.
fn next(end: &End<'_>) -> String {
    let commands: BTreeSet<String> = end.outcome.failed.iter().map(|failure| command(end, failure)).collect();
    match &Vec::from_iter(commands)[..] {
        [one] if !end.outcome.interrupted => one.clone(),
        _ => end.again.to_owned(),
    }
}

/// The command of a hint if it is one of `cargo xtask`, without its comment.
fn command(end: &End<'_>, failure: &Failure) -> String {
    let hint = (end.hint)(failure).filter(|hint| hint.starts_with("cargo xtask ") && !failure.precondition);
    hint.map_or(end.again.to_owned(), |hint| hint.split("   #").next().unwrap_or_default().to_owned())
}

/// The last line: the result, and how to continue.
pub fn result(end: &End<'_>, style: Style) -> String {
    let (name, counts, took) = (end.plan.name, tally(end.outcome).text(), format::duration(end.took));
    let (severity, verb, rest) = match end {
        End { outcome, .. } if outcome.interrupted => {
            (Severity::Warning, "Stopped", format!("{name} after {took}: {counts}; to continue: {}", end.again))
        }
        End { outcome, .. } if !outcome.failed.is_empty() || !outcome.blocked.is_empty() => {
            (Severity::Error, "Failed", format!("{name} after {took}: {counts}; to continue: {}", next(end)))
        }
        End { outcome, simulated: true, .. } if outcome.done.is_empty() => {
            (Severity::Success, "Simulated", format!("{name}: {counts}, nothing to do"))
        }
        End { simulated: true, .. } => {
            (Severity::Success, "Simulated", format!("{name}: {counts}; estimated real time {took}"))
        }
        End { outcome, .. } if outcome.done.is_empty() => {
            (Severity::Success, "Finished", format!("{name} in {took}: {counts}, nothing to do"))
        }
        _ => (Severity::Success, "Finished", format!("{name} in {took}: {counts}")),
    };
    shell::status_line(style, severity, verb, &rest)
}

/// `Unchanged  mgmt 45, app1 36, app2 36, host and charts 37`. Empty if no step is.
pub fn unchanged(end: &End<'_>, style: Style) -> String {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for step in end.plan.steps.iter().filter(|step| end.outcome.unchanged.contains(&step.id)) {
        let name = board::group(&step.id);
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, count)) => *count += 1,
            None => groups.push((name, 1)),
        }
    }
    groups.sort_by_key(|(name, _)| *name == HOST);
    let shown = |(name, count): &(&str, usize)| match *name {
        HOST => format!("host and charts {count}"),
        name => format!("{name} {count}"),
    };
    match &groups[..] {
        [] => String::new(),
        all => {
            shell::status_line(style, Severity::Dim, "Unchanged", &all.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The steps of the critical path, one per line. Empty if it is short.
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

/// The chain of dependent steps that took longest. Steps without a time did not run and are left out. The plan is in
/// topological order.
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

/// Why a step is unchanged or runs, for `--explain`.
pub fn explain(plan: &Plan, event: &StepEvent) -> Option<String> {
    match event {
        StepEvent::Unchanged(id) => plan.step(id).map(|step| format!("up to date: {}", probe(step))),
        StepEvent::Running { step, remedy: Some(remedy), mutates: true, .. } => {
            Some(format!("{step} is in state `{remedy}`"))
        }
        StepEvent::Running { step, mutates: true, attempt: 1, .. } => {
            plan.step(step).map(|step| format!("out of date: {}", probe(step)))
        }
        _ => None,
    }
}

fn probe(step: &Step) -> String {
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

    fn last_line(outcome: &Outcome, simulated: bool) -> String {
        let (plan, times) = (plan(), seconds(&[]));
        let (took, again) = (Duration::from_secs(372), "cargo xtask bootstrap");
        let log = |_: &Failure| Some("out/logs/x.log".to_owned());
        let (meaning, hint) = (|_: &Failure| vec![], |failure: &Failure| hint_of(failure.step.as_str()));
        let (plan, times) = (&plan, &times);
        let end = End { plan, outcome, times, took, simulated, again, meaning: &meaning, hint: &hint, log: &log };
        result(&end, PLAIN)
    }

    fn hint_of(step: &str) -> Option<String> {
        match step {
            "s1" => Some("kubectl get nodes".into()),
            "s2" => Some("cargo xtask start   # repairs it".into()),
            _ => None,
        }
    }

    #[test]
    fn the_last_line_has_counts_time_and_command() {
        let ids = |n: usize| (0..n).map(|i| format!("s{i}").as_str().into()).collect::<Vec<_>>();
        let done = Outcome { done: ids(12), unchanged: ids(2), ..Outcome::default() };
        assert_eq!(last_line(&done, false), "    Finished bootstrap in 6m 12s: 12 changed, 2 unchanged");
        assert_eq!(
            last_line(&done, true),
            "   Simulated bootstrap: 12 changed, 2 unchanged; estimated real time 6m 12s"
        );
        let kept = Outcome { unchanged: ids(2), ..Outcome::default() };
        assert_eq!(last_line(&kept, false), "    Finished bootstrap in 6m 12s: 2 unchanged, nothing to do");
        let failed = Outcome { failed: vec![*failure("s1", 1, 1, 9)], ..done.clone() };
        let want = "      Failed bootstrap after 6m 12s: 12 changed, 2 unchanged, 1 failed; to continue: cargo xtask bootstrap";
        assert_eq!(last_line(&failed, false), want);
        let stopped = Outcome { interrupted: true, ..failed };
        assert!(last_line(&stopped, false).starts_with("     Stopped bootstrap after 6m 12s: 12 changed"));
    }

    #[test]
    fn the_next_command_is_the_common_hint_of_failed_steps() {
        let failed = |steps: &[&str]| {
            let failed = steps.iter().map(|step| *failure(step, 1, 1, 9)).collect();
            let line = last_line(&Outcome { failed, ..Outcome::default() }, false);
            line.rsplit_once("to continue: ").unwrap().1.to_owned()
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
        // A step without a time is left out, and what depends on it still counts.
        assert_eq!(chain(&[("host/helm", 1), ("app1/w1/join", 3)]), ["host/helm 1", "app1/w1/join 3"]);
        assert!(chain(&[]).is_empty());
    }

    #[test]
    fn explain_names_the_probe_and_the_state() {
        let plan = plan();
        let running = |remedy, attempt| StepEvent::Running {
            step: "app1/cp/init".into(),
            attempt,
            remedy,
            command: String::new(),
            mutates: true,
        };
        let why = |event| explain(&plan, &event);
        assert!(why(StepEvent::Unchanged("host/helm".into())).unwrap().ends_with("$ helm version"));
        assert_eq!(why(running(Some("half done"), 1)).unwrap(), "app1/cp/init is in state `half done`");
        assert!(why(running(None, 1)).unwrap().starts_with("out of date"));
        assert_eq!(why(running(None, 2)), None);
    }
}
