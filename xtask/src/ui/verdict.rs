//! How the contract's verdicts are written for people: five clauses with their figures, and each breach with its line.
//! Knows nothing of how a clause is judged.

pub mod drill;
mod figure;
pub mod json;
pub mod junit;
pub mod live;
pub mod measured;
pub mod page;

use std::collections::BTreeMap;

use super::format;
use contract::live::Live;
use contract::{Clause, Finding, Report, Verdict};

/// What was excused, and why.
pub type Excused = BTreeMap<Clause, String>;

/// Everything that a run came to.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// The static tier.
    pub report: &'a Report,
    /// The live tier, if it was asked for.
    pub live: Option<&'a Live>,
    /// The drill, if one was played.
    pub drill: Option<&'a drill::Drill>,
    /// What was excused.
    pub excused: &'a Excused,
}

impl Told<'_> {
    /// The tiers, for people. `explain` adds the reasoning.
    pub fn text(&self, explain: bool) -> String {
        match self.live {
            Some(live) => live::text(self, live, explain),
            None => text(self.report, self.excused, explain),
        }
    }

    /// Whether something is broken, or could not be asked, and is not excused.
    pub fn broken(&self) -> bool {
        let modelled = self.drill.iter().flat_map(|d| &d.failings).map(|(clause, _)| clause);
        let measured =
            self.drill.iter().filter_map(|d| d.measured.as_ref()).flat_map(|m| &m.findings).map(|f| &f.clause);
        let failed = modelled.chain(measured).any(|clause| !self.excused.contains_key(clause));
        let open = self.live.is_some_and(|l| live::open(l, self.excused).next().is_some());
        failed || open || breached(self.report, self.excused).next().is_some()
    }
}

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
    let Verdict { clause, headline, findings, .. } = verdict;
    let says = clause.says();
    let word = word(verdict, because.is_some());
    out.push_str(&format!("{clause}  {says:WORD$}{word}\n    {headline}\n"));
    if let Some(because) = because.filter(|_| !findings.is_empty()) {
        out.push_str(&format!("    excused because {because}\n"));
    }
    if explain {
        reasoning(out, verdict, "value");
    }
    findings.iter().for_each(|f| finding(out, f));
}

/// The figures, and the steps that lead to the verdict.
fn reasoning(out: &mut String, verdict: &Verdict, read: &str) {
    let Verdict { clause, figures, because, reads, .. } = verdict;
    let wide = figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    for figure in figures {
        out.push_str(&format!("      {:wide$}  {}\n", figure.name, figure.value));
    }
    for step in because {
        out.push_str(&format!("      - {step}\n"));
    }
    out.push_str(&format!("      {} read; why: {}\n", format::count(*reads, read), clause.adr()));
}

fn finding(out: &mut String, finding: &Finding) {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    out.push_str(&format!("  x {subject} on {} ({rule})\n", format::list(clusters)));
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
    let reads = format::count(report.verdicts.iter().map(|v| v.reads).sum(), "value");
    let basis = format!("{}; {reads} read", basis(report));
    match broken.len() {
        0 => format!("{held} of {} clauses hold ({basis})", report.verdicts.len()),
        _ => format!(
            "the contract is broken: {} with {} ({basis})",
            format::list(&broken),
            format::count(report.findings().count(), "finding")
        ),
    }
}

/// What the static tier looked at.
pub fn basis(report: &Report) -> String {
    let Some(rendering) = &report.rendering else { return "static: values and manifests".to_owned() };
    let (charts, objects) = (rendering.releases.len(), format::count(rendering.objects, "object"));
    let charts = match charts == rendering.of {
        true => format::count(charts, "chart"),
        false => format!("{charts} of {}", format::count(rendering.of, "chart")),
    };
    format!("static: values, manifests and {objects} that {charts} render (helm {})", rendering.helm)
}

/// Clauses that are broken and not excused.
pub fn breached<'a>(report: &'a Report, excused: &'a Excused) -> impl Iterator<Item = &'a Verdict> {
    report.verdicts.iter().filter(|v| !v.findings.is_empty() && !excused.contains_key(&v.clause))
}
