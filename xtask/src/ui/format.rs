//! How durations, sizes and numbers of things are written, everywhere the same.
//! Knows nothing of where they come from.

use std::borrow::Cow;
use std::time::Duration;

pub use model::units::format_duration as duration;

/// `exit 1 after 9s`; a limit that was reached has said so itself.
pub fn with_duration(why: &str, took: Duration) -> String {
    if why.contains("timed out after ") { why.to_owned() } else { format!("{why} after {}", duration(took)) }
}

/// `512 MiB`, `4 GiB`, `1.5 GiB`: powers of 1024, one decimal where it says something.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scale = 1u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale *= 1024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        tenth => format!("{}.{tenth} {}", tenths / 10, UNITS[unit]),
    }
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// At most `width` characters, the last one `…` where something was cut off.
pub fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { format!("{}…", kept.trim_end()) }
}

/// The last lines of a text, without the empty ones at its end.
pub fn tail(text: &str, lines: usize) -> Vec<&str> {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].to_vec()
}

/// A text that somebody wrote, with what a terminal would obey or hide made visible: `\u{1b}`. Lines stay lines.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' || turns(c);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if obeyed(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Characters that make a terminal show others in another order (Unicode, bidirectional formatting).
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line of a tool's output as it may go to a terminal: what an own rewrite of the line left (after the last carriage
/// return), without escape sequences or other control characters.
pub fn strip_controls(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(last.len());
    let mut rest = last.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\t' => out.push(' '),
            c if c.is_control() || turns(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Reads past `[…letter`, or the one character of a short sequence.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    if rest.next() == Some('[') {
        rest.by_ref().find(|c| ('@'..='~').contains(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_took_is_said_once() {
        let minute = Duration::from_secs(60);
        assert_eq!(with_duration("exit 1", minute), "exit 1 after 1m");
        assert_eq!(with_duration("no answer: timed out after 1m", minute), "no answer: timed out after 1m");
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        assert_eq!([size(0), size(1023), size(1536), size(4 << 30)], ["0 B", "1023 B", "1.5 KiB", "4 GiB"]);
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn one_thing_has_no_s() {
        assert_eq!([count(0, "step"), count(1, "step"), count(2, "step")], ["0 steps", "1 step", "2 steps"]);
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([list(&names[..1]), list(&names[..2]), list(&names)], ["a", "a and b", "a, b and c"]);
    }

    #[test]
    fn cutting_counts_characters_and_marks_the_cut() {
        assert_eq!(
            [truncate("überall", 7), truncate("überall", 5), truncate("a b c", 3), truncate("x", 0)],
            ["überall", "über…", "a…", ""]
        );
    }

    #[test]
    fn a_tail_skips_the_empty_end() {
        assert_eq!(tail("a\nb\n\nc\n\n", 2), ["", "c"]);
        assert!(tail("", 3).is_empty());
    }

    #[test]
    fn what_somebody_wrote_cannot_move_the_cursor_either() {
        assert_eq!(escape_controls("ok é\nas it is"), "ok é\nas it is");
        assert_eq!(escape_controls("a\x1b[2J\rb\u{202e}c\0"), r"a\u{1b}[2J\rb\u{202e}c\u{0}");
    }

    #[test]
    fn output_cannot_move_the_cursor() {
        assert_eq!(strip_controls("10%\r20%\r\x1b[1;32mdone\x1b[0m\x07 \tok\r\n"), "done  ok");
    }
}
