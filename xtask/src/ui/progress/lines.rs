//! Formats an event as a status line, and a running step as a row of the live screen.

use std::time::Duration;

use super::board::{Board, Running, State};
use crate::ui::format;
use crate::ui::shell::{self, Severity, Style, Volume};
use plan::StepKey;
use plan::engine::{Failure, StepEvent};
use plan::survey::drift::CHANGED;

/// Running steps that the live screen shows.
const ROWS: usize = 8;
/// A probe takes less: a step that is checking for longer waits for a place in its pool.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// A permanent status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Colours the verb.
    pub severity: Severity,
    pub verb: &'static str,
    pub rest: String,
}

impl Line {
    fn new(severity: Severity, verb: &'static str, rest: impl Into<String>) -> Self {
        Line { severity, verb, rest: rest.into() }
    }

    pub fn text(&self, style: Style) -> String {
        shell::status_line(style, self.severity, self.verb, &self.rest)
    }
}

/// The permanent line of an event, if it has one. `board` is the state before the event.
pub fn line(board: &Board, now: Duration, event: &StepEvent, volume: Volume) -> Option<Line> {
    let verbose = volume == Volume::Verbose;
    match event {
        StepEvent::Checking(_) | StepEvent::Line(..) | StepEvent::Cause(..) => None,
        StepEvent::Unchanged(step) if verbose => Some(Line::new(Severity::Dim, "Unchanged", step.as_str())),
        StepEvent::Diagnosed { step, remedy, why } if verbose || remedy.starts_with(CHANGED) => {
            Some(Line::new(Severity::Warning, "Drift", format!("{step} ({remedy}: {why})")))
        }
        StepEvent::Diagnosed { step, remedy, .. } => {
            Some(Line::new(Severity::Warning, "Drift", format!("{step} ({remedy})")))
        }
        StepEvent::Running { step, command, .. } if verbose => {
            Some(Line::new(Severity::Dim, "Running", format!("{step}\n             $ {command}")))
        }
        StepEvent::Running { step, attempt, mutates, .. } => started(board, step, *attempt, *mutates),
        StepEvent::Done { step, already_satisfied, took } => Some(done(step, *took, *already_satisfied)),
        StepEvent::Retrying { step, pause, failure, .. } => {
            let pause = format::duration(*pause);
            Some(Line::new(
                Severity::Warning,
                "Retrying",
                format!("{step} in {pause}: {} ({})", failure.why, attempts(failure)),
            ))
        }
        // Reported in one table at the end.
        StepEvent::Failed(failure) if failure.precondition => None,
        StepEvent::Failed(failure) => Some(Line::new(Severity::Error, "Failed", failed(failure))),
        StepEvent::Blocked(step, by) if verbose => {
            Some(Line::new(Severity::Warning, "Blocked", format!("{step}: needs {by}")))
        }
        StepEvent::Skipped(step) if verbose => Some(Line::new(Severity::Dim, "Skipped", step.as_str())),
        // Counted in one line at the end.
        StepEvent::Unchanged(_) => None,
        StepEvent::Blocked(..) | StepEvent::Skipped(_) => None,
        StepEvent::Stopping => Some(stopping(board, now)),
    }
}

/// Only the first command that changes something is reported as the start.
fn started(board: &Board, step: &StepKey, attempt: u32, mutates: bool) -> Option<Line> {
    let checking = board.running().iter().any(|it| it.step == *step && it.state == State::Checking);
    let first = mutates && attempt == 1 && checking;
    first.then(|| Line::new(Severity::Success, "Started", format!("{step}: {}", board.title(step))))
}

fn done(step: &StepKey, took: Duration, already_satisfied: bool) -> Line {
    let note = if already_satisfied { " (command failed, but the check passed)" } else { "" };
    Line::new(Severity::Success, "Done", format!("{step} in {}{note}", format::duration(took)))
}

fn failed(failure: &Failure) -> String {
    format!("{}: {} ({})", failure.step, format::with_duration(&failure.why, failure.took), attempts(failure))
}

fn attempts(failure: &Failure) -> String {
    format!("attempt {} of {}", failure.attempt, failure.attempts)
}

fn stopping(board: &Board, now: Duration) -> Line {
    let running = board.running();
    let longest = running.iter().map(|it| now.saturating_sub(it.since)).max().unwrap_or_default();
    let rest = match running.len() {
        0 => "no step is running".to_owned(),
        n => format!(
            "waiting for {}, the longest for {}; Ctrl-C again kills",
            format::count(n, "running step"),
            format::duration(longest)
        ),
    };
    Line::new(Severity::Warning, "Stopping", rest)
}

