//! Reads what an Agent and its volume print: Prometheus' text format, `du -s -k` and `df -P -k`.

use std::time::Duration;

/// Bytes in a page of the log (tsdb/wlog of Prometheus).
const PAGE: f64 = 32.0 * 1024.0;

/// A page of metrics: names without labels, and values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricsPage(Vec<(String, f64)>);

impl MetricsPage {
    /// Reads the text format: `name{labels} value`, comments begin with `#`.
    pub fn read(text: &str) -> MetricsPage {
        let line = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let name = name.split('{').next()?.trim();
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        MetricsPage(text.lines().filter(|l| !l.starts_with('#')).filter_map(line).collect())
    }

    fn of(&self, name: &str) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |(known, value)| known == name && value.is_finite()).map(|(_, value)| *value)
    }

    /// The sum over all labels; nothing where there is no such metric.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.of(name).next()?;
        Some(self.of(name).sum())
    }

    pub fn most(&self, name: &str) -> Option<f64> {
        self.of(name).reduce(f64::max)
    }

    /// When the process began, in seconds since 1970.
    pub fn started(&self) -> Option<f64> {
        self.sum("process_start_time_seconds")
    }

    pub fn written(&self) -> Option<f64> {
        self.sum("prometheus_agent_samples_appended_total")
    }

    /// The age of the process by its own newest sample, if that is more than nothing.
    fn age(&self) -> Option<f64> {
        let now = self.sum("prometheus_remote_storage_highest_timestamp_in_seconds")?;
        Some(now - self.started()?).filter(|age| *age > 0.0)
    }

    /// Bytes a second that went into the log since the process began, and how long that is. The page that is being
    /// filled is counted as full: a young process must not look idle.
    pub fn rate(&self) -> Option<(f64, Duration)> {
        let age = self.age()?;
        let pages = self.sum("prometheus_tsdb_wal_completed_pages_total")? + 1.0;
        Some((pages * PAGE / age, Duration::try_from_secs_f64(age).ok()?))
    }

    pub fn samples(&self) -> Option<f64> {
        Some(self.written()? / self.age()?)
    }
}

/// Bytes of `du -s -k`: `1024<tab>/data/wal`.
pub(super) fn used(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Size and free bytes of `df -P -k`: the last line is `device blocks used available percent mount`.
pub(super) fn volume(text: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = text.lines().next_back()?.split_whitespace().collect();
    let bytes = |i: usize| words.get(i)?.parse::<u64>().ok()?.checked_mul(1024);
    Some((bytes(1)?, bytes(3)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a real Agent (2.42) printed them, with a rounder clock.
    const TEXT: &str = "# HELP process_start_time_seconds Start time\nprocess_start_time_seconds 1.7954e+09\n\
        prometheus_remote_storage_highest_timestamp_in_seconds 1.795401e+09\n\
        prometheus_tsdb_wal_completed_pages_total 99\n\
        prometheus_tsdb_wal_fsync_duration_seconds{quantile=\"0.5\"} NaN\n\
        prometheus_agent_samples_appended_total{type=\"float\"} 5000\n\
        prometheus_remote_storage_samples_pending{remote_name=\"a\",url=\"http://b c\"} 921\n\
        prometheus_remote_storage_samples_pending{remote_name=\"d\"} 9\n";

    #[test]
    fn the_rate_is_pages_by_age() {
        let page = MetricsPage::read(TEXT);
        assert_eq!(page.rate(), Some((3276.8, Duration::from_secs(1000))));
        assert_eq!((page.samples(), page.sum("prometheus_remote_storage_samples_pending")), (Some(5.0), Some(930.0)));
        assert_eq!(page.sum("prometheus_tsdb_wal_fsync_duration_seconds"), None);
        assert_eq!(MetricsPage::read("<html>\n1 2 x\n").rate(), None);
    }

    #[test]
    fn blocks_are_kibibytes() {
        assert_eq!(used("1024\t/data/wal\n"), Some(1 << 20));
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  /dev/sda1 20134592 8000000 11000000 43% /data\n";
        assert_eq!(volume(df), Some((20_134_592 << 10, 11_000_000 << 10)));
        assert!(volume("").is_none() && volume("a b\n").is_none() && used("x").is_none());
    }
}
