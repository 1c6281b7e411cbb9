//! kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range …}…{end}`, `{"\n"}`, `[?(@.type=="Ready")]`.
//! Knows nothing of Kubernetes.

use serde_json::Value;

/// What a template prints for a value.
///
/// # Errors
/// What is wrong with the template.
pub fn print(template: &str, value: &Value) -> Result<String, String> {
    let mut pieces = split(template)?;
    pieces.reverse();
    let mut out = String::new();
    body(&mut pieces, &[value], &mut out, false)?;
    Ok(out)
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Path(String),
    Range(String),
    End,
}

fn split(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].into()));
        }
        let close = closing(&rest[open..]).ok_or_else(|| format!("unclosed action in {template}"))? + open;
        let inner = rest[open + 1..close].trim();
        pieces.push(if let Some(text) = inner.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            Piece::Text(text.replace("\\n", "\n").replace("\\t", "\t"))
        } else if let Some(path) = inner.strip_prefix("range ") {
            Piece::Range(path.trim().into())
        } else if inner == "end" {
            Piece::End
        } else {
            Piece::Path(inner.into())
        });
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

/// The brace that closes the first one; braces inside quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '}' && !quoted).then_some(at)
    })
}

/// Prints pieces (last first) up to the end of the template, or of the range it is in.
fn body(pieces: &mut Vec<Piece>, at: &[&Value], out: &mut String, inside: bool) -> Result<(), String> {
    while let Some(piece) = pieces.pop() {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Path(path) => {
                let found: Vec<String> = values(at, &path)?.into_iter().map(shown).collect();
                out.push_str(&found.join(" "));
            }
            Piece::Range(path) => {
                let end = matching(pieces)?;
                let inner: Vec<Piece> = pieces.split_off(end);
                for value in values(at, &path)? {
                    body(&mut inner[1..].to_vec(), &[value], out, true)?;
                }
            }
            Piece::End if inside => return Ok(()),
            Piece::End => return Err("not in range, nothing to end".into()),
        }
    }
    Ok(())
}

/// Where the `{end}` of the range just opened stands in the reversed pieces.
fn matching(pieces: &[Piece]) -> Result<usize, String> {
    let mut depth = 0;
    for (index, piece) in pieces.iter().enumerate().rev() {
        match piece {
            Piece::Range(_) => depth += 1,
            Piece::End if depth == 0 => return Ok(index),
            Piece::End => depth -= 1,
            _ => {}
        }
    }
    Err("unexpected end of template: range without end".into())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn values<'a>(at: &[&'a Value], path: &str) -> Result<Vec<&'a Value>, String> {
    let mut found = at.to_vec();
    let mut rest = path.trim_start_matches('$').trim_start_matches('@');
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').ok_or_else(|| format!("unterminated array in {path}"))?;
            found = indexed(&found, after[..end].trim())?;
            rest = &after[end + 1..];
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = name_end(after);
            let name = after[..end].replace("\\.", ".");
            found = match name.as_str() {
                "" => found,
                "*" => found.into_iter().flat_map(children).collect(),
                _ => found.into_iter().filter_map(|v| v.get(&name)).collect(),
            };
            rest = &after[end..];
        }
    }
    Ok(found)
}

/// A name goes to the next `.` or `[` that has no backslash before it.
fn name_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && (c == '.' || c == '[') {
            return at;
        }
        escaped = c == '\\';
    }
    text.len()
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => vec![],
    }
}

fn indexed<'a>(found: &[&'a Value], index: &str) -> Result<Vec<&'a Value>, String> {
    if index == "*" {
        return Ok(found.iter().flat_map(|v| children(v)).collect());
    }
    if let Ok(n) = index.parse::<usize>() {
        return Ok(found.iter().filter_map(|v| v.get(n)).collect());
    }
    if let Some(name) = index.strip_prefix('\'').and_then(|n| n.strip_suffix('\'')) {
        return Ok(found.iter().filter_map(|v| v.get(name)).collect());
    }
    let filter = index.strip_prefix("?(").and_then(|f| f.strip_suffix(')'));
    let filter = filter.ok_or_else(|| format!("invalid array index {index}"))?;
    let (path, wanted, equal) = match (filter.split_once("=="), filter.split_once("!=")) {
        (Some((path, wanted)), _) => (path, wanted, true),
        (None, Some((path, wanted))) => (path, wanted, false),
        _ => return Err(format!("unrecognized filter {filter}")),
    };
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    let mut kept = Vec::new();
    for item in found.iter().flat_map(|v| children(v)) {
        let is = values(&[item], path.trim())?.first().is_some_and(|v| shown(v) == wanted);
        if is == equal {
            kept.push(item);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nodes() -> Value {
        let node = |name: &str, ready: &str| {
            json!({ "metadata": { "name": name, "labels": { "a.b/c": "x" } }, "spec": { "podCIDRs": ["p", "q"] },
                "status": { "conditions": [{ "type": "Disk", "status": "False" },
                    { "type": "Ready", "status": ready }] } })
        };
        json!({ "items": [node("n1", "True"), node("n2", "False")] })
    }

    #[test]
    fn paths_stars_indexes_and_filters_print_as_kubectl_does() {
        let print = |t: &str| print(t, &nodes()).unwrap();
        assert_eq!(print("{.items[*].metadata.name}"), "n1 n2");
        assert_eq!(print("{.items[1].spec.podCIDRs[0]}"), "p");
        assert_eq!(print(r#"{.items[*].status.conditions[?(@.type=="Ready")].status}"#), "True False");
        assert_eq!(print(r"{.items[0].metadata.labels.a\.b/c}"), "x");
        assert_eq!(print("{.items[0].spec.podCIDRs}"), r#"["p","q"]"#);
        assert_eq!(print("{.missing}"), "");
    }

    #[test]
    fn ranges_repeat_their_body() {
        let template = r#"{range .items[*]}{.metadata.name}={range .spec.podCIDRs[*]}{@};{end}{"\n"}{end}"#;
        assert_eq!(print(template, &nodes()).unwrap(), "n1=p;q;\nn2=p;q;\n");
        assert!(print("{range .items[*]}", &nodes()).is_err());
        assert!(print("{end}", &nodes()).is_err());
        assert!(print("{.a", &nodes()).is_err());
    }
}
