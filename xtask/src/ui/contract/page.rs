//! The report as one page that needs no network: verdicts, and pictures of the outage.

use super::drill::{Drill, GOOD, place, recovery};
use super::junit::escaped;
use super::{Results, Tier};
use crate::ui::format::duration;
use contract::outage::{Mark, Measured, Measurement};
use contract::outage_model::{Moment, Outcome};
use contract::{Clause, Dependency};
use model::units::{format_decimal, format_hours};

/// The picture, in its own units.
const WIDE: f64 = 1000.0;
const TALL: f64 = 70.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--good:#188038;--bad:#c5221f;--odd:#a05600;--wait:#1a73e8;--log:#8430d8;--down:#c5221f22}\
@media(prefers-color-scheme:dark){:root{--good:#5bb974;--bad:#f28b82;--odd:#fcc04d;--wait:#8ab4f8;--log:#c58af9;\
--down:#f28b8233}}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:66rem;padding:0 1rem;overflow-wrap:break-word}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;padding:.35rem .6rem .35rem 0;border-bottom:1px solid #8884;vertical-align:top}\
th,.word{white-space:nowrap}.holds{color:var(--good)}.BROKEN{color:var(--bad);font-weight:700}\
.excused,.UNKNOWN{color:var(--odd)}code{font-size:.9em}small{opacity:.75}\
svg{width:100%;height:3.2rem;display:block;margin-bottom:.6rem}.tall{height:7rem;margin:0}\
figure{margin:.8rem 0}figcaption{font-size:.87rem}.ruler{display:flex;font-size:.8rem;opacity:.75}\
.ruler span{flex:1 0 0;min-width:0;white-space:nowrap}.ends{justify-content:space-between}.ends span{flex:none}\
.down{fill:var(--down)}rect{shape-rendering:crispEdges}\
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
pub fn page(results: &Results<'_>, (when, simulated): (&str, bool)) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Contract, {when}</title>\
         <style>{STYLE}</style></head><body>\n<h1>The contract, {when}</h1>\n<p>{}</p>\n",
        escaped(&basis(results, simulated))
    );
    out.push_str(&clauses(results));
    if let Some(drill) = results.drill {
        out.push_str(&drill.measured.as_ref().map_or_else(String::new, |m| measured(m, simulated)));
        out.push_str(&timeline(drill));
        out.push_str(&frontier(drill));
    }
    out.push_str(&dependencies(
        "Dependencies of app clusters on the platform, as rendered",
        &results.report.dependencies,
    ));
    if let Some(live) = results.live {
        out.push_str(&dependencies("Dependencies in live objects", &live.dependencies));
    }
    out + "</body></html>\n"
}

/// What the page rests on.
fn basis(results: &Results<'_>, simulated: bool) -> String {
    let live = results.live.map(|live| format!("live tier: {} answers of {}", live.answers, live.asked.join(", ")));
    let drill = results.drill.map(|_| "drill mgmt-outage as a model in virtual time".to_owned());
    let measured = results.drill.and_then(|d| d.measured.as_ref()).map(|_| format!("then run {}", place(simulated)));
    let asked = if simulated { "no real machine was asked" } else { "asked on this machine" };
    let real = (results.live.is_some() || results.drill.is_some()).then(|| asked.to_owned());
    let all = [Some(super::basis(results.report)), live, drill, measured, real];
    format!("{}.", all.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// A row for each clause, a column for each tier.
fn clauses(results: &Results<'_>) -> String {
    let live = if results.live.is_some() { "<th>live</th>" } else { "" };
    let row = |clause: Clause| {
        let cells: String = results.tiers(clause).iter().map(cell).collect();
        let title = escaped(clause.title());
        format!("<tr><th>{clause}</th><td>{title}</td>{cells}<td><code>{}</code></td></tr>\n", clause.adr())
    };
    let rows: String = results.clauses().map(row).collect();
    format!(
        "<h2>Clauses</h2>\n<table class=\"wide\">\n\
         <tr><th></th><th>promise</th><th>static</th>{live}<th>why</th></tr>\n{rows}</table>\n"
    )
}

/// The verdict of a tier on a clause.
fn cell(tier: &Tier<'_>) -> String {
    let (name, word, summary) = (tier.name, tier.word(), escaped(&tier.verdict.summary));
    let found = tier.verdict.findings.iter();
    let found =
        found.map(|f| format!("{} on {}: want {}, got {} ({})", f.subject, f.clusters.join(", "), f.want, f.got, f.at));
    let unanswered = tier.unanswered.iter().map(|u| format!("{} did not answer: {}", u.cluster, u.why));
    let lines: String = found.chain(unanswered).map(|line| format!("<br><code>{}</code>", escaped(&line))).collect();
    format!("<td data-of=\"{name}\"><span class=\"{word}\">{word}</span><br><small>{summary}</small>{lines}</td>")
}

/// A picture as wide as the page, under its words: these stay readable however narrow it is.
fn figure(class: &str, label: &str, tall: f64, shapes: &str) -> String {
    let label = escaped(label);
    format!(
        "<figure><figcaption class=\"{class}\">{label}</figcaption><svg viewBox=\"0 0 {WIDE} {tall}\" \
         preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">{shapes}</svg></figure>\n"
    )
}

fn rect(class: &str, x: f64, y: f64, wide: f64, tall: f64) -> String {
    format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>")
}

fn broken(text: &str) -> String {
    format!("<span class=\"BROKEN\">{}</span><br>", escaped(text))
}

/// The drill on machines: a strip for each course over one clock, the outage shaded, and a table of what has none.
fn measured(measured: &Measured, simulated: bool) -> String {
    let findings = measured.findings.iter();
    let findings = findings.map(|f| format!("{}: {} on {}: {}", f.clause, f.subject, f.clusters.join(", "), f.got));
    let good = if measured.findings.is_empty() { format!("{}. ", sentence(GOOD)) } else { String::new() };
    let (courses, rest): (Vec<&Measurement>, Vec<_>) = measured.measurements.iter().partition(|m| !m.marks.is_empty());
    let strips: String = courses.into_iter().map(|m| course(measured, m)).collect();
    let row = |m: &Measurement| format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(&m.name), escaped(&m.text));
    format!(
        "<h2>An outage {}, measured: {}</h2>\n<p>{}{good}{}. Requests that were answered are green, others red. While \
         the platform is down the ground is shaded; at the line it answers again.</p>\n{strips}<table>\n\
         <tr><th>what</th><th>measured</th></tr>\n{}</table>\n",
        place(simulated),
        duration(measured.clock.outage),
        findings.map(|text| broken(&text)).collect::<String>(),
        sentence(&recovery(measured)),
        rest.into_iter().map(row).collect::<String>()
    )
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Green bars for requests that were answered, red ones for those that failed.
fn course(measured: &Measured, measurement: &Measurement) -> String {
    const TALL: f64 = 48.0;
    let last = measurement.marks.last().map_or(1, |m| m.at).max(1) as f64;
    let marks: Vec<Mark> = thinned(&measurement.marks).collect();
    let starts = || std::iter::once(0).chain(marks.iter().map(|m| m.at));
    // Requests per second: the last bar may stand for less time than the others.
    let pace = |n: u64, m: &Mark, from: u64| n as f64 / m.at.saturating_sub(from).max(1) as f64;
    let most = marks.iter().zip(starts()).map(|(m, from)| pace(m.sent, m, from)).fold(f64::MIN_POSITIVE, f64::max);
    let (x, base) = (|at: u64| at as f64 / last * WIDE, TALL - 6.0);
    let mut bars = String::new();
    for (m, from) in marks.iter().zip(starts()) {
        let (left, wide) = (x(from), (x(m.at) - x(from)).max(0.4));
        let tall = |n: u64| pace(n, m, from) / most * (TALL - 14.0);
        let (good, bad) = (tall(m.sent - m.failed.min(m.sent)), tall(m.failed));
        bars.push_str(&rect("kept", left, base - good, wide, good));
        if bad > 0.0 {
            bars.push_str(&rect("lost", left, base - good - bad, wide, bad));
        }
    }
    let at = |time: std::time::Duration| time.as_secs_f64().min(last) / last * WIDE;
    let back = at(measured.clock.outage + measured.clock.answered);
    let down = rect("down", 0.0, 0.0, at(measured.clock.outage), TALL);
    let label = format!("{}: {}", measurement.name, measurement.text);
    let colour = if measurement.good { "holds" } else { "BROKEN" };
    let line = format!("<line class=\"axis\" x1=\"{back:.1}\" x2=\"{back:.1}\" y1=\"0\" y2=\"{TALL}\"/>");
    figure(colour, &label, TALL, &format!("{down}{line}{bars}"))
}

/// Neighbours put together, so that the picture of a long outage has no more bars than that of a short one.
fn thinned(marks: &[Mark]) -> impl Iterator<Item = Mark> + '_ {
    const BARS: usize = 240;
    marks.chunks(marks.len().div_ceil(BARS).max(1)).map(|some| Mark {
        at: some.last().map_or(0, |m| m.at),
        sent: some.iter().map(|m| m.sent).sum(),
        failed: some.iter().map(|m| m.failed).sum(),
        gap: some.iter().map(|m| m.gap).max().unwrap_or(0),
    })
}

/// Three strips over one clock: requests, the log, the secret's age.
fn timeline(drill: &Drill) -> String {
    let need = &drill.need;
    let mut out = format!("<h2>An outage of {}, as a model</h2>\n<p>", format_hours(need.outage));
    for (clause, sentence) in &drill.failures {
        out.push_str(&broken(&format!("{clause}: {sentence}")));
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
        "<div class=\"ruler ends\"><span>{} before it</span><span>shaded: the platform is down</span>\
         <span>{} after its return</span></div>\n",
        ends.0, ends.1
    )
}

/// The first and last moment of the picture, in seconds since the outage began.
fn span(outcome: &Outcome) -> (i64, i64) {
    let first = outcome.moments.first().map_or(0, |m| m.at);
    (first, outcome.moments.last().map_or(1, |m| m.at).max(first + 1))
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
    let label = format!("{label}, at most {}", format_decimal(most));
    let shapes = format!(
        "{}<line class=\"axis\" x1=\"0\" x2=\"{WIDE}\" y1=\"{base}\" y2=\"{base}\"/><polyline class=\"line {class}\" points=\"{}\"/>",
        rect("down", x(0), 0.0, x(end) - x(0), TALL),
        points.join(" "),
        base = TALL - 8.0
    );
    figure("", &label, TALL, &shapes)
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
        bars.push_str(&rect("kept", x, 0.0, wide, 120.0 - red));
        bars.push_str(&rect("lost", x, 120.0 - red, wide, red));
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

/// A row for each dependency, with all clusters that have it.
fn dependencies(title: &str, all: &[Dependency]) -> String {
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
        "<h2>{title}</h2>\n<table class=\"wide\">\n<tr><th>on</th><th>what</th><th>depends on</th><th>in an outage</th>\
         <th>why</th><th>from</th></tr>\n"
    );
    for ([subject, to, class, why, at], clusters) in rows {
        let on = escaped(&clusters.join(", "));
        out.push_str(&format!(
            "<tr><td class=\"word\">{on}</td><td>{subject}</td>\
             <td data-of=\"depends on\">{to}</td>\
             <td class=\"word\" data-of=\"in an outage\">{class}</td><td>{why}</td>\
             <td><code>{at}</code></td></tr>\n"
        ));
    }
    out + "</table>\n"
}
