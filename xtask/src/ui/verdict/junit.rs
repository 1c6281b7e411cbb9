//! The contract's verdicts as JUnit XML, which CI systems show: a case for each clause.
//! Knows nothing of how a clause is judged.

use super::{Excused, Told};
use contract::live::Silence;
use contract::{Finding, Verdict};

/// The file's text: a case for each clause and tier.
pub fn report(told: &Told<'_>) -> String {
    let mut cases: Vec<Case<'_>> = told.report.verdicts.iter().map(|v| Case::of(v, "contract", told.excused)).collect();
    for (live, verdict) in told.live.iter().flat_map(|live| live.verdicts.iter().map(move |v| (live, v))) {
        let case = Case::of(verdict, "contract.live", told.excused);
        cases.push(Case { unasked: live.silent(verdict.clause).collect(), ..case });
    }
    let bad = |case: &&Case<'_>| !case.verdict.findings.is_empty() || !case.unasked.is_empty();
    let skipped = cases.iter().filter(bad).filter(|c| c.because.is_some()).count();
    let failures = cases.iter().filter(bad).count() - skipped;
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"contract\" tests=\"{}\" failures=\"{failures}\" \
         skipped=\"{skipped}\">\n",
        cases.len()
    );
    cases.iter().for_each(|case| case.write(&mut out));
    out + "</testsuite>\n"
}

/// A clause of a tier.
struct Case<'a> {
    verdict: &'a Verdict,
    tier: &'static str,
    because: Option<&'a String>,
    unasked: Vec<&'a Silence>,
}

impl<'a> Case<'a> {
    fn of(verdict: &'a Verdict, tier: &'static str, excused: &'a Excused) -> Self {
        Case { verdict, tier, because: excused.get(&verdict.clause), unasked: vec![] }
    }

    fn write(&self, out: &mut String) {
        let Case { verdict, tier, because, unasked } = self;
        let name = format!("{}: {}", verdict.clause, verdict.clause.says());
        out.push_str(&format!("  <testcase classname=\"{tier}\" name=\"{}\">\n", escaped(&name)));
        let bad = !verdict.findings.is_empty() || !unasked.is_empty();
        match because.filter(|_| bad) {
            Some(because) => out.push_str(&format!("    <skipped message=\"{}\"/>\n", escaped(because))),
            None => {
                verdict.findings.iter().for_each(|f| out.push_str(&failure(f)));
                unasked.iter().for_each(|s| out.push_str(&silent(s)));
            }
        }
        out.push_str(&format!("    <system-out>{}</system-out>\n  </testcase>\n", escaped(&verdict.headline)));
    }
}

fn silent(silence: &Silence) -> String {
    let Silence { cluster, question, why, .. } = silence;
    let message = escaped(&format!("{cluster} could not be asked: {why}"));
    format!("    <failure type=\"unasked\" message=\"{message}\">{}</failure>\n", escaped(question))
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
