//! Formats problems and failed steps: what, where, why, and at most one hint.

use std::collections::BTreeSet;

use super::format;
use super::shell::{Severity, Style};
use model::problem::{At, Problem};
use plan::engine::Failure;
use tool::Output;

/// Lines of a failed command's output that are shown; the log has all of them.
const TAIL: usize = 12;
/// Problems that are shown.
const MOST: usize = 100;
/// Columns of a source line that are shown.
const SOURCE: usize = 100;

/// All problems, each with its source line as far as `source` has it, and a last line that counts them.
pub fn all(problems: &[Problem], source: &dyn Fn(&At) -> Option<String>, style: Style) -> String {
    let one = |p: &Problem| with_source(p, p.at.as_ref().and_then(source).as_deref(), style);
    let mut text = problems.iter().take(MOST).map(one).collect::<Vec<_>>().join("\n");
    if problems.len() > 1 {
        text.push('\n');
        let rest = problems.len().saturating_sub(MOST);
        let shown = if rest > 0 { format!("; {rest} are not shown") } else { String::new() };
        text.push_str(&error(&format!("{}{shown}", summary(problems)), style));
    }
    text
}

/// `3 problems in infra/fleet.toml`.
fn summary(problems: &[Problem]) -> String {
    let files: BTreeSet<&str> = problems.iter().filter_map(|p| p.at.as_ref()).map(|at| at.file.as_str()).collect();
    let number = format::count(problems.len(), "problem");
    match files.len() {
        0 => number,
        1..=3 => format!("{number} in {}", format::list(&files.into_iter().map(str::to_owned).collect::<Vec<_>>())),
        many => format!("{number} in {many} files"),
    }
}

pub fn one(problem: &Problem, style: Style) -> String {
    with_source(problem, None, style)
}

fn with_source(problem: &Problem, source: Option<&str>, style: Style) -> String {
    let mut text = error(&format::escape_controls(&problem.what).replace('\n', "\\n"), style);
    if let Some(at) = &problem.at {
        labelled(&mut text, "-->", &style.apply(Severity::Hint, &format::escape_controls(&at.to_string())), style);
        if let (Some(line), Some(source)) = (at.line, source) {
            let source = format::escape_controls(source.trim_end());
            let source = format!("{line:>7} | {}", format::truncate(&source, SOURCE));
            text.push_str(&format!("{}\n", style.apply(Severity::Dim, &source)));
        }
    }
    if let Some(why) = &problem.why {
        labelled(&mut text, "why:", &format::escape_controls(why), style);
    }
    if let Some(hint) = &problem.hint {
        text.push_str(&self::hint(&format::escape_controls(hint), style));
    }
    text
}

/// `error: what`.
pub fn error(what: &str, style: Style) -> String {
    format!("{} {what}\n", style.apply(Severity::Error, "error:"))
}

/// `  hint: cargo xtask start`.
pub fn hint(command: &str, style: Style) -> String {
    let mut text = String::new();
    labelled(&mut text, "hint:", command, style);
    text
}

/// A label that ends in column 7 (`-->` in column 5), then text whose further lines are indented as its first.
fn labelled(text: &mut String, label: &str, value: &str, style: Style) {
    let tone = if label == "hint:" { Severity::Hint } else { Severity::Dim };
    let (width, gap) = if label == "-->" { (5, 6) } else { (7, 8) };
    let value = value.lines().collect::<Vec<_>>().join(&format!("\n{:gap$}", ""));
    text.push_str(&format!("{} {value}\n", style.apply(tone, &format!("{label:>width$}"))));
}

/// Numbers of steps by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub changed: usize,
    pub unchanged: usize,
    pub failed: usize,
    /// Not run, because a step they need failed.
    pub blocked: usize,
    /// Not selected.
    pub skipped: usize,
    /// Not finished, or not begun, when the user interrupted.
    pub stopped: usize,
}

impl Tally {
    /// `12 changed, 2 unchanged`: numbers above 0.
    pub fn text(self) -> String {
        let parts = [
            (self.changed, "changed"),
            (self.unchanged, "unchanged"),
            (self.failed, "failed"),
            (self.blocked, "blocked"),
            (self.skipped, "skipped"),
            (self.stopped, "not finished"),
        ];
        let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
    }
}

