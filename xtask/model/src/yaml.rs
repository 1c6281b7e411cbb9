//! Reads YAML into JSON values with the line of each, and writes values as text that no reader takes for something else.
//!
//! Tools read YAML by different rules (cloud-init by 1.1, kubeadm and Helm by Go's own mixture), so a scalar without
//! quotes that they would read differently is refused on the way in, and quoted on the way out. Keys come out sorted:
//! the same values give the same bytes.
//!
//! Tokens (`<fact:…>`) come out as plain scalars, and what takes their place must still be text there: addresses,
//! base64 of PEM (begins with `LS0t`), `sha256:…` and secrets that begin with a letter are.

mod reader;
pub mod yaml11;

use std::collections::BTreeMap;

use serde_json::Value;

use self::reader::{Content, Fault, Node, Rules};
use self::yaml11::Kind;
use crate::problem::Problem;

/// Keys from the root of a document to a value; an element of a list is named by its index.
pub type Path = Vec<String>;

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file, relative to the repository.
    pub file: String,
    pub value: Value,
    /// Line of every value, from 1; of what an alias stands for, the line of its anchor.
    pub lines: BTreeMap<Path, usize>,
}

impl Document {
    /// The line of a value, or of the nearest one around it.
    pub fn line(&self, path: &[String]) -> Option<usize> {
        (0..=path.len()).rev().find_map(|n| self.lines.get(&path[..n])).copied()
    }
}

/// Reads every document of a file; documents without content are left out.
///
/// # Errors
/// Text that is not YAML, a repeated key, or scalars that YAML 1.1 and 1.2 read differently, each with its line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let nodes = reader::read(text, Rules::Ours).map_err(|fault| vec![problem(file, fault)])?;
    let mut problems = Vec::new();
    nodes.iter().for_each(|node| ambiguous(file, node, &mut problems));
    problems.sort_by_key(|problem: &Problem| problem.at.as_ref().and_then(|at| at.line));
    if problems.is_empty() { Ok(documents(file, nodes)) } else { Err(problems) }
}

/// Reads what another tool wrote: `yes` and `0755` are what YAML 1.2 takes them for, and of a repeated key the last one
/// counts, as for Go.
///
/// # Errors
/// Text that is not YAML.
pub fn foreign(file: &str, text: &str) -> Result<Vec<Document>, Problem> {
    Ok(documents(file, reader::read(text, Rules::Foreign).map_err(|fault| problem(file, fault))?))
}

/// Reads the documents of a text as the tools do that take YAML 1.1: `yes` is true.
///
/// # Errors
/// Where and why the text is not YAML.
pub fn values(text: &str) -> Result<Vec<Value>, String> {
    let nodes = reader::read(text, Rules::Tool)
        .map_err(|Fault { line, column, why }| format!("line {line} column {column}: {why}"))?;
    Ok(nodes.into_iter().map(|node| value(node, &mut Path::new(), None)).collect())
}

/// Writes documents, keys sorted, nothing folded, text quoted wherever a reader could take it for something else.
pub fn write(documents: &[Value]) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100_000 };
    let text = |value| serde_saphyr::to_string_with_options(value, options.clone()).expect("bug: JSON is YAML");
    documents.iter().map(text).collect::<Vec<_>>().join("---\n")
}

fn problem(file: &str, Fault { line, column, why }: Fault) -> Problem {
    Problem::new(format!("cannot read `{file}` as YAML")).at(file, Some(line)).why(format!("{why} (column {column})"))
}

fn documents(file: &str, nodes: Vec<Node>) -> Vec<Document> {
    let document = |node| {
        let mut lines = BTreeMap::new();
        Document { file: file.to_owned(), value: value(node, &mut Path::new(), Some(&mut lines)), lines }
    };
    nodes.into_iter().map(document).collect()
}

fn value(node: Node, path: &mut Path, mut lines: Option<&mut BTreeMap<Path, usize>>) -> Value {
    if let Some(lines) = &mut lines {
        lines.insert(path.clone(), node.line);
    }
    let mut below = |key: String, node| {
        path.push(key);
        let value = value(node, path, lines.as_deref_mut());
        path.pop();
        value
    };
    match node.content {
        Content::Scalar { value, .. } => value,
        Content::List(items) => items.into_iter().enumerate().map(|(i, node)| below(i.to_string(), node)).collect(),
        Content::Map(entries) => {
            Value::Object(entries.into_iter().map(|(key, node)| (key.clone(), below(key, node))).collect())
        }
    }
}

/// Problems with the plain scalars that YAML 1.1 reads as another kind of value than they were read here by 1.2.
fn ambiguous(file: &str, node: &Node, problems: &mut Vec<Problem>) {
    let (value, plain) = match &node.content {
        Content::Scalar { value, plain: Some(plain) } => (value, plain),
        Content::Scalar { .. } => return,
        Content::List(items) => return items.iter().for_each(|node| ambiguous(file, node, problems)),
        Content::Map(entries) => return entries.values().for_each(|node| ambiguous(file, node, problems)),
    };
    let here = match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_f64() => Kind::Float,
        Value::Number(_) => Kind::Int,
        _ => Kind::Text,
    };
    if yaml11::kind(plain) != here {
        let what = format!("a value has two meanings: `{plain}`");
        let why = "YAML 1.1 and YAML 1.2 read it as different values, and each tool follows its own";
        let hint = "write true or false for a switch, a plain decimal number, or put quotes around text";
        problems.push(Problem::new(what).at(file, Some(node.line)).why(why).hint(hint));
    }
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
        assert_eq!(repeated.why.as_deref(), Some("duplicate mapping key: a (column 1)"));
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
