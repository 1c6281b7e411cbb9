//! The contract's verdicts as JUnit XML, which CI systems show: a case for each clause and tier.

use std::time::Duration;

use super::{Results, Tier};
use contract::{Finding, Verdict};

/// The file's text. `took` is the time of all tiers together: one survey answers many clauses.
pub fn report(results: &Results<'_>, took: Duration) -> String {
    let tiers: Vec<Tier<'_>> = results.clauses().flat_map(|clause| results.tiers(clause)).collect();
    let number = |words: &[&str]| tiers.iter().filter(|tier| words.contains(&tier.word())).count();
    let (failures, skipped) = (number(&["BROKEN", "UNKNOWN"]), number(&["excused"]));
    let cases: String =
        ["static", "live"].iter().flat_map(|name| tiers.iter().filter(move |t| t.name == *name)).map(case).collect();
    let (tests, seconds) = (tiers.len(), took.as_secs_f64());
    let sum = format!("tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{seconds:.3}\"");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"archipelago\" {sum}>\n<testsuite name=\"contract\" \
         {sum}>\n{cases}</testsuite>\n</testsuites>\n"
    )
}

fn case(tier: &Tier<'_>) -> String {
    let Verdict { clause, summary, findings, .. } = tier.verdict;
    let class = if tier.name == "static" { "contract" } else { "contract.live" };
    let name = escaped(&format!("{clause}: {}", clause.title()));
    let unanswered = tier.unanswered.iter().map(|u| {
        let message = escaped(&format!("{} did not answer: {}", u.cluster, u.why));
        format!("    <failure type=\"unanswered\" message=\"{message}\">{}</failure>\n", escaped(&u.question))
    });
    let body: String = match tier.excused.filter(|_| tier.word() == "excused") {
        Some(reason) => format!("    <skipped message=\"{}\"/>\n", escaped(reason)),
        None => findings.iter().map(failure).chain(unanswered).collect(),
    };
    format!(
        "  <testcase classname=\"{class}\" name=\"{name}\">\n{body}    <system-out>{}</system-out>\n  </testcase>\n",
        escaped(summary)
    )
}

fn failure(finding: &Finding) -> String {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    let message = format!("{subject} on {}: want {want}, got {got}", clusters.join(", "));
    let text = format!("{at}\nwhy: {}\nhint: {hint}", clause.adr());
    format!("    <failure type=\"{rule}\" message=\"{}\">{}</failure>\n", escaped(&message), escaped(&text))
}

/// Text that XML takes: the five special characters, and no control characters.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_is_safe_in_xml() {
        assert_eq!(escaped("a<b & \"c\"\u{1}\n"), "a&lt;b &amp; &quot;c&quot; \n");
    }
}
