//! Objects that charts render, as evidence beside values and manifests, each with the line that most likely decided it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use super::{ClusterManifests, Document, Kind, RenderedState};
use charts::rendered::Rendered;
use model::problem::At;
use model::release::Chart;
use model::yaml;
use render::merge::path as keys;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendering {
    /// The Helm that did it: `v4.1.4`.
    pub helm: String,
    pub releases: BTreeSet<String>,
    pub of: usize,
    pub objects: usize,
}

/// Where what a chart renders is decided: by its values, or else by the entry of the list that names the chart.
#[derive(Debug)]
pub(super) struct Origin {
    /// Texts of the values, by what they say, with their paths and lines.
    by_text: BTreeMap<String, Vec<(String, At)>>,
    listed: At,
}

impl RenderedState {
    pub fn add(&mut self, cluster: &str, chart: &Chart, objects: Vec<Rendered>) {
        let rendering = self.rendering.get_or_insert_default();
        rendering.objects += objects.len();
        rendering.releases.insert(chart.placement.name.clone());
        let Some(cluster) = self.clusters.iter_mut().find(|g| g.name == cluster) else { return };
        let origin = Rc::new(Origin::of(cluster, &chart.placement.name));
        let kind = Kind::Rendered { chart: chart.chart.clone(), namespace: chart.namespace.clone() };
        cluster.documents.extend(objects.into_iter().map(|object| Document {
            name: chart.placement.name.clone(),
            kind: kind.clone(),
            wave: chart.placement.wave,
            file: object.template,
            value: Rc::new(opened(object.value)),
            lines: Rc::default(),
            set: Vec::new(),
            origin: Some(Rc::clone(&origin)),
        }));
    }
}

impl Origin {
    fn of(cluster: &ClusterManifests, release: &str) -> Self {
        let mut by_text: BTreeMap<String, Vec<(String, At)>> = BTreeMap::new();
        if let Some(values) = cluster.release(release) {
            leaves(values.value(), String::new(), &mut |path, leaf| {
                let by_text = scalar(leaf).map(|text| by_text.entry(text).or_default());
                by_text.into_iter().for_each(|places| places.push((path.to_owned(), values.at(path))));
            });
        }
        Origin { by_text, listed: cluster.listed(release) }
    }

    /// The line of the value that sets a path of the object; the entry of the list if none does.
    pub(super) fn at(&self, path: &str, value: Option<&Value>) -> At {
        let Some(text) = value.and_then(scalar) else { return self.listed.clone() };
        self.exact(path, &text).or_else(|| self.within(&text)).unwrap_or_else(|| self.listed.clone())
    }

    /// A value that is the same: one whose key is a like one. A number or a switch is ambiguous without its key; any
    /// other text does if it is the only one, or a long one.
    fn exact(&self, path: &str, text: &str) -> Option<At> {
        let same = self.by_text.get(text)?;
        let key = last_word(path);
        let alike = same.iter().find(|(known, _)| {
            let known = last_word(known);
            !key.is_empty() && (known.ends_with(&key) || key.ends_with(&known))
        });
        let bare = ["true", "false"].contains(&text) || text.bytes().all(|b| b.is_ascii_digit());
        let only = (!bare && (same.len() == 1 || text.len() > 5)).then(|| &same[0]);
        alike.or(only).map(|(_, at)| at.clone())
    }

    fn within(&self, text: &str) -> Option<At> {
        let inside = self.by_text.iter().filter(|(by_text, _)| by_text.len() > 7 && text.contains(by_text.as_str()));
        inside.max_by_key(|(by_text, _)| by_text.len()).map(|(_, places)| places[0].1.clone())
    }
}

