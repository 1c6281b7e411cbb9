//! Reads Rust just well enough for the rules: code without comments and literals, functions, and what a file refers to.
//! Knows nothing of the rules.

/// The text with comments, strings and characters blanked out; every line keeps its place.
pub(super) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal(&chars, at).unwrap_or(at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins here ends.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let next = chars.get(at + 1);
    match chars[at] {
        '/' if next == Some(&'/') => Some(find(chars, at, |c| c[0] == '\n')),
        '/' if next == Some(&'*') => Some(find(chars, at + 2, |c| c.starts_with(&['*', '/'])) + 2),
        '"' => Some(quoted(chars, at + 1, '"')),
        '\'' if next == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => Some(quoted(chars, at + 1, '\'')),
        'r' if !at.checked_sub(1).is_some_and(|i| chars[i].is_alphanumeric() && chars[i] != 'b') => raw(chars, at + 1),
        _ => None,
    }
    .map(|end| end.min(chars.len()))
}

fn find(chars: &[char], from: usize, is: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|i| is(&chars[*i..])).unwrap_or(chars.len())
}

fn quoted(chars: &[char], from: usize, end: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != end {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (chars.get(from + hashes) == Some(&'"'))
        .then(|| find(chars, from + hashes + 1, |c| c.starts_with(&close)) + close.len())
}

/// The code before the unit tests, which stand at the end of a file.
pub(super) fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod tests {").map_or(code, |at| &code[..at])
}

/// Each function with its first line (from 1) and its number of lines.
pub(super) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let name: String = code[at + 3..].chars().take_while(|c| word(*c)).collect();
        if name.is_empty() || code[..at].ends_with(word) {
            continue;
        }
        let Some(open) = body_of(&code[at..]) else { continue };
        let body = &code[at + open..at + open + block(&code[at + open..])];
        let first = code[..at].matches('\n').count() + 1;
        let lines = code[at..at + open].matches('\n').count() + body.matches('\n').count() + 1;
        out.push((name, first, lines));
    }
    out
}

/// Where the body of the function begins, if it has one: `[u8; 4]` in the signature is no end.
fn body_of(function: &str) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in function.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(i),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The length of the block that begins with the first character.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (i, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

/// First segments of the paths that follow `prefix`, with their line: `crate::` gives `plan` for `crate::plan::Step`,
/// and both `a` and `b` for `crate::{a::X, b}`.
pub(super) fn segments(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + prefix.len()..];
        if rest.starts_with('{') {
            out.extend(group(&rest[1..block(rest).max(2) - 1]).into_iter().map(|name| (line, name)));
        } else {
            out.push((line, first(rest)));
        }
    }
    out.retain(|(_, name)| !name.is_empty());
    out
}

fn group(inside: &str) -> Vec<String> {
    let mut depth = 0;
    let pieces = inside.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    pieces.map(|piece| first(piece.trim())).collect()
}

fn first(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn comments_and_literals_are_blank_and_lines_stay() {
    let text = "a // x\nb \"y \\\" /*\" c 'z' '\\'' &'static r#\"k \" \nk\"# d /* m\nn */ e";
    let want = "a     \nb            c                      &'static         \n      d     \n     e";
    let squeeze = |s: &str| s.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(squeeze(&code(text)), squeeze(want));
}

#[test]
fn functions_are_measured_with_their_signature() {
    let found = functions(
        "fn a(_: [u8; 4]) {}\nimpl X {\n    fn b(\n        y: u8,\n    ) -> u8 {\n        y\n    }\n}\nfn c();\n",
    );
    assert_eq!(found, [("a".to_owned(), 1, 1), ("b".to_owned(), 3, 5)]);
}

#[test]
fn grouped_imports_are_taken_apart() {
    let code = "use crate::plan::Step;\nuse crate::{a::{B, C}, d, e::F};\nfn f() { not_crate::x(); crate::g() }";
    let names: Vec<_> = segments(code, "crate::").into_iter().map(|(l, n)| format!("{l} {n}")).collect();
    assert_eq!(names, ["1 plan", "2 a", "2 d", "2 e", "3 g"]);
}
