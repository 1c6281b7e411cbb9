//! How long an outage a Prometheus Agent bridges: the arithmetic of its log, exact, in whole bytes.
//!
//! `tsdb/agent/db.go` of Prometheus: every truncate period the open segment is closed, and of the closed ones, without
//! the newest, the lower two thirds are dropped: `last = first + (last - first) * 2 / 3`, inclusive. Remote write never
//! sends samples from checkpoints, so a dropped segment is a lost one. A segment is full at 128 MiB, unless a flag says so.
//!
//! Time is counted in bytes written since the start, so that nothing is rounded: a period *is* the bytes written in
//! it. Not in the model, and each on the safe side: the segment whose file the reader still holds, and its queue in
//! memory. Measured against real processes the bound held in every run and was short by about one period.

use std::time::Duration;

/// The default size of a segment (tsdb/wlog/wlog.go).
pub const SEGMENT: u64 = 128 << 20;
/// Periods that are played through; the second half is steady.
const PERIODS: u64 = 200;

/// The log of an agent that writes the same all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wal {
    /// `--storage.agent.wal-truncate-frequency`.
    pub period: Duration,
    pub bytes: u64,
    /// `--storage.agent.wal-segment-size`, in bytes.
    pub segment: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The shortest outage that can lose a sample, over all moments at which it may begin.
    pub shortest: Duration,
    /// How long after a truncation the worst outage begins.
    pub worst_phase: Duration,
    /// The longest that any outage is bridged, for the luckiest moment.
    pub longest: Duration,
    /// The most the log holds on disk, in bytes.
    pub held: u64,
}

impl Wal {
    pub fn bound(&self) -> Bound {
        self.play(None)
    }

    /// The same for an outage that begins any time after a restart, for the worst moment of the restart in its period:
    /// a restart closes the open segment early, so that later truncations count one more.
    pub fn bound_after_restart(&self) -> Bound {
        const MOMENTS: u64 = 32;
        let at = |i: u64| self.bytes().saturating_mul(i) / MOMENTS;
        let bounds = (1..MOMENTS).map(|i| self.play(Some(at(i))));
        bounds.min_by_key(|b| b.shortest).unwrap_or_else(|| self.bound())
    }

    /// The largest number of bytes a second below which every rate bridges an outage of `need`, up to a limit of
    /// 64 segments in a period. The bound is no slope, it jumps; so every segment boundary is asked.
    pub fn breaking_rate(period: Duration, segment: u64, need: Duration) -> Option<f64> {
        let step = segment / 16;
        let holds = |bytes: u64| Wal { period, bytes, segment }.play_for(60, None).shortest >= need;
        let first = (1..=64 * 16).map(|i| i * step).find(|bytes| !holds(*bytes))?;
        let (mut low, mut high) = (first - step, first);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if holds(middle) { low = middle } else { high = middle }
        }
        (low > 0).then(|| low as f64 / period.as_secs_f64())
    }

    /// An idle log still closes its segment every period.
    fn bytes(&self) -> u64 {
        self.bytes.max(1)
    }

    fn play(&self, restart: Option<u64>) -> Bound {
        self.play_for(PERIODS, restart)
    }

    /// Plays `periods` truncations. `restart` is the moment of a restart within the middle period, in bytes.
    fn play_for(&self, periods: u64, restart: Option<u64>) -> Bound {
        let period = self.bytes();
        let restart = restart.map(|at| (periods / 2) * period + at);
        let mut closed: Vec<u64> = Vec::new();
        let (mut opened, mut gone) = (0u64, 0u64);
        let (mut shortest, mut phase, mut longest, mut held) = (u64::MAX, 0u64, 0u64, 0u64);
        for tick in 1..=periods {
            let now = tick * period;
            fill(&mut closed, &mut opened, now, restart, self.segment);
            closed.push(now);
            opened = now;
            let steady = tick > periods / 2 + 1;
            if steady {
                held = held.max(now - gone);
            }
            let last = closed.len().saturating_sub(2);
            let cut = last * 2 / 3;
            if closed.len() < 2 || cut == 0 {
                continue;
            }
            let end = closed.drain(..=cut).next_back().expect("bug: at least one is dropped");
            // Lost now are outages that began in what is dropped: the latest of them just before `end`, the earliest
            // just after the end of what was dropped the time before.
            if steady && restart.is_none_or(|at| end > at) {
                longest = longest.max(now - gone);
                if now - end < shortest {
                    (shortest, phase) = (now - end, end % period);
                }
            }
            gone = end;
        }
        let time = |bytes: u64| self.period.mul_f64(bytes as f64 / period as f64);
        let shortest = if shortest == u64::MAX { 0 } else { shortest };
        Bound { shortest: time(shortest), worst_phase: time(phase), longest: time(longest), held }
    }
}

