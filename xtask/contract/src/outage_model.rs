//! The drill `mgmt-outage` in virtual time: agents write, apps answer, secrets age, the platform stops and starts.
//!
//! It is a second way to C2: where `wal` computes the bound, this simulates every scrape and every truncation, and the two
//! must agree. Requests fail for one reason only, a fatal dependency; a drill on real machines measures them.

mod log;
mod setting;

use std::time::Duration;

use crate::Clause;
use crate::clauses::c2_buffer::wal::Wal;
use log::Log;
pub use setting::Setting;

/// Truncations before the outage, so that the log is in its steady state.
const WARM: u64 = 8;
/// How much faster than it writes an agent catches up. Assumed: two shards of 500 samples against some ten a second.
pub const PACE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since the outage began; before it negative.
    pub at: i64,
    /// Samples that wait to be sent, counted in scrapes.
    pub backlog: u64,
    pub log: u64,
    /// Seconds since the secret was last read from Vault.
    pub secret: u64,
    /// Requests that were sent to the sample workloads so far, and those that failed.
    pub requests: (u64, u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub outage: Duration,
    /// How long after a truncation it stopped.
    pub phase: Duration,
    pub scraped: u64,
    /// Of those, how many were never received.
    pub lost: u64,
    /// From the platform's return to an empty backlog.
    pub caught_up: Duration,
    pub backlog: u64,
    /// The most bytes in the log.
    pub log: u64,
    pub requests: (u64, u64),
    /// The oldest that the secret got, and how long after the return it was fresh.
    pub secret: (Duration, Duration),
    pub moments: Vec<Moment>,
}

pub fn simulate(setting: &Setting, outage: Duration, phase: Duration) -> Outcome {
    let step = setting.interval.as_secs().max(1);
    let period = setting.period.as_secs().max(step);
    let (began, length) = (WARM * period + phase.as_secs(), outage.as_secs());
    let end = began + length;
    let stop = end + length / PACE + 2 * setting.refresh.as_secs();
    let every = ((stop + period - began) / step / 240).max(1) * step;
    let mut log = Log::new(setting.interval_bytes, setting.segment, setting.window.as_secs() / step);
    let mut out = Outcome {
        outage,
        phase,
        scraped: 0,
        lost: 0,
        caught_up: Duration::ZERO,
        backlog: 0,
        log: 0,
        requests: (0, 0),
        secret: (Duration::ZERO, Duration::ZERO),
        moments: Vec::new(),
    };
    let mut read = 0u64;
    let mut due = setting.refresh.as_secs();
    for now in (step..=stop).step_by(step as usize) {
        let down = now > began && now <= end;
        log.scrape();
        if now % period < step {
            out.lost += log.truncate();
        }
        if !down {
            out.lost += log.send(PACE + 1);
        }
        if now >= due {
            if down {
                due = now + setting.requeue.as_secs();
            } else {
                (read, due) = (now, now + setting.refresh.as_secs());
            }
        }
        if now + period < began {
            continue;
        }
        out.scraped += u64::from(down);
        out.requests.0 += setting.paths;
        out.requests.1 += if down { setting.failing } else { 0 };
        (out.backlog, out.log) = (out.backlog.max(log.backlog()), out.log.max(log.bytes()));
        let age = now - read.min(now);
        out.secret.0 = out.secret.0.max(Duration::from_secs(age));
        if now > end && log.backlog() > 1 {
            out.caught_up = Duration::from_secs(now - end);
        }
        if now > end && read <= end {
            out.secret.1 = Duration::from_secs(now - end);
        }
        if now % every < step {
            out.moments.push(Moment {
                at: now as i64 - began as i64,
                backlog: log.backlog(),
                log: log.bytes(),
                secret: age,
                requests: out.requests,
            });
        }
    }
    out
}

/// How many moments of beginning lose samples, for one length of outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub outage: Duration,
    /// Moments that lost something, and how many were simulated.
    pub losing: (usize, usize),
    /// The worst loss, in per cent of what was scraped.
    pub worst: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    pub rows: Vec<Row>,
    /// The longest outage that lost nothing at any moment.
    pub safe: Duration,
    /// The shortest that lost something at every moment.
    pub always_losing: Option<Duration>,
    /// What `wal` computes for the same log.
    pub computed: Duration,
    pub simulated: usize,
    pub hours: u64,
}

