//! YAML as the simulated tools read it, and lookups in the values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use model::yaml;

/// Texts remembered before all are forgotten: a run has some forty.
const REMEMBERED: usize = 256;

type Read = Result<Rc<[Rc<Value>]>, String>;

thread_local! {
    /// The same few texts are fed over and over, and reading them was three quarters of a rehearsal.
    static READ: RefCell<BTreeMap<String, Read>> = const { RefCell::new(BTreeMap::new()) };
}

/// Every document of a stream; empty ones are left out.
///
/// # Errors
/// Where and why the text is not YAML.
pub fn documents(text: &str) -> Read {
    READ.with_borrow_mut(|read| {
        if let Some(known) = read.get(text) {
            return known.clone();
        }
        if read.len() >= REMEMBERED {
            read.clear();
        }
        let new: Read = yaml::values(text).map(|all| all.into_iter().map(Rc::new).collect());
        read.insert(text.to_owned(), new.clone());
        new
    })
}

/// The text at a JSON pointer, or nothing. The pointer has no escapes, which spares what most of a lookup costs.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    debug_assert!(!pointer.contains('~'), "bug: an escape in {pointer}");
    let (mut at, mut rest) = (Some(value), pointer);
    while let (Some(value), Some(tail)) = (at, rest.strip_prefix('/')) {
        // Pointers are short: a search of them would spend its time on getting ready.
        let end = tail.bytes().position(|b| b == b'/').unwrap_or(tail.len());
        let (word, next) = tail.split_at(end);
        at = match value {
            Value::Object(map) => map.get(word),
            Value::Array(list) => word.parse::<usize>().ok().and_then(|place| list.get(place)),
            _ => None,
        };
        rest = next;
    }
    at.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_nonsense_is_refused() {
        assert_eq!(documents("a: 1\n---\n---\nb: [x]\n").unwrap().len(), 2);
        assert!(documents("a: [").is_err());
        assert!(documents("").unwrap().is_empty());
    }
}
