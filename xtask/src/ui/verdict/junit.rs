//! The contract's verdicts as JUnit XML, which CI systems show: a case for each clause.
//! Knows nothing of how a clause is judged.

use super::Excused;
use crate::contract::{Finding, Report};

/// The file's text.
pub fn report(report: &Report, excused: &Excused) -> String {
    let failed = |v: &&crate::contract::Verdict| !v.findings.is_empty() && !excused.contains_key(&v.clause);
    let failures = report.verdicts.iter().filter(failed).count();
    let skipped = report.verdicts.iter().filter(|v| !v.findings.is_empty()).count() - failures;
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"contract\" tests=\"{}\" failures=\"{failures}\" \
         skipped=\"{skipped}\">\n",
        report.verdicts.len()
    );
    for verdict in &report.verdicts {
        let name = format!("{}: {}", verdict.clause, verdict.clause.says());
        out.push_str(&format!("  <testcase classname=\"contract\" name=\"{}\">\n", escaped(&name)));
        match excused.get(&verdict.clause).filter(|_| !verdict.findings.is_empty()) {
            Some(because) => out.push_str(&format!("    <skipped message=\"{}\"/>\n", escaped(because))),
            None => verdict.findings.iter().for_each(|f| out.push_str(&failure(f))),
        }
        out.push_str(&format!("    <system-out>{}</system-out>\n  </testcase>\n", escaped(&verdict.headline)));
    }
    out + "</testsuite>\n"
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
