//! An outage of the platform: what is reachable meanwhile, the probe's log, and samples sent by agents. Measured on
//! Prometheus 2.42 with a receiver that goes away and returns: up to three truncate periods nothing was lost (two are
//! guaranteed), beyond them nearly all that was queued, and after a restart all of it.

use crate::cluster::Reachability;
use crate::conditions::{Breach, Condition};
use crate::mesh::{self, SAMPLE, platform_with};
use crate::prelude::*;
use crate::vms::{Control, Power, Vm};

pub const PROBE: &str = "sample/deployment/drill-probe";
/// Seconds between lines of the probe (`infra/drill/probe`).
const LINE: u64 = 15;
/// Scrape interval in seconds (`charts/prometheus-agent/values.yaml`), and samples in one (assumption).
const SCRAPE: u64 = 60;
const SAMPLES: u64 = 800;
/// Seconds to send a queued scrape (assumption: ten times as fast as it was written).
const DRAIN: u64 = SCRAPE / 10;
/// The newest scrapes that survive an overflowed WAL (measured: 5 to 36).
const NEWEST: u64 = 5;

impl SimState {
    fn platform_away(&self) -> bool {
        let off =
            |c: &Cluster| c.nodes.values().all(|m| self.vms.get(&m.vm).is_none_or(|vm| vm.power != Power::Running));
        self.vms
            .keys()
            .filter_map(|vm| self.cluster(vm))
            .any(|c| c.workloads.contains_key(crate::vault::WORKLOAD) && off(c))
    }

    pub(super) fn breach_active(&self, cluster: &Cluster, breach: Breach) -> bool {
        self.conditions(&cluster.name).any(|m| *m == Condition::DuringOutage(breach)) && self.platform_away()
    }

    pub(super) fn breach_happened(&self, cluster: &Cluster, breach: Breach) -> bool {
        self.conditions(&cluster.name).any(|m| *m == Condition::DuringOutage(breach))
            && cluster.reachability.iter().any(|s| !s.thanos)
    }

    pub(super) fn record_reachability(&mut self, now: Duration) {
        let counts = |vm: &Vm| matches!(&vm.guest.control, Control::Made(c) if c.workloads.contains_key(PROBE));
        let counting: Vec<String> =
            self.vms.iter().filter(|(_, vm)| counts(vm)).map(|(name, _)| name.clone()).collect();
        for vm in counting {
            let Some(cluster) = self.cluster(&vm) else { continue };
            let reachability = self.reachability(cluster, now);
            let Some(cluster) = self.cluster_mut(&vm) else { continue };
            if cluster.reachability.last().is_none_or(|last| Reachability { from: last.from, ..reachability } != *last)
            {
                cluster.reachability.push(reachability);
            }
        }
    }

    fn reachability(&self, cluster: &Cluster, now: Duration) -> Reachability {
        let serves = |c: &Cluster| c.workloads.get(SAMPLE).is_some_and(|w| self.pods(c, w, now).1 > 0);
        let peers = mesh::peers(cluster).into_iter().flatten().map(|(name, _)| name);
        let other = |name: &String| {
            let peer = self.control_plane(name).and_then(|vm| self.cluster(&vm));
            peer.is_some_and(serves) && self.pods_reach(cluster, name, now)
        };
        Reachability {
            from: now,
            local: serves(cluster) && !self.breach_active(cluster, Breach::SampleFails),
            mesh: peers.filter(|name| other(name)).count() > 0 && !self.breach_active(cluster, Breach::MeshFails),
            thanos: platform_with(self, cluster, "thanos", now).is_some(),
        }
    }

    pub(super) fn probe_log(&self, cluster: &Cluster, probe: &Workload, now: Duration) -> String {
        let began = (probe.since.max(probe.pending_until) + Duration::from_secs(probe.needs.pull)).as_secs();
        let mut out = String::new();
        let mut good = [began; 2];
        for end in (began + LINE..=now.as_secs()).step_by(LINE as usize) {
            for (n, (route, open)) in ROUTES.iter().enumerate() {
                let (mut failed, mut longest) = (0, 0);
                for second in end - LINE + 1..=end {
                    longest = longest.max(second - good[n]);
                    match reachability_at(cluster, second).is_some_and(open) {
                        true => good[n] = second,
                        false => failed += 1,
                    }
                }
                out.push_str(&format!("{} {route} {LINE} {failed} {longest}\n", timings::EPOCH + end));
            }
        }
        out
    }

