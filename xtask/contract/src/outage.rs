//! The outage tier: what clusters answered before, during and after an outage on machines, judged clause by clause.
//!
//! [`outage_model`](crate::outage_model) simulates the same; this judges what was measured. A missing answer is a breach,
//! never a pass.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Clause, Finding, Report};
use model::problem::At;
use tool::Output;

/// Answers of one cluster by observation: `secret`, `requests`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSnapshot(pub BTreeMap<String, Output>);

impl ClusterSnapshot {
    /// What a successful command printed, without white space around it.
    pub(crate) fn text(&self, what: &str) -> Option<&str> {
        self.0.get(what).filter(|o| o.ok()).map(|o| o.stdout.trim())
    }

    /// The same of an object's identity: nothing where there is no such object.
    pub(crate) fn object(&self, what: &str) -> Option<&str> {
        self.text(what).filter(|text| !text.is_empty())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub name: String,
    pub nodes: usize,
    /// Whether it has another app cluster to send requests to.
    pub linked: bool,
    pub before: ClusterSnapshot,
    /// Right before the platform is started again.
    pub during: ClusterSnapshot,
    pub after: ClusterSnapshot,
    /// What the platform holds of it, once everything was sent.
    pub counts: ClusterSnapshot,
    /// From the platform's return until each step of the recovery was over.
    pub times: BTreeMap<String, Duration>,
    /// Steps that should have succeeded: the last part of the step's id, and why.
    pub failed: Vec<(String, String)>,
}

/// How long each part of the drill took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clock {
    /// From the first VM that stopped to the first that was started again.
    pub outage: Duration,
    /// From there until the platform answered, Vault included.
    pub answered: Duration,
    /// From there until the mesh was healthy; nothing if it never was.
    pub green: Option<Duration>,
    /// From the first stop to the count of samples.
    pub window: Duration,
    pub interval: Duration,
}

/// A quarter of a minute of an outage, as a picture shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Seconds since the last line before the outage.
    pub at: u64,
    /// Requests sent since the mark before.
    pub sent: u64,
    pub failed: u64,
    /// The longest time without a good answer, in seconds.
    pub gap: u64,
}

/// A measurement of one clause on one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    pub clause: Clause,
    /// `app1 local`.
    pub name: String,
    pub text: String,
    pub fields: Value,
    /// Its course over the outage, where a picture shows one.
    pub marks: Vec<Mark>,
    pub good: bool,
}

/// What was measured, and which of it breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub clock: Clock,
    pub measurements: Vec<Measurement>,
    /// Breaches, in the order of the clauses.
    pub findings: Vec<Finding>,
}

/// Everything that was observed in an outage: what [`judge`] needs, and a report keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub apps: Vec<App>,
    pub clock: Clock,
    /// When the mesh was healthy again, or why not.
    pub mesh: Result<Duration, String>,
}

/// Judges an outage; `report` shows where what decides is written.
pub fn judge(observed: &Observed, report: &Report) -> Measured {
    let Observed { apps, clock, mesh } = observed;
    let clock = *clock;
    let mut measured = Measured { clock, measurements: vec![], findings: vec![] };
    for clause in Clause::all() {
        for app in apps {
            let mut ctx = OutageContext::new(clause, app, clock, report);
            (clause.definition().outage)(&mut ctx);
            measured.measurements.append(&mut ctx.measurements);
            measured.findings.append(&mut ctx.findings);
        }
        let fleet = App { name: "the fleet".to_owned(), ..App::default() };
        let mut ctx = OutageContext::new(clause, &fleet, clock, report);
        (clause.definition().recovery)(&mut ctx, mesh);
        measured.findings.append(&mut ctx.findings);
    }
    measured
}

/// What does not hold before anything is stopped: a drill would prove nothing.
pub fn unready(apps: &[App], report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    for (app, clause) in apps.iter().flat_map(|app| Clause::all().map(move |clause| (app, clause))) {
        let mut ctx = OutageContext::new(clause, app, Clock::default(), report);
        (clause.definition().ready)(&mut ctx);
        found.append(&mut ctx.findings);
    }
    found
}

/// The work on one clause and one app cluster.
#[derive(Debug)]
pub struct OutageContext<'a> {
    pub(crate) clause: Clause,
    pub(crate) app: &'a App,
    pub(crate) clock: Clock,
    report: &'a Report,
    findings: Vec<Finding>,
    measurements: Vec<Measurement>,
}

impl<'a> OutageContext<'a> {
    fn new(clause: Clause, app: &'a App, clock: Clock, report: &'a Report) -> Self {
        OutageContext { clause, app, clock, report, findings: vec![], measurements: vec![] }
    }

    /// Records a breach. `key` ends the path of the value that decides.
    pub(crate) fn breach(&mut self, rule: &str, key: &str, subject: &str, want: &str, got: &str, hint: &str) {
        self.findings.push(Finding {
            clause: self.clause,
            rule: self.clause.rule(rule),
            clusters: vec![self.app.name.clone()],
            subject: subject.to_owned(),
            want: want.to_owned(),
            got: got.to_owned(),
            at: self.at(key),
            hint: hint.to_owned(),
        });
    }

    pub(crate) fn measure(&mut self, what: &str, text: String, fields: Value, marks: Vec<Mark>, good: bool) {
        let name = format!("{} {what}", self.app.name);
        self.measurements.push(Measurement { clause: self.clause, name, text, fields, marks, good });
    }

    /// Where that value stands; else another one that the clause read.
    fn at(&self, key: &str) -> At {
        let of = |r: &&super::Read| r.clause == self.clause;
        let exact = self.report.reads.iter().filter(of).find(|r| r.path.ends_with(key));
        let read = exact.or_else(|| self.report.reads.iter().find(of));
        read.map_or_else(|| At { file: self.clause.adr().to_owned(), line: None }, |r| r.at.clone())
    }

    /// Why a step failed, if it did.
    pub(crate) fn failure(&self, step: &str) -> Option<&'a str> {
        self.app.failed.iter().find(|(what, _)| what == step).map(|(_, why)| why.as_str())
    }

    /// `kubectl` on this cluster, for hints.
    pub(crate) fn kubectl(&self, words: &str) -> String {
        format!("kubectl --kubeconfig out/kube/{}.yaml {words}", self.app.name)
    }

    /// The two moments at which the contract must hold, with what was observed then.
    pub(crate) fn moments(&self) -> [(&'a ClusterSnapshot, &'static str); 2] {
        [(&self.app.during, "while the platform is down"), (&self.app.after, "after its return")]
    }
}
