//! YAML events to nodes: anchors, merge keys, tags and the limits of what is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Number, Value};

/// Nodes of all documents of a text, copies by aliases included.
const NODES: usize = 250_000;
/// Bytes of all scalars of a text, copies by aliases included.
const BYTES: usize = 64 << 20;

const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Files of the repository: YAML 1.2, no repeated keys, little nesting.
    Ours,
    /// Output of tools and charts of others: YAML 1.2, and of a repeated key the last one counts, as for Go.
    Foreign,
    /// Input of tools: `yes` and `off` are switches as in YAML 1.1, no repeated keys.
    Tool,
}

impl Rules {
    /// How deep a document may nest. Ours: twice of what they do, and little enough for the smallest stack of a thread.
    fn depth(self) -> usize {
        if self == Rules::Ours { 32 } else { 64 }
    }
}

/// Why a text cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: usize,
    /// From 1.
    pub(super) column: usize,
    pub(super) why: String,
}

impl Fault {
    fn new(at: Marker, why: impl Into<String>) -> Self {
        Fault { line: at.line(), column: at.col() + 1, why: why.into() }
    }
}

impl From<ScanError> for Fault {
    fn from(error: ScanError) -> Self {
        Fault::new(*error.marker(), error.info())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar {
        value: Value,
        /// The text of a scalar without quotes, whose kind is not told by a tag.
        plain: Option<String>,
    },
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// What a node weighs with all below it.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Node {
    fn size(&self) -> Size {
        let below = |size: Size, node: &Node| {
            let new = node.size();
            Size { nodes: size.nodes + new.nodes, bytes: size.bytes + new.bytes, depth: size.depth.max(new.depth) }
        };
        let inside = match &self.content {
            Content::Scalar { value, .. } => {
                return Size { nodes: 1, bytes: value.as_str().map_or(8, str::len), depth: 0 };
            }
            Content::List(items) => items.iter().fold(Size::default(), below),
            Content::Map(entries) => entries.values().fold(Size::default(), below),
        };
        Size { nodes: inside.nodes + 1, bytes: inside.bytes, depth: inside.depth + 1 }
    }

    fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar { value: Value::Null, .. })
    }
}

pub(super) fn read(text: &str, rules: Rules) -> Result<Vec<Node>, Fault> {
    let parser = Parser::new_from_str(text);
    Reader { parser, rules, anchors: BTreeMap::new(), nodes: 0, bytes: 0, depth: 0 }.documents()
}

type Started<'a> = (Event<'a>, Span);

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    rules: Rules,
    /// `None`: the node is not complete yet.
    anchors: BTreeMap<usize, Option<(Node, Size)>>,
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn documents(mut self) -> Result<Vec<Node>, Fault> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => self.anchors.clear(),
                event => {
                    let node = self.node((event, span))?;
                    if !node.is_null() {
                        documents.push(node);
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Result<Started<'a>, Fault> {
        self.parser.next().unwrap_or_else(|| Ok((Event::StreamEnd, Span::default()))).map_err(Fault::from)
    }

    fn node(&mut self, (event, span): Started<'a>) -> Result<Node, Fault> {
        let at = span.start;
        let (anchor, content) = match event {
            Event::Alias(id) => return self.copy(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(at, Size { nodes: 1, bytes: text.len(), depth: 0 })?;
                let tag = tag.as_deref();
                let value = scalar(&text, style, tag, self.rules).map_err(|why| Fault::new(at, why))?;
                let plain = (style == ScalarStyle::Plain && tag.and_then(Tag::core_suffix).is_none())
                    .then(|| text.into_owned());
                (anchor, Content::Scalar { value, plain })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.enter(at, anchor, tag.as_deref(), "seq")?;
                (anchor, Content::List(self.items()?))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.enter(at, anchor, tag.as_deref(), "map")?;
                (anchor, Content::Map(self.entries()?))
            }
            _ => return Err(Fault::new(at, "a value is missing")),
        };
        if !matches!(content, Content::Scalar { .. }) {
            self.depth -= 1;
        }
        let node = Node { line: at.line(), content };
        if anchor != 0 {
            let size = node.size();
            self.spend(at, size)?;
            self.anchors.insert(anchor, Some((node.clone(), size)));
        }
        Ok(node)
    }

    fn enter(&mut self, at: Marker, anchor: usize, tag: Option<&Tag>, kind: &str) -> Result<(), Fault> {
        self.spend(at, Size { nodes: 1, bytes: 0, depth: 1 })?;
        if let Some(other) = tag.and_then(Tag::core_suffix).filter(|name| *name != kind) {
            return Err(Fault::new(at, format!("the tag `!!{other}` does not fit the value")));
        }
        self.depth += 1;
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        Ok(())
    }

    fn items(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                started => items.push(self.node(started)?),
            }
        }
    }

    fn entries(&mut self) -> Result<BTreeMap<String, Node>, Fault> {
        let mut entries = BTreeMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = span.start;
            let (key, merges) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, 0, tag) => {
                    self.spend(at, Size { nodes: 1, bytes: text.len(), depth: 0 })?;
                    let (plain, tag) = (style == ScalarStyle::Plain, tag.as_deref());
                    if plain && tag.is_none() && NULLS.contains(&&*text) {
                        return Err(Fault::new(at, format!("the key `{text}` is no text: put quotes around it")));
                    }
                    let merges = text == "<<" && tag.map_or(plain, |tag| yaml_name(tag).as_deref() == Some("merge"));
                    (text.into_owned(), merges)
                }
                event => match self.node((event, span))?.content {
                    Content::Scalar { value: Value::String(text), .. } | Content::Scalar { plain: Some(text), .. } => {
                        (text, false)
                    }
                    _ => return Err(Fault::new(at, "a key is no text")),
                },
            };
            if !merges && self.rules != Rules::Foreign && entries.contains_key(&key) {
                return Err(Fault::new(at, format!("duplicate mapping key: {key}")));
            }
            let started = self.next()?;
            let at = started.1.start;
            let value = self.node(started)?;
            if merges {
                merge(value, &mut merged).map_err(|why| Fault::new(at, why))?;
            } else {
                entries.insert(key, value);
            }
        }
        for (key, value) in merged {
            entries.entry(key).or_insert(value);
        }
        Ok(entries)
    }

    fn copy(&mut self, id: usize, at: Marker) -> Result<Node, Fault> {
        let known = self.anchors.get(&id).ok_or_else(|| Fault::new(at, "an alias without its anchor"))?;
        let Some((_, size)) = known else { return Err(Fault::new(at, "an alias of what it stands in")) };
        let size = *size;
        self.spend(at, size)?;
        let node = self.anchors.get(&id).and_then(Option::as_ref).map(|(node, _)| node.clone());
        node.ok_or_else(|| Fault::new(at, "an alias without its anchor"))
    }

    fn spend(&mut self, at: Marker, size: Size) -> Result<(), Fault> {
        self.nodes += size.nodes;
        self.bytes += size.bytes;
        let depth = self.rules.depth();
        let why = if self.depth + size.depth > depth {
            format!("more than {depth} levels of nesting")
        } else if self.nodes > NODES {
            format!("more than {NODES} values")
        } else if self.bytes > BYTES {
            format!("more than {} MiB of text", BYTES >> 20)
        } else {
            return Ok(());
        };
        Err(Fault::new(at, why))
    }
}

