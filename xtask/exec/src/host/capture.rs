//! What is kept of a stream: all of it up to a limit, its beginning and its end beyond.

/// Up to here everything is kept, so that an answer in JSON is whole.
const WHOLE: usize = 16 * 1024 * 1024;
/// Beyond, this much of the beginning …
const HEAD: usize = 64 * 1024;
/// … and this much of the end.
const TAIL: usize = 1024 * 1024;

/// The kept bytes of one stream.
#[derive(Debug, Default)]
pub struct Capture {
    kept: Vec<u8>,
    /// Bytes dropped between [`HEAD`] and the rest. Once it is not 0, `kept` stays below `HEAD + 2 * TAIL`.
    dropped: u64,
}

impl Capture {
    /// Takes the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let limit = if self.dropped == 0 { WHOLE } else { HEAD + 2 * TAIL };
        if self.kept.len() > limit {
            let end = self.kept.len() - TAIL;
            self.kept.drain(HEAD..end);
            self.kept.shrink_to(HEAD + 2 * TAIL);
            self.dropped += (end - HEAD) as u64;
        }
    }

    /// Whether something is missing.
    pub fn is_cut(&self) -> bool {
        self.dropped > 0
    }

    /// The text, with a line in place of what is missing. Bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        if self.dropped == 0 {
            return String::from_utf8_lossy(&self.kept).into_owned();
        }
        let (head, tail) = self.kept.split_at(HEAD);
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        format!("{head}\n... {} bytes left out ...\n{tail}", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_within_the_limit_is_whole() {
        let mut capture = Capture::default();
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..WHOLE / piece.len() {
            capture.add(&piece);
        }
        assert!(!capture.is_cut());
        assert_eq!(capture.text().len(), WHOLE);
    }

    #[test]
    fn a_flood_keeps_its_ends_and_little_memory() {
        let mut capture = Capture::default();
        let mut total = 0;
        capture.add(b"first\n");
        for n in 0..600_000u64 {
            let line = format!("line {n:>60}\n");
            total += line.len();
            capture.add(line.as_bytes());
            assert!(capture.kept.capacity() <= 2 * WHOLE);
        }
        capture.add(b"last\n");
        assert!(capture.is_cut() && capture.kept.capacity() <= HEAD + 3 * TAIL);
        let text = capture.text();
        assert!(text.starts_with("first\n") && text.ends_with("\nlast\n"));
        assert_eq!(capture.dropped as usize + capture.kept.len(), total + "first\nlast\n".len());
    }
}
