//! Formats durations, sizes, counts and lists, and makes foreign text safe to print.

use std::borrow::Cow;
use std::time::Duration;

use console::Alignment;
pub use console::measure_text_width as width;
pub use model::units::format_duration as duration;

/// `exit 1 after 9s`; a reason that names a reached time limit is left as it is.
pub fn with_duration(why: &str, took: Duration) -> String {
    if why.contains("timed out after ") { why.to_owned() } else { format!("{why} after {}", duration(took)) }
}

/// `512 MiB`, `4 GiB`, `1.5 GiB`: powers of 1024, at most one decimal.
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

/// The text and as many spaces as fill `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    console::pad_str(text, width, Alignment::Left, None).into_owned()
}

/// At most `width` columns, the last one `…` where something was cut off.
pub fn truncate(text: &str, width: usize) -> String {
    console::truncate_str(text, width, if width == 0 { "" } else { "…" }).into_owned()
}

/// The words of a text in lines of at most `width` columns; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| self::width(line) + 1 + self::width(word) <= width) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The last lines of a text, without the empty ones at its end.
pub fn tail(text: &str, lines: usize) -> Vec<&str> {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].to_vec()
}

/// Escapes control and bidirectional characters of foreign text except line feeds: `\u{1b}`.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    let unsafe_char = |c: char| c.is_control() && c != '\n' || is_bidi_control(c);
    if !text.contains(unsafe_char) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if unsafe_char(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line of a tool's output without escape sequences and control characters; of a line that was rewritten, what follows
/// the last carriage return.
pub fn strip_controls(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(last.len());
    let mut rest = last.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\t' => out.push(' '),
            c if c.is_control() || is_bidi_control(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips `[…letter`, or the one character of a short sequence.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    if rest.next() == Some('[') {
        rest.by_ref().find(|c| ('@'..='~').contains(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reached_time_limit_gets_no_second_duration() {
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
    fn plurals_end_in_s() {
        assert_eq!([count(0, "step"), count(1, "step"), count(2, "step")], ["0 steps", "1 step", "2 steps"]);
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([list(&names[..1]), list(&names[..2]), list(&names)], ["a", "a and b", "a, b and c"]);
    }

    #[test]
    fn truncated_text_fits_its_columns() {
        assert_eq!([truncate("überall", 7), truncate("überall", 5), truncate("x", 0)], ["überall", "über…", ""]);
        assert_eq!((truncate("한국어 글", 6), pad("한국", 5)), ("한국…".to_owned(), "한국 ".to_owned()));
    }

    #[test]
    fn wrapped_text_is_measured_in_columns() {
        assert_eq!(wrap("클러스터 셋을 만듭니다 now", 11), ["클러스터", "셋을", "만듭니다", "now"]);
        assert_eq!(wrap("a b c toolong", 5), ["a b c", "toolong"]);
        assert!(wrap(" ", 3).is_empty());
    }

    #[test]
    fn a_tail_skips_the_empty_end() {
        assert_eq!(tail("a\nb\n\nc\n\n", 2), ["", "c"]);
        assert!(tail("", 3).is_empty());
    }

    #[test]
    fn control_characters_of_foreign_text_are_escaped() {
        assert_eq!(escape_controls("ok é\nunchanged"), "ok é\nunchanged");
        assert_eq!(escape_controls("a\x1b[2J\rb\u{202e}c\0"), r"a\u{1b}[2J\rb\u{202e}c\u{0}");
    }

    #[test]
    fn control_characters_of_output_are_removed() {
        assert_eq!(strip_controls("10%\r20%\r\x1b[1;32mdone\x1b[0m\x07 \tok\r\n"), "done  ok");
    }
}
