//! What an outage on real machines came to: the answers of three looks become figures, and breaches where they must.
//! Knows nothing of how anything was asked, nor of what was done meanwhile.
//!
//! `contract::drill` plays the same in a model; this judges what was measured. An answer that is missing proves
//! nothing and is a breach, never a pass.

mod packets;
mod requests;
mod samples;
mod secrets;
#[cfg(test)]
mod tests;
mod untouched;

use std::time::Duration;

use super::{Clause, Finding, Report};
use model::problem::At;

pub use requests::{GAP, Mark, Way};
pub use samples::Samples;

/// What a look at one cluster brought. Nothing where no good answer came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Identity and version of the Secret.
    pub secret: Option<String>,
    /// When External Secrets last read it, and whether that went well: `2026-11-23T02:49:28Z True`.
    pub store: Option<String>,
    /// What `cilium status` printed.
    pub agents: Option<String>,
    /// What was said to a pod that must be refused: whether it was let in, and the words.
    pub offered: Option<(bool, String)>,
    /// The metrics page of the agent.
    pub metrics: Option<String>,
    /// Identity and generation of the sample.
    pub workload: Option<String>,
    /// What the probe printed.
    pub requests: Option<String>,
}

/// One workload cluster through the outage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// Whether it has another workload cluster to ask.
    pub linked: bool,
    /// Before the platform went.
    pub before: Said,
    /// Before it came back.
    pub during: Said,
    /// At the end.
    pub after: Said,
    /// Scrapes of it that Thanos holds, of the window.
    pub scrapes: Option<u64>,
    /// Until it had sent what waited, from the platform's return.
    pub caught_up: Option<Duration>,
    /// What should have worked and did not: the last part of the step's name, and why.
    pub failed: Vec<(String, String)>,
}

/// How long it all took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// From the first VM that stopped to the first that was started again.
    pub outage: Duration,
    /// From there until the platform answered, Vault among it.
    pub answered: Duration,
    /// From there until the mesh was as it was; nothing if it never was.
    pub green: Option<Duration>,
    /// From the first stop to the count of samples.
    pub window: Duration,
    /// From scrape to scrape.
    pub interval: Duration,
}

/// What was measured, and what of it breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// How long it took.
    pub clock: Clock,
    /// Every way that was asked.
    pub ways: Vec<Way>,
    /// The samples of every cluster.
    pub samples: Vec<Samples>,
    /// Breaches, in the order of the clauses.
    pub findings: Vec<Finding>,
}

/// Judges an outage. `report` says where what decides is written.
pub fn judge(apps: &[App], clock: Clock, report: &Report) -> Measured {
    let mut measured = Measured { clock, ways: vec![], samples: vec![], findings: vec![] };
    for app in apps {
        let court = Court { app, report };
        let (ways, found) = requests::judge(&court);
        measured.ways.extend(ways);
        measured.findings.extend(found);
        let (samples, found) = samples::judge(&court, clock);
        measured.samples.extend(samples);
        measured.findings.extend(found);
        measured.findings.extend(secrets::judge(&court));
        // Once: what was touched meanwhile is still another one afterwards.
        let away = untouched::judge(&court, &app.during, "while the platform is away");
        let back = || untouched::judge(&court, &app.after, "after its return");
        measured.findings.extend(away.or_else(back));
        measured.findings.extend(packets::enforced(&court, &app.during, "while the platform is away"));
        measured.findings.extend(packets::enforced(&court, &app.after, "after its return"));
        measured.findings.extend(packets::tunnelled(&court, &app.during, "while the platform is away"));
        measured.findings.extend(packets::tunnelled(&court, &app.after, "after its return"));
    }
    measured.findings.sort_by_key(|f| f.clause);
    measured
}

/// What does not hold before anything is stopped: a drill would prove nothing then.
pub fn unready(apps: &[App], report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    for app in apps {
        let court = Court { app, report };
        found.extend(samples::unready(&court));
        found.extend(secrets::unready(&court));
        found.extend(packets::enforced(&court, &app.before, "before the drill"));
        found.extend(packets::tunnelled(&court, &app.before, "before the drill"));
    }
    found
}

/// C1 also says that nothing is lost for good: the mesh is as before once the platform is back.
pub fn unmeshed(why: String, report: &Report) -> Finding {
    let app = App { name: "the fleet".to_owned(), ..App::default() };
    let want = "a mesh that is green again within a quarter of an hour".to_owned();
    let hint = "cargo xtask mesh-connect --diagnose".to_owned();
    Court { app: &app, report }.breach((Clause::C1, "recovered"), "replicas", "mesh", [want, why, hint])
}

/// One cluster on trial, and the way from a clause to the line that decides it.
struct Court<'a> {
    app: &'a App,
    report: &'a Report,
}

impl Court<'_> {
    /// A breach. `key` ends the path of the value that decides.
    fn breach(&self, rule: (Clause, &str), key: &str, subject: &str, [want, got, hint]: [String; 3]) -> Finding {
        let (clause, name) = rule;
        Finding {
            clause,
            rule: format!("{}.{name}", clause.to_string().to_lowercase()),
            clusters: vec![self.app.name.clone()],
            subject: subject.to_owned(),
            want,
            got,
            at: self.at(clause, key),
            hint,
        }
    }

    /// Where that value stands; else what else the clause rests on.
    fn at(&self, clause: Clause, key: &str) -> At {
        let of = |r: &&super::Read| r.clause == clause;
        let exact = self.report.reads.iter().filter(of).find(|r| r.path.ends_with(key));
        let read = exact.or_else(|| self.report.reads.iter().find(of));
        read.map_or_else(|| At { file: clause.adr().to_owned(), line: None }, |r| r.at.clone())
    }

    /// Why a step failed, if it did.
    fn failure(&self, step: &str) -> Option<&str> {
        self.app.failed.iter().find(|(what, _)| what == step).map(|(_, why)| why.as_str())
    }

    /// Where to look on this cluster.
    fn look(&self, what: &str) -> String {
        format!("kubectl --kubeconfig out/kube/{}.yaml {what}", self.app.name)
    }
}
