//! Until when versions are maintained: `infra/end-of-life.toml`, typed.

use std::collections::BTreeMap;

use crate::problem::Problem;
use crate::units::parse_utc;

pub const END_OF_LIFE: &str = "infra/end-of-life.toml";
/// How long before a date it is announced, in seconds.
const AHEAD: u64 = 90 * 86_400;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `kubernetes`, `cilium` or a chart.
    pub product: String,
    /// The part of a version that counts: `1.35` has 1.35.7.
    pub version: String,
    /// Dates as `2027-02-28`.
    pub maintenance: Option<String>,
    pub end: String,
    pub source: String,
}

/// Reads the table.
///
/// # Errors
/// Text that is not TOML, a name without a version, a date that is none, an unknown or missing key.
pub fn load(text: &str) -> Result<Vec<Line>, Problem> {
    let wrong = |why: String| Problem::new("cannot read the ends of life").at(END_OF_LIFE, None).why(why);
    let table: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(text).map_err(|e| wrong(e.message().to_owned()))?;
    let line = |(name, mut entry): (String, BTreeMap<String, String>)| {
        let (product, version) = name.split_once(' ').ok_or_else(|| wrong(format!("`{name}` names no version")))?;
        let mut date = |key: &str| match entry.remove(key) {
            Some(date) if seconds(&date).is_some() => Ok(Some(date)),
            Some(date) => Err(wrong(format!("`{key}` of `{name}` is no date: {date:?}"))),
            None => Ok(None),
        };
        let (maintenance, end) = (date("maintenance")?, date("end")?);
        let source = entry.remove("source");
        let (Some(end), Some(source), None) = (end, source, entry.keys().next()) else {
            return Err(wrong(format!("`{name}` needs `end` and `source`, and may have `maintenance`")));
        };
        Ok(Line { product: product.to_owned(), version: version.to_owned(), maintenance, end, source })
    };
    table.into_iter().map(line).collect()
}

fn seconds(date: &str) -> Option<u64> {
    parse_utc(&format!("{date}T00:00:00Z"))
}

/// What is to be said of a version on a day: that its line has ended, ends, or goes into maintenance soon.
pub fn notice(lines: &[Line], product: &str, version: &str, today: &str) -> Option<String> {
    let of = |line: &&Line| {
        let rest = version.strip_prefix(&line.version);
        line.product == product && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let Line { version, maintenance, end, .. } = lines.iter().find(of)?;
    let now = seconds(today)?;
    let near = |date: &str| seconds(date).is_some_and(|at| at <= now + AHEAD);
    let past = |date: &str| seconds(date).is_some_and(|at| at <= now);
    let fixes = maintenance.as_deref().filter(|date| near(date));
    Some(match fixes {
        _ if past(end) => format!("{product} {version} is not maintained since {end}"),
        Some(date) if past(date) => format!("{product} {version} gets critical fixes alone, until {end}"),
        Some(date) => format!("{product} {version} gets critical fixes alone from {date} on, and none from {end} on"),
        None if near(end) => format!("{product} {version} is maintained until {end}"),
        None => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_announced_before_its_dates() {
        let lines = load(include_str!("../../../infra/end-of-life.toml")).unwrap();
        let said = |product: &str, version: &str, today: &str| notice(&lines, product, version, today);
        let kubernetes = |today: &str| said("kubernetes", "1.35.7", today);
        assert_eq!(kubernetes("2026-09-01"), None);
        let ahead = "kubernetes 1.35 gets critical fixes alone from 2026-12-28 on, and none from 2027-02-28 on";
        assert_eq!(kubernetes("2026-11-30").as_deref(), Some(ahead));
        assert_eq!(kubernetes("2027-01-02").unwrap(), "kubernetes 1.35 gets critical fixes alone, until 2027-02-28");
        assert_eq!(kubernetes("2027-02-28").unwrap(), "kubernetes 1.35 is not maintained since 2027-02-28");
        assert_eq!(said("promtail", "3.5.1", "2026-02-01").unwrap(), "promtail 3 is maintained until 2026-03-02");
        assert!(
            said("prometheus", "v3.13.4", "2026-11-30").is_none() && said("promtail", "33.1", "2027-01-01").is_none()
        );
        for text in ["[kubernetes]\nend = '2027-01-01'\nsource = 'x'", "['a 1']\nend = 'soon'\nsource = 'x'", "['a 1']"]
        {
            assert!(load(text).is_err(), "{text}");
        }
    }
}
