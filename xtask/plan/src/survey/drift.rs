//! Releases that were changed by hand: which keys of their values differ from ours. Values are not shown: they may be
//! secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Answers, ProbeState};
use crate::bootstrap::kube_path;
use crate::{Expect, Plan, Step, StepKey};
use model::fleet::{Cluster, Fleet};
use model::release::{Chart, Releases};
use tool::helm::{Helm, Release};

/// How the remedy is called that a changed release is in; in a mesh there is more behind it.
pub const CHANGED: &str = "changed by hand";
/// Where `mesh-connect` writes peers, which the values of a bootstrap do not name.
const PEERS: &str = "clustermesh.config.clusters";

/// A question for the values of every release that is in that remedy. The step has the id of the release's own.
pub fn questions(fleet: &Fleet, releases: &Releases, answers: &Answers) -> Plan {
    let pairs = fleet.clusters.iter().flat_map(|c| releases.charts.iter().map(move |chart| (c, chart)));
    let steps = pairs.filter(|(cluster, chart)| is_changed(answers, &id(cluster, chart))).map(|(cluster, chart)| {
        let kubeconfig = kube_path(cluster);
        // To read it takes the same words in either.
        let release = Release { chart, cluster: &cluster.name, kubeconfig: &kubeconfig, helm: Helm::V4 };
        let title = format!("read the values of {} on {}", chart.placement.name, cluster.name);
        Step::new(id(cluster, chart), title, release.values(), Expect::Exit(0))
    });
    let steps = steps.collect();
    Plan { name: "drift", steps, files: BTreeMap::new(), pools: BTreeMap::new() }
}

fn id(cluster: &Cluster, chart: &Chart) -> StepKey {
    StepKey::cluster(&cluster.name, &chart.placement.name)
}

fn is_changed(answers: &Answers, id: &StepKey) -> bool {
    let remedy = answers.get(id).map(|answer| &answer.state);
    matches!(remedy, Some(ProbeState::Differs { remedy: Some(remedy), .. }) if remedy.starts_with(CHANGED))
}

/// The keys, dotted and in order, whose values differ. A key without a value is as good as none.
pub fn differing(ours: &Value, theirs: &Value) -> Vec<String> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves("", ours, &mut left);
    leaves("", theirs, &mut right);
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differ = keys.into_iter().filter(|key| left.get(*key) != right.get(*key) && !key.starts_with(PEERS));
    differ.cloned().collect()
}

/// Lists are leaves: Helm replaces them whole.
fn leaves<'a>(path: &str, value: &'a Value, into: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, into);
            }
        }
        Value::Null => {}
        leaf => drop(into.insert(path.to_owned(), leaf)),
    }
}

pub fn describe(keys: &[String]) -> String {
    match keys {
        [] => "its values are ours".to_owned(),
        keys => format!("values that differ: {}", keys.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_that_differ_are_listed_without_values() {
        let ours = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x", "e": {}});
        for (theirs, keys) in [
            (json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"}), &[][..]),
            (json!({"a": {"b": 2, "c": [1]}, "d": "x", "new": true}), &["a.b", "a.c", "new"]),
            (json!({"a": {"b": 1, "c": [1, 2]}, "d": null, "z": null}), &["d"]),
            (json!({"a": 1, "d": "x"}), &["a", "a.b", "a.c"]),
            (json!(null), &["a.b", "a.c", "d"]),
        ] {
            assert_eq!(differing(&ours, &theirs), keys, "{theirs}");
        }
        let peers = json!({"clustermesh": {"config": {"clusters": {"app2": {"port": 1}}}}});
        assert_eq!(differing(&json!({}), &peers), [""; 0]);
        assert_eq!(describe(&["a.b".into(), "new".into()]), "values that differ: a.b, new");
    }
}
