//! kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range …}…{end}`, `{"\n"}`, `[?(@.type=="Ready")]`.

use std::borrow::Cow;

use serde_json::Value;

pub fn print(template: &str, value: &Value) -> Result<String, String> {
    let pieces = read(&mut &*template, template, false)?;
    let mut out = String::new();
    body(&pieces, &[value], &mut out)?;
    Ok(out)
}

#[derive(Debug)]
enum Piece<'a> {
    Text(Cow<'a, str>),
    Path(&'a str),
    Range(&'a str, Vec<Piece<'a>>),
}

/// Up to the end of the template, or of the enclosing range.
fn read<'a>(rest: &mut &'a str, template: &str, inside: bool) -> Result<Vec<Piece<'a>>, String> {
    let mut pieces = Vec::new();
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].into()));
        }
        let close = closing(&rest[open..]).ok_or_else(|| format!("unclosed action in {template}"))? + open;
        let inner = rest[open + 1..close].trim();
        *rest = &rest[close + 1..];
        pieces.push(if let Some(text) = inner.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            Piece::Text(text.replace("\\n", "\n").replace("\\t", "\t").into())
        } else if let Some(path) = inner.strip_prefix("range ") {
            Piece::Range(path.trim(), read(rest, template, true)?)
        } else if inner == "end" {
            return if inside { Ok(pieces) } else { Err("not in range, nothing to end".into()) };
        } else {
            Piece::Path(inner)
        });
    }
    if inside {
        return Err("unexpected end of template: range without end".into());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text((*rest).into()));
    }
    Ok(pieces)
}

/// The brace that closes the first one; braces in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '}' && !quoted).then_some(at)
    })
}

fn body(pieces: &[Piece<'_>], at: &[&Value], out: &mut String) -> Result<(), String> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Path(path) => {
                for (place, value) in values(at, path)?.into_iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { " " });
                    out.push_str(&shown(value));
                }
            }
            Piece::Range(path, inner) => {
                for value in values(at, path)? {
                    body(inner, &[value], out)?;
                }
            }
        }
    }
    Ok(())
}

fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
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
            found = match &after[..end] {
                "" => found,
                "*" => found.into_iter().flat_map(children).collect(),
                name if name.contains('\\') => {
                    let name = name.replace("\\.", ".");
                    found.into_iter().filter_map(|v| v.get(&name)).collect()
                }
                name => found.into_iter().filter_map(|v| v.get(name)).collect(),
            };
            rest = &after[end..];
        }
    }
    Ok(found)
}

/// A name ends at the next `.` or `[` without a backslash before it.
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
