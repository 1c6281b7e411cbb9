//! How a YAML 1.1 reader (cloud-init's PyYAML, and in part Go's) takes a scalar that stands without quotes.
//!
//! Why it matters: user-data may be re-emitted without quotes (see `machines`), so a scalar that is text only by its quotes
//! becomes something else; and a bare `yes` in a values file is text to one reader and true to
//! the next.
//! The expressions are those of the YAML 1.1 type repository as PyYAML's resolver has them, plus `y` and `n`.

use std::sync::LazyLock;

use regex::Regex;

/// What a scalar without quotes is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `~`, `null` or nothing.
    Null,
    /// `yes`, `off`, `true`.
    Bool,
    /// `7`, `0755` (octal), `12:30` (base 60), `1_000`.
    Int,
    /// `1.35`, `.5`, `.inf`.
    Float,
    /// `2026-11-22`.
    Time,
    /// `=` and `<<`, which have a meaning of their own.
    Special,
    /// Anything else.
    Text,
}

const WORDS: [(Kind, &[&str]); 3] = [
    (Kind::Null, &["", "~", "null", "Null", "NULL"]),
    (
        Kind::Bool,
        &[
            "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "true", "True", "TRUE", "false", "False",
            "FALSE", "on", "On", "ON", "off", "Off", "OFF",
        ],
    ),
    (Kind::Special, &["=", "<<"]),
];

/// The others. All of them begin with a digit, a sign or a point.
const PATTERNS: [(Kind, &str); 3] = [
    (
        Kind::Int,
        r"[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+",
    ),
    (
        Kind::Float,
        concat!(
            r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|[-+]?\.[0-9][0-9_]*([eE][-+][0-9]+)?",
            r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
    ),
    (Kind::Time, r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:.*"),
];

static COMPILED: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    let whole =
        |(kind, text): &(Kind, &str)| (*kind, Regex::new(&format!("^(?:{text})$")).expect("bug: a fixed pattern"));
    PATTERNS.iter().map(whole).collect()
});

/// The kind of a scalar as a YAML 1.1 reader sees it without quotes.
pub fn kind(plain: &str) -> Kind {
    if let Some((kind, _)) = WORDS.iter().find(|(_, words)| words.contains(&plain)) {
        return *kind;
    }
    // Most scalars are plain words, and every command reads thousands of them.
    if !plain.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) {
        return Kind::Text;
    }
    COMPILED.iter().find(|(_, pattern)| pattern.is_match(plain)).map_or(Kind::Text, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_taken_as_pyyaml_takes_them() {
        let table = [
            (Kind::Null, "~ null"),
            (Kind::Bool, "yes no on off y N True FALSE"),
            (Kind::Int, "0 7 -12 0755 0x1F 0b101 1_000 12:30 12:30:45 +3"),
            (Kind::Float, "1.35 .5 6.8523015e+5 190:20:30.15 .inf -.INF .NaN 3."),
            (Kind::Time, "2026-11-22 2001-12-14t21:59:43.10-05:00"),
            (Kind::Special, "= <<"),
            (Kind::Text, "0o755 1e3 10.0.0.1 1.35.7 v1.35 10.96.0.0/16 8% 2h0m0s sha256:ab yes! 0899 truE none -"),
        ];
        for (want, scalars) in table {
            for scalar in scalars.split(' ') {
                assert_eq!(kind(scalar), want, "{scalar}");
            }
        }
        assert_eq!(kind(""), Kind::Null);
        assert_eq!(kind("2026-11-22 10:00:00"), Kind::Time);
    }
}
