//! What an answer must not show: values that are called a password, a token or a key, in objects and in arguments.

use serde_json::Value;

use tool::Output;

const REDACTED: &str = "<redacted>";
/// Names of what is secret, in lower case and without marks between words.
const SECRET: [&str; 6] = ["password", "passwd", "token", "apikey", "privatekey", "credential"];

/// An answer as it may be kept. `scrub` takes away what a run has learnt to be secret.
pub fn output(output: &Output, scrub: &dyn Fn(&str) -> String) -> Output {
    let stdout = match serde_json::from_str::<Value>(&output.stdout) {
        Ok(mut value) if value.is_object() => {
            values(&mut value);
            value.to_string()
        }
        _ => output.stdout.clone(),
    };
    Output { stdout: scrub(&stdout), stderr: scrub(&output.stderr), ..output.clone() }
}

/// Whether a name ends with the name of something secret: `POSTGRES_PASSWORD`, `vault-token`, not `tokenFile`.
fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    SECRET.iter().any(|word| plain.ends_with(word))
}

fn values(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // `{name: X, value: Y}`, as containers have their environment.
            if fields.get("name").and_then(Value::as_str).is_some_and(is_secret) {
                fields.entry("value").and_modify(hide);
            }
            let is_kind = fields.get("kind").is_some_and(|kind| kind == "Secret");
            for (key, value) in fields {
                if is_kind && ["data", "stringData"].contains(&key.as_str()) {
                    *value = REDACTED.into();
                } else if is_secret(key) {
                    hide(value)
                } else {
                    values(value)
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| match value {
            Value::String(text) => argument(text),
            other => values(other),
        }),
        _ => {}
    }
}

/// Texts alone: a table or a switch of that name is no secret.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => *text = REDACTED.to_owned(),
        other => values(other),
    }
}

/// `--vault-token=abc`.
fn argument(text: &mut String) {
    if let Some((flag, _)) = text.split_once('=').filter(|(flag, _)| flag.starts_with('-') && is_secret(flag)) {
        *text = format!("{flag}={REDACTED}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tool::Exit;

    #[test]
    fn values_named_secret_are_not_recorded() {
        let object = json!({ "env": [{ "name": "DB_PASSWORD", "value": "hunter2" }, { "name": "URL", "value": "u" }],
            "args": ["--vault-token=abc", "--token-file=/x", "plain"], "apiKey": "k",
            "serviceAccountToken": { "path": "token" },
            "automountServiceAccountToken": false, "secretName": "s", "data": { "bearer_token": "seen" } });
        let answer = Output { stdout: object.to_string(), ..Output::of(Exit::Code(0)) };
        let kept = output(&answer, &|text| text.replace("seen", "<secret:x>"));
        let kept: Value = serde_json::from_str(&kept.stdout).unwrap();
        assert_eq!(kept["env"], json!([{ "name": "DB_PASSWORD", "value": REDACTED }, { "name": "URL", "value": "u" }]));
        assert_eq!(kept["args"], json!(["--vault-token=<redacted>", "--token-file=/x", "plain"]));
        assert_eq!((&kept["apiKey"], &kept["secretName"]), (&json!(REDACTED), &json!("s")));
        assert_eq!(kept["serviceAccountToken"]["path"], "token");
        assert_eq!(kept["data"]["bearer_token"], REDACTED);
    }

    #[test]
    fn other_texts_are_only_scrubbed() {
        let answer = Output { stdout: "a b\n".into(), stderr: "b".into(), ..Output::of(Exit::Code(1)) };
        let kept = output(&answer, &|text| text.replace('b', "c"));
        assert_eq!((kept.stdout.as_str(), kept.stderr.as_str()), ("a c\n", "c"));
    }
}
