//! Answers of a drill, from the steps that asked to what the contract judges.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::drill as steps;
use contract::live::Answers;
use contract::outage::{App, ClusterSnapshot};
use model::fleet::{Cluster, Fleet};
use plan::StepKey;

/// Everything that was observed in a drill.
#[derive(Debug, Default)]
pub struct Observations {
    pub before: Answers,
    /// Right before the platform is started again.
    pub during: Answers,
    pub after: Answers,
    /// How much of each cluster is in Thanos.
    pub counts: Answers,
    /// Steps that should have succeeded.
    pub failed: Vec<(StepKey, String)>,
    /// How long after the platform's return each step was over.
    pub times: BTreeMap<StepKey, Duration>,
}

impl Observations {
    /// App clusters, with all that was observed of them so far.
    pub fn apps(&self, fleet: &Fleet) -> Vec<App> {
        steps::apps(fleet).map(|cluster| self.app(fleet, cluster)).collect()
    }

    fn app(&self, fleet: &Fleet, cluster: &Cluster) -> App {
        let name = |id: &StepKey| steps::what(cluster, id).map(str::to_owned);
        let of = |answers: &Answers| {
            ClusterSnapshot(answers.iter().filter_map(|(id, output)| Some((name(id)?, output.clone()))).collect())
        };
        App {
            name: cluster.name.clone(),
            nodes: cluster.nodes.len(),
            linked: steps::has_peer(fleet, cluster),
            before: of(&self.before),
            during: of(&self.during),
            after: of(&self.after),
            counts: of(&self.counts),
            times: self.times.iter().filter_map(|(id, time)| Some((name(id)?, *time))).collect(),
            failed: self.failed.iter().filter_map(|(id, why)| Some((name(id)?, why.clone()))).collect(),
        }
    }
}
