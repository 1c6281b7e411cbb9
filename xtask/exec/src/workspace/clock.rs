//! The wall clock, for records that people read. Limits of steps follow the clock of the `World` instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::units::format_utc;

/// Now in UTC, ISO 8601, to the second: `2026-11-22T14:02:07Z`. A clock before 1970 shows the first second of that year.
pub fn now() -> String {
    format_utc(since_1970().as_secs())
}

/// Now, in milliseconds since 1970, UTC.
pub fn now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
