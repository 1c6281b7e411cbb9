//! What a clause works with while it judges: every value that it reads, every breach and every metric is recorded here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rendered_state::{ClusterManifests, Document};
use super::{Clause, Dependency, Finding, Metric, Read, Verdict};
use model::problem::At;

#[derive(Debug)]
pub struct ClauseContext {
    pub clause: Clause,
    pub dependencies: Vec<Dependency>,
    rule: &'static str,
    summary: String,
    findings: Vec<Finding>,
    metrics: Vec<Metric>,
    rationale: Vec<String>,
    reads: BTreeSet<Read>,
}

impl ClauseContext {
    pub fn new(clause: Clause) -> Self {
        ClauseContext {
            clause,
            dependencies: Vec::new(),
            rule: "",
            summary: String::new(),
            findings: Vec::new(),
            metrics: Vec::new(),
            rationale: Vec::new(),
            reads: BTreeSet::new(),
        }
    }

    /// What follows is done for this rule: a word such as `guarantee`.
    pub fn rule(&mut self, name: &'static str) {
        self.rule = name;
    }

    /// The value at a dotted path, recorded as read whether it is there or not.
    pub fn read<'s>(&mut self, document: &'s Document, path: &str) -> Option<&'s Value> {
        self.record_read(document.at(path), path);
        document.get(path)
    }

    /// Records that a value or an answer was read.
    pub fn record_read(&mut self, at: At, path: &str) {
        let rule = self.clause.rule(self.rule);
        self.reads.insert(Read { at, path: path.to_owned(), clause: self.clause, rule });
    }

    /// The text at a path; a number or a switch as it is written.
    pub fn text(&mut self, document: &Document, path: &str) -> Option<String> {
        self.read(document, path).map(plain)
    }

    /// Whether a switch is on; `otherwise` where it is not set.
    pub fn on(&mut self, document: &Document, path: &str, otherwise: bool) -> bool {
        self.read(document, path).map_or(otherwise, |v| plain(v) == "true")
    }

    /// The elements of a list, empty where there is none.
    pub fn list<'s>(&mut self, document: &'s Document, path: &str) -> &'s [Value] {
        self.read(document, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Breach unless the value is exactly this text.
    pub fn expect(
        &mut self,
        cluster: &ClusterManifests,
        document: &Document,
        path: &str,
        want: &str,
        hint: &str,
    ) -> bool {
        let got = self.text(document, path);
        let holds = got.as_deref() == Some(want);
        if !holds {
            let last = path.rsplit('.').next().unwrap_or(path);
            self.breach(cluster, document, path, format!("{last}: {want}"), shown(got.as_deref()), hint);
        }
        holds
    }

    /// Records a breach at a path of a document. What the values of a release already showed is not reported again
    /// for what its chart makes of them.
    pub fn breach(
        &mut self,
        cluster: &ClusterManifests,
        document: &Document,
        path: &str,
        want: impl Into<String>,
        got: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.read(document, path);
        let (want, got) = (want.into(), got.into());
        let same = |f: &Finding| {
            f.subject == document.name && (&f.want, &f.got) == (&want, &got) && f.rule == self.clause.rule(self.rule)
        };
        let known = |f: &Finding| same(f) && f.clusters.contains(&cluster.name);
        if document.made_by().is_none() || !self.findings.iter().any(known) {
            let subject = document.subject();
            self.breach_at(&cluster.name, document.at(path), &subject, &want, &got, &hint.into());
        }
    }

    /// Records a breach that lies in what is missing: where releases are listed.
    pub fn missing(&mut self, cluster: &ClusterManifests, subject: &str, want: &str, got: &str, hint: &str) {
        self.breach_at(&cluster.name, cluster.listed(subject), subject, want, got, hint);
    }

    /// Records a breach at a line of a file, or at a question to a running cluster. The same breach on a further
    /// cluster is one finding.
    pub fn breach_at(&mut self, cluster: &str, at: At, subject: &str, want: &str, got: &str, hint: &str) {
        let rule = self.clause.rule(self.rule);
        let same = |f: &&mut Finding| {
            (f.rule.as_str(), f.subject.as_str(), f.want.as_str(), f.got.as_str(), &f.at)
                == (rule.as_str(), subject, want, got, &at)
        };
        match self.findings.iter_mut().find(same) {
            Some(known) if known.clusters == [cluster] => {}
            Some(known) => known.clusters.push(cluster.to_owned()),
            None => self.findings.push(Finding {
                clause: self.clause,
                rule,
                clusters: vec![cluster.to_owned()],
                subject: subject.to_owned(),
                want: want.to_owned(),
                got: got.to_owned(),
                at,
                hint: hint.to_owned(),
            }),
        }
    }

    /// A metric. The same on every cluster is one.
    pub fn metric(&mut self, name: &str, value: impl Into<String>) {
        let metric = Metric { name: name.to_owned(), value: value.into() };
        if !self.metrics.contains(&metric) {
            self.metrics.push(metric);
        }
    }

    pub fn rationale(&mut self, step: impl Into<String>) {
        let step = step.into();
        if !self.rationale.contains(&step) {
            self.rationale.push(step);
        }
    }

    pub fn summary(&mut self, line: impl Into<String>) {
        self.summary = line.into();
    }

    pub fn finish(self) -> (Verdict, Vec<Read>) {
        let verdict = Verdict {
            clause: self.clause,
            summary: self.summary,
            findings: self.findings,
            metrics: self.metrics,
            rationale: self.rationale,
            reads: self.reads.len(),
        };
        (verdict, self.reads.into_iter().collect())
    }
}

pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The text, or `nothing`.
pub fn shown(got: Option<&str>) -> String {
    got.map_or_else(|| "nothing".to_owned(), str::to_owned)
}