/// Entries of a merge key's value, the first of each name first.
fn merge(node: Node, merged: &mut Vec<(String, Node)>) -> Result<(), &'static str> {
    match node.content {
        Content::Map(entries) => merged.extend(entries),
        Content::List(items) => return items.into_iter().try_for_each(|item| merge(item, merged)),
        Content::Scalar { value: Value::Null, .. } => {}
        Content::Scalar { .. } => return Err("a merge key takes a mapping or a list of mappings"),
    }
    Ok(())
}

/// The name of a tag of YAML's own: `str` of `!!str`.
fn yaml_name(tag: &Tag) -> Option<Cow<'_, str>> {
    tag.suffix_in_namespace("tag:yaml.org,2002:")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, rules: Rules) -> Result<Value, String> {
    let wrong = |name: &str| format!("`{text}` does not fit the tag `!!{name}`");
    if let Some(name) = tag.and_then(yaml_name).filter(|name| ["binary", "timestamp"].contains(&&**name)) {
        return Err(format!("the tag `!!{name}` is not read"));
    }
    let Some(name) = tag.and_then(Tag::core_suffix) else {
        let is_text =
            style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix_in_namespace("!").as_deref() == Some(""));
        return if is_text { Ok(text.into()) } else { plain(text, rules) };
    };
    match name {
        "str" => Ok(text.into()),
        "null" => Ok(Value::Null),
        "bool" => boolean(text, rules).map(Value::Bool).ok_or_else(|| wrong(name)),
        "int" => integer(text).map(Value::Number).ok_or_else(|| wrong(name)),
        "float" => float(text)?.map(Value::Number).ok_or_else(|| wrong(name)),
        _ => Err(wrong(name)),
    }
}

/// A scalar without quotes and tag, by the core schema of YAML 1.2 and what readers add to it.
fn plain(text: &str, rules: Rules) -> Result<Value, String> {
    if NULLS.contains(&text) {
        return Ok(Value::Null);
    }
    if let Some(value) = boolean(text, rules) {
        return Ok(value.into());
    }
    // All others that are no text begin like a number.
    if !text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) {
        return Ok(text.into());
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let zero_first = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if zero_first || rules == Rules::Ours && text.contains('_') {
        return Ok(text.into());
    }
    let number = integer(text).map_or_else(|| float(text), |number| Ok(Some(number)))?;
    Ok(number.map_or_else(|| text.into(), Value::Number))
}

fn boolean(text: &str, rules: Rules) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ if rules != Rules::Tool => None,
        _ if is(&["true", "yes", "y", "on"]) => Some(true),
        _ if is(&["false", "no", "n", "off"]) => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = |names: [&str; 2]| names.iter().find_map(|name| digits.strip_prefix(name));
    let (radix, digits) = [(16, ["0x", "0X"]), (8, ["0o", "0O"]), (2, ["0b", "0B"])]
        .into_iter()
        .find_map(|(radix, names)| prefixed(names).map(|rest| (radix, rest)))
        .unwrap_or((10, digits));
    let apart = digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !apart || radix == 10 && digits.starts_with('0') && digits != "0" {
        return None;
    }
    let digits = digits.replace('_', "");
    if negative {
        i64::from_str_radix(&format!("-{digits}"), radix).ok().map(Number::from)
    } else {
        u64::from_str_radix(&digits, radix).ok().map(Number::from)
    }
}

/// An error for what JSON has no number for.
fn float(text: &str) -> Result<Option<Number>, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let not_finite = matches!(unsigned, ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF");
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Number::from_f64(number)),
        Ok(_) if unsigned.starts_with(|c: char| c.is_ascii_digit()) => Err(no_number(text)),
        _ if not_finite => Err(no_number(text)),
        _ => Ok(None),
    }
}

fn no_number(text: &str) -> String {
    format!("`{text}` is no finite number")
}
