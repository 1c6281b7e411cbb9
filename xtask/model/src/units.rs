//! Sizes, durations and dates: one reader and one writer for each notation.

use std::fmt;
use std::time::Duration;

/// Bytes as Multipass reads and writes them: `4G`, `512M`, powers of 1024.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

    /// Reads `4G`, `1700M`, `512K`: a whole number and a unit. `None` if it is anything else, or too large to count.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, size) = Self::UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
        whole(&text[..text.len() - 1])?.checked_mul(size).map(Bytes)
    }
}

/// With the largest unit that leaves no rest: `3G`, `1700M`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::UNITS.into_iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// A Kubernetes quantity, rounded up: `64Mi`, `1G`, `0.5Gi`, `1e9`, `400m`, `128974848`.
pub fn parse_quantity(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 9] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    let text = text.trim();
    let (digits, unit) =
        UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size))).unwrap_or((text, 1.0));
    digits.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(|n| (n * unit).ceil() as u64)
}

/// A duration of Go or Prometheus: `2h`, `1h21m`, `1m30s500ms`, `7d`, and a bare `0`. Go has no days and weeks.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 6] =
        [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0f64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (letters, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, scale) = UNITS.iter().find(|(unit, _)| *unit == letters)?;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    let millis = (!text.is_empty()).then_some((seconds * 1000.0).round())?;
    Some(Duration::from_millis(millis as u64))
}

/// `850ms`, `41s`, `6m 12s`, `1h 5m`: at most two units, rounded down.
pub fn format_duration(time: Duration) -> String {
    let two = |large: u64, unit: &str, small: u64, sub: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{sub}"),
    };
    match time.as_secs() {
        0 if time.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", time.as_millis().max(1)),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        seconds => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
    }
}

/// `6 h`, `2.7 h`, `45 min`, `60 s`: one number in one unit.
pub fn format_hours(time: Duration) -> String {
    let (number, unit) = match time.as_secs_f64() {
        s if s >= 3600.0 => (s / 3600.0, "h"),
        s if s >= 300.0 => (s / 60.0, "min"),
        s => (s, "s"),
    };
    format!("{} {unit}", format_decimal(number))
}

/// At most two decimals, without trailing zeros.
pub fn format_decimal(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Seconds since 1970 of `2026-11-22T14:02:07Z`, as Kubernetes writes every time: UTC, whole seconds.
pub fn parse_utc(text: &str) -> Option<u64> {
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

/// Seconds since 1970 as `2026-11-22T14:02:07Z`.
pub fn format_utc(seconds: u64) -> String {
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_calendars_get_wrong() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_209_815, "2024-02-29T12:30:15Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_356_127, "2026-11-22T14:02:07Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!((format_utc(seconds).as_str(), parse_utc(text)), (text, Some(seconds)));
        }
        for wrong in ["", "2025-11-22", "2025-13-01T00:00:00Z", "2025-11-22T00:00:00+01:00"] {
            assert_eq!(parse_utc(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_those_of_go_and_prometheus() {
        let minutes = |m: u64| Some(Duration::from_secs(m * 60));
        for (text, want) in [("2h", 120), ("1h21m", 81), ("1h0m0s", 60), ("0", 0), ("7d", 10_080)] {
            assert_eq!(parse_duration(text), minutes(want), "{text}");
        }
        assert_eq!(parse_duration("1m30s500ms"), Some(Duration::from_millis(90_500)));
        assert!(["", "h", "2", "2x", "-1h", "1h 2m", "é"].iter().all(|t| parse_duration(t).is_none()));
        let written = [9720, 21600, 2700, 90].map(|s| format_hours(Duration::from_secs(s)));
        assert_eq!(written, ["2.7 h", "6 h", "45 min", "90 s"]);
        let written = |ms| format_duration(Duration::from_millis(ms));
        assert_eq!([written(0), written(850), written(41_900), written(60_000)], ["0s", "850ms", "41s", "1m"]);
        assert_eq!([written(372_000), written(3_600_000), written(3_900_000)], ["6m 12s", "1h", "1h 5m"]);
        assert_eq!(format_duration(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn quantities_are_those_of_kubernetes() {
        const MIB: u64 = 1 << 20;
        let read = ["64Mi", "1G", "0.5Gi", "1e3", "128974848", "400m", "0", "2Gi"].map(parse_quantity);
        assert_eq!(read, [64 * MIB, 1_000_000_000, 512 * MIB, 1000, 128_974_848, 1, 0, 2 << 30].map(Some));
        assert_eq!(["", "x", "-1Mi", "inf", "Gi", "2Q", "two", "64Mb"].map(parse_quantity), [None; 8]);
    }

    #[test]
    fn sizes_are_read_and_written_as_multipass_does() {
        for text in ["3G", "1700M", "512K"] {
            assert_eq!(Bytes::parse(text).map(|b| b.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Bytes::parse("2048M").map(|b| b.to_string()).as_deref(), Some("2G"));
        assert_eq!(Bytes(0).to_string(), "0");
        for wrong in ["", "G", "4", "4 G", "+4G", "-4G", "4.5G", "4GB", "99999999999G", "é"] {
            assert_eq!(Bytes::parse(wrong), None, "{wrong}");
        }
    }
}
