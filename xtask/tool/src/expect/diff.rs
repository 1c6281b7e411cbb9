//! Reads which fields of which objects `kubectl diff` shows, without their values: they may be secret.

use std::collections::BTreeSet;

/// Fields that are named of one object.
const FIELDS: usize = 4;

/// `differs: ConfigMap default/a: data.x, data.y; Service default/b: is missing`. Nothing of what is no diff.
pub(super) fn differences(stdout: &str) -> Option<String> {
    let parts: Vec<&str> = stdout.split("diff -u -N ").skip(1).collect();
    let objects: Vec<String> = parts.into_iter().filter_map(object).collect();
    (!objects.is_empty()).then(|| format!("differs: {}", objects.join("; ")))
}

/// Of the lines about one object. Its file is `GROUP.VERSION.KIND.NAMESPACE.NAME`, the first word in capitals its kind
/// (upstream: kubectl's `diff.go`).
fn object(part: &str) -> Option<String> {
    let file = part.split_whitespace().next()?.rsplit('/').next()?;
    let words: Vec<&str> = file.split('.').collect();
    let kind = words.iter().position(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))?;
    let (namespace, name) = (words.get(kind + 1)?, words.get(kind + 2..)?.join("."));
    let name = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
    let hunks = part.split("\n@@ ").skip(1);
    let whole = part.contains("\n@@ -0,0 ");
    let fields: BTreeSet<String> = hunks.flat_map(fields).collect();
    let shown: Vec<&str> = fields.iter().take(FIELDS).map(String::as_str).collect();
    let more = if fields.len() > FIELDS { ", …" } else { "" };
    let what = if whole { "is missing".to_owned() } else { shown.join(", ") + more };
    Some(format!("{} {name}: {what}", words[kind]))
}

/// Dotted paths of the changed lines, as far as the lines around them show their parents. What the server counts itself
/// is left out.
fn fields(hunk: &str) -> Vec<String> {
    let mut parents: Vec<(usize, &str)> = Vec::new();
    let mut found = Vec::new();
    for line in hunk.lines().skip(1).filter(|line| line.len() > 1) {
        let (sign, text) = line.split_at_checked(1).unwrap_or(("", line));
        let key = text.trim_start_matches([' ', '-']);
        let indent = text.len() - key.len();
        let key = key.split_once(':').map_or(key, |(key, _)| key).trim_matches('"');
        let item = text.trim_start().starts_with('-') && !text.contains(": ") && !text.ends_with(':');
        parents.retain(|(at, _)| *at < indent);
        if ["+", "-"].contains(&sign) {
            let path = parents.iter().map(|(_, key)| *key).chain((!item).then_some(key));
            found.push(path.collect::<Vec<_>>().join("."));
        }
        if !item {
            parents.push((indent, key));
        }
    }
    found.retain(|path| !["generation", "resourceVersion", "managedFields"].iter().any(|own| path.contains(own)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_fields_are_named_without_values() {
        let file = "policies.kyverno.io.v1.ValidatingPolicy..require-limits";
        let diff = format!(
            "diff -u -N /tmp/LIVE-1/{file} /tmp/MERGED-1/{file}\n--- /tmp/LIVE-1/{file}\t2026\n+++ x\t2026\n\
             @@ -4,7 +4,7 @@\n   creationTimestamp: x\n-  generation: 2\n+  generation: 3\n   name: a\n spec:\n   evaluation:\n\
             \x20    admission:\n-      enabled: false\n+      enabled: true\n@@ -30,2 +30,2 @@\n   validationActions:\n\
             -  - Audit\n+  - Deny\n\
             diff -u -N /tmp/LIVE-1/v1.Service.sample.sample /tmp/MERGED-1/x\n--- a\n+++ b\n@@ -0,0 +1,2 @@\n+kind: Service\n"
        );
        let want = "differs: ValidatingPolicy require-limits: spec.evaluation.admission.enabled, validationActions; \
                    Service sample/sample: is missing";
        assert_eq!(differences(&diff).as_deref(), Some(want));
        assert_eq!(differences("exit status 1"), None);
    }
}
