//! How the live tier is told beside the static one: to people clause by clause, to scripts as an object.
//! Knows nothing of how answers were judged.

use serde_json::{Value, json};

use super::json::{clause as clause_json, reference};
use super::{Excused, Told, WORD, basis, finding, reasoning};
use crate::ui::format;
use contract::live::{Live, Silence};
use contract::{Clause, Verdict};

/// `holds`, `BROKEN`, `excused`, or `UNKNOWN` where something could not be asked and nothing else is wrong.
pub fn word(live: &Live, verdict: &Verdict, excused: bool) -> &'static str {
    match (verdict.findings.is_empty(), live.silent(verdict.clause).next().is_some(), excused) {
        (true, false, _) => "holds",
        (_, _, true) => "excused",
        (false, _, false) => "BROKEN",
        (true, true, false) => "UNKNOWN",
    }
}

/// The word over both tiers: the worse one.
fn both(told: &Told<'_>, live: &Live, clause: Clause) -> &'static str {
    let excused = told.excused.contains_key(&clause);
    let of = told.report.verdicts.iter().find(|v| v.clause == clause).map(|v| super::word(v, excused));
    let words = [of, live.verdict(clause).map(|v| word(live, v, excused))];
    ["BROKEN", "UNKNOWN", "excused"].into_iter().find(|word| words.contains(&Some(word))).unwrap_or("holds")
}

/// Clauses that are broken live, or that could not be asked, and are not excused.
pub fn open<'a>(live: &'a Live, excused: &'a Excused) -> impl Iterator<Item = (Clause, &'static str)> + 'a {
    let of = |v: &'a Verdict| (v.clause, word(live, v, excused.contains_key(&v.clause)));
    live.verdicts.iter().map(of).filter(|(_, word)| ["BROKEN", "UNKNOWN"].contains(word))
}

/// Both tiers, clause by clause.
pub(super) fn text(told: &Told<'_>, live: &Live, explain: bool) -> String {
    let mut out = String::new();
    for verdict in &told.report.verdicts {
        let clause = verdict.clause;
        out.push_str(&format!("{clause}  {:WORD$}{}\n", clause.says(), both(told, live, clause)));
        let of_live = live.verdict(clause);
        out.push_str(&format!("    static  {}\n", verdict.headline));
        if explain {
            reasoning(&mut out, verdict, "value");
        }
        if let Some(seen) = of_live {
            out.push_str(&format!("    live    {}\n", seen.headline));
            if explain {
                reasoning(&mut out, seen, "answer");
            }
        }
        if let Some(because) = told.excused.get(&clause).filter(|_| both(told, live, clause) == "excused") {
            out.push_str(&format!("    excused because {because}\n"));
        }
        verdict.findings.iter().chain(of_live.into_iter().flat_map(|v| &v.findings)).for_each(|f| finding(&mut out, f));
        for cluster in &live.asked {
            let silent: Vec<&Silence> = live.silent(clause).filter(|s| s.cluster == *cluster).collect();
            if !silent.is_empty() {
                unasked(&mut out, clause, cluster, &silent);
            }
        }
    }
    out.push_str(&format!("\n{}\n", last(told, live)));
    out
}

/// What one cluster did not answer, as one finding.
fn unasked(out: &mut String, clause: Clause, cluster: &str, silent: &[&Silence]) {
    out.push_str(&format!("  ? {cluster} could not be asked ({})\n", clause.to_string().to_lowercase()));
    for Silence { question, why, .. } in silent {
        out.push_str(&format!("      at    {question}: {why}\n"));
    }
    out.push_str(&format!(
        "      hint  cargo xtask status   # or `--cluster` with those that answer, without {cluster}\n"
    ));
}

/// The line that answers.
fn last(told: &Told<'_>, live: &Live) -> String {
    let with = |wanted: &str| -> Vec<String> {
        let all = told.report.verdicts.iter().map(|v| v.clause);
        all.filter(|c| both(told, live, *c) == wanted).map(|c| c.to_string()).collect()
    };
    let answers = format::count(live.answers, "answer");
    let basis = format!("{}; live: {answers} of {}", basis(told.report), format::list(&live.asked));
    let (broken, unknown) = (with("BROKEN"), with("UNKNOWN"));
    let held = with("holds").len();
    match (broken.is_empty(), unknown.is_empty()) {
        (true, true) => format!("{held} of {} clauses hold ({basis})", told.report.verdicts.len()),
        (true, false) => format!("not everything could be asked: {} ({basis})", format::list(&unknown)),
        _ => {
            let found = told.report.findings().count() + live.verdicts.iter().flat_map(|v| &v.findings).count();
            let found = format::count(found, "finding");
            format!("the contract is broken: {} with {found} ({basis})", format::list(&broken))
        }
    }
}

/// The live tier as one JSON object.
pub fn json(live: &Live, excused: &Excused) -> Value {
    let clause = |verdict: &Verdict| {
        let mut value = clause_json(verdict, excused);
        value["verdict"] = word(live, verdict, excused.contains_key(&verdict.clause)).to_lowercase().into();
        value["could_not_be_asked"] = live.silent(verdict.clause).map(silence).collect();
        value
    };
    json!({
        "event": "contract",
        "tier": "live",
        "asked": live.asked,
        "answers": live.answers,
        "holds": open(live, excused).next().is_none(),
        "clauses": live.verdicts.iter().map(clause).collect::<Vec<_>>(),
        "references": live.references.iter().map(reference).collect::<Vec<_>>(),
    })
}

fn silence(silence: &Silence) -> Value {
    let Silence { clause, cluster, question, why } = silence;
    json!({ "check": clause.to_string(), "cluster": cluster, "question": question, "why": why })
}
