//! The report as one page that needs no network: verdicts, and a picture of the outage.
//! Knows nothing of how anything was judged or played.

use super::drill::{Drill, span};
use super::junit::escaped;
use super::{Told, measured, word};
use crate::contract::drill::Moment;
use crate::contract::quantity::hours;
use crate::contract::{Reference, Verdict};

/// The picture, in its own units.
const WIDE: f64 = 1000.0;
const TALL: f64 = 92.0;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:66rem;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8884;vertical-align:top}\
.holds{color:#188038}.BROKEN{color:#c5221f;font-weight:700}.excused,.UNKNOWN{color:#b06000}code{font-size:.9em}\
svg{width:100%;height:auto;display:block;margin:.4rem 0 1rem}.away{fill:#c5221f22}.line{fill:none;stroke-width:2}\
.label{font:13px system-ui,sans-serif;fill:currentColor}.axis{stroke:currentColor;stroke-opacity:.3}\
.lost{fill:#c5221f}.kept{fill:#188038}small{opacity:.7}";

/// The page.
pub fn page(told: &Told<'_>, (when, rehearsed): (&str, bool)) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Contract, {when}</title>\
         <style>{STYLE}</style></head><body>\n<h1>The contract, {when}</h1>\n<p>{}</p>\n",
        escaped(&basis(told, rehearsed))
    );
    out.push_str(&clauses(told));
    if let Some(drill) = told.drill {
        out.push_str(&drill.measured.as_ref().map_or_else(String::new, |m| measured::section(m, rehearsed)));
        out.push_str(&timeline(drill));
        out.push_str(&frontier(drill));
    }
    out.push_str(&references("What app clusters ask of the platform, as rendered", &told.report.references));
    if let Some(live) = told.live {
        out.push_str(&references("What objects that are there ask of it", &live.references));
    }
    out + "</body></html>\n"
}

/// What the page rests on.
fn basis(told: &Told<'_>, rehearsed: bool) -> String {
    let live = told.live.map(|live| format!("live tier: {} answers of {}", live.answers, live.asked.join(", ")));
    let drill = told.drill.map(|_| "drill mgmt-outage as a model in virtual time".to_owned());
    let measured = told.drill.and_then(|d| d.measured.as_ref()).map(|_| "then on machines".to_owned());
    let asked = if rehearsed { "no real machine was asked" } else { "asked on this machine" };
    let real = (told.live.is_some() || told.drill.is_some()).then(|| asked.to_owned());
    let all = [Some(super::basis(told.report)), live, drill, measured, real];
    format!("{}.", all.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// A row for each clause, a column for each tier.
fn clauses(told: &Told<'_>) -> String {
    let live = if told.live.is_some() { "<th>live</th>" } else { "" };
    let mut out =
        format!("<h2>Clauses</h2>\n<table>\n<tr><th></th><th>promise</th><th>static</th>{live}<th>why</th></tr>\n");
    for verdict in &told.report.verdicts {
        let clause = verdict.clause;
        let excused = told.excused.contains_key(&clause);
        let seen = told.live.and_then(|live| Some((live, live.verdict(clause)?)));
        let cell = seen.map(|(live, seen)| {
            let unasked = live.silent(clause).map(|s| format!("{} could not be asked: {}", s.cluster, s.why)).collect();
            tier(super::live::word(live, seen, excused), seen, unasked)
        });
        out.push_str(&format!(
            "<tr><th>{clause}</th><td>{}</td>{}{}<td><code>{}</code></td></tr>\n",
            escaped(clause.says()),
            tier(word(verdict, excused), verdict, vec![]),
            cell.unwrap_or_default(),
            clause.adr()
        ));
    }
    out + "</table>\n"
}

/// What a clause came to in one tier.
fn tier(word: &str, verdict: &Verdict, unasked: Vec<String>) -> String {
    let found = verdict
        .findings
        .iter()
        .map(|f| format!("{} on {}: want {}, got {} ({})", f.subject, f.clusters.join(", "), f.want, f.got, f.at));
    let lines = found.chain(unasked).map(|line| format!("<br><code>{}</code>", escaped(&line)));
    let lines: String = lines.collect();
    format!("<td><span class=\"{word}\">{word}</span><br><small>{}</small>{lines}</td>", escaped(&verdict.headline))
}

/// Three strips over one clock: requests, the log, the secret's age.
fn timeline(drill: &Drill) -> String {
    let need = &drill.need;
    let mut out = format!("<h2>An outage of {}, as a model</h2>\n<p>", hours(need.outage));
    for (clause, sentence) in &drill.failings {
        out.push_str(&format!("<span class=\"BROKEN\">{clause}: {}</span><br>", escaped(sentence)));
    }
    let (sent, failed) = need.requests;
    out.push_str(&format!(
        "{sent} requests, {failed} failed. {} scrapes, {} lost, caught up in {}. The secret grew {} old and was fresh \
         {} after the return.</p>\n",
        need.scraped,
        need.lost,
        hours(need.caught_up),
        hours(need.secret.0),
        hours(need.secret.1)
    ));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let strips: [(&str, &str, Curve<'_>); 4] = [
        ("requests that failed so far", "#c5221f", &|m| m.requests.1 as f64),
        ("scrapes that wait", "#1a73e8", &|m| m.backlog as f64),
        ("the log, MiB", "#9334e6", &move |m| mib(m.log)),
        ("the secret's age, minutes", "#b06000", &|m| m.secret as f64 / 60.0),
    ];
    for (label, colour, of) in strips {
        out.push_str(&strip(drill, label, colour, of));
    }
    out
}

/// What a strip shows of each moment.
type Curve<'a> = &'a dyn Fn(&Moment) -> f64;

fn strip(drill: &Drill, label: &str, colour: &str, of: Curve<'_>) -> String {
    let (first, last) = span(&drill.need);
    let x = |at: i64| (at - first) as f64 / (last - first) as f64 * WIDE;
    let most = drill.need.moments.iter().map(of).fold(0.0, f64::max);
    let y = |value: f64| TALL - 8.0 - value / most.max(1.0) * (TALL - 32.0);
    let points: Vec<String> = drill.need.moments.iter().map(|m| format!("{:.1},{:.1}", x(m.at), y(of(m)))).collect();
    let end = drill.need.outage.as_secs() as i64;
    format!(
        "<svg viewBox=\"0 0 {WIDE} {TALL}\" role=\"img\" aria-label=\"{label}\"><rect class=\"away\" \
         x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{TALL}\"/><line class=\"axis\" \
         x1=\"0\" x2=\"{WIDE}\" y1=\"{base}\" y2=\"{base}\"/>\
         <polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/><text class=\"label\" x=\"4\" \
         y=\"15\">{label}, at most {}</text></svg>\n",
        x(0),
        x(end) - x(0),
        points.join(" "),
        crate::contract::quantity::short(most),
        base = TALL - 8.0
    )
}

/// One column per length of outage: red is the share of moments at which something is lost.
fn frontier(drill: &Drill) -> String {
    let rows = &drill.sweep.rows;
    let step = WIDE / rows.len().max(1) as f64;
    let mut bars = String::new();
    for (i, row) in rows.iter().enumerate() {
        let share = row.losing.0 as f64 / row.losing.1.max(1) as f64;
        let (x, wide) = (i as f64 * step, step - 2.0);
        let red = share * 120.0;
        bars.push_str(&format!(
            "<rect class=\"kept\" x=\"{x:.1}\" y=\"0\" width=\"{wide:.1}\" height=\"{:.1}\"/><rect class=\"lost\" \
             x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{red:.1}\"/>",
            120.0 - red,
            120.0 - red
        ));
        if i % 4 == 3 {
            bars.push_str(&format!("<text class=\"label\" x=\"{x:.1}\" y=\"140\">{}</text>", hours(row.outage)));
        }
    }
    format!(
        "<h2>Where samples are lost</h2>\n<p>Each column is a length of outage, its red part the share of moments at \
         which an outage of that length loses samples. Nothing is lost up to {}; computed from the flags: {}.</p>\n\
         <svg viewBox=\"0 0 {WIDE} 150\" role=\"img\" aria-label=\"frontier\">{bars}</svg>\n",
        hours(drill.sweep.safe),
        hours(drill.sweep.computed)
    )
}

fn references(title: &str, all: &[Reference]) -> String {
    let mut out = format!("<h2>{title}</h2>\n<table>\n");
    for r in all {
        let cells =
            [&r.cluster, &r.subject, &r.to, &r.class.word().to_owned(), &r.why, &r.at.to_string()].map(|c| escaped(c));
        out.push_str(&format!("<tr>{}</tr>\n", cells.map(|c| format!("<td>{c}</td>")).concat()));
    }
    out + "</table>\n"
}
