//! kubectl's Go templates, as far as `{{.data.token | base64decode}}`.

use crate::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// An unsupported template.
    Template,
    /// kubectl's text for a value that does not fit.
    Data(String),
}

pub fn print(template: &str, value: &Value) -> Result<String, TemplateError> {
    let inner = template.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).ok_or(TemplateError::Template)?;
    if inner.contains("{{") {
        return Err(TemplateError::Template);
    }
    let (path, filter) = inner.split_once('|').map_or((inner, ""), |(path, filter)| (path, filter.trim()));
    let pointer = path.trim().strip_prefix('.').ok_or(TemplateError::Template)?.replace('.', "/");
    let found = value.pointer(&format!("/{pointer}")).and_then(Value::as_str);
    match (filter, found) {
        ("", found) => Ok(found.unwrap_or("<no value>").to_owned()),
        ("base64decode", Some(text)) => {
            let bytes = pki::unbase64(text).ok_or_else(|| broken(template, "illegal base64 data"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        // Text of Go's text/template (upstream); kubectl prints the object after it, which is not needed here.
        ("base64decode", None) => Err(broken(template, "wrong type for value; expected string; got interface {}")),
        _ => Err(TemplateError::Template),
    }
}

fn broken(template: &str, why: &str) -> TemplateError {
    let head = format!("error: error executing template \"{template}\"");
    TemplateError::Data(format!("{head}: template: output:1: executing \"output\" at <base64decode>: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_decoded_and_a_missing_one_is_an_error() {
        let template = "{{.data.token | base64decode}}";
        assert_eq!(print(template, &json!({ "data": { "token": "Zm9v" } })), Ok("foo".into()));
        assert!(matches!(print(template, &json!({ "data": {} })), Err(TemplateError::Data(_))));
        assert_eq!(print("{{.data.a}}", &json!({})), Ok("<no value>".into()));
        assert_eq!(print("{{range .items}}x{{end}}", &json!({})), Err(TemplateError::Template));
    }
}
