//! Bytes of a stream as lines for people: valid text, no control characters, no line too long.

/// Longer lines are cut into pieces of this many bytes.
pub const LONGEST: usize = 4096;

/// Cuts a stream into lines. A carriage return ends a line too: that is how tools redraw their progress.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// The last byte was `\r`: a `\n` right after it ends the same line.
    returned: bool,
}

impl Lines {
    /// Takes the next bytes and hands on every line that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(String)) {
        if std::mem::take(&mut self.returned) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            self.add(&bytes[..end], &mut line);
            let returned = bytes[end] == b'\r';
            // Empty redraws are noise, empty lines are layout.
            if !returned || !self.begun.is_empty() {
                line(plain(&std::mem::take(&mut self.begun)));
            }
            bytes = &bytes[end + 1..];
            if returned {
                self.returned = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.add(bytes, &mut line);
    }

    /// The stream has ended: hands on what has begun.
    pub fn end(self, mut line: impl FnMut(String)) {
        if !self.begun.is_empty() {
            line(plain(&self.begun));
        }
    }

    fn add(&mut self, bytes: &[u8], line: &mut impl FnMut(String)) {
        self.begun.extend_from_slice(bytes);
        while self.begun.len() > LONGEST {
            let rest = self.begun.split_off(letter_start(&self.begun, LONGEST));
            line(plain(&std::mem::replace(&mut self.begun, rest)));
        }
    }
}

/// The last place at or before `at` where no UTF-8 character is cut. Bytes that are no UTF-8 are cut anywhere.
fn letter_start(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&i| bytes[i] & 0xc0 != 0x80).unwrap_or(at)
}

/// Text without escape sequences and other control characters: a line must not move the cursor of the screen.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\t' => out.push(letter),
            // ESC [ parameters final: colours, cursor. Other escapes are two characters.
            '\u{1b}' => {
                if letters.next() == Some('[') {
                    letters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
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

    /// The lines of a stream, whatever pieces it arrives in.
    fn check(stream: &[u8], want: &[&str]) {
        for size in [1, 2, 3, 7, stream.len().max(1)] {
            let mut got = Vec::new();
            let mut lines = Lines::default();
            stream.chunks(size).for_each(|piece| lines.feed(piece, |line| got.push(line)));
            lines.end(|line| got.push(line));
            assert_eq!(got, want, "in pieces of {size}");
        }
    }

    #[test]
    fn lines_end_as_tools_end_them() {
        check(b"", &[]);
        check(b"one\ntwo", &["one", "two"]);
        check(b"one\r\n\r\ntwo\n\n", &["one", "two", ""]);
        check(b"10%\r20%\r\rdone\n", &["10%", "20%", "done"]);
    }

    #[test]
    fn lines_are_plain_text() {
        check(b"\x1b[1;32mgreen\x1b[0m\ttab\x07\n", &["green\ttab"]);
        check(b"\xff\xfe ok\n", &["\u{fffd}\u{fffd} ok"]);
        check("größe\n".as_bytes(), &["größe"]);
    }

    #[test]
    fn long_lines_are_cut_between_letters() {
        let stream = format!("{}ö{}\n", "x".repeat(LONGEST - 1), "y".repeat(LONGEST));
        let first = "x".repeat(LONGEST - 1);
        let second = format!("ö{}", "y".repeat(LONGEST - 2));
        check(stream.as_bytes(), &[&first, &second, "yy"]);
    }
}
