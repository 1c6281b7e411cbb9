//! Shows a run while it goes on: a live screen, plain lines, or one event per line, all from events of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A terminal that a live screen can be drawn on.
pub use indicatif::ProgressDrawTarget as Screen;

use self::bars::Bars;
use self::board::{Board, Running};
use super::shell::{self, Severity, Shell, Volume};
use super::{events, report};
use plan::engine::StepEvent;
use plan::{Plan, StepKey};

pub mod bars;
pub mod board;
pub mod lines;
pub mod screen;

pub enum OutputMode {
    /// Bars and running steps at the bottom of a terminal, finished steps above them.
    Live(Screen),
    /// A line at the start and the end of each step, and one a minute while it runs.
    Lines,
    /// One JSON object per line on stdout; see [`events`].
    Events,
}

enum Shown {
    Live(Bars),
    Lines,
    Events,
}

pub struct Progress<'a> {
    plan: &'a Plan,
    board: Board,
    shown: Shown,
    explain: bool,
    start: Option<Duration>,
    /// How long each step took when it was last done, by its id.
    took: BTreeMap<String, Duration>,
}

impl<'a> Progress<'a> {
    /// `explain` adds why each step runs or is unchanged.
    pub fn new(plan: &'a Plan, chosen: &BTreeSet<StepKey>, mode: OutputMode, explain: bool) -> Self {
        let board = Board::new(plan, chosen);
        let shown = match mode {
            OutputMode::Live(target) => Shown::Live(Bars::new(&board, target)),
            OutputMode::Lines => Shown::Lines,
            OutputMode::Events => Shown::Events,
        };
        Progress { plan, board, shown, explain, start: None, took: BTreeMap::new() }
    }

    /// The same with how long each step took when it was last done.
    #[must_use]
    pub fn after(self, took: BTreeMap<String, Duration>) -> Self {
        Progress { took, ..self }
    }

    /// Shows an event. Times are counted from the first one.
    pub fn event(&mut self, shell: &mut Shell, now: Duration, event: &StepEvent) {
        let now = self.since_start(now);
        if let Shown::Events = self.shown {
            shell.event(events::step_event(now, event));
        }
        let lines = self.lines(shell, now, event);
        self.board.event(now, event);
        self.show(shell, now, matches!(event, StepEvent::Failed(_)), &lines);
    }

    /// Updates elapsed times, and prints a line for each minute of a long step.
    pub fn tick(&mut self, shell: &mut Shell, now: Duration) {
        let now = self.since_start(now);
        let minutes = match self.shown {
            Shown::Live(_) => vec![],
            Shown::Lines | Shown::Events => self.board.minutes(now),
        };
        let line = |(it, minutes): &(Running, u64)| lines::still_running(it, *minutes).text(shell.style());
        let lines: Vec<String> = minutes.iter().map(line).collect();
        self.show(shell, now, false, &lines);
    }

    fn since_start(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.start.get_or_insert(now))
    }

    /// The permanent lines of an event.
    fn lines(&self, shell: &Shell, now: Duration, event: &StepEvent) -> Vec<String> {
        // On a live screen a running step has a row already.
        let running = matches!((&self.shown, event), (Shown::Live(_), StepEvent::Running { .. }));
        let has_row = running && shell.volume() < Volume::Verbose;
        let explained = self.explain && matches!(event, StepEvent::Unchanged(_));
        let volume = if explained { Volume::Verbose } else { shell.volume() };
        let line = if has_row { None } else { lines::line(&self.board, now, event, volume) };
        let line = line.map(|line| line.text(shell.style()));
        let because = if self.explain { report::explain(self.plan, event) } else { None };
        let because = because.map(|why| shell::status_line(shell.style(), Severity::Dim, "because", &why));
        line.into_iter().chain(because).collect()
    }

    /// How long the longest chain of steps that have not ended took when they were last done. Unknown after a failure, and
    /// if one that acts was never done.
    fn left(&self, now: Duration) -> Option<Duration> {
        if self.board.groups().iter().any(|group| group.failed > 0) {
            return None;
        }
        let mut times = BTreeMap::new();
        for step in self.plan.steps.iter().filter(|step| self.board.is_open(&step.id) && !step.only_checks()) {
            let since = self.board.running().iter().find(|it| it.step == step.id).map_or(now, |it| it.since);
            let took = self.took.get(step.id.as_str())?;
            times.insert(step.id.clone(), took.saturating_sub(now.saturating_sub(since)));
        }
        Some(report::critical_path(self.plan, &times).iter().map(|(_, took)| *took).sum())
    }

    fn show(&mut self, shell: &mut Shell, now: Duration, always: bool, lines: &[String]) {
        let left = if let Shown::Live(_) = self.shown { self.left(now) } else { None };
        let mut print =
            || lines.iter().for_each(|line| if always { shell.message(line) } else { shell.progress(line) });
        match &mut self.shown {
            Shown::Live(bars) => {
                if !lines.is_empty() {
                    bars.above(print);
                }
                bars.draw(&self.board, now, left);
            }
            Shown::Lines | Shown::Events => print(),
        }
    }

    /// Hides the live screen until the next event.
    pub fn hide(&self) {
        if let Shown::Live(bars) = &self.shown {
            bars.hide();
        }
    }

    /// Removes the live screen; returns what was measured.
    pub fn close(self) -> Board {
        if let Shown::Live(bars) = self.shown {
            bars.clear();
        }
        self.board
    }
}

