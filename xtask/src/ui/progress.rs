//! The story of a run while it goes on: a live screen, plain lines, or one event per line; all fed by notes alone.
//! Knows nothing of the engine's state or of the world: rehearsal, tests and CI see what a terminal sees.

use std::collections::BTreeSet;
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

/// How the story is shown.
pub enum OutputMode {
    /// Bars and running steps at the bottom of a terminal, finished steps scrolling up above them.
    Live(Screen),
    /// A line at the start and the end of each step, and one a minute while it runs. No carriage returns.
    Lines,
    /// One JSON object per line on stdout; see [`events`].
    Events,
}

enum Shown {
    Live(Bars),
    Lines,
    Events,
}

/// The story of one run.
pub struct Progress<'a> {
    plan: &'a Plan,
    board: Board,
    shown: Shown,
    explain: bool,
    began: Option<Duration>,
}

impl<'a> Progress<'a> {
    /// Begins the story of the chosen steps of a plan. `explain` adds why each step runs or is kept.
    pub fn new(plan: &'a Plan, chosen: &BTreeSet<StepKey>, face: OutputMode, explain: bool) -> Self {
        let board = Board::new(plan, chosen);
        let shown = match face {
            OutputMode::Live(target) => Shown::Live(Bars::new(&board, target)),
            OutputMode::Lines => Shown::Lines,
            OutputMode::Events => Shown::Events,
        };
        Progress { plan, board, shown, explain, began: None }
    }

    /// Takes a note, at the time that the driver gives with it. The story's own time begins with the first one.
    pub fn see(&mut self, shell: &mut Shell, now: Duration, note: &StepEvent) {
        let now = self.since_begin(now);
        if let Shown::Events = self.shown {
            shell.result(&events::note(now, note));
        }
        let said = self.said(shell, now, note);
        self.board.see(now, note);
        self.show(shell, now, matches!(note, StepEvent::Failed(_)), &said);
    }

    /// Nothing happened, but time has passed: elapsed times go on, and each minute of a long step is told.
    pub fn beat(&mut self, shell: &mut Shell, now: Duration) {
        let now = self.since_begin(now);
        let said = match self.shown {
            Shown::Live(_) => vec![],
            Shown::Lines | Shown::Events => self.board.minutes(now),
        };
        let line = |(it, minutes): &(Running, u64)| lines::still(it, *minutes).text(shell.style());
        let said: Vec<String> = said.iter().map(line).collect();
        self.show(shell, now, false, &said);
    }

    fn since_begin(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.began.get_or_insert(now))
    }

    /// The permanent lines of a note.
    fn said(&self, shell: &Shell, now: Duration, note: &StepEvent) -> Vec<String> {
        // On a live screen a step that starts can be seen below; only what is over scrolls up.
        let running = matches!((&self.shown, note), (Shown::Live(_), StepEvent::Running { .. }));
        let seen_below = running && shell.volume() < Volume::Verbose;
        let line = if seen_below { None } else { lines::line(&self.board, now, note, shell.volume()) };
        let line = line.map(|line| line.text(shell.style()));
        let because = if self.explain { report::because(self.plan, note) } else { None };
        let because = because.map(|why| shell::status_line(shell.style(), Severity::Dim, "because", &why));
        line.into_iter().chain(because).collect()
    }

    fn show(&mut self, shell: &mut Shell, now: Duration, loud: bool, said: &[String]) {
        let mut speak = || said.iter().for_each(|line| if loud { shell.message(line) } else { shell.progress(line) });
        match &mut self.shown {
            Shown::Live(bars) => {
                if !said.is_empty() {
                    bars.above(speak);
                }
                bars.draw(&self.board, now);
            }
            Shown::Lines | Shown::Events => speak(),
        }
    }

    /// Takes the live screen away until the next note.
    pub fn rest(&self) {
        if let Shown::Live(bars) = &self.shown {
            bars.rest();
        }
    }

    /// Takes the live screen away and hands over what was measured.
    pub fn close(self) -> Board {
        if let Shown::Live(bars) = self.shown {
            bars.clear();
        }
        self.board
    }
}

/// The face that suits flags and terminal: events if asked for, else live where there is a screen and it is not quiet.
pub fn face(json: bool, screen: Option<Screen>, volume: Volume) -> OutputMode {
    match screen {
        _ if json => OutputMode::Events,
        Some(target) if volume > Volume::Quiet => OutputMode::Live(target),
        _ => OutputMode::Lines,
    }
}

#[cfg(test)]
mod tests {
    use super::board::tests::{plan, told};
    use super::*;
    use crate::ui::shell::tests::Page;

    fn story(face: OutputMode, volume: Volume) -> (String, String) {
        let (out, err) = (Page::default(), Page::default());
        let mut shell = Shell::new(Box::new(out.clone()), Box::new(err.clone()));
        shell.set(false, volume);
        let plan = plan();
        let mut progress = Progress::new(&plan, &plan.ids(), face, false);
        // A world's clock need not begin at zero.
        for (second, note) in told() {
            let now = Duration::from_secs(1000 + second);
            progress.beat(&mut shell, now);
            progress.see(&mut shell, now, &note);
        }
        progress.close();
        (out.text(), err.text())
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines() {
        let (out, err) = story(OutputMode::Lines, Volume::Normal);
        assert_eq!(out, "");
        assert!(!err.contains('\r') && !err.contains('\u{1b}'));
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(
            lines,
            [
                "        Kept host/helm",
                "     Started app1/cp/launch: launch VM app1-cp",
                "       Still running 1m: app1/cp/launch (Waiting for initialization to complete)",
                "    Retrying app1/cp/launch in 5s: exit 2 (attempt 1 of 2)",
                "        Done app1/cp/launch in 1m 31s",
                "      Failed app1/cp/init: exit 1 after 9s (attempt 1 of 1)",
            ]
        );
    }

    #[test]
    fn the_live_screen_says_the_same_when_steps_end() {
        let (_, err) = story(OutputMode::Live(Screen::hidden()), Volume::Normal);
        assert_eq!(err.lines().count(), 4, "{err}");
        assert!(err.contains("        Done app1/cp/launch in 1m 31s\n"));
    }

    #[test]
    fn quiet_tells_failures_alone() {
        let (_, err) = story(OutputMode::Lines, Volume::Quiet);
        assert_eq!(err, "      Failed app1/cp/init: exit 1 after 9s (attempt 1 of 1)\n");
    }

    #[test]
    fn events_are_whole_lines_of_json_on_stdout() {
        let (out, _) = story(OutputMode::Events, Volume::Quiet);
        assert_eq!(out.lines().count(), told().len());
        for line in out.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["event"].is_string() && event["at_ms"].is_u64(), "{line}");
        }
    }
}
