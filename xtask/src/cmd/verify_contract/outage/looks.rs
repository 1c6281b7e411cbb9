//! Answers of a drill, from the ids of the steps that asked to what the contract judges.
//! Knows nothing of what they are worth.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::outage::{App, Said};
use model::fleet::{Cluster, Fleet};
use plan::{StepKey, drill as steps};
use tool::Output;

type Answers = BTreeMap<StepKey, Output>;

/// Everything that was answered.
#[derive(Debug, Default)]
pub struct Looks {
    before: Answers,
    during: Answers,
    after: Answers,
    counts: Answers,
    failed: Vec<(StepKey, String)>,
    times: BTreeMap<StepKey, Duration>,
}

impl Looks {
    /// The first look.
    pub fn of(before: Answers) -> Self {
        Looks { before, ..Looks::default() }
    }

    /// The look before the platform comes back.
    pub fn middle(&mut self, look: Looks) {
        self.during = look.before;
    }

    /// The look at the end.
    pub fn last(&mut self, look: Looks) {
        self.after = look.before;
    }

    /// How much of each cluster is in Thanos.
    pub fn counted(&mut self, counts: Answers) {
        self.counts = counts;
    }

    /// Steps that should have gone well.
    pub fn failures(&mut self, failed: Vec<(StepKey, String)>) {
        self.failed.extend(failed);
    }

    /// How long after the platform's return a step was over.
    pub fn took(&mut self, step: &StepKey, time: Duration) {
        self.times.insert(step.clone(), time);
    }

    /// Workload clusters, with all that is known of them so far.
    pub fn apps(&self, fleet: &Fleet) -> Vec<App> {
        steps::apps(fleet).map(|cluster| self.app(fleet, cluster)).collect()
    }

    fn app(&self, fleet: &Fleet, cluster: &Cluster) -> App {
        let failed =
            self.failed.iter().filter_map(|(id, why)| Some((steps::what(cluster, id)?.to_owned(), why.clone())));
        App {
            name: cluster.name.clone(),
            nodes: cluster.nodes.len(),
            linked: steps::has_peer(fleet, cluster),
            before: said(&self.before, cluster),
            during: said(&self.during, cluster),
            after: said(&self.after, cluster),
            scrapes: self.counts.get(&steps::id(cluster, "count")).and_then(count),
            caught_up: self.times.get(&steps::id(cluster, "caught-up")).copied(),
            failed: failed.collect(),
        }
    }
}

fn said(answers: &Answers, cluster: &Cluster) -> Said {
    let of = |what: &str| answers.get(&steps::id(cluster, what));
    let good = |what: &str| of(what).filter(|o| o.ok()).map(|o| o.stdout.trim().to_owned());
    Said {
        secret: good("secret").filter(|text| !text.is_empty()),
        store: good("store"),
        agents: good("agents"),
        offered: of("refused").map(|o| (o.ok(), o.stderr.clone())),
        metrics: good("metrics"),
        workload: good("workload").filter(|text| !text.is_empty()),
        requests: good("requests"),
    }
}

/// The one value of an instant vector; of none it is 0.
fn count(output: &Output) -> Option<u64> {
    let json: serde_json::Value = serde_json::from_str(&output.stdout).ok().filter(|_| output.ok())?;
    let result = json.pointer("/data/result")?.as_array()?;
    let Some(first) = result.first() else { return Some(0) };
    let value = first.pointer("/value/1")?.as_str()?.parse::<f64>().ok()?;
    Some(value as u64)
}
