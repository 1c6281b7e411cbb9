//! Surveys a fleet by the probes of a plan, applying nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Plan, Scope, Step, StepKey};
use tool::{Output, Tool};

pub mod drift;
pub mod findings;
pub mod links;
pub mod overview;
pub mod words;

/// Longest wait for one answer. The slowest one known, of a driver about a VM that hangs, took 34 s.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The result of a probe as observers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeState {
    /// The step is as the plan wants it.
    Matches,
    /// It is not.
    Differs {
        /// The state it is in, where the plan has a remedy for it: `stopped`.
        remedy: Option<&'static str>,
        /// What is expected and what there is.
        why: String,
    },
    /// There was no answer, or it cannot be judged.
    NoAnswer(String),
    /// This step has to match first.
    NotAsked(StepKey),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it came, by the world's clock.
    pub at: Duration,
    /// Unless nothing was asked, or it must not be seen.
    pub output: Option<Output>,
    pub state: ProbeState,
}

impl Answer {
    /// Takes out what must not be seen: the whole output, or what `redact` finds in its texts.
    pub fn redact(&mut self, sensitive: bool, redact: impl Fn(&str) -> String) {
        self.output = self.output.take().filter(|_| !sensitive);
        for text in self.output.iter_mut().flat_map(|output| [&mut output.stdout, &mut output.stderr]) {
            *text = redact(text);
        }
        if let ProbeState::Differs { why, .. } = &mut self.state {
            *why = redact(why);
        }
    }

    /// The stdout as JSON; null where there is none.
    pub fn json(&self) -> serde_json::Value {
        let text = self.output.as_ref().map_or("", |output| output.stdout.as_str());
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// A clock, in seconds, as it was at the start of the world's time: clocks that were read at different moments are
/// compared by it.
pub fn clock_at_start(clock: u64, read_at: Duration) -> i64 {
    i64::try_from(clock).unwrap_or(i64::MAX) - read_at.as_secs_f64().round() as i64
}

pub type Answers = BTreeMap<StepKey, Answer>;

/// The plan without anything that acts. Two kinds of needs become mere orders: the machine's checks and downloads,
/// which are no condition for looking; and what lies below a cluster's kubeconfig, since an API server may answer
/// while the machines' driver does not.
pub fn questions(plan: &Plan) -> Plan {
    let steps = plan.steps.iter().map(|step| {
        let api = StepKey::cluster(step.id.scope().name(), "kubeconfig");
        let remote = step.done_when.ask.tool == Tool::Kubectl;
        let asks_api = remote && step.id != api && plan.step(&api).is_some();
        let machine = |need: &StepKey| matches!(need.scope(), Scope::Host | Scope::Charts);
        let (mut needs, order): (Vec<StepKey>, Vec<StepKey>) =
            step.needs.iter().cloned().partition(|need| !remote && !machine(need));
        needs.extend(asks_api.then_some(api));
        let after = step.after.iter().cloned().chain(order).collect();
        Step { needs, after, act: vec![], undo: vec![], ..step.clone() }
    });
    Plan { steps: steps.collect(), ..plan.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{plan, step};

    #[test]
    fn questions_do_not_act_and_look_at_each_side_for_itself() {
        let mut vm = step("a/cp/launch", &["host/helm"]);
        vm.done_when.ask.tool = Tool::Helm;
        let all = plan([
            step("host/helm", &[]),
            vm,
            step("a/kubeconfig", &["a/cp/launch"]),
            step("a/cilium", &["a/kubeconfig", "charts/cilium"]),
        ]);
        let asked = questions(&all);
        assert!(asked.steps.iter().all(|step| step.act.is_empty()));
        let needs: Vec<Vec<&str>> =
            asked.steps.iter().map(|step| step.needs.iter().map(StepKey::as_str).collect()).collect();
        assert_eq!(needs, [vec![], vec![], vec![], vec!["a/kubeconfig"]]);
        assert_eq!(asked.steps[3].after, ["a/kubeconfig", "charts/cilium"]);
    }
}