/// Segments that became full before `now`, and the one that a restart closed.
fn fill(closed: &mut Vec<u64>, opened: &mut u64, now: u64, restart: Option<u64>, segment: u64) {
    loop {
        let full = *opened + segment;
        let next = match restart {
            Some(at) if at > *opened && at < now && at < full => at,
            _ => full,
        };
        if next >= now {
            return;
        }
        closed.push(next);
        *opened = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn hours(period: f64, mib: u64) -> f64 {
        let wal = Wal { period: Duration::from_secs_f64(period * 3600.0), bytes: mib * MIB, segment: SEGMENT };
        (wal.bound().shortest.as_secs_f64() / 36.0).round() / 100.0
    }

    #[test]
    fn the_guarantee_is_a_step_function() {
        let table = [(16, 4.0), (128, 4.0), (129, 2.0), (256, 2.0), (384, 2.0), (448, 1.43), (512, 1.5), (640, 1.2)];
        for (mib, want) in table {
            assert_eq!(hours(2.0, mib), want, "{mib} MiB");
        }
        assert_eq!(hours(2.0, 1024), 1.25);
        assert!((1.0..1.06).contains(&hours(2.0, 8192)));
        for (period, want) in [(0.5, 1.0), (1.0, 2.0), (1.35, 2.7), (1.5, 3.0), (3.0, 6.0), (4.0, 8.0)] {
            assert_eq!(hours(period, 0), want, "{period} h");
        }
    }

    /// Another way to the same number: every outage, tried minute by minute against a log that is replayed.
    #[test]
    fn it_agrees_with_trying_every_outage() {
        for bytes in [40, 128, 129, 200, 300, 384, 400, 512, 700].map(|m| m * MIB) {
            let wal = Wal { period: Duration::from_secs(7200), bytes, segment: SEGMENT };
            let drops = drops(bytes, 60);
            let steady = drops.iter().filter(|(at, _)| *at > 30 * bytes);
            let shortest = steady.map(|(at, end)| at - end).min().expect("it drops");
            let got = wal.bound().shortest.as_secs_f64() / 7200.0;
            assert!((got - shortest as f64 / bytes as f64).abs() < 1e-6, "{bytes}");
        }
    }

    /// Truncations as (when, end of what was dropped), with segments kept by number as the Agent does.
    fn drops(bytes: u64, periods: u64) -> Vec<(u64, u64)> {
        let mut ends = std::collections::BTreeMap::new();
        let (mut first, mut open, mut size, mut out) = (0u64, 0u64, 0u64, vec![]);
        let mut written = 0;
        for tick in 1..=periods {
            while tick * bytes - written > SEGMENT - size {
                written += SEGMENT - size;
                ends.insert(open, written);
                (open, size) = (open + 1, 0);
            }
            written = tick * bytes;
            ends.insert(open, written);
            (open, size) = (open + 1, 0);
            let last = (open - 1).saturating_sub(1);
            if last < first || first + (last - first) * 2 / 3 <= first {
                continue;
            }
            let drop = first + (last - first) * 2 / 3;
            out.push((written, ends[&drop]));
            first = drop + 1;
        }
        out
    }

    /// One segment more in one period moves later truncations, but none of them to a younger segment.
    #[test]
    fn a_restart_before_the_outage_costs_nothing() {
        for mib in [1, 60, 128, 129, 256, 384, 448] {
            let wal = Wal { period: Duration::from_secs(3 * 3600), bytes: mib * MIB, segment: SEGMENT };
            assert_eq!(wal.bound_after_restart().shortest, wal.bound().shortest, "{mib} MiB");
        }
    }

    #[test]
    fn the_breaking_rate_is_where_the_guarantee_falls_below_the_need() {
        let need = Duration::from_secs(9720);
        let rate = |hours: u64| Wal::breaking_rate(Duration::from_secs(hours * 3600), SEGMENT, need);
        let mib = |rate: Option<f64>, hours: f64| (rate.unwrap() * hours * 3600.0 / MIB as f64 * 10.0).round() / 10.0;
        assert_eq!(mib(rate(2), 2.0), 128.0);
        assert_eq!(mib(rate(3), 3.0), 384.0);
        assert_eq!(rate(1), None);
        assert_eq!(mib(Wal::breaking_rate(Duration::from_secs(3 * 3600), SEGMENT / 8, need), 3.0), 48.0);
    }
}
