//! C1: requests that the probe sent, how many failed, and how long nobody answered; and pods that died and came back.
//! Knows nothing of the probe but its lines: time, way, sent, failed, longest gap (`infra/drill/probe`).

use std::time::Duration;

use super::super::{Clause, Finding};
use super::Court;

/// The longest that a way may be without a good answer. A pod that the drill itself deletes may still be asked for a
/// second or two; whatever takes longer has another cause.
pub const GAP: Duration = Duration::from_secs(10);
/// Requests that may fail for the same reason, however few were sent.
const FEW: u64 = 5;

/// What one line of the probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Seconds since the last line before the outage.
    pub at: u64,
    /// Requests sent since the line before.
    pub sent: u64,
    /// Of those, failed.
    pub failed: u64,
    /// The longest time without a good answer, in seconds.
    pub gap: u64,
}

/// One way into the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Who asked.
    pub cluster: String,
    /// `local` or `mesh`.
    pub way: String,
    /// All lines of the outage.
    pub marks: Vec<Mark>,
}

impl Way {
    /// Requests sent and failed.
    pub fn requests(&self) -> (u64, u64) {
        self.marks.iter().fold((0, 0), |(sent, failed), m| (sent + m.sent, failed + m.failed))
    }

    /// The longest time without a good answer.
    pub fn longest(&self) -> Duration {
        Duration::from_secs(self.marks.iter().map(|m| m.gap).max().unwrap_or(0))
    }
}

pub(super) fn judge(court: &Court<'_>) -> (Vec<Way>, Vec<Finding>) {
    let mut ways = Vec::new();
    let mut found: Vec<Finding> = court
        .failure("sample-pod-replaced")
        .or_else(|| court.failure("cilium-agent-replaced"))
        .map(|why| remade(court, why))
        .into_iter()
        .collect();
    for name in ["local", "mesh"].iter().filter(|way| **way == "local" || court.app.linked) {
        match way(court, name) {
            Ok(way) => {
                found.extend(unanswered(court, &way));
                ways.push(way);
            }
            Err(why) => found.push(blind(court, name, why)),
        }
    }
    (ways, found)
}

/// The lines of a way since the outage began.
fn way(court: &Court<'_>, name: &str) -> Result<Way, String> {
    let app = court.app;
    let before = app.before.requests.as_deref().and_then(|log| lines(log, name).last().copied());
    let began = before.ok_or("it had said nothing before the outage")?.at;
    let log = app.after.requests.as_deref().or(app.during.requests.as_deref()).ok_or("its log cannot be read")?;
    let all = lines(log, name);
    if all.first().is_none_or(|first| first.at > began) {
        return Err("it was started anew meanwhile, and what it saw before is lost".to_owned());
    }
    let since = all.into_iter().filter(|m| m.at > began);
    let marks: Vec<Mark> = since.map(|m| Mark { at: m.at - began, ..m }).collect();
    if marks.is_empty() {
        return Err("it fell silent".to_owned());
    }
    Ok(Way { cluster: app.name.clone(), way: name.to_owned(), marks })
}

/// The lines of one way; what is no such line is passed over.
fn lines(log: &str, way: &str) -> Vec<Mark> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, name, sent, failed, gap] = words[..] else { return None };
        let number = |word: &str| word.parse::<u64>().ok();
        let mark = Mark { at: number(at)?, sent: number(sent)?, failed: number(failed)?, gap: number(gap)? };
        (name == way).then_some(mark)
    };
    log.lines().filter_map(line).collect()
}

fn unanswered(court: &Court<'_>, way: &Way) -> Option<Finding> {
    let ((sent, failed), longest) = (way.requests(), way.longest());
    if longest <= GAP && failed <= FEW.max(sent / 100) {
        return None;
    }
    let whom =
        if way.way == "mesh" { "the sample of another workload cluster" } else { "the sample of the own cluster" };
    let want = format!("answers from {whom} while the platform is away, never {} s without one", GAP.as_secs());
    let got = format!("{failed} of {sent} requests failed, {} s without an answer", longest.as_secs());
    let hint = court.look("--namespace sample describe pods");
    Some(court.breach((Clause::C1, "served"), "replicas", &format!("way {}", way.way), [want, got, hint]))
}

fn remade(court: &Court<'_>, why: &str) -> Finding {
    let want = "a pod that dies while the platform is away is replaced".to_owned();
    let hint = court.look("get events --all-namespaces");
    court.breach((Clause::C1, "remade"), "replicas", "pods", [want, format!("it is not: {why}"), hint])
}

fn blind(court: &Court<'_>, way: &str, why: impl Into<String>) -> Finding {
    let want = "a count of every request of the outage".to_owned();
    let hint = court.look("--namespace sample logs deployment/drill-probe");
    court.breach((Clause::C1, "witness"), "replicas", &format!("way {way}"), [want, why.into(), hint])
}
