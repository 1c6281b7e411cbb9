//! YAML as the simulated tools read it, and lookups in the values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use model::yaml;

const CACHE_SIZE: usize = 256;

type Read = Result<Rc<[Rc<Value>]>, String>;

thread_local! {
    /// Reading the same few texts took three quarters of a simulation.
    static READ: RefCell<BTreeMap<String, Read>> = const { RefCell::new(BTreeMap::new()) };
}

/// Without empty ones. The error is where and why the text is not YAML.
pub fn documents(text: &str) -> Read {
    READ.with_borrow_mut(|read| {
        if let Some(known) = read.get(text) {
            return known.clone();
        }
        if read.len() >= CACHE_SIZE {
            read.clear();
        }
        let new: Read = yaml::values(text).map(|all| all.into_iter().map(Rc::new).collect());
        read.insert(text.to_owned(), new.clone());
        new
    })
}

/// The text at a JSON pointer, or nothing. Pointers have no escapes, which saves most of a lookup.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    debug_assert!(!pointer.contains('~'), "bug: an escape in {pointer}");
    let (mut at, mut rest) = (Some(value), pointer);
    while let (Some(value), Some(tail)) = (at, rest.strip_prefix('/')) {
        // Pointers are short: setting up a search would dominate.
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
