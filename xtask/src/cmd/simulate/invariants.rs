//! Checks invariants of the engine while a plan runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use exec::workspace::Workspace;
use plan::engine::{Failure, Outcome, StepEvent};
use plan::{Plan, StepKey};

#[derive(Clone)]
pub struct Invariants<'a> {
    plan: &'a Plan,
    steps: BTreeMap<StepKey, Observed>,
    /// Arguments of every command and texts of every note, one per line: no secret may be in them.
    public: String,
    pub violations: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Observed {
    checked: bool,
    satisfied: bool,
    ended: bool,
}

impl<'a> Invariants<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        Invariants { plan, steps: BTreeMap::new(), public: String::new(), violations: Vec::new() }
    }

    /// Records the arguments of a command that is about to start.
    pub fn record_args(&mut self, args: &[String]) {
        args.iter().for_each(|arg| self.record(arg));
    }

    fn record(&mut self, text: &str) {
        self.public.push_str(text);
        self.public.push('\n');
    }

    fn record_note(&mut self, note: &StepEvent) {
        match note {
            StepEvent::Diagnosed { why: text, .. }
            | StepEvent::Running { command: text, .. }
            | StepEvent::Line(_, text)
            | StepEvent::Cause(_, text) => {
                self.record(text);
            }
            StepEvent::Retrying { failure, .. } | StepEvent::Failed(failure) => {
                let Failure { command, output, why, .. } = &**failure;
                for text in [&command.to_string(), &output.stdout, &output.stderr, why] {
                    self.record(text);
                }
            }
            _ => {}
        }
    }

    /// Adds a violation for each line of arguments, notes and journal that holds a secret. The line is shown
    /// redacted.
    pub fn check_secrets(&mut self, space: &Workspace) {
        let journal = space.journal().unwrap_or_default();
        for text in [&self.public, &journal] {
            if let Cow::Owned(_) = space.redact(text) {
                let lines = text.lines().map(|line| space.redact(line)).filter(|line| matches!(line, Cow::Owned(_)));
                self.violations.extend(lines.map(|line| format!("a secret is in public: {line}")));
            }
        }
    }

    pub fn observe(&mut self, note: &StepEvent) {
        self.record_note(note);
        match note {
            StepEvent::Checking(step) => self.step_mut(step).checked = true,
            StepEvent::Running { step, mutates: true, command, .. } => self.on_action(step, command),
            StepEvent::Unchanged(step) | StepEvent::Done { step, .. } => {
                self.step_mut(step).satisfied = true;
                self.on_end(step);
            }
            StepEvent::Failed(failure) => self.on_end(&failure.step),
            StepEvent::Blocked(step, _) => self.on_end(step),
            _ => {}
        }
    }

    fn step(&self, id: &StepKey) -> Observed {
        self.steps.get(id).copied().unwrap_or_default()
    }

    fn step_mut(&mut self, id: &StepKey) -> &mut Observed {
        self.steps.entry(id.clone()).or_default()
    }

    fn on_action(&mut self, id: &StepKey, command: &str) {
        let Some(step) = self.plan.step(id) else {
            return self.violations.push(format!("{id} acts and is not in the plan"));
        };
        let missing = step.needs.iter().filter(|need| !self.step(need).satisfied);
        let early: Vec<_> = missing.map(|need| format!("{id} acts before {need} is satisfied: {command}")).collect();
        self.violations.extend(early);
        let observed = self.step(id);
        if !observed.checked {
            self.violations.push(format!("{id} acts without a check before: {command}"));
        }
        if observed.ended {
            self.violations.push(format!("{id} acts after it ended: {command}"));
        }
    }

    fn on_end(&mut self, id: &StepKey) {
        if std::mem::replace(&mut self.step_mut(id).ended, true) {
            self.violations.push(format!("{id} ends twice"));
        }
    }

    /// Compares the outcome with what was observed.
    pub fn check_outcome(&mut self, outcome: &Outcome) {
        let good = outcome.done.iter().chain(&outcome.unchanged);
        let untrue =
            good.filter(|id| !self.step(id).satisfied).map(|id| format!("{id} counts as satisfied, and never was"));
        self.violations.extend(untrue.collect::<Vec<_>>());
        let listed = outcome.done.len() + outcome.unchanged.len() + outcome.failed.len() + outcome.blocked.len();
        let all = self.plan.steps.len();
        if listed + outcome.skipped.len() != all && !outcome.interrupted {
            self.violations.push(format!("the outcome lists {listed} of {all} steps"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use plan::{Expect, Step};
    use tool::{Command, Tool};

    fn plan() -> Plan {
        let step = |id: &str| Step::new(id.into(), id, Command::ask(Tool::Helm, ["version"]), Expect::Exit(0));
        let steps = vec![step("a"), step("b").needs(["a"])];
        Plan { name: "test", steps, files: Default::default(), pools: Default::default() }
    }

    fn acts(step: &str) -> StepEvent {
        StepEvent::Running { step: step.into(), attempt: 1, remedy: None, command: "x".into(), mutates: true }
    }

    fn done(step: &str) -> StepEvent {
        StepEvent::Done { step: step.into(), took: Duration::ZERO, already_satisfied: false }
    }

    #[test]
    fn a_good_run_violates_nothing() {
        let plan = plan();
        let mut invariants = Invariants::new(&plan);
        let checking = |id: &str| StepEvent::Checking(id.into());
        for note in [checking("a"), acts("a"), done("a"), checking("b"), StepEvent::Unchanged("b".into())] {
            invariants.observe(&note);
        }
        invariants.check_outcome(&Outcome {
            done: vec!["a".into()],
            unchanged: vec!["b".into()],
            ..Outcome::default()
        });
        assert_eq!(invariants.violations, [""; 0]);
    }

    #[test]
    fn secrets_in_arguments_events_and_journal_are_violations() {
        let plan = plan();
        let mut space = Workspace::in_memory();
        space.append_journal("later-known-value").unwrap();
        space.store_secrets(&[("a", "a-secret-value"), ("b", "later-known-value")]).unwrap();
        let mut invariants = Invariants::new(&plan);
        invariants.record_args(&["--token".into(), "x=a-secret-value".into()]);
        invariants.observe(&StepEvent::Line("a".into(), "said a-secret-value".into()));
        invariants.check_secrets(&space);
        let want =
            ["x=<secret:a>", "said <secret:a>", "<secret:b>"].map(|line| format!("a secret is in public: {line}"));
        assert_eq!(invariants.violations, want);
    }

    #[test]
    fn every_violation_is_reported() {
        let plan = plan();
        let mut invariants = Invariants::new(&plan);
        for note in [acts("b"), done("b"), acts("b"), done("b"), acts("c")] {
            invariants.observe(&note);
        }
        invariants.check_outcome(&Outcome { done: vec!["a".into()], ..Outcome::default() });
        let all = invariants.violations.join("\n");
        for part in
            ["before a is satisfied", "without a check", "after it ended", "ends twice", "not in the plan", "never was"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(all.ends_with("the outcome lists 1 of 2 steps"));
    }
}
