//! Extracts one value from an output: the whole text, a JSON scalar, a capture of a regular expression, or a number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::helm::revisions;
use super::{Extractor, Output};

/// Size of the cache of regular expressions: a plan has some sixty and uses each often.
const REMEMBERED: usize = 256;

thread_local! {
    /// Compiling one costs a thousand times as much as using it.
    static COMPILED: RefCell<BTreeMap<String, Result<Rc<Regex>, String>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Extractor {
    /// The value, if there is one. An empty text is none.
    pub fn read(&self, output: &Output) -> Option<String> {
        let found = match self {
            Extractor::Stdout => Some(output.stdout.trim().to_owned()),
            Extractor::Pointer(pointer) => scalar(json(&output.stdout).ok()?.pointer(pointer)?),
            Extractor::Match(regex) => String::from_utf8(first_capture(regex, &output.stdout)?).ok(),
            Extractor::NextRevision(release) => Some(revisions::next(&output.stdout, release).to_string()),
            Extractor::MatchBase64(regex) => {
                let mut bytes = first_capture(regex, &output.stdout)?;
                bytes.push(b'\n');
                return Some(base64(&bytes));
            }
        };
        found.filter(|text| !text.is_empty())
    }
}

pub fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| {
        // `multipass exec` writes a spinner there while it starts the VM (seen on 1.16.3).
        let before = text.find('{').filter(|at| serde_json::from_str::<Value>(&text[*at..]).is_ok());
        match before.map(|at| text[..at].trim().chars().take(80).collect::<String>()) {
            Some(before) => format!("stdout has text before its JSON: {before:?}"),
            None => format!("stdout is not JSON ({e})"),
        }
    })
}

pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A regular expression in multi-line mode, over bytes: `\d`, `\s`, `\w` and `\b` are the ASCII ones, because the
/// Unicode tables are not compiled in.
pub fn pattern(regex: &str) -> Result<Rc<Regex>, String> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(known) = compiled.get(regex) {
            return known.clone();
        }
        if compiled.len() >= REMEMBERED {
            compiled.clear();
        }
        // Shared, not cloned: a clone begins without the cache of its searches.
        let new =
            RegexBuilder::new(regex).multi_line(true).unicode(false).build().map(Rc::new).map_err(|e| e.to_string());
        compiled.insert(regex.to_owned(), new.clone());
        new
    })
}

/// The first capture, not empty.
fn first_capture(regex: &str, text: &str) -> Option<Vec<u8>> {
    let found = pattern(regex).ok()?.captures(text.as_bytes())?.get(1)?.as_bytes().to_vec();
    (!found.is_empty()).then_some(found)
}

/// RFC 4648 base64 with padding. Fifteen lines here instead of one more crate.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|i| u32::from(chunk.get(i).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// The bytes of base64 text, with or without padding and line breaks.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for letter in text.trim().trim_end_matches('=').bytes().filter(|b| !b.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (word, bits) = (word << 6 | u32::from(value), bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foob", "Zm9vYg=="), ("?>~", "Pz5+"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(unbase64(coded).unwrap(), plain.as_bytes());
        }
        assert_eq!((unbase64("a-b"), unbase64("Zm9v\nYmFy\n").unwrap()), (None, b"foobar".to_vec()));
    }

    fn read(reading: Extractor, stdout: &str) -> Option<String> {
        reading.read(&Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) })
    }

    #[test]
    fn values_are_read_where_they_stand() {
        assert_eq!(read(Extractor::Stdout, " 10.0.0.1\n").as_deref(), Some("10.0.0.1"));
        let info = r#"{"a":{"ips":["10.0.0.7"],"cpus":2,"x":null}}"#;
        let at = |pointer: &str| read(Extractor::Pointer(pointer.into()), info);
        assert_eq!(at("/a/ips/0").as_deref(), Some("10.0.0.7"));
        assert_eq!(at("/a/cpus").as_deref(), Some("2"));
        assert_eq!(read(Extractor::Match(r"^ip:\s+(\d+)$".into()), "a\nip: 7\n").as_deref(), Some("7"));
        assert_eq!(read(Extractor::MatchBase64(r"^(A[\s\S]*Z)$".into()), "x\nA\nZ\ny").as_deref(), Some("QQpaCg=="));
    }

    #[test]
    fn missing_output_is_not_read() {
        for reading in [
            Extractor::Stdout,
            Extractor::Pointer("/a".into()),
            Extractor::Match("(z)".into()),
            Extractor::Match("no capture".into()),
            Extractor::Match("(broken".into()),
            Extractor::MatchBase64("(z*)".into()),
        ] {
            assert_eq!(read(reading, ""), None);
        }
        assert_eq!(read(Extractor::Pointer("/a".into()), r#"{"a":null}"#), None);
        assert_eq!(read(Extractor::Pointer("a".into()), r#"{"a":"#), None);
    }
}
