//! Merges derived keys into a data file's document. A field has one owner: nothing is overwritten.

use serde_json::{Map, Value};

use model::problem::{At, Problem};
use model::yaml::{Document, Path};

#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// Missing maps on the way are created; an element of a list must exist.
    pub path: Path,
    /// A map is merged key by key, anything else is one field.
    pub value: Value,
    pub from: At,
}

impl Derived {
    /// A key at a dotted path, see [`path`].
    pub fn new(dotted: &str, value: impl Into<Value>, from: At) -> Self {
        Derived { path: path(dotted), value: value.into(), from }
    }
}

/// Splits `a.b\.c.0` into `a`, `b.c`, `0`: a dot that belongs to a key is escaped, as in `helm --set`.
pub fn path(dotted: &str) -> Path {
    let mut keys = vec![String::new()];
    let mut chars = dotted.chars();
    while let Some(c) = chars.next() {
        let last = keys.last_mut().expect("bug: there is always a key");
        match c {
            '\\' => last.extend(chars.next()),
            '.' => keys.push(String::new()),
            _ => last.push(c),
        }
    }
    keys
}

/// # Errors
/// Every field that is set on both sides, at its line in the document.
pub fn merge(document: &Document, derived: &[Derived]) -> Result<Value, Vec<Problem>> {
    let mut value = if document.value.is_null() { Value::Object(Map::new()) } else { document.value.clone() };
    let mut problems = Vec::new();
    for (index, key) in derived.iter().enumerate() {
        let mut clashes = Vec::new();
        put(&mut value, &key.path, 0, &key.value, &mut clashes);
        problems.extend(clashes.into_iter().map(|clash| two_owners(document, &derived[..index], key, &clash)));
    }
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

/// Puts `new` at `path[depth..]` below `node`; paths already in use go to `clashes`.
fn put(node: &mut Value, path: &[String], depth: usize, new: &Value, clashes: &mut Vec<Path>) {
    let Some(key) = path.get(depth) else { return put_here(node, path, new, clashes) };
    let next = match node {
        Value::Object(map) if !map.contains_key(key) => {
            map.insert(key.clone(), chain(&path[depth + 1..], new));
            return;
        }
        Value::Object(map) => map.get_mut(key),
        Value::Array(list) => key.parse().ok().and_then(|index: usize| list.get_mut(index)),
        _ => None,
    };
    match next {
        Some(next) => put(next, path, depth + 1, new, clashes),
        None => clashes.push(path[..depth].to_vec()),
    }
}

fn put_here(node: &mut Value, path: &[String], new: &Value, clashes: &mut Vec<Path>) {
    let (Value::Object(_), Value::Object(entries)) = (&*node, new) else { return clashes.push(path.to_vec()) };
    for (key, value) in entries {
        let below: Path = path.iter().chain([key]).cloned().collect();
        put(node, &below, path.len(), value, clashes);
    }
}

/// `a.b = new` as nested maps.
fn chain(path: &[String], new: &Value) -> Value {
    path.iter().rev().fold(new.clone(), |value, key| Value::Object(Map::from_iter([(key.clone(), value)])))
}

fn two_owners(document: &Document, earlier: &[Derived], key: &Derived, clash: &Path) -> Problem {
    let what = Problem::new(format!("`{}` is set both by the data file and by the renderer", clash.join(".")));
    let decided = format!("{} sets it, too", key.from);
    // A clash outside the document is one between two derived keys.
    let other = earlier.iter().find(|e| clash.starts_with(&e.path) || e.path.starts_with(clash));
    match (document.lines.get(clash), other) {
        (None, Some(other)) => what.at(&other.from.file, other.from.line).why(decided),
        (line, _) => {
            let hint = format!("remove `{}` from {}", clash.join("."), document.file);
            what.at(&document.file, line.copied()).why(decided).hint(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::yaml;
    use serde_json::json;

    fn document(text: &str) -> Document {
        yaml::parse("charts/x/values.yaml", text).expect("YAML").remove(0)
    }

    fn at(line: usize) -> At {
        At { file: "infra/fleet.toml".into(), line: Some(line) }
    }

    #[test]
    fn derived_keys_are_merged() {
        let written = document("cluster: {size: 1}\nlist:\n- {name: a}\nempty: {}\n");
        let derived = [
            Derived::new("cluster.name", "app1", at(1)),
            Derived::new("list.0.value", 5, at(1)),
            Derived::new("empty", json!({"a": {"b": 1}}), at(1)),
            Derived::new(r"ini.grafana\.ini.server", json!([1]), at(1)),
        ];
        let want = json!({
            "cluster": {"size": 1, "name": "app1"}, "list": [{"name": "a", "value": 5}],
            "empty": {"a": {"b": 1}}, "ini": {"grafana.ini": {"server": [1]}},
        });
        assert_eq!(merge(&written, &derived).unwrap(), want);
    }

    #[test]
    fn a_field_with_two_owners_names_both_places() {
        let written = document("cluster:\n  name: mine\n  id: 7\nips: [a]\nnothing:\n");
        let derived = [
            Derived::new("cluster.name", "app1", at(11)),
            Derived::new("cluster.id.x", 2, at(12)),
            Derived::new("ips", json!(["b"]), at(13)),
            Derived::new("ips.4", "b", at(14)),
            Derived::new("nothing", 1, at(15)),
            Derived::new("cluster", "app1", at(16)),
        ];
        let problems = merge(&written, &derived).unwrap_err();
        let places: Vec<String> = problems.iter().map(|p| p.at.as_ref().unwrap().to_string()).collect();
        assert_eq!(places, [2, 3, 4, 4, 5, 2].map(|line| format!("charts/x/values.yaml:{line}")));
        assert_eq!(problems[0].what, "`cluster.name` is set both by the data file and by the renderer");
        assert_eq!(problems[0].why.as_deref(), Some("infra/fleet.toml:11 sets it, too"));
    }

    #[test]
    fn two_derived_keys_may_not_overlap() {
        let derived = [Derived::new("a.b", 1, at(3)), Derived::new("a.b.c", 2, at(4))];
        let problems = merge(&document("{}"), &derived).unwrap_err();
        assert_eq!(problems[0].at, Some(at(3)));
    }
}
