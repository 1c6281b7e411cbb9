//! The terminal that the live screen is drawn on. It may be gone at any moment, and keys are pressed meanwhile.
//! Knows nothing of bars: indicatif says what is drawn.

use std::io::Result;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Redraws per second, at most.
const REDRAWS: u8 = 20;

/// stderr, if it is a terminal that can move its cursor. A `dumb` one cannot: indicatif hides what it would draw there.
pub fn stderr() -> Option<ProgressDrawTarget> {
    let fit = !ProgressDrawTarget::stderr().is_hidden();
    fit.then(|| ProgressDrawTarget::term_like_with_hz(Box::new(Steady(Term::buffered_stderr())), REDRAWS))
}

/// A terminal that never fails: whoever closed its window does not see what is drawn, and no run shall end for that.
/// indicatif would panic.
#[derive(Debug)]
struct Steady(Term);

impl TermLike for Steady {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        unless_gone(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        unless_gone(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        unless_gone(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        unless_gone(self.0.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> Result<()> {
        unless_gone(self.0.write_line(text))
    }

    fn write_str(&self, text: &str) -> Result<()> {
        unless_gone(self.0.write_str(text))
    }

    fn clear_line(&self) -> Result<()> {
        unless_gone(self.0.clear_line())
    }

    /// The cursor rests at the left: at the right, where indicatif leaves it, the `^C` that a terminal shows for a
    /// pressed Ctrl-C would begin a line, and the next redraw would miss the first one by that.
    fn flush(&self) -> Result<()> {
        unless_gone(self.0.write_str("\r").and_then(|()| self.0.flush()))
    }
}

fn unless_gone(_: Result<()>) -> Result<()> {
    Ok(())
}
