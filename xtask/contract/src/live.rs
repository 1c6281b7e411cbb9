//! The live tier: what running clusters answer, judged by the same clauses.
//! Knows nothing of how they were asked: answers go in, recorded or fresh, and the same verdicts come out.
//!
//! A question without an answer is neither a pass nor a breach: it is told as what could not be asked. Objects that are
//! live go through the very rules that rendered ones go through, and then through those that only a running cluster
//! can answer.

mod bench;
mod buffer;
mod deliveries;
pub mod hush;
mod pods;
mod policy;
mod secrets;
mod tunnel;
mod workloads;

use std::collections::BTreeMap;

use serde_json::Value;

use super::evidence::{Evidence, Ground};
use super::{Clause, Reference, Verdict};
use bench::Bench;
use model::fleet::Role;
use plan::StepKey;
use plan::live::{Place, Targets};
use tool::{Exit, Output};

/// Answers by the step that asked.
pub type Answers = BTreeMap<StepKey, Output>;

/// Something that nobody answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silence {
    /// The clause that it leaves open.
    pub clause: Clause,
    /// The cluster that was asked.
    pub cluster: String,
    /// The question, by its step.
    pub question: String,
    /// Why there is no answer.
    pub why: String,
}

/// What the live tier came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The clusters that were asked.
    pub asked: Vec<String>,
    /// How many answers there are.
    pub answers: usize,
    /// One per clause, in order.
    pub verdicts: Vec<Verdict>,
    /// References to the platform in the objects that are there.
    pub references: Vec<Reference>,
    /// What could not be asked.
    pub silent: Vec<Silence>,
}

impl Live {
    /// The verdict on a clause.
    pub fn verdict(&self, clause: Clause) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.clause == clause)
    }

    /// What could not be asked for a clause.
    pub fn silent(&self, clause: Clause) -> impl Iterator<Item = &Silence> {
        self.silent.iter().filter(move |s| s.clause == clause)
    }

    /// Leaves these clauses alone.
    pub fn narrow(&mut self, wanted: &[Clause]) {
        self.verdicts.retain(|v| wanted.contains(&v.clause));
        self.silent.retain(|s| wanted.contains(&s.clause));
    }

    /// Whether every clause holds and everything was answered.
    pub fn whole(&self) -> bool {
        self.silent.is_empty() && self.verdicts.iter().all(|v| v.findings.is_empty())
    }
}

/// Judges the answers of these clusters. `evidence` says what was rendered for them.
pub fn judge(evidence: &Evidence, clusters: &[String], answers: &Answers) -> Live {
    let grounds = evidence.grounds.iter().map(|g| as_it_is(g, clusters, answers)).collect();
    let live = Evidence { grounds, rendering: None };
    let mut told = Live {
        asked: clusters.to_vec(),
        answers: answers.values().filter(|a| matches!(a.exit, Exit::Code(_))).count(),
        verdicts: Vec::new(),
        references: Vec::new(),
        silent: Vec::new(),
    };
    for clause in Clause::ALL {
        let mut bench = Bench::new(clause, evidence, &live, clusters, answers);
        match clause {
            Clause::C1 => {
                told.references = workloads::judge(&mut bench);
                pods::judge(&mut bench);
                deliveries::judge(&mut bench);
            }
            Clause::C2 => buffer::judge(&mut bench),
            Clause::C3 => secrets::judge(&mut bench),
            Clause::C4 => policy::judge(&mut bench),
            Clause::C5 => tunnel::judge(&mut bench),
        }
        let (verdict, silent) = bench.close();
        told.verdicts.push(verdict);
        told.silent.extend(silent);
    }
    told
}

/// A cluster with the objects that it answered with, each kind at the question that asked for it. The platform keeps
/// what was rendered for it where it was not asked: references to it are known by that.
fn as_it_is(ground: &Ground, clusters: &[String], answers: &Answers) -> Ground {
    let asks: &[&str] = match ground.role {
        Role::Platform => &["namespaces", "deliveries"],
        Role::Workload => {
            &["namespaces", "workloads", "services", "webhooks", "policies", "stores", "external-secrets"]
        }
    };
    let mut live = ground.live(&[], "");
    for what in asks {
        let question = plan::live::id(&ground.name, what);
        let output = answers.get(&question).filter(|o| o.ok() && clusters.contains(&ground.name));
        let list: Value = output.and_then(|o| serde_json::from_str(&o.stdout).ok()).unwrap_or_default();
        let items: Vec<Value> = list["items"].as_array().into_iter().flatten().map(wanted).collect();
        live.sheets.extend(ground.live(&items, question.as_str()).sheets);
    }
    live
}

/// An object without what others write into it: a state, and copies of itself.
fn wanted(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if let Some(Value::Object(notes)) = metadata.get_mut("annotations") {
            notes.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

/// What is looked for by name on each app cluster, from what was rendered for it.
pub fn targets(evidence: &Evidence) -> BTreeMap<String, Targets> {
    evidence.apps().map(|ground| (ground.name.clone(), targets_of(ground))).collect()
}

fn targets_of(ground: &Ground) -> Targets {
    let place = |namespace: &str, name: &str| Place { namespace: namespace.to_owned(), name: name.to_owned() };
    let agent = super::c2_buffer::agent_of(ground).map(|agent| {
        let name = Some(agent.word("server.fullnameOverride")).filter(|name| !name.is_empty());
        place(agent.namespace(), name.unwrap_or(&agent.name))
    });
    let promtail = ground.releases().find(|s| s.chart() == Some("promtail"));
    let secrets = ground.objects("ExternalSecret").map(|s| match s.word("spec.target.name") {
        "" => place(s.namespace(), s.word("metadata.name")),
        name => place(s.namespace(), name),
    });
    Targets { agent, promtail: promtail.map(|p| place(p.namespace(), &p.name)), secrets: secrets.collect() }
}
