//! The contract's verdicts for people: each clause with its metrics, and each breach with its line.

pub mod drill;
pub mod json;
pub mod junit;
pub mod page;

use std::collections::BTreeMap;

use super::format;
use contract::live::{Live, Unanswered};
use contract::{Clause, Finding, Report, Verdict};

/// Clauses that may be broken, and why.
pub type Excused = BTreeMap<Clause, String>;

/// The results of one run.
#[derive(Clone, Copy)]
pub struct Results<'a> {
    /// The static tier.
    pub report: &'a Report,
    /// The live tier, if it was asked for.
    pub live: Option<&'a Live>,
    /// The drill, if one was run.
    pub drill: Option<&'a drill::Drill>,
    pub excused: &'a Excused,
}

/// The verdict of one tier on one clause, with the questions that it leaves open.
struct Tier<'a> {
    name: &'static str,
    /// What its verdicts rest on.
    reads: &'static str,
    verdict: &'a Verdict,
    unanswered: Vec<&'a Unanswered>,
    excused: Option<&'a String>,
}

impl Tier<'_> {
    /// `holds`, `BROKEN`, `excused`, or `UNKNOWN` where a question has no answer and nothing else is wrong.
    fn word(&self) -> &'static str {
        match (self.verdict.findings.is_empty(), self.unanswered.is_empty(), self.excused) {
            (true, true, _) => "holds",
            (_, _, Some(_)) => "excused",
            (false, _, None) => "BROKEN",
            (true, false, None) => "UNKNOWN",
        }
    }
}

impl<'a> Results<'a> {
    /// The tiers of a clause, the static one first.
    fn tiers(&self, clause: Clause) -> Vec<Tier<'a>> {
        let excused = self.excused.get(&clause);
        let rendered = self.report.verdicts.iter().find(|v| v.clause == clause);
        let rendered =
            rendered.map(|verdict| Tier { name: "static", reads: "value", verdict, unanswered: vec![], excused });
        let live = self.live.and_then(|live| Some((live.verdict(clause)?, live.unanswered(clause).collect())));
        let live =
            live.map(|(verdict, unanswered)| Tier { name: "live", reads: "answer", verdict, unanswered, excused });
        rendered.into_iter().chain(live).collect()
    }

    fn clauses(&self) -> impl Iterator<Item = Clause> {
        self.report.verdicts.iter().map(|v| v.clause)
    }

    /// The worst word of all tiers.
    fn word(&self, clause: Clause) -> &'static str {
        let words: Vec<&str> = self.tiers(clause).iter().map(Tier::word).collect();
        ["BROKEN", "UNKNOWN", "excused"].into_iter().find(|word| words.contains(word)).unwrap_or("holds")
    }

    /// The tiers, clause by clause. `explain` adds the rationale.
    pub fn text(&self, explain: bool) -> String {
        let clauses: Vec<String> = self.clauses().map(|clause| self.clause(clause, explain)).collect();
        format!("{}\n{}\n", clauses.concat(), self.last())
    }

    fn clause(&self, clause: Clause, explain: bool) -> String {
        let (tiers, word) = (self.tiers(clause), self.word(clause));
        let mut out = format!("{clause}  {:66}{word}\n", clause.title());
        for tier in &tiers {
            let label = if tiers.len() > 1 { format!("{:8}", tier.name) } else { String::new() };
            out.push_str(&format!("    {label}{}\n", tier.verdict.summary));
            if explain {
                out.push_str(&rationale(tier));
            }
        }
        if let Some(reason) = self.excused.get(&clause).filter(|_| word == "excused") {
            out.push_str(&format!("    excused because {reason}\n"));
        }
        tiers.iter().flat_map(|t| &t.verdict.findings).for_each(|f| out.push_str(&finding(f)));
        let unanswered: Vec<&Unanswered> = tiers.iter().flat_map(|t| t.unanswered.clone()).collect();
        for cluster in self.live.iter().flat_map(|live| &live.asked) {
            let mut own = unanswered.iter().filter(|u| u.cluster == *cluster).peekable();
            if own.peek().is_none() {
                continue;
            }
            out.push_str(&format!("  ? {cluster} did not answer ({})\n", clause.to_string().to_lowercase()));
            own.for_each(|u| out.push_str(&format!("      at    {}: {}\n", u.question, u.why)));
            out.push_str(&format!(
                "      hint  cargo xtask status   # or `--cluster` with those that answer, without {cluster}\n"
            ));
        }
        out
    }

    /// The line that answers.
    fn last(&self) -> String {
        let with = |wanted: &str| -> Vec<String> {
            self.clauses().filter(|c| self.word(*c) == wanted).map(|c| c.to_string()).collect()
        };
        let basis = match self.live {
            Some(live) => {
                let answers = format::count(live.answers, "answer");
                format!("{}; live: {answers} of {}", basis(self.report), format::list(&live.asked))
            }
            None => {
                let reads = self.report.verdicts.iter().map(|v| v.reads).sum();
                format!("{}; {} read", basis(self.report), format::count(reads, "value"))
            }
        };
        let (broken, unknown) = (with("BROKEN"), with("UNKNOWN"));
        if !broken.is_empty() {
            let live = self.live.iter().flat_map(|live| &live.verdicts).flat_map(|v| &v.findings);
            let found = format::count(self.report.findings().chain(live).count(), "finding");
            return format!("the contract is broken: {} with {found} ({basis})", format::list(&broken));
        }
        if !unknown.is_empty() {
            return format!("no verdict on {}: questions without an answer ({basis})", format::list(&unknown));
        }
        format!("{} of {} clauses hold ({basis})", with("holds").len(), self.report.verdicts.len())
    }

    /// Whether a clause is broken or without a verdict, and not excused.
    pub fn broken(&self) -> bool {
        let model = self.drill.iter().flat_map(|d| &d.failures).map(|(clause, _)| clause);
        let measured = self.drill.iter().filter_map(|d| d.measured.as_ref()).flat_map(|m| &m.findings);
        let failed = model.chain(measured.map(|f| &f.clause)).any(|clause| !self.excused.contains_key(clause));
        failed || self.clauses().any(|clause| ["BROKEN", "UNKNOWN"].contains(&self.word(clause)))
    }
}

