//! Draws the live screen: one bar per cluster, one for this machine, the time of the run, and the running steps.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Board, Group};
use super::lines;
use crate::ui::format;
use crate::ui::shell::Style;

pub struct Bars {
    screen: MultiProgress,
    bars: Vec<ProgressBar>,
    time: ProgressBar,
    rows: Vec<ProgressBar>,
}

impl Bars {
    pub fn new(board: &Board, target: ProgressDrawTarget) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let bars = board.groups().iter().map(|group| screen.add(bar(group))).collect();
        let time = screen.add(ProgressBar::new_spinner().with_style(style("{prefix:>12} {msg}")).with_prefix("time"));
        Bars { screen, bars, time, rows: Vec::new() }
    }

    /// Writes above the screen.
    pub fn above(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    /// `left` is how long the rest took when it was last done, if all of it was.
    pub fn draw(&mut self, board: &Board, now: Duration, left: Option<Duration>) {
        for (bar, group) in self.bars.iter().zip(board.groups()) {
            bar.set_position((group.succeeded + group.failed) as u64);
            bar.set_message(failures(group));
        }
        let expected = left.map(|left| format!(" of about {}, by earlier runs", format::duration(now + left)));
        self.time.set_message(format::duration(now) + &expected.unwrap_or_default());
        let texts = lines::rows(board, now, Style { on: false });
        self.fit(texts.len());
        self.rows.iter().zip(texts).for_each(|(row, text)| row.set_message(text));
    }

    fn fit(&mut self, wanted: usize) {
        while self.rows.len() < wanted {
            self.rows.push(self.screen.add(ProgressBar::new_spinner().with_style(style("{wide_msg}"))));
        }
        self.rows.drain(wanted..).for_each(|row| self.screen.remove(&row));
    }

    /// Hides the screen until it is drawn again; errors of the terminal are ignored.
    pub fn hide(&self) {
        drop(self.screen.clear());
    }

    pub fn clear(self) {
        let rows = self.rows.iter().chain([&self.time]).chain(&self.bars);
        rows.for_each(ProgressBar::finish_and_clear);
    }
}

fn bar(group: &Group) -> ProgressBar {
    let style = style("{prefix:>12} [{bar:24}] {pos}/{len}{msg}").progress_chars("=> ");
    ProgressBar::new(group.total as u64).with_style(style).with_prefix(group.name.clone())
}

fn failures(group: &Group) -> String {
    if group.failed > 0 { format!(", {} failed or blocked", group.failed) } else { String::new() }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("bug: invalid template")
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{plan, run};
    use super::*;

    #[test]
    fn bars_follow_the_board() {
        let plan = plan();
        let mut board = Board::new(&plan, &plan.ids());
        let mut bars = Bars::new(&board, ProgressDrawTarget::hidden());
        for (second, event) in run() {
            let now = Duration::from_secs(second);
            board.event(now, &event);
            bars.draw(&board, now, Some(Duration::from_secs(60)));
            assert_eq!(bars.rows.len(), board.running().len());
        }
        assert_eq!(bars.time.message(), "1m 40s of about 2m 40s, by earlier runs");
        bars.draw(&board, Duration::from_secs(100), None);
        assert_eq!(bars.time.message(), "1m 40s");
        assert_eq!((bars.bars[1].position(), bars.bars[1].message().as_str()), (3, ", 2 failed or blocked"));
        bars.clear();
    }
}
