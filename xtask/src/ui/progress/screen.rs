//! The terminal of the live screen, for indicatif. Errors of a closed terminal are ignored.

use std::io::Result;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Redraws per second, at most.
const REDRAWS: u8 = 20;

/// stderr, if it is a terminal that can move its cursor (a `dumb` one cannot).
pub fn stderr() -> Option<ProgressDrawTarget> {
    let usable = !ProgressDrawTarget::stderr().is_hidden();
    usable.then(|| ProgressDrawTarget::term_like_with_hz(Box::new(Infallible(Term::buffered_stderr())), REDRAWS))
}

/// Columns of stdout, if it is a terminal.
pub fn columns() -> Option<usize> {
    Term::stdout().size_checked().map(|(_, columns)| columns.into())
}

/// Ignores errors of a closed terminal, for which indicatif would panic.
#[derive(Debug)]
struct Infallible(Term);

impl TermLike for Infallible {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        ignore_errors(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        ignore_errors(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        ignore_errors(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        ignore_errors(self.0.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> Result<()> {
        ignore_errors(self.0.write_line(text))
    }

    fn write_str(&self, text: &str) -> Result<()> {
        ignore_errors(self.0.write_str(text))
    }

    fn clear_line(&self) -> Result<()> {
        ignore_errors(self.0.clear_line())
    }

    /// Moves the cursor to the left: at the right, where indicatif leaves it, the `^C` of a pressed Ctrl-C would wrap to a
    /// new line, and the next redraw would miss the first row.
    fn flush(&self) -> Result<()> {
        ignore_errors(self.0.write_str("\r").and_then(|()| self.0.flush()))
    }
}

fn ignore_errors(_: Result<()>) -> Result<()> {
    Ok(())
}
