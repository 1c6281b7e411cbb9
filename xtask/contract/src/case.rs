//! What a clause works with while it judges: it reads values, and each read, breach and figure is noted.
//! Knows nothing of what a rule is about.

use std::collections::BTreeSet;

use serde_json::Value;

use super::evidence::{Ground, Sheet};
use model::problem::At;

use super::{Class, Clause, Figure, Finding, Read, Reference, Verdict};

/// One clause on trial.
#[derive(Debug)]
pub struct Case {
    clause: Clause,
    rule: &'static str,
    headline: String,
    findings: Vec<Finding>,
    figures: Vec<Figure>,
    because: Vec<String>,
    reads: BTreeSet<Read>,
}

impl Case {
    /// Nothing seen yet.
    pub fn new(clause: Clause) -> Self {
        Case {
            clause,
            rule: "",
            headline: String::new(),
            findings: Vec::new(),
            figures: Vec::new(),
            because: Vec::new(),
            reads: BTreeSet::new(),
        }
    }

    /// What follows is done for this rule: a word such as `guarantee`.
    pub fn rule(&mut self, name: &'static str) {
        self.rule = name;
    }

    fn rule_name(&self) -> String {
        format!("{}.{}", self.clause.to_string().to_lowercase(), self.rule)
    }

    /// The value at a dotted path, noted as read whether it is there or not.
    pub fn read<'s>(&mut self, sheet: &'s Sheet, path: &str) -> Option<&'s Value> {
        let read = Read { at: sheet.at(path), path: path.to_owned(), clause: self.clause, rule: self.rule_name() };
        self.reads.insert(read);
        sheet.get(path)
    }

    /// The text at a path; a number or a switch as it is written.
    pub fn text(&mut self, sheet: &Sheet, path: &str) -> Option<String> {
        self.read(sheet, path).map(plain)
    }

    /// Whether a switch is on; `otherwise` where it is not set.
    pub fn on(&mut self, sheet: &Sheet, path: &str, otherwise: bool) -> bool {
        self.read(sheet, path).map_or(otherwise, |v| plain(v) == "true")
    }

    /// The elements of a list, empty where there is none.
    pub fn list<'s>(&mut self, sheet: &'s Sheet, path: &str) -> &'s [Value] {
        self.read(sheet, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Breach unless the value is exactly this text.
    pub fn expect(&mut self, ground: &Ground, sheet: &Sheet, path: &str, want: &str, hint: &str) -> bool {
        let got = self.text(sheet, path);
        let holds = got.as_deref() == Some(want);
        if !holds {
            let last = path.rsplit('.').next().unwrap_or(path);
            self.breach(ground, sheet, path, format!("{last}: {want}"), shown(got.as_deref()), hint);
        }
        holds
    }

    /// Notes a breach at a path of a sheet.
    pub fn breach(
        &mut self,
        ground: &Ground,
        sheet: &Sheet,
        path: &str,
        want: impl Into<String>,
        got: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.read(sheet, path);
        let finding = Finding {
            clause: self.clause,
            rule: self.rule_name(),
            clusters: vec![ground.name.clone()],
            subject: sheet.subject(),
            want: want.into(),
            got: got.into(),
            at: sheet.at(path),
            hint: hint.into(),
        };
        if sheet.made_by().is_none() || !self.is_told(&sheet.name, &finding) {
            self.found(finding);
        }
    }

    /// Whether the values of a release already showed what its chart makes of them.
    fn is_told(&self, release: &str, finding: &Finding) -> bool {
        let same = |f: &Finding| (&f.rule, &f.want, &f.got) == (&finding.rule, &finding.want, &finding.got);
        let here = |f: &Finding| finding.clusters.iter().all(|cluster| f.clusters.contains(cluster));
        self.findings.iter().any(|f| f.subject == release && same(f) && here(f))
    }

    /// Notes a breach that lies in what is missing: where releases are listed.
    pub fn missing(&mut self, ground: &Ground, subject: &str, want: &str, got: &str, hint: &str) {
        self.found(Finding {
            clause: self.clause,
            rule: self.rule_name(),
            clusters: vec![ground.name.clone()],
            subject: subject.to_owned(),
            want: want.to_owned(),
            got: got.to_owned(),
            at: ground.listed(subject),
            hint: hint.to_owned(),
        });
    }

    /// Notes a breach that was seen in a running cluster; `at` is the question that showed it.
    pub fn seen(&mut self, cluster: &str, at: &str, subject: &str, want: &str, got: &str, hint: &str) {
        self.found(Finding {
            clause: self.clause,
            rule: self.rule_name(),
            clusters: vec![cluster.to_owned()],
            subject: subject.to_owned(),
            want: want.to_owned(),
            got: got.to_owned(),
            at: At { file: at.to_owned(), line: None },
            hint: hint.to_owned(),
        });
    }

    /// Notes that an answer was read.
    pub fn asked(&mut self, at: &str) {
        let at = At { file: at.to_owned(), line: None };
        self.reads.insert(Read { at, path: String::new(), clause: self.clause, rule: self.rule_name() });
    }

    /// Notes a reference as read, and as a breach if nothing survives it.
    pub fn reference(&mut self, reference: &Reference) {
        let (rule, at) = (self.rule_name(), reference.at.clone());
        let path = reference.path.clone();
        self.reads.insert(Read { at: at.clone(), path, clause: self.clause, rule: rule.clone() });
        if reference.class == Class::Fatal {
            self.found(Finding {
                clause: self.clause,
                rule,
                clusters: vec![reference.cluster.clone()],
                subject: reference.subject.clone(),
                want: "no reference to the platform that an outage would break".to_owned(),
                got: format!("{}: {}", reference.to, reference.why),
                at,
                hint: "remove it, or buffer, cache or make optional what it asks for".to_owned(),
            });
        }
    }

    /// The same breach on a further cluster is one finding.
    fn found(&mut self, finding: Finding) {
        let same = |f: &&mut Finding| {
            (&f.rule, &f.subject, &f.want, &f.got, &f.at)
                == (&finding.rule, &finding.subject, &finding.want, &finding.got, &finding.at)
        };
        match self.findings.iter_mut().find(same) {
            Some(known) if known.clusters == finding.clusters => {}
            Some(known) => known.clusters.extend(finding.clusters),
            None => self.findings.push(finding),
        }
    }

    /// A number it came to. The same on every cluster is one figure.
    pub fn figure(&mut self, name: &str, value: impl Into<String>) {
        let figure = Figure { name: name.to_owned(), value: value.into() };
        if !self.figures.contains(&figure) {
            self.figures.push(figure);
        }
    }

    /// A step of the reasoning.
    pub fn because(&mut self, step: impl Into<String>) {
        let step = step.into();
        if !self.because.contains(&step) {
            self.because.push(step);
        }
    }

    /// The one line that sums it up.
    pub fn headline(&mut self, line: impl Into<String>) {
        self.headline = line.into();
    }

    /// The verdict, and all that was read for it.
    pub fn close(self) -> (Verdict, Vec<Read>) {
        let verdict = Verdict {
            clause: self.clause,
            headline: self.headline,
            findings: self.findings,
            figures: self.figures,
            because: self.because,
            reads: self.reads.len(),
        };
        (verdict, self.reads.into_iter().collect())
    }
}

/// A value as a person would write it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What stands there, or that nothing does.
pub fn shown(got: Option<&str>) -> String {
    got.map_or_else(|| "nothing".to_owned(), str::to_owned)
}
