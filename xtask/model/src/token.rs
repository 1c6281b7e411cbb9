//! Placeholders for values known only at run time, written into text as `<fact:app1.cp.ip>`,
//! `<secret:app1.join-token>` or `<digest:app1/cilium/values.yaml>`.
//!
//! A plan and its files are complete texts with such names in them, so that they can be printed, compared and
//! snapshotted without a cluster; [`complete`] puts the values in just before use.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token<'a> {
    /// A value read from a machine or cluster, such as a node's address. Not confidential.
    Fact(&'a str),
    /// A confidential value: allowed in files and standard input, never in arguments.
    Secret(&'a str),
    /// The sha256 of a generated file once it is complete.
    Digest(&'a str),
}

/// `<fact:name>`.
pub fn fact(name: &str) -> String {
    format!("<fact:{name}>")
}

/// `<secret:name>`.
pub fn secret(name: &str) -> String {
    format!("<secret:{name}>")
}

/// `<digest:file>`, the file named by its path below `out/`.
pub fn digest(file: &str) -> String {
    format!("<digest:{file}>")
}

/// Every token in `text`, in order, with repetitions.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    if may_hold(text) { pieces(text).filter_map(Result::ok).collect() } else { Vec::new() }
}

/// Cheap pre-check: most texts of a plan have no tokens and are scanned often.
pub fn may_hold(text: &str) -> bool {
    text.as_bytes().contains(&b'<')
}

/// Replaces every token by its value.
///
/// # Errors
/// The tokens without a value, each once, as written.
pub fn complete(text: &str, mut value: impl FnMut(Token<'_>) -> Option<String>) -> Result<String, Vec<String>> {
    if !may_hold(text) {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut missing = Vec::new();
    for piece in pieces(text) {
        match piece {
            Err(literal) => out.push_str(literal),
            Ok(token) => match value(token) {
                Some(v) => out.push_str(&v),
                None => missing.push(written(token)),
            },
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() { Ok(out) } else { Err(missing) }
}

fn written(token: Token<'_>) -> String {
    match token {
        Token::Fact(name) => fact(name),
        Token::Secret(name) => secret(name),
        Token::Digest(file) => digest(file),
    }
}

/// Cuts text into tokens (`Ok`) and what lies between them (`Err`).
fn pieces(text: &str) -> impl Iterator<Item = Result<Token<'_>, &str>> {
    let mut rest = text;
    let mut found = None;
    std::iter::from_fn(move || {
        if let Some(token) = found.take() {
            return Some(Ok(token));
        }
        let mut opens = rest.match_indices('<');
        let first = opens.find_map(|(at, _)| token_at(&rest[at..]).map(|token| (at, token)));
        let (literal, after) = match first {
            Some((open, (token, length))) => {
                found = Some(token);
                (&rest[..open], &rest[open + length..])
            }
            None => (rest, ""),
        };
        rest = after;
        if literal.is_empty() { found.take().map(Ok) } else { Some(Err(literal)) }
    })
}

fn token_at(text: &str) -> Option<(Token<'_>, usize)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./-_".contains(c);
    // Bounded look-ahead: a text full of `<` must not be scanned to its end from each of them.
    let end = text[1..].find(|c| !plain(c) && c != ':').map(|at| at + 1).filter(|at| text[*at..].starts_with('>'))?;
    let (kind, name) = text[1..end].split_once(':')?;
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let token = match kind {
        "fact" => Token::Fact(name),
        "secret" => Token::Secret(name),
        "digest" => Token::Digest(name),
        _ => return None,
    };
    Some((token, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_are_replaced() {
        let text = "<a> <fact:x.ip>:6443 <fact:x y> <<secret:s><fact:>";
        let done = complete(text, |t| match t {
            Token::Fact("x.ip") => Some("10.0.0.1".into()),
            Token::Secret("s") => Some("value".into()),
            _ => None,
        });
        assert_eq!(done.unwrap(), "<a> 10.0.0.1:6443 <fact:x y> <value<fact:>");
    }

    #[test]
    fn a_missing_token_is_reported_once() {
        let missing = complete("<fact:b> <fact:a> <fact:b>", |_| None).unwrap_err();
        assert_eq!(missing, ["<fact:a>", "<fact:b>"]);
    }
}
