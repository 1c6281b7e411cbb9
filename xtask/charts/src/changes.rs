//! What differs between the objects of a release as it is installed and as it would be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rendered::Rendered;

/// A line for each object that differs, and below it one for each field. The data of Secrets are not shown.
pub fn changes(installed: &[Rendered], wanted: &[Rendered]) -> Vec<String> {
    let (old, new) = (by_name(installed), by_name(wanted));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().flat_map(|name| object(name, old.get(name).copied(), new.get(name).copied())).collect()
}

fn by_name(objects: &[Rendered]) -> BTreeMap<String, &Value> {
    let name = |object: &Value| {
        let meta = &object["metadata"];
        let parts = [&meta["namespace"], &meta["name"]].map(|part| part.as_str().unwrap_or_default());
        let place = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        format!("{} {place}", object["kind"].as_str().unwrap_or_default())
    };
    objects.iter().map(|object| (name(&object.value), &object.value)).collect()
}

fn object(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    match (old, new) {
        (None, _) => vec![format!("+ {name}")],
        (_, None) => vec![format!("- {name}")],
        (Some(old), Some(new)) if old == new => vec![],
        (Some(old), Some(new)) => {
            let mut lines = vec![format!("~ {name}")];
            fields("", old, new, name.starts_with("Secret "), &mut lines);
            lines
        }
    }
}

/// Items of lists go by their `name`, where all have one, else by their place.
fn fields(path: &str, old: &Value, new: &Value, secret: bool, lines: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (left, right) = (children(old), children(new));
    let (Some(left), Some(right)) = (left, right) else {
        if secret && (path.starts_with("data.") || path.starts_with("stringData.")) {
            lines.push(format!("    {path}: changed, not shown"));
        } else {
            lines.extend(leaf(path, old, new));
        }
        return;
    };
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for key in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let of = |side: &BTreeMap<String, &Value>| side.get(key).copied().cloned().unwrap_or_default();
        fields(&path, &of(&left), &of(&right), secret, lines);
    }
}

fn children(value: &Value) -> Option<BTreeMap<String, &Value>> {
    match value {
        Value::Object(map) => Some(map.iter().map(|(key, value)| (key.clone(), value)).collect()),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let named = items.iter().all(|item| item["name"].is_string());
            let key = |(at, item): (usize, &Value)| match item["name"].as_str().filter(|_| named) {
                Some(name) => name.to_owned(),
                None => at.to_string(),
            };
            Some(items.iter().enumerate().map(|pair| (key(pair), pair.1)).collect())
        }
        _ => None,
    }
}

/// Of a text of several lines those that differ, the equal ones before and behind left out.
fn leaf(path: &str, old: &Value, new: &Value) -> Vec<String> {
    if let (Some(old), Some(new)) = (old.as_str(), new.as_str())
        && (old.trim_end().contains('\n') || new.trim_end().contains('\n'))
    {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let part = |sign: char, lines: &[&str]| {
            let lines = &lines[head..lines.len() - tail];
            lines.iter().map(|line| format!("      {sign} {line}")).collect::<Vec<_>>()
        };
        return [vec![format!("    {path}: from line {}", head + 1)], part('-', &old), part('+', &new)].concat();
    }
    vec![match (old, new) {
        (Value::Null, new) => format!("    + {path}: {new}"),
        (old, Value::Null) => format!("    - {path}: {old}"),
        (old, new) => format!("    {path}: {old} -> {new}"),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendered::objects;

    #[test]
    fn changed_fields_are_named_by_their_path_and_secrets_stay_hidden() {
        let old = "\
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 1, args: [a], containers: [{name: web, image: 'x:1'}, {name: old, image: y}]}
---
kind: ConfigMap
metadata: {name: file}
data: {conf: \"one\\ntwo\\nthree\\nfour\\n\"}
---
kind: Secret
metadata: {name: key}
data: {password: b2xk}
---
kind: Service
metadata: {name: gone}
";
        let new = "\
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 2, args: [b], containers: [{name: web, image: 'x:2'}]}
---
kind: ConfigMap
metadata: {name: file}
data: {conf: \"one\\n2\\n2b\\nthree\\nfour\\n\"}
---
kind: Secret
metadata: {name: key}
data: {password: bmV3}
";
        let of = |text| objects("x", text).unwrap();
        let want = "\
~ ConfigMap file
    data.conf: from line 2
      - two
      + 2
      + 2b
~ Deployment shop/web
    spec.args: [\"a\"] -> [\"b\"]
    - spec.containers.old: {\"image\":\"y\",\"name\":\"old\"}
    spec.containers.web.image: \"x:1\" -> \"x:2\"
    spec.replicas: 1 -> 2
~ Secret key
    data.password: changed, not shown
- Service gone";
        assert_eq!(changes(&of(old), &of(new)).join("\n"), want);
        assert_eq!(changes(&of(old), &of(old)), Vec::<String>::new());
        assert_eq!(changes(&[], &of("kind: Pod\nmetadata: {name: a}")), ["+ Pod a"]);
    }
}