/// A failed step: the command, how it ended, the end of its output, its log and a hint.
pub fn step(failure: &Failure, log: Option<&str>, hint: &str, style: Style) -> String {
    let Failure { step, attempt, attempts, command, output, took, why, .. } = failure;
    let tried = format!("attempt {attempt} of {attempts}");
    let mut text = error(&format!("step `{step}` failed: {} ({tried})", format::with_duration(why, *took)), style);
    text.push_str(&format!("  $ {command}\n"));
    for line in output_tail(output, command.sensitive()) {
        text.push_str(format!("  | {}", format::strip_controls(line)).trim_end());
        text.push('\n');
    }
    if let Some(log) = log {
        text.push_str(&format!("  {}   {}\n", style.apply(Severity::Dim, "log"), style.apply(Severity::Hint, log)));
    }
    text + &self::hint(hint, style)
}

/// The reason that stderr begins with and its advice, or the end of stderr, or of stdout if stderr is empty. A sensitive
/// command's stdout may hold a secret.
pub fn output_tail(output: &Output, sensitive: bool) -> Vec<&str> {
    let lines = format::tail(output.error(), TAIL);
    if lines.is_empty() && !sensitive { format::tail(&output.stdout, TAIL) } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tool::{Command, Exit, Tool};

    const PLAIN: Style = Style { on: false };

    #[test]
    fn a_problem_shows_message_place_reason_and_hint() {
        let p = Problem::new("pod CIDRs overlap: `east` 10.10.0.0/16 and `west` 10.10.128.0/17")
            .at("infra/fleet.toml", Some(23))
            .why("mesh routes pods by address,\nso each cluster needs its own range")
            .hint("pod_cidr = \"10.11.0.0/16\"");
        let want = "error: pod CIDRs overlap: `east` 10.10.0.0/16 and `west` 10.10.128.0/17\n  \
                    --> infra/fleet.toml:23\n   why: mesh routes pods by address,\n        so each cluster needs its \
                    own range\n  hint: pod_cidr = \"10.11.0.0/16\"\n";
        assert_eq!(one(&p, PLAIN), want);
        assert!(one(&p, Style { on: true }).starts_with("\x1b[1;31merror:\x1b[0m pod"));
        let shown = with_source(&p, Some("pod_cidr = \"10.10.0.0/16\"  \n"), PLAIN);
        assert!(shown.contains(":23\n     23 | pod_cidr = \"10.10.0.0/16\"\n   why: "), "{shown}");
    }

    #[test]
    fn several_problems_are_counted() {
        let p = |file: &str| Problem::new("x").at(file, None);
        let all = |problems: &[Problem]| all(problems, &|_| None, PLAIN);
        assert!(!all(&[p("a")]).contains("problem"));
        assert!(all(&[p("a"), p("a")]).ends_with("\n\nerror: 2 problems in a\n"));
        assert!(all(&vec![p("a"); 103]).ends_with("\n\nerror: 103 problems in a; 3 are not shown\n"));
        assert!(all(&[p("a"), p("b")]).ends_with("error: 2 problems in a and b\n"));
        assert!(all(&[p("a"), p("b"), p("c"), p("d")]).ends_with("error: 4 problems in 4 files\n"));
    }

    fn failed(stdout: &str, stderr: &str) -> Failure {
        Failure {
            step: "app1/w1/join".into(),
            precondition: false,
            attempt: 3,
            attempts: 3,
            command: Command::act(Tool::Docker, ["exec", "app1-w1"]),
            output: Output { stdout: stdout.into(), stderr: stderr.into(), ..Output::of(Exit::Code(1)) },
            took: Duration::from_secs(41),
            why: "exit 1".into(),
        }
    }

    #[test]
    fn a_failed_step_shows_its_last_twelve_lines() {
        let stderr: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let text = step(&failed("no", &stderr), Some("out/logs/x.log"), "cargo xtask bootstrap", PLAIN);
        assert!(text.starts_with(
            "error: step `app1/w1/join` failed: exit 1 after 41s (attempt 3 of 3)\n  $ docker exec app1-w1\n  \
             | line 9\n"
        ));
        assert!(text.ends_with("  | line 20\n  log   out/logs/x.log\n  hint: cargo xtask bootstrap\n"));
        assert!(step(&failed("only this", ""), None, "x", PLAIN).contains("  | only this\n"));
    }

    #[test]
    fn stdout_of_a_sensitive_command_is_not_shown() {
        let mut failure = failed("c2VjcmV0", "");
        failure.command = failure.command.capture_secret("s", tool::Extractor::Stdout);
        assert!(!step(&failure, None, "x", PLAIN).contains("c2VjcmV0"));
    }

    #[test]
    fn a_tally_omits_zeros() {
        assert_eq!(Tally { changed: 12, unchanged: 2, ..Tally::default() }.text(), "12 changed, 2 unchanged");
        assert_eq!(Tally::default().text(), "nothing to do");
    }
}
