//! Types of the fields of a list of releases.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::fleet::Role;
use crate::fleet::document::FieldType;
use crate::units::{parse_duration, parse_quantity};

/// One value, or one per version that the fleet pins.
#[derive(Debug, Clone)]
pub(super) enum Versioned {
    One(String),
    ByVersion(BTreeMap<String, String>),
}

pub(super) const TEXT: FieldType<String> =
    FieldType { expected: "a text", example: "\"…\"", read: |v| v.as_str().map(str::to_owned) };
pub(super) const NAME: FieldType<String> = FieldType { example: "\"cilium\"", ..TEXT };
pub(super) const REPOSITORY: FieldType<String> = FieldType { example: "\"https://helm.cilium.io\"", ..TEXT };
pub(super) const VERSION: FieldType<String> = FieldType { example: "\"1.20.0\"", ..TEXT };
pub(super) const NAMESPACE: FieldType<String> = FieldType { example: "\"kube-system\"", ..TEXT };
pub(super) const TEXTS: FieldType<Vec<String>> = FieldType {
    expected: "a list of texts",
    example: "[\"cilium\"]",
    read: |v| v.as_array()?.iter().map(|v| v.get_ref().as_str().map(str::to_owned)).collect(),
};
pub(super) const ROLES: FieldType<Vec<Role>> = FieldType {
    expected: "a list of \"platform\" and \"workload\"",
    example: "[\"platform\", \"workload\"]",
    read: |v| {
        let role = |v: &DeValue<'_>| match v.as_str()? {
            "platform" => Some(Role::Platform),
            "workload" => Some(Role::Workload),
            _ => None,
        };
        v.as_array()?.iter().map(|v| role(v.get_ref())).collect()
    },
};
pub(super) const WAVE: FieldType<u32> = FieldType {
    expected: "a number from 1 to 99",
    example: "3",
    read: |v| v.as_integer().and_then(|n| n.as_str().parse().ok()).filter(|n| (1..=99).contains(n)),
};
pub(super) const YES_OR_NO: FieldType<bool> =
    FieldType { expected: "true or false", example: "false", read: |v| v.as_bool() };
pub(super) const TIME: FieldType<Duration> =
    FieldType { expected: "a time in s, m or h", example: "\"10m\"", read: |v| v.as_str().and_then(duration) };
pub(super) const MEMORY: FieldType<u64> =
    FieldType { expected: "memory in Mi or Gi", example: "\"128Mi\"", read: |v| v.as_str().and_then(memory) };
pub(super) const VERSIONED: FieldType<Versioned> = FieldType {
    expected: "a text, or a table of texts by version",
    example: "\"…\"",
    read: |v| match v.as_table() {
        None => v.as_str().map(|s| Versioned::One(s.to_owned())),
        Some(table) => {
            let entry = |(k, v): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = k.get_ref();
                Some((key.to_string(), v.get_ref().as_str()?.to_owned()))
            };
            table.iter().map(entry).collect::<Option<_>>().map(Versioned::ByVersion)
        }
    },
};
pub(super) const BINDINGS: FieldType<BTreeMap<String, String>> = FieldType {
    expected: "a table with a text for each dotted path",
    example: "{ \"cluster.name\" = \"cluster.name\" }",
    read: |v| {
        let mut out = BTreeMap::new();
        flatten(v.as_table()?, "", &mut out).then_some(out)
    },
};

/// Nested tables become dotted paths: `cluster.name = …` equals `"cluster.name" = …`.
fn flatten(table: &DeTable<'_>, path: &str, out: &mut BTreeMap<String, String>) -> bool {
    table.iter().all(|(key, value)| {
        let key = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(below) => flatten(below, &key, out),
            DeValue::String(text) => out.insert(key, text.to_string()).is_none(),
            _ => false,
        }
    })
}

/// `90s`, `10m`, `1h`: whole numbers, at most a day.
fn duration(text: &str) -> Option<Duration> {
    let limits = |time: &Duration| !time.is_zero() && time.as_secs() <= 24 * 3600 && !text.contains('.');
    parse_duration(text).filter(limits)
}

/// `128Mi`, `1Gi`, as pods write it: a whole number.
fn memory(text: &str) -> Option<u64> {
    let digits = text.strip_suffix("Mi").or(text.strip_suffix("Gi"))?;
    let whole = digits.len() < 9 && digits.bytes().all(|b| b.is_ascii_digit());
    parse_quantity(text).filter(|bytes| whole && *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_maximum() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
        for wrong in ["", "m", "0m", "10", "-1m", "99999999999999999999s", "25h", "1.5m", "é"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn memory_uses_kubernetes_units() {
        assert_eq!([memory("128Mi"), memory("1Gi")], [Some(128 << 20), Some(1 << 30)]);
        for wrong in ["", "Mi", "0Mi", "1G", "+1Mi", "1.5Gi", "99999999999999999999Gi", "é"] {
            assert_eq!(memory(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dotted_and_quoted_paths_are_the_same() {
        let read = |text: &str| (BINDINGS.read)(&DeValue::Table(DeTable::parse(text).expect("TOML").into_inner()));
        assert_eq!(read("a.b = 'x'\nc = 'y'"), read("'a.b' = 'x'\nc = 'y'"));
        assert_eq!(read("a.b = 'x'\n'a.b' = 'y'"), None, "one path, two texts");
        assert_eq!(read("a = 3"), None);
    }
}