/// Simulates outages of every length, each beginning at every moment of two periods.
pub fn sweep(setting: &Setting) -> Sweep {
    let bound = Wal { period: setting.period, bytes: setting.period_bytes(), segment: setting.segment }.bound();
    let step = setting.period / 6;
    let phases: Vec<Duration> = (0..12).map(|i| step * i).collect();
    let lengths = (1..).map(|i| step * i).take_while(|length| *length <= bound.longest + setting.period);
    let mut rows = Vec::new();
    let mut seconds = 0;
    for outage in lengths {
        let outcomes: Vec<Outcome> = phases.iter().map(|phase| simulate(setting, outage, *phase)).collect();
        let losing = outcomes.iter().filter(|o| o.lost > 0).count();
        let worst = outcomes.iter().map(|o| (o.lost * 100).div_ceil(o.scraped.max(1)).min(100)).max().unwrap_or(0);
        seconds += outcomes.len() as u64 * (outage + setting.period * WARM as u32).as_secs();
        rows.push(Row { outage, losing: (losing, phases.len()), worst });
    }
    let safe = rows.iter().take_while(|r| r.losing.0 == 0).last().map_or(Duration::ZERO, |r| r.outage);
    let always_losing = rows.iter().find(|r| r.losing.0 == r.losing.1).map(|r| r.outage);
    let simulated = rows.len() * phases.len();
    Sweep { rows, safe, always_losing, computed: bound.shortest, simulated, hours: seconds / 3600 }
}

/// Broken promises, a sentence each.
pub fn failures(need: &Outcome, sweep: &Sweep) -> Vec<(Clause, String)> {
    Clause::all().filter_map(|clause| Some((clause, (clause.definition().model)(need, sweep)?))).collect()
}

impl Setting {
    pub fn period_bytes(&self) -> u64 {
        self.interval_bytes * (self.period.as_secs() / self.interval.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(period: u64, mib: u64) -> Setting {
        let scrapes = period * 60;
        Setting {
            interval: Duration::from_secs(60),
            period: Duration::from_secs(period * 3600),
            interval_bytes: (mib << 20) / scrapes,
            segment: crate::clauses::c2_buffer::wal::SEGMENT,
            window: Duration::from_secs(48 * 3600),
            refresh: Duration::from_secs(3600),
            requeue: Duration::from_secs(300),
            paths: 4,
            failing: 0,
        }
    }

    /// Scrape by scrape it comes to what the arithmetic says, at every rate and period.
    #[test]
    fn the_simulation_agrees_with_the_computation() {
        for (period, mib) in [(2, 50), (2, 200), (3, 20), (3, 120), (3, 300), (3, 600), (4, 90)] {
            let sweep = sweep(&setting(period, mib));
            let apart = sweep.computed.abs_diff(sweep.safe);
            assert!(apart <= Duration::from_secs(period * 600), "{period} h, {mib} MiB: {sweep:?}");
        }
    }

    #[test]
    fn past_the_bound_nearly_everything_is_lost() {
        let setting = setting(3, 40);
        let kept = simulate(&setting, Duration::from_secs(5 * 3600), Duration::ZERO);
        assert_eq!((kept.lost, kept.scraped), (0, 300));
        let gone = simulate(&setting, Duration::from_secs(13 * 3600), Duration::ZERO);
        assert!(gone.lost * 2 > gone.scraped, "{} of {}", gone.lost, gone.scraped);
        assert!(kept.caught_up > Duration::ZERO && kept.secret.1 <= Duration::from_secs(360));
        assert!(kept.secret.0 >= Duration::from_secs(5 * 3600), "it grew old and stayed: {:?}", kept.secret);
    }

    #[test]
    fn a_receiver_that_refuses_old_samples_loses_them() {
        let narrow = Setting { window: Duration::from_secs(3600), ..setting(3, 40) };
        let outcome = simulate(&narrow, Duration::from_secs(3 * 3600), Duration::ZERO);
        assert!((110..=125).contains(&outcome.lost), "{}", outcome.lost);
    }
}
