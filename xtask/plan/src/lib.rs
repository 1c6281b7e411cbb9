//! Plans as values: every step with its probe, its exact commands, limits and dependencies.
//!
//! A step's probe is asked first. If `done_when` matches, the step is unchanged. If the condition of a remedy matches, its
//! commands run in place of `act`. Otherwise `act` runs, and the probe is asked until it matches or `settle` is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cause::{Observer, Reader};
pub use machines::Remedy;
use machines::{Machine, guest};
use render::Files;
pub use tool::Expect;
use tool::kubectl::Kubectl;
use tool::{Command, Limits};

pub mod bootstrap;
pub mod cause;
pub mod check;
pub mod choose;
pub mod diff;
pub mod engine;
pub mod graph;
pub mod journal;
mod key;
pub mod mesh;
pub mod power;
pub mod samples;
pub mod survey;
pub mod text;
pub mod tools;
pub mod upgrade;
pub mod uses;

pub use key::{Scope, StepKey};

/// Steps of one pool share a number of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pool {
    /// As many as there are jobs.
    Free,
    /// Launches of machines: too many at once crash a driver's daemon (canonical/multipass#3336).
    Launch,
    /// Downloads.
    Pull,
}

/// The command that reads a step's state, and the expectation that means there is nothing to do. Its result is a match,
/// a difference, or no answer ([`tool::Output::no_answer`]), and on no answer nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Changes nothing (`mutates` is false).
    pub ask: Command,
    pub want: Expect,
    /// Asked where `ask` has no answer. It can show that a remedy is called for, never that the plain act is.
    pub fallback: Option<Command>,
    /// How long a first match must last before it counts.
    pub lasts: Duration,
}

/// A state to bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub id: StepKey,
    /// What it does, as a phrase: `launch VM app1-cp`.
    pub title: String,
    /// Steps that must be done before.
    pub needs: Vec<StepKey>,
    /// Steps that, if they are chosen too, go first: an order, not a need.
    pub after: Vec<StepKey>,
    /// Steps without which this one cannot succeed, though it may begin before they are done: if one fails for good, this
    /// one is ended.
    pub binds_to: Vec<StepKey>,
    pub pool: Pool,
    pub done_when: Probe,
    /// The first match wins.
    pub remedies: Vec<Remedy>,
    /// Empty: it can only be checked.
    pub act: Vec<Command>,
    pub undo: Vec<Command>,
    pub limits: Limits,
    /// What a person can do when it fails.
    pub hint: Option<String>,
    /// Shows the cause while it is slow, and when it has failed.
    pub observer: Option<Observer>,
}

/// Everything a command would do, and every file it would use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The command it belongs to: `bootstrap`.
    pub name: &'static str,
    /// In an order in which they could run one after another.
    pub steps: Vec<Step>,
    /// The generated files that the steps read.
    pub files: Files,
    pub pools: BTreeMap<Pool, usize>,
}

impl Step {
    /// A step that runs `act` unless the output of `ask` is `want`.
    pub fn new(id: StepKey, title: impl Into<String>, ask: Command, want: Expect) -> Self {
        Step {
            id,
            title: title.into(),
            needs: vec![],
            after: vec![],
            binds_to: vec![],
            pool: Pool::Free,
            done_when: Probe { ask, want, fallback: None, lasts: Duration::ZERO },
            remedies: vec![],
            act: vec![],
            undo: vec![],
            limits: Limits::QUICK,
            hint: None,
            observer: None,
        }
    }

    #[must_use]
    pub fn needs<K: Into<StepKey>>(mut self, ids: impl IntoIterator<Item = K>) -> Self {
        self.needs.extend(ids.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn after<K: Into<StepKey>>(mut self, ids: impl IntoIterator<Item = K>) -> Self {
        self.after.extend(ids.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn binds_to(mut self, id: StepKey) -> Self {
        self.binds_to.push(id);
        self
    }

    #[must_use]
    pub fn fallback(mut self, ask: Command) -> Self {
        self.done_when.fallback = Some(ask);
        self
    }

    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    #[must_use]
    pub fn act(mut self, commands: impl IntoIterator<Item = Command>) -> Self {
        self.act.extend(commands);
        self
    }

    #[must_use]
    pub fn remedy(mut self, name: &'static str, when: Expect, act: impl IntoIterator<Item = Command>) -> Self {
        self.remedies.push(Remedy { name, when, after: Duration::ZERO, act: act.into_iter().collect() });
        self
    }

    #[must_use]
    pub fn remedies(mut self, remedies: Vec<Remedy>) -> Self {
        self.remedies.extend(remedies);
        self
    }

    #[must_use]
    pub fn undo(mut self, commands: impl IntoIterator<Item = Command>) -> Self {
        self.undo.extend(commands);
        self
    }

    /// Whether nothing but time brings it about: it is checked, and no command of it applies anything.
    pub fn only_checks(&self) -> bool {
        self.act.is_empty() && self.remedies.iter().all(|remedy| remedy.act.is_empty())
    }

    /// Whether it is a check of this machine that must hold before anything begins.
    pub fn is_precondition(&self) -> bool {
        self.id.is_host() && self.only_checks()
    }

    /// Waits for up to `settle` seconds with `pause` seconds between two probes; nothing is applied.
    #[must_use]
    pub fn poll(self, settle: u64, pause: u64) -> Self {
        self.remedy("not yet", Expect::ALWAYS, []).limits(Limits::QUICK.settle(settle).attempts(1, pause))
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    #[must_use]
    pub fn observed(mut self, ask: Command, read: Reader) -> Self {
        self.observer = Some(Observer { ask, read });
        self
    }

    /// By pods of a namespace that are not ready.
    #[must_use]
    pub fn observed_by_pods(self, kubectl: &Kubectl, namespace: &str) -> Self {
        self.observed(kubectl.table(namespace, "pods,events"), Reader::Pods)
    }

    #[must_use]
    pub fn observed_by_kubelet(self, vm: &Machine) -> Self {
        self.observed(guest::kubelet_log(vm), Reader::Kubelet)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Plan {
    pub fn step<K: PartialEq<StepKey> + ?Sized>(&self, id: &K) -> Option<&Step> {
        self.steps.iter().find(|s| *id == s.id)
    }

    /// The probes of these steps, with nothing to apply and in no order, but for those that ask in a machine: whether it
    /// runs is asked before.
    #[must_use]
    pub fn checks(&self, ids: &[StepKey]) -> Plan {
        let wanted = || self.steps.iter().filter(|step| ids.contains(&step.id));
        let machine = |step: &Step| {
            let vm = machines::guest_of(&step.done_when.ask)?;
            self.steps.iter().find(|other| machines::shown_running(&other.done_when.want) == Some(vm))
        };
        let mut first: Vec<&Step> = wanted().filter_map(machine).filter(|step| !ids.contains(&step.id)).collect();
        first.dedup_by_key(|step| &step.id);
        let check = |step: &Step| {
            let needs = machine(step).map(|step| step.id.clone()).into_iter().collect();
            Step { needs, after: vec![], act: vec![], undo: vec![], ..step.clone() }
        };
        Plan { steps: first.into_iter().chain(wanted()).map(check).collect(), ..self.clone() }
    }

    pub fn ids(&self) -> BTreeSet<StepKey> {
        self.steps.iter().map(|s| s.id.clone()).collect()
    }
}