/// The last part of a path that is a name, in lower case: `spec.containers.0.args.3` gives `args`.
fn last_word(path: &str) -> String {
    let keys = keys(path);
    let name = keys.iter().rev().find(|key| key.parse::<usize>().is_err());
    name.map(|key| key.to_ascii_lowercase()).unwrap_or_default()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Every text, number and switch with its dotted path.
pub(crate) fn leaves(value: &Value, path: String, visit: &mut dyn FnMut(&str, &Value)) {
    let below = |key: &str| {
        let key = key.replace('.', "\\.");
        if path.is_empty() { key } else { format!("{path}.{key}") }
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, below(key), visit)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| leaves(v, below(&i.to_string()), visit)),
        leaf => visit(&path, leaf),
    }
}

/// A ConfigMap or Secret with its files read: base64 is decoded, and a text that is a YAML or JSON table becomes that
/// table, so that a rule can name a place in it: `data.prometheus\.yml.remote_write.0.url`.
fn opened(mut object: Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if !["ConfigMap", "Secret"].contains(&kind.as_str()) {
        return object;
    }
    for key in ["data", "stringData", "binaryData"] {
        let encoded = (kind == "Secret" && key == "data") || key == "binaryData";
        let Some(files) = object.get_mut(key).and_then(Value::as_object_mut) else { continue };
        for file in files.values_mut() {
            let Some(text) = file.as_str() else { continue };
            let text = if encoded { decoded(text).unwrap_or_else(|| text.to_owned()) } else { text.to_owned() };
            *file = table(&text).unwrap_or(Value::String(text));
        }
    }
    object
}

fn table(text: &str) -> Option<Value> {
    if !text.contains('\n') && !text.trim_start().starts_with('{') {
        return None;
    }
    let mut documents = yaml::foreign("a file within", text).ok()?;
    let value = documents.pop().filter(|_| documents.is_empty())?.value;
    value.is_object().then_some(value)
}

/// Standard base64 that holds text (RFC 4648, section 4).
fn decoded(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=') {
        buffer = buffer << 6 | u32::try_from(ALPHABET.iter().position(|a| *a == byte)?).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_within_are_read_as_far_as_they_are_tables() {
        let map =
            json!({"kind": "ConfigMap", "data": {"a.yml": "b:\n- c: 1\n", "flat": "x: y", "ini": "[a]\nb = c\n"}});
        let want = json!({"a.yml": {"b": [{"c": 1}]}, "flat": "x: y", "ini": "[a]\nb = c\n"});
        assert_eq!(opened(map)["data"], want);
        // printf 'endpoints:\n- https://a:1\n' | base64
        let secret = json!({"kind": "Secret", "data": {"peer": "ZW5kcG9pbnRzOgotIGh0dHBzOi8vYToxCg==", "not": "?"}});
        assert_eq!(opened(secret)["data"], json!({"peer": {"endpoints": ["https://a:1"]}, "not": "?"}));
        let other = json!({"kind": "Other", "data": {"a": "b: 1\nc: 2"}});
        assert_eq!(opened(other.clone()), other);
    }

    #[test]
    fn the_line_is_that_of_the_value() {
        let line = |n| At { file: "values.yaml".into(), line: Some(n) };
        let by_text = [
            ("120", "server.terminationGracePeriodSeconds", 1),
            ("120", "other.seconds", 2),
            ("http://a.b.svc:1/x", "server.url", 3),
            ("30", "server.livenessProbePeriodSeconds", 4),
            ("false", "server.a", 5),
        ];
        let mut origin = Origin { by_text: BTreeMap::new(), listed: line(9) };
        for (text, path, n) in by_text {
            origin.by_text.entry(text.to_owned()).or_default().push((path.to_owned(), line(n)));
        }
        let at = |path: &str, value: Value| origin.at(path, Some(&value)).line;
        assert_eq!(at("spec.terminationGracePeriodSeconds", json!(120)), Some(1));
        assert_eq!(at("spec.livenessProbe.periodSeconds", json!(30)), Some(4));
        assert_eq!([at("spec.unknown", json!(120)), at("spec.unknown", json!(false))], [Some(9); 2]);
        assert_eq!(at("args.0", json!("--to=http://a.b.svc:1/x")), Some(3));
        assert_eq!(origin.at("gone", None).line, Some(9));
    }
}
