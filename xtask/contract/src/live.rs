//! The live tier: questions to running clusters, and their answers judged by the same clauses.
//!
//! A question without an answer is neither a pass nor a breach: it is reported as unanswered. Live objects go through
//! the rules that rendered ones go through, and then through those that only a running cluster can answer.

mod context;
pub mod probes;
pub mod redact;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::rendered_state::{ClusterManifests, RenderedState};
use super::{Clause, Dependency, Verdict};
pub use context::LiveContext;
pub(crate) use context::{Site, UNASKED};
use plan::StepKey;
pub use probes::{id, plan};
use tool::{Exit, Output};

pub type Answers = BTreeMap<StepKey, Output>;
/// When each answer came, by this machine's time.
pub type Times = BTreeMap<StepKey, Duration>;

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanswered {
    pub clause: Clause,
    pub cluster: String,
    pub question: String,
    pub why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    pub asked: Vec<String>,
    pub answers: usize,
    /// One per clause, in order.
    pub verdicts: Vec<Verdict>,
    /// Dependencies on the platform in live objects.
    pub dependencies: Vec<Dependency>,
    pub unanswered: Vec<Unanswered>,
}

impl Live {
    pub fn verdict(&self, clause: Clause) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.clause == clause)
    }

    pub fn unanswered(&self, clause: Clause) -> impl Iterator<Item = &Unanswered> {
        self.unanswered.iter().filter(move |s| s.clause == clause)
    }

    pub fn narrow(&mut self, wanted: &[Clause]) {
        self.verdicts.retain(|v| wanted.contains(&v.clause));
        self.unanswered.retain(|s| wanted.contains(&s.clause));
    }
}

/// Judges the answers of these clusters beside what was rendered for them.
pub fn judge(state: &RenderedState, clusters: &[String], answers: &Answers, times: &Times) -> Live {
    let actual = state.clusters.iter().map(|g| live_manifests(g, clusters, answers)).collect();
    let actual = RenderedState { clusters: actual, rendering: None };
    let answered = answers.values().filter(|a| matches!(a.exit, Exit::Code(_))).count();
    let mut live = Live { asked: clusters.to_vec(), answers: answered, ..Live::default() };
    for clause in Clause::all() {
        let mut ctx = LiveContext::new(clause, (state, &actual), clusters, (answers, times));
        (clause.definition().live)(&mut ctx);
        live.dependencies.append(&mut ctx.dependencies);
        live.unanswered.append(&mut ctx.unanswered);
        live.verdicts.push(ctx.base.finish().0);
    }
    live
}

/// A cluster with the objects that it answered with, each kind at the question that asked for it.
fn live_manifests(cluster: &ClusterManifests, clusters: &[String], answers: &Answers) -> ClusterManifests {
    let mut live = cluster.live(&[], "");
    let mut questions: Vec<StepKey> = Vec::new();
    for what in Clause::all().flat_map(|clause| clause.definition().objects) {
        let question = id(&cluster.name, what);
        if !questions.contains(&question) {
            questions.push(question);
        }
    }
    for question in questions {
        let output = answers.get(&question).filter(|o| o.ok() && clusters.contains(&cluster.name));
        let list: Value = output.and_then(|o| serde_json::from_str(&o.stdout).ok()).unwrap_or_default();
        let items: Vec<Value> = list["items"].as_array().into_iter().flatten().map(desired).collect();
        live.documents.extend(cluster.live(&items, question.as_str()).documents);
    }
    live
}

/// An object without what controllers and kubectl write into it: its status, and copies of itself.
fn desired(object: &Value) -> Value {
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
