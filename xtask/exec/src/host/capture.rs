//! The captured output of a stream: all of it up to a limit, beyond it the beginning and the end.

/// Up to this size everything is kept, so that JSON is complete.
const LIMIT: usize = 16 * 1024 * 1024;
const HEAD: usize = 64 * 1024;
const TAIL: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub struct Capture {
    bytes: Vec<u8>,
    /// Bytes dropped between [`HEAD`] and the rest. Once it is not 0, `bytes` stays below `HEAD + 2 * TAIL`.
    dropped: u64,
}

impl Capture {
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let limit = if self.dropped == 0 { LIMIT } else { HEAD + 2 * TAIL };
        if self.bytes.len() > limit {
            let end = self.bytes.len() - TAIL;
            self.bytes.drain(HEAD..end);
            self.bytes.shrink_to(HEAD + 2 * TAIL);
            self.dropped += (end - HEAD) as u64;
        }
    }

    pub fn is_truncated(&self) -> bool {
        self.dropped > 0
    }

    /// The text, with a line in place of what was dropped. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        if self.dropped == 0 {
            return String::from_utf8_lossy(&self.bytes).into_owned();
        }
        let (head, tail) = self.bytes.split_at(HEAD);
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        format!("{head}\n... {} bytes omitted ...\n{tail}", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_within_the_limit_is_complete() {
        let mut capture = Capture::default();
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..LIMIT / piece.len() {
            capture.append(&piece);
        }
        assert!(!capture.is_truncated());
        assert_eq!(capture.text().len(), LIMIT);
    }

    #[test]
    fn output_beyond_the_limit_is_truncated_to_its_ends() {
        let mut capture = Capture::default();
        let mut total = 0;
        capture.append(b"first\n");
        for n in 0..600_000u64 {
            let line = format!("line {n:>60}\n");
            total += line.len();
            capture.append(line.as_bytes());
            assert!(capture.bytes.capacity() <= 2 * LIMIT);
        }
        capture.append(b"last\n");
        assert!(capture.is_truncated() && capture.bytes.capacity() <= HEAD + 3 * TAIL);
        let text = capture.text();
        assert!(text.starts_with("first\n") && text.ends_with("\nlast\n"));
        assert_eq!(capture.dropped as usize + capture.bytes.len(), total + "first\nlast\n".len());
    }
}
