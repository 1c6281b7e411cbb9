//! Splits a stream into lines for people: valid text, no control characters, of limited length.

/// Longer lines are split into pieces of this many bytes.
pub const MAX_LINE: usize = 4096;

/// A carriage return ends a line too: tools redraw their progress with it.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    /// The last byte was `\r`: a `\n` right after it ends the same line.
    returned: bool,
}

impl Lines {
    /// Calls `line` for every line that these bytes complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(String)) {
        if std::mem::take(&mut self.returned) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            self.append(&bytes[..end], &mut line);
            let returned = bytes[end] == b'\r';
            // Empty lines are kept, empty redraws are not.
            if !returned || !self.partial.is_empty() {
                line(plain(&std::mem::take(&mut self.partial)));
            }
            bytes = &bytes[end + 1..];
            if returned {
                self.returned = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.append(bytes, &mut line);
    }

    /// Calls `line` for the last line if it has no line break.
    pub fn finish(self, mut line: impl FnMut(String)) {
        if !self.partial.is_empty() {
            line(plain(&self.partial));
        }
    }

    fn append(&mut self, bytes: &[u8], line: &mut impl FnMut(String)) {
        self.partial.extend_from_slice(bytes);
        while self.partial.len() > MAX_LINE {
            let rest = self.partial.split_off(char_boundary(&self.partial, MAX_LINE));
            line(plain(&std::mem::replace(&mut self.partial, rest)));
        }
    }
}

/// The last UTF-8 character boundary at or before `at`; `at` itself where the bytes are not UTF-8.
fn char_boundary(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&i| bytes[i] & 0xc0 != 0x80).unwrap_or(at)
}

/// Text without escape sequences and other control characters: a line must not move the cursor.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\t' => out.push(c),
            // ESC [ parameters final: colours, cursor. Other escapes have two characters.
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in_pieces(stream: &[u8], want: &[&str]) {
        for size in [1, 2, 3, 7, stream.len().max(1)] {
            let mut got = Vec::new();
            let mut lines = Lines::default();
            stream.chunks(size).for_each(|piece| lines.feed(piece, |line| got.push(line)));
            lines.finish(|line| got.push(line));
            assert_eq!(got, want, "pieces of {size}");
        }
    }

    #[test]
    fn lines_end_at_line_feeds_and_carriage_returns() {
        check_in_pieces(b"", &[]);
        check_in_pieces(b"one\ntwo", &["one", "two"]);
        check_in_pieces(b"one\r\n\r\ntwo\n\n", &["one", "two", ""]);
        check_in_pieces(b"10%\r20%\r\rdone\n", &["10%", "20%", "done"]);
    }

    #[test]
    fn control_characters_are_removed() {
        check_in_pieces(b"\x1b[1;32mgreen\x1b[0m\ttab\x07\n", &["green\ttab"]);
        check_in_pieces(b"\xff\xfe ok\n", &["\u{fffd}\u{fffd} ok"]);
        check_in_pieces("größe\n".as_bytes(), &["größe"]);
    }

    #[test]
    fn long_lines_are_split_between_characters() {
        let stream = format!("{}ö{}\n", "x".repeat(MAX_LINE - 1), "y".repeat(MAX_LINE));
        let first = "x".repeat(MAX_LINE - 1);
        let second = format!("ö{}", "y".repeat(MAX_LINE - 2));
        check_in_pieces(stream.as_bytes(), &[&first, &second, "yy"]);
    }
}
