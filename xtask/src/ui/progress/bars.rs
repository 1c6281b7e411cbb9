//! The live screen at the bottom of a terminal: one bar per cluster, one for the machine, and the running steps.
//! Knows nothing of notes: it draws the board with indicatif, which writes no more than the target's rate.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Board, Group};
use super::lines;
use crate::ui::shell::Style;

/// Bars and rows on a terminal.
pub struct Bars {
    screen: MultiProgress,
    bars: Vec<ProgressBar>,
    rows: Vec<ProgressBar>,
}

impl Bars {
    /// A bar per group of the board.
    pub fn new(board: &Board, target: ProgressDrawTarget) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let bars = board.groups().iter().map(|group| screen.add(bar(group))).collect();
        Bars { screen, bars, rows: Vec::new() }
    }

    /// Lets something be written that scrolls up above the screen.
    pub fn above(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    /// Shows the board as it is now.
    pub fn draw(&mut self, board: &Board, now: Duration) {
        for (bar, group) in self.bars.iter().zip(board.groups()) {
            bar.set_position((group.over + group.failed) as u64);
            bar.set_message(state(group));
        }
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

    /// Takes the screen away until it is drawn again. A terminal that cannot be written to has none.
    pub fn rest(&self) {
        drop(self.screen.clear());
    }

    /// Takes the screen away; what scrolled up stays.
    pub fn clear(self) {
        let rows = self.rows.iter().chain(&self.bars);
        rows.for_each(ProgressBar::finish_and_clear);
    }
}

fn bar(group: &Group) -> ProgressBar {
    let style = style("{prefix:>12} [{bar:24}] {pos}/{len}{msg}").progress_chars("=> ");
    ProgressBar::new(group.total as u64).with_style(style).with_prefix(group.name.clone())
}

/// What a bar says after its numbers.
fn state(group: &Group) -> String {
    if group.failed > 0 { format!(", {} failed or blocked", group.failed) } else { String::new() }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("bug: a template of ours is wrong")
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{plan, told};
    use super::*;

    #[test]
    fn bars_follow_the_board() {
        let plan = plan();
        let mut board = Board::new(&plan, &plan.ids());
        let mut bars = Bars::new(&board, ProgressDrawTarget::hidden());
        for (second, note) in told() {
            let now = Duration::from_secs(second);
            board.see(now, &note);
            bars.draw(&board, now);
            assert_eq!(bars.rows.len(), board.running().len());
        }
        assert_eq!((bars.bars[1].position(), bars.bars[1].message().as_str()), (3, ", 2 failed or blocked"));
        bars.clear();
    }
}
