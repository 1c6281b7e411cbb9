//! YAML as the simulated tools read it: into JSON values. The one user of the YAML crate on this side of the world.
//! Knows nothing of what the documents mean.

use serde_json::Value;

/// Every document of a stream; empty ones are left out.
///
/// # Errors
/// Where and why the text is not YAML.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let all = serde_saphyr::from_multiple::<Value>(text).map_err(|e| first_line(&e.to_string()))?;
    Ok(all.into_iter().filter(|v| !v.is_null()).collect())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The text at a JSON pointer, or nothing.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
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
