//! Durations and sizes as Prometheus, Go and Kubernetes write them.
//! Knows nothing of what they are the size of.

use std::time::Duration;

/// Reads `2h`, `1h21m`, `1m30s`, `8h`, `7d`, `0s`, and a bare `0`. Prometheus knows days and weeks, Go does not.
pub fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, scale) = units.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        total += number * f64::from(*scale);
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total.round() as u64))
}

/// Reads `2Gi`, `128Mi`, `8GB`, `1048576` into bytes.
pub fn size(text: &str) -> Option<u64> {
    let units: [(&str, u64); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("KB", 1 << 10),
        ("MB", 1 << 20),
        ("GB", 1 << 30),
        ("k", 1000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let (_, scale) = units.iter().find(|(unit, _)| *unit == &text[digits..])?;
    Some((number * *scale as f64) as u64)
}

/// Seconds since 1970 of `2026-11-22T14:02:07Z`, as Kubernetes writes every time: UTC, whole seconds.
pub fn instant(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by: char| text.split(by).map(|n| n.parse::<u64>().ok()).collect::<Option<Vec<_>>>();
    let [year, month, day] = numbers(date, '-')?[..].try_into().ok()?;
    let [hour, minute, second]: [u64; 3] = numbers(time, ':')?[..].try_into().ok()?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `6 h`, `2.7 h`, `45 min`, `60 s`: one number a person can compare.
pub fn hours(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s >= 3600.0 => (s / 3600.0, "h"),
        s if s >= 300.0 => (s / 60.0, "min"),
        s => (s, "s"),
    };
    format!("{} {unit}", short(number))
}

/// At most two decimals, and none that say nothing.
pub fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_kubernetes_writes_them() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2024-02-29T12:30:15Z"), Some(1_709_209_815));
        assert_eq!(instant("2025-11-22T23:43:20Z"), Some(1_763_855_000));
        assert!(
            ["", "2025-11-22", "2025-13-01T00:00:00Z", "2025-11-22T00:00:00+01:00"]
                .iter()
                .all(|t| instant(t).is_none())
        );
    }

    #[test]
    fn durations_and_sizes_are_read_as_their_tools_read_them() {
        let minutes = |m: u64| Some(Duration::from_secs(m * 60));
        for (text, want) in [("2h", minutes(120)), ("1h21m", minutes(81)), ("1h0m0s", minutes(60)), ("0", minutes(0))] {
            assert_eq!(duration(text), want, "{text}");
        }
        assert_eq!(duration("7d"), minutes(7 * 24 * 60));
        assert_eq!(duration("1m30s500ms"), Some(Duration::from_millis(90_500)));
        assert!(["", "h", "2", "2x", "-1h", "1h 2m"].iter().all(|t| duration(t).is_none()));
        assert_eq!(size("2Gi"), Some(2 << 30));
        assert_eq!((size("8GB"), size("1.5Mi"), size("7")), (Some(8 << 30), Some(3 << 19), Some(7)));
        assert!(["", "Gi", "2Q", "two"].iter().all(|t| size(t).is_none()));
        let said: Vec<String> = [9720, 21600, 2700, 90].map(|s| hours(Duration::from_secs(s))).into();
        assert_eq!(said, ["2.7 h", "6 h", "45 min", "90 s"]);
    }
}
