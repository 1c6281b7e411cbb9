//! YAML in and out: data files to values with the line of each, values to text that no reader takes for something else.
//! Knows nothing of what a document means. The only module that names the YAML crate.
//!
//! Tools read YAML by different rules (cloud-init by 1.1, kubeadm and Helm by Go's own mixture), so a scalar without
//! quotes that they would read differently is refused on the way in, and quoted on the way out. Keys come out sorted:
//! the same values give the same bytes.
//!
//! Tokens (`<fact:…>`) come out as plain scalars, and what takes their place must still be text there: addresses,
//! base64 of PEM (begins with `LS0t`), `sha256:…` and secrets that begin with a letter are.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::yaml11::{self, Kind};
use model::problem::Problem;

/// Keys from the root of a document to a value; an element of a list is named by its index.
pub type Path = Vec<String>;

/// One document of a data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file, relative to the repository.
    pub file: String,
    /// What stands in it.
    pub value: Value,
    /// Line of every value, from 1.
    pub lines: BTreeMap<Path, usize>,
}

/// How deep a document of ours may nest: twice of what they do, and little enough for the smallest stack of a thread.
/// Other limits are the crate's own: anchors and what they stand for, nodes, documents.
const DEPTH: usize = 32;

/// Reads every document of a file; documents without content are left out.
///
/// # Errors
/// Text that is not YAML, a repeated key, or scalars that YAML 1.1 and 1.2 read differently, each with its line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map(|l| l.line() as usize);
        let error = error.without_snippet().to_string();
        let why = error.split(" at line ").next().unwrap_or_default().split(", set DuplicateKeyPolicy").next();
        vec![Problem::new(format!("cannot read `{file}` as YAML")).at(file, line).why(why.unwrap_or_default())]
    })?;
    let mut problems = Vec::new();
    let documents = nodes.into_iter().map(|node| {
        let mut document = Document { file: file.to_owned(), value: Value::Null, lines: BTreeMap::new() };
        let mut reading = Reading { file, text, lines: &mut document.lines, problems: &mut problems };
        document.value = reading.value(node, &mut Path::new());
        document
    });
    let documents: Vec<Document> = documents.collect();
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

/// Reads what another tool wrote: `yes` and `0755` are what YAML 1.2 takes them for, and of a repeated key the last one
/// counts, as for Go.
///
/// # Errors
/// Text that is not YAML.
pub fn foreign(file: &str, text: &str) -> Result<Vec<Document>, Problem> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map(|l| l.line() as usize);
        let why = error.without_snippet().to_string();
        Problem::new(format!("cannot read `{file}` as YAML")).at(file, line).why(why)
    })?;
    let document = |node| {
        let (mut lines, mut problems) = (BTreeMap::new(), Vec::new());
        let value = Reading { file, text, lines: &mut lines, problems: &mut problems }.value(node, &mut Path::new());
        Document { file: file.to_owned(), value, lines }
    };
    Ok(nodes.into_iter().map(document).collect())
}

/// Writes documents, keys sorted, nothing folded, text quoted wherever a reader could take it for something else.
pub fn write(documents: &[Value]) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100_000 };
    let text = |value| serde_saphyr::to_string_with_options(value, options.clone()).expect("bug: JSON is YAML");
    documents.iter().map(text).collect::<Vec<_>>().join("---\n")
}

/// A node as it is read, before its line is taken from it.
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that JSON does not have"))?;
        Ok(Node::Leaf(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

/// Takes nodes apart into values and lines.
struct Reading<'a> {
    file: &'a str,
    text: &'a str,
    lines: &'a mut BTreeMap<Path, usize>,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn value(&mut self, node: Spanned<Node>, path: &mut Path) -> Value {
        let line = node.defined.line() as usize;
        self.lines.insert(path.clone(), line);
        match node.value {
            Node::Leaf(value) => {
                let plain = self.plain(node.defined.span());
                self.problems
                    .extend(plain.and_then(|plain| two_meanings(plain, &value)).map(|p| p.at(self.file, Some(line))));
                value
            }
            Node::List(items) => {
                items.into_iter().enumerate().map(|(i, n)| self.below(i.to_string(), n, path)).collect()
            }
            Node::Map(entries) => {
                let entry = |(key, n): (String, _)| (key.clone(), self.below(key, n, path));
                Value::Object(entries.into_iter().map(entry).collect::<Map<_, _>>())
            }
        }
    }

    fn below(&mut self, key: String, node: Spanned<Node>, path: &mut Path) -> Value {
        path.push(key);
        let value = self.value(node, path);
        path.pop();
        value
    }

    /// The scalar as it is written, if it stands without quotes, block sign, tag or anchor.
    fn plain(&self, span: serde_saphyr::Span) -> Option<&str> {
        let from = span.byte_offset()? as usize;
        let text = self.text.get(from..from + span.byte_len()? as usize)?;
        (!text.starts_with(['"', '\'', '|', '>', '!', '&', '*'])).then(|| text.trim_end())
    }
}

