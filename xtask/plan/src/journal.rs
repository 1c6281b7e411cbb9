//! The journal: one line of JSON for each thing that happened, so that the next run remembers facts and durations. It
//! is a cache and never the truth: probes decide, and it may be deleted at any time.
//!
//! Secrets never come here, nor any output of a tool. A crash may leave a cut line, and a power loss a run of NULs;
//! reader takes what is whole and counts the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Lines of another version are ignored: version 1 had `step-kept`.
pub const VERSION: u32 = 2;

/// How each line begins; where a line was cut and the next one begins behind it, this finds it again.
const START: &str = r#"{"v":"#;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    RunStarted {
        /// `bootstrap`.
        command: String,
        /// Digest of the plan, to tell whether the same was tried before.
        plan: String,
        /// Milliseconds since 1970, UTC.
        at_ms: u64,
    },
    StepStarted {
        step: String,
    },
    StepUnchanged {
        step: String,
    },
    StepDone {
        step: String,
        /// From its first command to the match.
        took_ms: u64,
    },
    /// All attempts of a step failed. Why stands in the logs: it may quote a tool, and a tool may say anything.
    StepFailed {
        step: String,
        took_ms: u64,
    },
    Fact {
        name: String,
        value: String,
    },
    /// A run without this entry was killed.
    RunEnded {
        ok: bool,
        interrupted: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    pub command: String,
    pub plan: String,
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    /// Steps that began and neither were done nor failed, in the order of their beginning.
    pub open: Vec<String>,
    /// Steps of which all attempts failed.
    pub failed: Vec<String>,
    /// How it ended: all well, and interrupted. `None`: it was killed, or is still running.
    pub ended: Option<(bool, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    pub facts: BTreeMap<String, String>,
    /// How long each step took when it was last done.
    pub took: BTreeMap<String, Duration>,
    pub last: Option<Run>,
    /// Lines that were skipped: cut, garbled, or of another version.
    pub broken: usize,
}

#[derive(Serialize, Deserialize)]
struct Line<E> {
    v: u32,
    #[serde(flatten)]
    entry: E,
}

/// The entry as one line, with its line feed. To be written in one call, so that a crash cuts at most the last line.
pub fn line(entry: &Entry) -> String {
    let text = serde_json::to_string(&Line { v: VERSION, entry });
    // Texts and numbers alone: there is no value of `Entry` that JSON cannot hold.
    text.map(|t| t + "\n").unwrap_or_default()
}

/// The last value of each fact: what [`read`] finds of them, without looking closely at any other line.
pub fn facts(text: &str) -> BTreeMap<String, String> {
    let lines: Vec<&str> = text.split(['\n', '\0']).filter(|line| line.contains(r#""event":"fact""#)).collect();
    read(&lines.join("\n")).facts
}

/// Whether the last run wrote another version of the format, so that nothing of it is read.
pub fn is_outdated(text: &str) -> bool {
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.is_some_and(|line| line.starts_with(START) && !line.starts_with(&format!("{START}{VERSION},")))
}

/// Reads a journal in any condition.
pub fn read(text: &str) -> Journal {
    let mut reader = Reader::default();
    for line in text.split(['\n', '\0']).map(str::trim).filter(|l| !l.is_empty()) {
        match parse(line) {
            Some(entry) => reader.take(entry),
            None => {
                reader.journal.broken += 1;
                // A line cut by a crash has the next run's first line right behind it.
                let rest = line.rfind(START).filter(|at| *at > 0).and_then(|at| parse(&line[at..]));
                rest.into_iter().for_each(|entry| reader.take(entry));
            }
        }
    }
    reader.end()
}

fn parse(line: &str) -> Option<Entry> {
    let line: Line<Entry> = serde_json::from_str(line).ok()?;
    (line.v == VERSION).then_some(line.entry)
}

/// A map of open steps, for there may be many of them, and many lines.
#[derive(Default)]
struct Reader {
    journal: Journal,
    /// Open steps of the last run, each with its number in the order of beginning.
    open: BTreeMap<String, usize>,
    begun: usize,
}

impl Reader {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::RunStarted { command, plan, at_ms } => {
                self.journal.last = Some(Run { command, plan, at_ms, ..Run::default() });
                self.open.clear();
            }
            Entry::StepStarted { step } => {
                self.begun += 1;
                self.open.entry(step).or_insert(self.begun);
            }
            Entry::StepUnchanged { step } => drop(self.open.remove(&step)),
            Entry::StepFailed { step, .. } => {
                self.open.remove(&step);
                self.journal.last.iter_mut().for_each(|run| run.failed.push(step.clone()));
            }
            Entry::StepDone { step, took_ms } => {
                self.open.remove(&step);
                self.journal.took.insert(step, Duration::from_millis(took_ms));
            }
            Entry::Fact { name, value } => self.journal.facts.extend([(name, value)]),
            Entry::RunEnded { ok, interrupted } => {
                let ended = self.journal.last.iter_mut();
                ended.for_each(|run| run.ended = Some((ok, interrupted)));
            }
        }
    }

    /// Where the beginning of a run is lost, so are the steps that it left open.
    fn end(self) -> Journal {
        let Reader { mut journal, open, .. } = self;
        if let Some(run) = &mut journal.last {
            let mut open: Vec<(usize, String)> = open.into_iter().map(|(step, number)| (number, step)).collect();
            open.sort_unstable();
            run.open = open.into_iter().map(|(_, step)| step).collect();
        }
        journal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let s = |text: &str| text.to_owned();
        vec![
            Entry::RunStarted { command: s("bootstrap"), plan: s("abc"), at_ms: 7 },
            Entry::StepUnchanged { step: s("host/helm") },
            Entry::StepStarted { step: s("a") },
            Entry::StepStarted { step: s("b") },
            Entry::StepStarted { step: s("c") },
            Entry::Fact { name: s("a.ip"), value: s("10.0.0.1 \"\n\0é") },
            Entry::StepDone { step: s("a"), took_ms: 1500 },
            Entry::StepFailed { step: s("c"), took_ms: 20 },
            Entry::RunEnded { ok: false, interrupted: true },
        ]
    }

    #[test]
    fn a_line_reads_well() {
        let done = Entry::StepDone { step: "app1/cp/launch".into(), took_ms: 61_000 };
        assert_eq!(line(&done), "{\"v\":2,\"event\":\"step-done\",\"step\":\"app1/cp/launch\",\"took_ms\":61000}\n");
    }

    #[test]
    fn written_entries_are_read_back() {
        let journal = read(&entries().iter().map(line).collect::<String>());
        assert_eq!(journal.facts["a.ip"], "10.0.0.1 \"\n\0é");
        assert_eq!(journal.took, BTreeMap::from([("a".to_owned(), Duration::from_millis(1500))]));
        assert_eq!(journal.broken, 0);
        let run = journal.last.unwrap();
        assert_eq!((run.open, run.ended), (vec!["b".to_owned()], Some((false, true))));
    }

    #[test]
    fn a_cut_anywhere_loses_the_last_line_alone() {
        let whole: String = entries().iter().map(line).collect();
        let again = line(&Entry::Fact { name: "b.ip".into(), value: "10.0.0.2".into() });
        for (cut, _) in whole.char_indices() {
            let complete = whole[..cut].matches('\n').count();
            let journal = read(&whole[..cut]);
            assert!(journal.broken <= 1, "{cut}");
            assert_eq!(journal.facts.contains_key("a.ip"), complete >= 6 || whole[..cut].ends_with("é\"}"), "{cut}");
            assert_eq!(facts(&whole[..cut]), journal.facts, "{cut}");
            // The next run writes on, right behind the cut.
            assert_eq!(read(&format!("{}{again}", &whole[..cut])).facts["b.ip"], "10.0.0.2", "{cut}");
        }
    }

    #[test]
    fn garbage_is_counted_and_nothing_else_is_lost() {
        let fact = line(&Entry::Fact { name: "x".into(), value: "1".into() });
        let other = r#"{"v":1,"event":"fact","name":"x","value":"2"}"#;
        let odd = r#"{"v":2,"event":"step-done","step":"a","took_ms":-5}"#;
        let unknown = r#"{"v":2,"event":"dance"}"#;
        let text = format!("\0\0\0{fact}\0\0\n\u{fffd}\u{fffd}\n{other}\n{odd}\n{unknown}\n[]\n{}", "[".repeat(10_000));
        let journal = read(&text);
        assert_eq!((journal.facts["x"].as_str(), journal.broken), ("1", 6));
        assert_eq!(facts(&text), journal.facts);
        assert!(journal.took.is_empty());
        assert_eq!(read(""), Journal::default());
        let old = r#"{"v":1,"event":"step-kept","step":"a"}"#;
        assert_eq!([old, &format!("{old}\n{fact}"), ""].map(is_outdated), [true, false, false]);
    }
}
