//! What a simulated drill needs, from what is rendered: periods, rates, windows, fatal dependencies.

use std::time::Duration;

use crate::clauses::c2_buffer;
use crate::rendered_state::{Document, RenderedState};
use crate::{Class, Dependency};
use model::units::parse_duration;

/// Bytes of the log in a scrape of one app cluster where nothing is limited to less. Assumed: 800 samples of 12 B.
const SCRAPE: u64 = 9600;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub interval: Duration,
    pub period: Duration,
    pub interval_bytes: u64,
    /// Bytes of a full segment of the log.
    pub segment: u64,
    /// How old a sample may be when Thanos takes it.
    pub window: Duration,
    pub refresh: Duration,
    /// From one try of an unreachable store to the next.
    pub requeue: Duration,
    /// Ways into the sample workloads that are asked in every step: each app cluster's own, and to its peers.
    pub paths: u64,
    /// Those of them that fail while the platform is down: on clusters with a fatal dependency.
    pub failing: u64,
}

impl Setting {
    /// The drill of a fleet, if it has an agent and app clusters.
    pub fn of(state: &RenderedState, dependencies: &[Dependency]) -> Option<Setting> {
        let apps: Vec<_> = state.apps().collect();
        let agent = apps.iter().find_map(|g| c2_buffer::agent_of(g))?;
        let secret = apps.iter().find_map(|g| g.objects("ExternalSecret").next());
        let store = apps.iter().find_map(|g| g.releases().find(|s| s.chart() == Some("external-secrets")));
        let time = |document: Option<&Document>, path: &str, otherwise: u64| {
            document.and_then(|s| parse_duration(s.word(path))).unwrap_or(Duration::from_secs(otherwise))
        };
        let fatal = |name: &str| dependencies.iter().any(|r| r.cluster == name && r.class == Class::Fatal);
        let broken = apps.iter().filter(|g| fatal(&g.name)).count() as u64;
        let ways = apps.len() as u64;
        Some(Setting {
            interval: time(Some(agent), "server.global.scrape_interval", 60),
            period: c2_buffer::truncated_every(agent)?,
            interval_bytes: SCRAPE,
            segment: c2_buffer::segment_of(agent, "server.defaultFlagsOverride").1.unwrap_or(c2_buffer::wal::SEGMENT),
            window: c2_buffer::window_of(state),
            refresh: time(secret, "spec.refreshInterval", 3600),
            requeue: time(store, "storeRequeueInterval", 300),
            paths: ways * ways,
            failing: broken * ways,
        })
    }
}