    /// In seconds.
    pub(super) fn agent_started(&self, cluster: &Cluster) -> Option<u64> {
        let own = |w: &&Workload| w.release == "prometheus-agent" && w.name == "prometheus-agent";
        let agent = cluster.workloads.values().find(own)?;
        let forgot = self.breach_happened(cluster, Breach::AgentRestarts);
        let lost =
            cluster.reachability.iter().find(|s| !s.thanos).filter(|_| forgot).map(|s| s.from.as_secs() + 2 * SCRAPE);
        Some(lost.unwrap_or(agent.since.as_secs()))
    }

    pub(super) fn agent_send_metrics(&self, cluster: &Cluster, now: Duration) -> Option<String> {
        let (started, now) = (self.agent_started(cluster)?, now.as_secs());
        let all = now.saturating_sub(started) / SCRAPE;
        let scrapes = (1..=all).map(|n| started + n * SCRAPE);
        let first = cluster.reachability.first().map_or(u64::MAX, |s| s.from.as_secs());
        let waiting = scrapes.filter(|at| *at >= first && !self.delivered(cluster, *at, now)).count() as u64;
        let series = [
            ("prometheus_agent_samples_appended_total{type=\"float\"}", all * SAMPLES),
            ("prometheus_remote_storage_samples_total{remote_name=\"thanos\"}", (all - waiting) * SAMPLES),
            ("prometheus_remote_storage_samples_retried_total{remote_name=\"thanos\"}", 0),
            ("prometheus_remote_storage_samples_failed_total{remote_name=\"thanos\"}", 0),
            ("process_start_time_seconds", timings::EPOCH + started),
        ];
        Some(series.iter().map(|(name, value)| format!("{name} {value}\n")).collect())
    }

    /// Scrapes of a cluster's agent in Thanos within so many seconds.
    pub(super) fn scrapes_received(&self, cluster: &Cluster, window: u64, now: Duration) -> Option<u64> {
        // Scrapes before a restart came from a process that started when it was installed.
        let own = |w: &&Workload| w.release == "prometheus-agent" && w.name == "prometheus-agent";
        let started = cluster.workloads.values().find(own)?.since.as_secs();
        let (restarted, now) = (self.agent_started(cluster)?, now.as_secs());
        let from = now.saturating_sub(window).max(started);
        let scrapes = (started..=now).step_by(SCRAPE as usize).filter(|at| *at > from);
        let kept = |at: &u64| {
            let forgotten = *at < restarted && restarted > started && thanos_unreachable_at(cluster, *at);
            !forgotten && self.delivered(cluster, *at, now)
        };
        Some(scrapes.filter(kept).count() as u64)
    }

    fn delivered(&self, cluster: &Cluster, scrape: u64, now: u64) -> bool {
        let Some((gone, back)) = outage_around(cluster, scrape) else { return true };
        let Some(back) = back else { return false };
        let waited = (back - gone) / SCRAPE;
        if scrape > back {
            // After the queued ones.
            return now >= back + waited * DRAIN || scrape > back + waited * DRAIN;
        }
        let place = (scrape - gone) / SCRAPE;
        let overflowed = back - gone > 3 * truncate_period(cluster).as_secs() && place + NEWEST < waited;
        !overflowed && now >= back + (place + 1) * DRAIN
    }
}

const ROUTES: [Route; 2] = [("local", |s| s.local), ("mesh", |s| s.mesh)];
type Route = (&'static str, fn(&Reachability) -> bool);

fn reachability_at(cluster: &Cluster, second: u64) -> Option<&Reachability> {
    cluster.reachability.iter().rev().find(|s| s.from.as_secs() <= second).or(cluster.reachability.first())
}

fn thanos_unreachable_at(cluster: &Cluster, second: u64) -> bool {
    reachability_at(cluster, second).is_some_and(|reachability| !reachability.thanos)
}

/// The last outage of Thanos that began before a moment: start, and end if it ended.
fn outage_around(cluster: &Cluster, second: u64) -> Option<(u64, Option<u64>)> {
    let gone = cluster.reachability.iter().rposition(|s| !s.thanos && s.from.as_secs() <= second)?;
    let first = cluster.reachability[..=gone].iter().rposition(|s| s.thanos).map_or(0, |open| open + 1);
    let back = cluster.reachability[gone..].iter().find(|s| s.thanos).map(|s| s.from.as_secs());
    Some((cluster.reachability[first].from.as_secs(), back))
}

fn truncate_period(cluster: &Cluster) -> Duration {
    let values = cluster.release("prometheus-agent").map(|r| &r.values);
    let flags = values.and_then(|v| v.pointer("/server/defaultFlagsOverride")).and_then(Value::as_array);
    let period = flags.into_iter().flatten().filter_map(Value::as_str);
    let mut period = period.filter_map(|f| f.strip_prefix("--storage.agent.wal-truncate-frequency="));
    period.find_map(duration).unwrap_or(Duration::from_secs(7200))
}
