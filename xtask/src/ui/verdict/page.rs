//! The report as one page that needs no network: verdicts, and a picture of the outage.
//! Knows nothing of how anything was judged or played.

use super::drill::{Drill, span};
use super::figure::figure;
use super::junit::escaped;
use super::{Told, measured, word};
use contract::drill::Moment;
use contract::{Reference, Verdict};
use model::units::format_hours;

/// The picture, in its own units.
const WIDE: f64 = 1000.0;
const TALL: f64 = 70.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--good:#188038;--bad:#c5221f;--odd:#a05600;--wait:#1a73e8;--log:#8430d8;--away:#c5221f22}\
@media(prefers-color-scheme:dark){:root{--good:#5bb974;--bad:#f28b82;--odd:#fcc04d;--wait:#8ab4f8;--log:#c58af9;\
--away:#f28b8233}}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:66rem;padding:0 1rem;overflow-wrap:break-word}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.35rem .6rem .35rem 0;border-bottom:1px solid #8884;vertical-align:top}\
th,.word{white-space:nowrap}.holds{color:var(--good)}.BROKEN{color:var(--bad);font-weight:700}\
.excused,.UNKNOWN{color:var(--odd)}code{font-size:.9em}small{opacity:.75}\
svg{width:100%;height:3.2rem;display:block;margin-bottom:.6rem}.tall{height:7rem;margin:0}\
figure{margin:.8rem 0}figcaption{font-size:.87rem}.ruler{display:flex;font-size:.8rem;opacity:.75}\
.ruler span{flex:1 0 0;min-width:0;white-space:nowrap}.ends{justify-content:space-between}.ends span{flex:none}\
.away{fill:var(--away)}rect{shape-rendering:crispEdges}\
.line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}\
.failed{stroke:var(--bad)}.wait{stroke:var(--wait)}.log{stroke:var(--log)}.age{stroke:var(--odd)}\
.axis{stroke:currentColor;stroke-opacity:.4;vector-effect:non-scaling-stroke}\
.lost{fill:var(--bad)}.kept{fill:var(--good)}\
@media(max-width:45rem){body{margin-top:1rem}td,th{padding-right:.4rem}\
.wide tr{display:block;border-bottom:1px solid #8884;padding:.4rem 0}\
.wide td,.wide th{display:block;border:0;padding:0}\
.wide td{overflow-wrap:anywhere}.wide tr:first-child{display:none}\
td[data-of]::before{content:attr(data-of)\": \";opacity:.75}}";

/// The page.
pub fn page(told: &Told<'_>, (when, rehearsed): (&str, bool)) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Contract, {when}</title>\
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
    let place = if rehearsed { "then played in the embedded world" } else { "then on machines" };
    let measured = told.drill.and_then(|d| d.measured.as_ref()).map(|_| place.to_owned());
    let asked = if rehearsed { "no real machine was asked" } else { "asked on this machine" };
    let real = (told.live.is_some() || told.drill.is_some()).then(|| asked.to_owned());
    let all = [Some(super::basis(told.report)), live, drill, measured, real];
    format!("{}.", all.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// A row for each clause, a column for each tier.
fn clauses(told: &Told<'_>) -> String {
    let live = if told.live.is_some() { "<th>live</th>" } else { "" };
    let mut out = format!(
        "<h2>Clauses</h2>\n<table class=\"wide\">\n\
         <tr><th></th><th>promise</th><th>static</th>{live}<th>why</th></tr>\n"
    );
    for verdict in &told.report.verdicts {
        let clause = verdict.clause;
        let excused = told.excused.contains_key(&clause);
        let seen = told.live.and_then(|live| Some((live, live.verdict(clause)?)));
        let cell = seen.map(|(live, seen)| {
            let unasked = live.silent(clause).map(|s| format!("{} could not be asked: {}", s.cluster, s.why)).collect();
            tier("live", super::live::word(live, seen, excused), seen, unasked)
        });
        out.push_str(&format!(
            "<tr><th>{clause}</th><td>{}</td>{}{}<td><code>{}</code></td></tr>\n",
            escaped(clause.says()),
            tier("static", word(verdict, excused), verdict, vec![]),
            cell.unwrap_or_default(),
            clause.adr()
        ));
    }
    out + "</table>\n"
}

/// What a clause came to in one tier.
fn tier(name: &str, word: &str, verdict: &Verdict, unasked: Vec<String>) -> String {
    let found = verdict
        .findings
        .iter()
        .map(|f| format!("{} on {}: want {}, got {} ({})", f.subject, f.clusters.join(", "), f.want, f.got, f.at));
    let lines = found.chain(unasked).map(|line| format!("<br><code>{}</code>", escaped(&line)));
    let lines: String = lines.collect();
    let headline = escaped(&verdict.headline);
    format!("<td data-of=\"{name}\"><span class=\"{word}\">{word}</span><br><small>{headline}</small>{lines}</td>")
}

/// Three strips over one clock: requests, the log, the secret's age.
fn timeline(drill: &Drill) -> String {
    let need = &drill.need;
    let mut out = format!("<h2>An outage of {}, as a model</h2>\n<p>", format_hours(need.outage));
    for (clause, sentence) in &drill.failings {
        out.push_str(&format!("<span class=\"BROKEN\">{clause}: {}</span><br>", escaped(sentence)));
    }
    let (sent, failed) = need.requests;
    out.push_str(&format!(
        "{sent} requests, {failed} failed. {} scrapes, {} lost, caught up in {}. The secret grew {} old and was fresh \
         {} after the return.</p>\n",
        need.scraped,
        need.lost,
        format_hours(need.caught_up),
        format_hours(need.secret.0),
        format_hours(need.secret.1)
    ));
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let strips: [(&str, &str, Curve<'_>); 4] = [
        ("requests that failed so far", "failed", &|m| m.requests.1 as f64),
        ("scrapes that wait", "wait", &|m| m.backlog as f64),
        ("the log, MiB", "log", &move |m| mib(m.log)),
        ("the secret's age, minutes", "age", &|m| m.secret as f64 / 60.0),
    ];
    for (label, class, of) in strips {
        out.push_str(&strip(drill, label, class, of));
    }
    let (first, last) = span(need);
    let from = |at: i64| format_hours(std::time::Duration::from_secs(at.unsigned_abs()));
    let ends = (from(first), from(last - need.outage.as_secs() as i64));
    out + &format!(
        "<div class=\"ruler ends\"><span>{} before it</span><span>shaded: the platform is away</span>\
         <span>{} after its return</span></div>\n",
        ends.0, ends.1
    )
}

/// What a strip shows of each moment.
type Curve<'a> = &'a dyn Fn(&Moment) -> f64;

fn strip(drill: &Drill, label: &str, class: &str, of: Curve<'_>) -> String {
    let (first, last) = span(&drill.need);
    let x = |at: i64| (at - first) as f64 / (last - first) as f64 * WIDE;
    let most = drill.need.moments.iter().map(of).fold(0.0, f64::max);
    let y = |value: f64| TALL - 8.0 - value / most.max(1.0) * (TALL - 12.0);
    let points: Vec<String> = drill.need.moments.iter().map(|m| format!("{:.1},{:.1}", x(m.at), y(of(m)))).collect();
    let end = drill.need.outage.as_secs() as i64;
    let label = format!("{label}, at most {}", model::units::format_decimal(most));
    let shapes = format!(
        "<rect class=\"away\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{TALL}\"/><line class=\"axis\" x1=\"0\" \
         x2=\"{WIDE}\" y1=\"{base}\" y2=\"{base}\"/><polyline class=\"line {class}\" points=\"{}\"/>",
        x(0),
        x(end) - x(0),
        points.join(" "),
        base = TALL - 8.0
    );
    figure("", &label, (WIDE, TALL), &shapes)
}

/// One column per length of outage: red is the share of moments at which something is lost.
fn frontier(drill: &Drill) -> String {
    let rows = &drill.sweep.rows;
    let step = WIDE / rows.len().max(1) as f64;
    let (mut bars, mut ruler) = (String::new(), String::new());
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
        ruler.push_str(&if i % 4 == 3 {
            format!("<span>{}</span>", format_hours(row.outage))
        } else {
            "<span></span>".into()
        });
    }
    format!(
        "<h2>Where samples are lost</h2>\n<p>Each column is a length of outage, its red part the share of moments at \
         which an outage of that length loses samples. Nothing is lost up to {}; computed from the flags: {}.</p>\n\
         <svg class=\"tall\" viewBox=\"0 0 {WIDE} 120\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"frontier\">{bars}</svg>\n<div class=\"ruler\">{ruler}</div>\n",
        format_hours(drill.sweep.safe),
        format_hours(drill.sweep.computed)
    )
}

/// Paths may be broken after each slash.
fn breakable(text: &str) -> String {
    escaped(text).replace('/', "/<wbr>")
}

/// A row for each thing that is asked for, with all clusters that ask in the same words.
fn references(title: &str, all: &[Reference]) -> String {
    let mut rows: Vec<([String; 5], Vec<&str>)> = Vec::new();
    for r in all {
        let cells = [&r.subject, &r.to, r.class.word(), &r.why, &r.at.to_string()].map(breakable);
        match rows.iter_mut().find(|(row, _)| *row == cells) {
            Some((_, clusters)) if clusters.last() == Some(&&*r.cluster) => {}
            Some((_, clusters)) => clusters.push(&r.cluster),
            None => rows.push((cells, vec![&r.cluster])),
        }
    }
    let mut out = format!(
        "<h2>{title}</h2>\n<table class=\"wide\">\n<tr><th>on</th><th>what asks</th><th>for</th><th>in an outage</th>\
         <th>why</th><th>from</th></tr>\n"
    );
    for ([subject, to, class, why, at], clusters) in rows {
        let on = escaped(&clusters.join(", "));
        out.push_str(&format!(
            "<tr><td class=\"word\">{on}</td><td>{subject}</td>\
             <td data-of=\"for\">{to}</td>\
             <td class=\"word\" data-of=\"in an outage\">{class}</td><td>{why}</td>\
             <td><code>{at}</code></td></tr>\n"
        ));
    }
    out + "</table>\n"
}
