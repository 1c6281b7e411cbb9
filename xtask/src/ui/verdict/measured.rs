//! How an outage on machines is told: to people as a few lines, to scripts as an object, and as a picture of its hours.
//! Knows nothing of how it was measured.

use serde_json::{Value, json};

use super::super::format::duration;
use super::figure::figure;
use super::junit::escaped;
use contract::Finding;
use contract::outage::{GAP, Mark, Measured, Samples, Way};

/// What holds where there is no finding.
const GOOD: &str = "secrets stayed and are fresh again, policies denied, every agent tunnelled by vxlan throughout";
/// The picture, in its own units.
const WIDE: f64 = 1000.0;
const TALL: f64 = 48.0;
/// Bars in a strip, at most.
const BARS: usize = 240;

/// For people.
pub fn text(measured: &Measured, rehearsed: bool) -> String {
    let clock = measured.clock;
    let place = if rehearsed { "in the embedded world" } else { "on real machines" };
    let mut out = format!("\ndrill mgmt-outage {place}: the platform was away for {}\n", duration(clock.outage));
    measured.ways.iter().for_each(|way| out.push_str(&row(&format!("{} {}", way.cluster, way.way), &asked(way))));
    measured.samples.iter().for_each(|s| out.push_str(&row(&format!("{} samples", s.cluster), &kept(s))));
    out.push_str(&row("recovery", &recovery(measured)));
    for Finding { clause, subject, clusters, want, got, at, hint, .. } in &measured.findings {
        out.push_str(&format!("  x {clause}: {subject} on {}: {got}\n", clusters.join(", ")));
        for (label, value) in [("want", want), ("at", &at.to_string()), ("hint", hint)] {
            out.push_str(&format!("      {label:4}  {value}\n"));
        }
    }
    if measured.findings.is_empty() {
        out.push_str(&format!("  {GOOD}\n"));
    }
    out
}

fn row(what: &str, says: &str) -> String {
    format!("  {what:14}  {says}\n")
}

fn asked(way: &Way) -> String {
    let (sent, failed) = way.requests();
    format!("{sent} requests, {failed} failed, longest gap {}", duration(way.longest()))
}

fn kept(samples: &Samples) -> String {
    let Samples { written, sent, waiting, scrapes: (due, held), caught_up, .. } = samples;
    let held = held.map_or("nobody says how many of".to_owned(), |held| format!("{} of", held.min(*due)));
    let caught_up = caught_up.map_or("never caught up".to_owned(), |time| format!("caught up in {}", duration(time)));
    format!("{written} written, {sent} sent, {waiting} had waited; {held} {due} scrapes in Thanos; {caught_up}")
}

fn recovery(measured: &Measured) -> String {
    let green = measured.clock.green.map_or("never".to_owned(), |time| format!("after {}", duration(time)));
    format!("the platform answered after {}, the mesh was green {green}", duration(measured.clock.answered))
}

/// For scripts.
pub fn json(measured: &Measured, rehearsed: bool) -> Value {
    let clock = measured.clock;
    json!({
        "drill": "mgmt-outage",
        "simulated": rehearsed,
        "outage_s": clock.outage.as_secs(),
        "answered_after_s": clock.answered.as_secs(),
        "green_after_s": clock.green.map(|t| t.as_secs()),
        "window_s": clock.window.as_secs(),
        "ways": measured.ways.iter().map(way).collect::<Vec<_>>(),
        "samples": measured.samples.iter().map(samples).collect::<Vec<_>>(),
        "findings": measured.findings.iter().map(super::json::finding).collect::<Vec<_>>(),
    })
}

fn way(way: &Way) -> Value {
    let (sent, failed) = way.requests();
    let mark = |m: &Mark| json!([m.at, m.sent, m.failed, m.gap]);
    json!({
        "cluster": way.cluster, "way": way.way, "sent": sent, "failed": failed,
        "longest_gap_s": way.longest().as_secs(), "marks": way.marks.iter().map(mark).collect::<Vec<_>>(),
    })
}

fn samples(samples: &Samples) -> Value {
    let Samples { cluster, written, sent, waiting, scrapes: (due, held), caught_up } = samples;
    json!({
        "cluster": cluster, "written": written, "sent": sent, "had_waited": waiting, "scrapes_due": due,
        "scrapes_in_thanos": held, "caught_up_s": caught_up.map(|t| t.as_secs()),
    })
}

/// For the page: a strip per way over one clock, the outage shaded.
pub fn section(measured: &Measured, rehearsed: bool) -> String {
    let place = if rehearsed { "in the embedded world" } else { "on real machines" };
    let mut out = format!("<h2>An outage {place}, measured: {}</h2>\n<p>", duration(measured.clock.outage));
    for f in &measured.findings {
        let sentence = format!("{}: {} on {}: {}", f.clause, f.subject, f.clusters.join(", "), f.got);
        out.push_str(&format!("<span class=\"BROKEN\">{}</span><br>", escaped(&sentence)));
    }
    if measured.findings.is_empty() {
        out.push_str(&format!("{}. ", sentence(GOOD)));
    }
    out.push_str(&format!(
        "{}. Requests that were answered are green, others red. While the platform is away ",
        sentence(&recovery(measured))
    ));
    out.push_str("the ground is shaded; at the line it answers again.</p>\n");
    measured.ways.iter().for_each(|way| out.push_str(&strip(measured, way)));
    out.push_str("<table>\n<tr><th>agent of</th><th>samples</th></tr>\n");
    for s in &measured.samples {
        out.push_str(&format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(&s.cluster), escaped(&kept(s))));
    }
    out + "</table>\n"
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Green bars for requests that were answered, red ones for those that failed, and a mark where nobody answered.
fn strip(measured: &Measured, way: &Way) -> String {
    let last = way.marks.last().map_or(1, |m| m.at).max(1) as f64;
    let marks: Vec<Mark> = thinned(&way.marks).collect();
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
        bars.push_str(&bar("kept", left, base - good, wide, good));
        if bad > 0.0 {
            bars.push_str(&bar("lost", left, base - good - bad, wide, bad));
        }
    }
    let away = measured.clock.outage.as_secs_f64().min(last) / last * WIDE;
    let back = (measured.clock.outage + measured.clock.answered).as_secs_f64().min(last) / last * WIDE;
    let label = format!("{} {}: {}", way.cluster, way.way, asked(way));
    let colour = if way.longest() > GAP { "BROKEN" } else { "holds" };
    let shapes = format!(
        "<rect class=\"away\" x=\"0\" y=\"0\" width=\"{away:.1}\" height=\"{TALL}\"/>\
         <line class=\"axis\" x1=\"{back:.1}\" \
         x2=\"{back:.1}\" y1=\"0\" y2=\"{TALL}\"/>{bars}"
    );
    figure(colour, &label, (WIDE, TALL), &shapes)
}

/// Neighbours put together, so that a long outage is no longer a picture than a short one.
fn thinned(marks: &[Mark]) -> impl Iterator<Item = Mark> + '_ {
    marks.chunks(marks.len().div_ceil(BARS).max(1)).map(|some| Mark {
        at: some.last().map_or(0, |m| m.at),
        sent: some.iter().map(|m| m.sent).sum(),
        failed: some.iter().map(|m| m.failed).sum(),
        gap: some.iter().map(|m| m.gap).max().unwrap_or(0),
    })
}

fn bar(class: &str, x: f64, y: f64, wide: f64, tall: f64) -> String {
    format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>")
}