/// Printed each minute where there is no live screen.
pub fn still_running(running: &Running, minutes: u64) -> Line {
    let time = format::duration(Duration::from_secs(60 * minutes));
    let last =
        if running.note().is_empty() { String::new() } else { format!(" ({})", format::truncate(running.note(), 120)) };
    Line::new(Severity::Dim, "Still", format!("running {time}: {}{last}", running.step))
}

/// Rows of the live screen: at most eight running steps, then `…and 3 more`.
pub fn rows(board: &Board, now: Duration, style: Style) -> Vec<String> {
    let running = board.running();
    let mut rows: Vec<String> = running.iter().take(ROWS).map(|it| row(it, now, style)).collect();
    if running.len() > ROWS {
        rows.push(format!("{:13}…and {} more", "", running.len() - ROWS));
    }
    rows
}

/// `             app1/cp/launch  launch VM app1-cp  12s  last line`; the time only from two seconds on.
fn row(it: &Running, now: Duration, style: Style) -> String {
    let elapsed = now.saturating_sub(it.since);
    let mut text = format!("{:13}{}  {}", "", it.step, it.title);
    if elapsed >= Duration::from_secs(2) && !it.is_queued() {
        text.push_str(&format!("  {}", format::duration(elapsed)));
    }
    let last = match it.state {
        State::Pausing(until) => format!("retry in {}", format::duration(until.saturating_sub(now))),
        State::Checking if it.is_queued() && elapsed >= PROBE_TIME => "queued".to_owned(),
        State::Checking | State::Acting => it.note().to_owned(),
    };
    if !last.is_empty() {
        text.push_str(&format!("  {}", style.apply(Severity::Dim, &last)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{failure, plan, run};
    use super::*;

    const PLAIN: Style = Style { on: false };

    fn board(until: u64) -> Board {
        let mut board = Board::new(&plan(), &plan().ids());
        let past = run().into_iter().filter(|(second, _)| *second <= until);
        past.for_each(|(second, event)| board.event(Duration::from_secs(second), &event));
        board
    }

    #[test]
    fn a_row_shows_time_from_two_seconds_on_and_the_last_line() {
        let at = |second| rows(&board(second), Duration::from_secs(second), PLAIN);
        assert_eq!(at(0), ["             app1/cp/launch  launch VM app1-cp"]);
        let last = "Waiting for initialization to complete";
        assert_eq!(at(61), [format!("             app1/cp/launch  launch VM app1-cp  1m 1s  {last}")]);
        assert!(at(70)[0].ends_with("1m 10s  retry in 5s"));
    }

    #[test]
    fn no_more_than_eight_rows() {
        let mut board = board(0);
        (0..10).for_each(|n| board.event(Duration::ZERO, &StepEvent::Checking(format!("app{n}/x").as_str().into())));
        let rows = rows(&board, Duration::ZERO, PLAIN);
        assert_eq!((rows.len(), rows[8].trim()), (9, "…and 3 more"));
    }

    #[test]
    fn a_step_that_was_already_satisfied_is_marked() {
        let event = StepEvent::Done { step: "a/b".into(), took: Duration::from_secs(3), already_satisfied: true };
        let done = line(&board(0), Duration::ZERO, &event, Volume::Normal).unwrap();
        assert_eq!(done.text(PLAIN), "        Done a/b in 3s (command failed, but the check passed)");
    }

    #[test]
    fn stopping_shows_the_running_commands() {
        let stopping = line(&board(50), Duration::from_secs(50), &StepEvent::Stopping, Volume::Normal).unwrap();
        assert_eq!(
            stopping.text(PLAIN),
            "    Stopping waiting for 1 running step, the longest for 50s; Ctrl-C again kills"
        );
    }

    #[test]
    fn verbose_shows_commands_and_blocked_steps() {
        let verbose = |event| line(&board(0), Duration::ZERO, &event, Volume::Verbose).map(|l| l.text(PLAIN));
        assert_eq!(verbose(StepEvent::Blocked("a".into(), "b".into())).unwrap(), "     Blocked a: needs b");
        assert!(verbose(run()[3].1.clone()).unwrap().ends_with("\n             $ docker run image"));
        assert!(verbose(StepEvent::Failed(failure("a", 1, 1, 9))).is_some());
        assert!(line(&board(0), Duration::ZERO, &StepEvent::Skipped("a".into()), Volume::Normal).is_none());
    }
}