/// The metrics, and the steps that lead to the verdict.
fn rationale(tier: &Tier<'_>) -> String {
    let Verdict { clause, metrics, rationale, reads, .. } = tier.verdict;
    let wide = metrics.iter().map(|m| m.name.chars().count()).max().unwrap_or(0);
    let metrics = metrics.iter().map(|m| format!("      {:wide$}  {}\n", m.name, m.value));
    let steps = rationale.iter().map(|step| format!("      - {step}\n"));
    let last = format!("      {} read; why: {}\n", format::count(*reads, tier.reads), clause.adr());
    metrics.chain(steps).chain([last]).collect()
}

fn finding(finding: &Finding) -> String {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    let rows =
        [("want", want), ("got", got), ("at", &at.to_string()), ("why", &clause.adr().to_owned()), ("hint", hint)];
    let rows = rows.map(|(label, value)| format!("      {label:4}  {value}\n"));
    format!("  x {subject} on {} ({rule})\n{}", format::list(clusters), rows.concat())
}

/// What the static tier read.
pub fn basis(report: &Report) -> String {
    let Some(rendering) = &report.rendering else { return "static: values and manifests".to_owned() };
    let (charts, objects) = (rendering.releases.len(), format::count(rendering.objects, "object"));
    let charts = match charts == rendering.of {
        true => format::count(charts, "chart"),
        false => format!("{charts} of {}", format::count(rendering.of, "chart")),
    };
    format!("static: values, manifests and {objects} that {charts} render (helm {})", rendering.helm)
}

/// Clauses that are broken as rendered and not excused.
pub fn breached<'a>(report: &'a Report, excused: &'a Excused) -> impl Iterator<Item = &'a Verdict> {
    report.verdicts.iter().filter(|v| !v.findings.is_empty() && !excused.contains_key(&v.clause))
}