/// Events if asked for, else live where there is a screen and it is not quiet.
pub fn output_mode(json: bool, screen: Option<Screen>, volume: Volume) -> OutputMode {
    match screen {
        _ if json => OutputMode::Events,
        Some(target) if volume > Volume::Quiet => OutputMode::Live(target),
        _ => OutputMode::Lines,
    }
}

#[cfg(test)]
mod tests {
    use super::board::tests::{plan, run};
    use super::*;
    use crate::ui::shell::tests::Page;

    fn shown(mode: OutputMode, volume: Volume) -> (String, String) {
        let (out, err) = (Page::default(), Page::default());
        let mut shell = Shell::new(Box::new(out.clone()), Box::new(err.clone()));
        shell.set(false, volume);
        let plan = plan();
        let mut progress = Progress::new(&plan, &plan.ids(), mode, false);
        // A clock need not start at zero.
        for (second, event) in run() {
            let now = Duration::from_secs(1000 + second);
            progress.tick(&mut shell, now);
            progress.event(&mut shell, now, &event);
        }
        progress.close();
        (out.text(), err.text())
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines() {
        let (out, err) = shown(OutputMode::Lines, Volume::Normal);
        assert_eq!(out, "");
        assert!(!err.contains('\r') && !err.contains('\u{1b}'));
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(
            lines,
            [
                "     Started app1/cp/launch: launch VM app1-cp",
                "       Still running 1m: app1/cp/launch (Waiting for initialization to complete)",
                "    Retrying app1/cp/launch in 5s: exit 2 (attempt 1 of 2)",
                "        Done app1/cp/launch in 1m 31s",
                "      Failed app1/cp/init: exit 1 after 9s (attempt 1 of 1)",
            ]
        );
    }

    #[test]
    fn the_live_screen_prints_the_same_lines_when_steps_end() {
        let (_, err) = shown(OutputMode::Live(Screen::hidden()), Volume::Normal);
        assert_eq!(err.lines().count(), 3, "{err}");
        assert!(err.contains("        Done app1/cp/launch in 1m 31s\n"));
    }

    #[test]
    fn what_is_left_is_the_longest_chain_as_it_was_last_done() {
        let mut plan = plan();
        for step in &mut plan.steps[1..] {
            step.act = vec![tool::Command::act(tool::Tool::Docker, ["run"])];
        }
        let left = |took: &[(&str, u64)], until: u64| {
            let took = took.iter().map(|(id, s)| ((*id).to_owned(), Duration::from_secs(*s))).collect();
            let mut progress = Progress::new(&plan, &plan.ids(), OutputMode::Lines, false).after(took);
            let past = run().into_iter().filter(|(second, _)| *second <= until);
            past.for_each(|(second, event)| progress.board.event(Duration::from_secs(second), &event));
            progress.left(Duration::from_secs(until)).map(|left| left.as_secs())
        };
        let took = [("app1/cp/launch", 90), ("app1/cp/init", 40), ("app1/w1/join", 5)];
        assert_eq!(
            [0, 50, 75, 91, 100].map(|until| left(&took, until)),
            [Some(135), Some(85), Some(60), Some(45), None]
        );
        assert_eq!(left(&took[..2], 0), None, "a step that was never done");
    }

    #[test]
    fn quiet_prints_failures_only() {
        let (_, err) = shown(OutputMode::Lines, Volume::Quiet);
        assert_eq!(err, "      Failed app1/cp/init: exit 1 after 9s (attempt 1 of 1)\n");
    }

    #[test]
    fn events_are_whole_lines_of_json_on_stdout() {
        let (out, _) = shown(OutputMode::Events, Volume::Quiet);
        assert_eq!(out.lines().count(), run().len());
        for line in out.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["event"].is_string() && event["at_ms"].is_u64(), "{line}");
        }
    }
}
