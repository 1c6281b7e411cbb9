//! What a drill plays, from what is rendered: periods, rates, windows, and what nothing survives.
//! Knows nothing of how it is played.

use std::time::Duration;

use super::super::c2_buffer;
use super::super::evidence::{Evidence, Sheet};
use super::super::references::{Class, Reference};
use model::units::parse_duration;

/// Bytes of the log in a scrape of one app cluster where nothing is limited to less. Assumed: 800 samples of 12 B.
const SCRAPE: u64 = 9600;

/// A drill's givens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// From scrape to scrape.
    pub interval: Duration,
    /// From truncation to truncation.
    pub period: Duration,
    /// Bytes of one scrape in the log.
    pub interval_bytes: u64,
    /// How old a sample may be when Thanos takes it.
    pub window: Duration,
    /// From reading a secret to reading it again.
    pub refresh: Duration,
    /// From asking a silent store to asking it again.
    pub requeue: Duration,
    /// Ways into the sample workloads that are asked in every step: each app cluster's own, and to its peers.
    pub paths: u64,
    /// Those of them that fail while the platform is away: on clusters with a reference that nothing survives.
    pub failing: u64,
}

impl Setting {
    /// The drill of a fleet, if it has an agent and app clusters.
    pub fn of(evidence: &Evidence, references: &[Reference]) -> Option<Setting> {
        let apps: Vec<_> = evidence.apps().collect();
        let agent = apps.iter().find_map(|g| c2_buffer::agent_of(g))?;
        let secret = apps.iter().find_map(|g| g.objects("ExternalSecret").next());
        let store = apps.iter().find_map(|g| g.releases().find(|s| s.chart() == Some("external-secrets")));
        let time = |sheet: Option<&Sheet>, path: &str, otherwise: u64| {
            sheet.and_then(|s| parse_duration(s.word(path))).unwrap_or(Duration::from_secs(otherwise))
        };
        let fatal = |name: &str| references.iter().any(|r| r.cluster == name && r.class == Class::Fatal);
        let broken = apps.iter().filter(|g| fatal(&g.name)).count() as u64;
        let ways = apps.len() as u64;
        Some(Setting {
            interval: time(Some(agent), "server.global.scrape_interval", 60),
            period: c2_buffer::truncated_every(agent)?,
            interval_bytes: SCRAPE,
            window: c2_buffer::window_of(evidence),
            refresh: time(secret, "spec.refreshInterval", 3600),
            requeue: time(store, "storeRequeueInterval", 300),
            paths: ways * ways,
            failing: broken * ways,
        })
    }
}