/// A problem if YAML 1.1 reads a plain scalar as another kind of value than it was read here by 1.2.
fn two_meanings(plain: &str, value: &Value) -> Option<Problem> {
    let here = match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_f64() => Kind::Float,
        Value::Number(_) => Kind::Int,
        _ => Kind::Text,
    };
    if plain.contains('\n') || yaml11::kind(plain) == here {
        return None;
    }
    let why = "YAML 1.1 and YAML 1.2 read it as different values, and each tool follows its own";
    let hint = "write true or false for a switch, a plain decimal number, or put quotes around text";
    Some(Problem::new(format!("a value has two meanings: `{plain}`")).why(why).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Vec<Document> {
        parse("a.yaml", text).expect("YAML")
    }

    #[test]
    fn values_come_with_their_lines() {
        let documents = read(
            "# c\na:\n  b: 1 # one\n  list: [x, {y: é}]\n---\n# nothing\n---\ntext: |\n  two\n  lines\n8080: .5\n",
        );
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].value, json!({"a": {"b": 1, "list": ["x", {"y": "é"}]}}));
        assert_eq!(documents[1].value, json!({"text": "two\nlines\n", "8080": 0.5}));
        let line = |d: usize, path: &str| documents[d].lines[&path.split('.').map(str::to_owned).collect::<Path>()];
        assert_eq!((line(0, "a.b"), line(0, "a.list.1.y"), line(1, "8080")), (3, 4, 11));
    }

    #[test]
    fn what_two_readers_take_differently_is_refused_with_its_line() {
        for scalar in "yes off y 0755 0o17 1_000 12:30 2026-11-22 1e3".split(' ') {
            let problems = parse("a.yaml", &format!("ok: 1\na: {scalar} # c\n")).expect_err(scalar);
            assert_eq!(problems[0].what, format!("a value has two meanings: `{scalar}`"));
            assert_eq!(problems[0].at.as_ref().and_then(|at| at.line), Some(2), "{scalar}");
            let quoted = read(&format!("a: '{scalar}'"));
            assert_eq!(quoted[0].value["a"], json!(scalar));
        }
    }

    #[test]
    fn a_fault_names_its_line() {
        let repeated = &parse("a.yaml", "a: 1\nb: 2\na: 3\n").unwrap_err()[0];
        assert_eq!(repeated.at.as_ref().unwrap().line, Some(3));
        assert_eq!(repeated.why.as_deref(), Some("duplicate mapping key: a"));
        assert_eq!(parse("a.yaml", "a: [1\nb: 2\n").unwrap_err()[0].at.as_ref().unwrap().line, Some(2));
    }

    #[test]
    fn written_text_is_read_back_the_same_and_nothing_folds() {
        let script = "#!/bin/sh\n  x\n\tprintf '%s\\n' \"a: b\"\n";
        let values = [
            json!({"script": script, "long": "word ".repeat(200), "empty": {}, "none": null}),
            json!({"list": [], "y": ["on", "1", ""]}),
            json!({"yes": "0o755", "token": "<fact:a.cp.ip>", "url": "https://<fact:a.cp.ip>:6443", "n": [{"a": 1.5}]}),
        ];
        let text = write(&values);
        let back: Vec<Value> = read(&text).into_iter().map(|d| d.value).collect();
        assert_eq!(back, values);
        assert_eq!(text.lines().filter(|l| l.contains("word")).count(), 1);
        assert!(text.contains("url: https://<fact:a.cp.ip>:6443\n"), "{text}");
    }

    #[test]
    fn completed_tokens_stay_text() {
        let text = write(&[
            json!({"a": "<fact:a.cp.ip>", "b": "<secret:ca>", "c": "<fact:a.ca-hash>", "d": ["t.<secret:j>"]}),
        ]);
        let done = text
            .replace("<fact:a.cp.ip>", "192.168.64.10")
            .replace("<secret:ca>", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==")
            .replace("<fact:a.ca-hash>", "sha256:0123")
            .replace("<secret:j>", "a123456789012345");
        let value = &read(&done)[0].value;
        assert!(["a", "b", "c"].iter().all(|key| value[*key].is_string()), "{done}");
        assert_eq!(value["d"][0], "t.a123456789012345");
    }
}
