//! How the contract's verdicts are written for people: five clauses with their figures, and each breach with its line.
//! Knows nothing of how a clause is judged.

pub mod drill;
pub mod json;
pub mod junit;
pub mod measured;
pub mod page;

use std::collections::BTreeMap;

use super::words;
use crate::contract::{Clause, Finding, Report, Verdict};

/// What was excused, and why.
pub type Excused = BTreeMap<Clause, String>;

/// The column where a clause's word stands.
const WORD: usize = 72;

/// The whole report. `explain` adds the reasoning.
pub fn text(report: &Report, excused: &Excused, explain: bool) -> String {
    let mut out = String::new();
    for verdict in &report.verdicts {
        clause(&mut out, verdict, excused.get(&verdict.clause), explain);
    }
    out.push_str(&format!("\n{}\n", last(report, excused)));
    out
}

/// `holds`, `BROKEN`, or `excused`.
pub fn word(verdict: &Verdict, excused: bool) -> &'static str {
    match (verdict.findings.is_empty(), excused) {
        (true, _) => "holds",
        (false, true) => "excused",
        (false, false) => "BROKEN",
    }
}

fn clause(out: &mut String, verdict: &Verdict, because: Option<&String>, explain: bool) {
    let Verdict { clause, headline, findings, figures, because: steps, reads } = verdict;
    let says = clause.says();
    let word = word(verdict, because.is_some());
    out.push_str(&format!("{clause}  {says:WORD$}{word}\n    {headline}\n"));
    if let Some(because) = because.filter(|_| !findings.is_empty()) {
        out.push_str(&format!("    excused because {because}\n"));
    }
    if explain {
        let wide = figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        for figure in figures {
            out.push_str(&format!("      {:wide$}  {}\n", figure.name, figure.value));
        }
        for step in steps {
            out.push_str(&format!("      - {step}\n"));
        }
        out.push_str(&format!("      {} read; why: {}\n", words::count(*reads, "value"), clause.adr()));
    }
    findings.iter().for_each(|f| finding(out, f));
}

fn finding(out: &mut String, finding: &Finding) {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    out.push_str(&format!("  x {subject} on {} ({rule})\n", words::list(clusters)));
    let rows =
        [("want", want), ("got", got), ("at", &at.to_string()), ("why", &clause.adr().to_owned()), ("hint", hint)];
    for (label, value) in rows {
        out.push_str(&format!("      {label:4}  {value}\n"));
    }
}

/// The line that answers.
fn last(report: &Report, excused: &Excused) -> String {
    let broken: Vec<String> = breached(report, excused).map(|v| v.clause.to_string()).collect();
    let held = report.verdicts.iter().filter(|v| v.findings.is_empty()).count();
    let reads = words::count(report.verdicts.iter().map(|v| v.reads).sum(), "value");
    let basis = format!("static tier: {reads} of merged Helm values and manifests, charts themselves not rendered");
    match broken.len() {
        0 => format!("{held} of {} clauses hold ({basis})", report.verdicts.len()),
        _ => format!(
            "the contract is broken: {} with {} ({basis})",
            words::list(&broken),
            words::count(report.findings().count(), "finding")
        ),
    }
}

/// Clauses that are broken and not excused.
pub fn breached<'a>(report: &'a Report, excused: &'a Excused) -> impl Iterator<Item = &'a Verdict> {
    report.verdicts.iter().filter(|v| !v.findings.is_empty() && !excused.contains_key(&v.clause))
}
