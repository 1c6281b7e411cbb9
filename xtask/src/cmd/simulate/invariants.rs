//! Watches a run by its notes and says where it contradicts itself.
//! Knows nothing of what the steps mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use exec::workspace::Workspace;
use plan::engine::{Failure, Note, Outcome};
use plan::{Plan, StepKey};

/// What was seen of one run.
#[derive(Clone)]
pub struct Invariants<'a> {
    plan: &'a Plan,
    steps: BTreeMap<StepKey, Seen>,
    /// Arguments of every command and texts of every note, one a line: no secret may be in them.
    public: String,
    /// What should never have been.
    pub violations: Vec<String>,
}

/// What was seen of one step.
#[derive(Clone, Copy, Default)]
struct Seen {
    asked: bool,
    so: bool,
    over: bool,
}

impl<'a> Invariants<'a> {
    /// Before a run of a plan.
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

    fn record_note(&mut self, note: &Note) {
        match note {
            Note::Found { why: text, .. } | Note::Running { command: text, .. } | Note::Line(_, text) => {
                self.record(text);
            }
            Note::Retrying { failure, .. } | Note::Failed(failure) => {
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
            if let Cow::Owned(_) = space.scrub(text) {
                let lines = text.lines().map(|line| space.scrub(line)).filter(|line| matches!(line, Cow::Owned(_)));
                self.violations.extend(lines.map(|line| format!("a secret is in public: {line}")));
            }
        }
    }

    /// Looks at a note.
    pub fn see(&mut self, note: &Note) {
        self.record_note(note);
        match note {
            Note::Checking(step) => self.of_mut(step).asked = true,
            Note::Running { step, mutates: true, command, .. } => self.on_act(step, command),
            Note::Kept(step) | Note::Done { step, .. } => {
                self.of_mut(step).so = true;
                self.ends(step);
            }
            Note::Failed(failure) => self.ends(&failure.step),
            Note::Blocked(step, _) => self.ends(step),
            _ => {}
        }
    }

    fn of(&self, step: &StepKey) -> Seen {
        self.steps.get(step).copied().unwrap_or_default()
    }

    fn of_mut(&mut self, step: &StepKey) -> &mut Seen {
        self.steps.entry(step.clone()).or_default()
    }

    fn on_act(&mut self, id: &StepKey, command: &str) {
        let Some(step) = self.plan.step(id) else {
            return self.violations.push(format!("{id} acts and is not in the plan"));
        };
        let missing = step.needs.iter().filter(|need| !self.of(need).so);
        let early: Vec<_> = missing.map(|need| format!("{id} acts before {need} is so: {command}")).collect();
        self.violations.extend(early);
        let seen = self.of(id);
        if !seen.asked {
            self.violations.push(format!("{id} acts without asking first: {command}"));
        }
        if seen.over {
            self.violations.push(format!("{id} acts after it was over: {command}"));
        }
    }

    fn ends(&mut self, id: &StepKey) {
        if std::mem::replace(&mut self.of_mut(id).over, true) {
            self.violations.push(format!("{id} ends twice"));
        }
    }

    /// Compares what was told with what is said at the end. A run that was killed says nothing.
    pub fn end(&mut self, outcome: &Outcome) {
        let good = outcome.done.iter().chain(&outcome.kept);
        let untrue = good.filter(|id| !self.of(id).so).map(|id| format!("{id} is said to be so, and never was"));
        self.violations.extend(untrue.collect::<Vec<_>>());
        let told = outcome.done.len() + outcome.kept.len() + outcome.failed.len() + outcome.blocked.len();
        if told + outcome.skipped.len() != self.plan.steps.len() && !outcome.interrupted {
            let all = self.plan.steps.len();
            self.violations.push(format!("the end tells of {told} of {all} steps"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use plan::{Step, Want};
    use tool::{Command, Tool};

    fn plan() -> Plan {
        let step = |id: &str| Step::new(id.into(), id, Command::ask(Tool::Helm, ["version"]), Want::Exit(0));
        let steps = vec![step("a"), step("b").needs(["a"])];
        Plan { name: "test", steps, files: Default::default(), lanes: Default::default() }
    }

    fn acts(step: &str) -> Note {
        Note::Running { step: step.into(), attempt: 1, case: None, command: "x".into(), mutates: true }
    }

    fn done(step: &str) -> Note {
        Note::Done { step: step.into(), took: Duration::ZERO, adopted: false }
    }

    #[test]
    fn a_good_run_has_no_contradiction() {
        let plan = plan();
        let mut invariants = Invariants::new(&plan);
        let checking = |id: &str| Note::Checking(id.into());
        for note in [checking("a"), acts("a"), done("a"), checking("b"), Note::Kept("b".into())] {
            invariants.see(&note);
        }
        invariants.end(&Outcome { done: vec!["a".into()], kept: vec!["b".into()], ..Outcome::default() });
        assert_eq!(invariants.violations, [""; 0]);
    }

    #[test]
    fn secrets_in_arguments_notes_and_journal_are_violations() {
        let plan = plan();
        let mut space = Workspace::in_memory();
        space.journal_add("later-known-value").unwrap();
        space.keep_secrets(&[("a", "a-secret-value"), ("b", "later-known-value")]).unwrap();
        let mut invariants = Invariants::new(&plan);
        invariants.record_args(&["--token".into(), "x=a-secret-value".into()]);
        invariants.see(&Note::Line("a".into(), "said a-secret-value".into()));
        invariants.check_secrets(&space);
        let want =
            ["x=<secret:a>", "said <secret:a>", "<secret:b>"].map(|line| format!("a secret is in public: {line}"));
        assert_eq!(invariants.violations, want);
    }

    #[test]
    fn every_contradiction_is_named() {
        let plan = plan();
        let mut invariants = Invariants::new(&plan);
        for note in [acts("b"), done("b"), acts("b"), done("b"), acts("c")] {
            invariants.see(&note);
        }
        invariants.end(&Outcome { done: vec!["a".into()], ..Outcome::default() });
        let all = invariants.violations.join("\n");
        for part in
            ["before a is so", "without asking", "after it was over", "ends twice", "not in the plan", "never was"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(all.ends_with("the end tells of 1 of 2 steps"));
    }
}
