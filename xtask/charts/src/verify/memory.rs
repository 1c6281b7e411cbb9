//! Memory that pods ask for, beside what nodes have: what runs on every node, and whether there is room for the rest.
//! Knows nothing of CPU, and nothing of what a process really uses.

use serde_json::Value;

use crate::rendered::{Spread, Workload};
use model::fleet::{Cluster, NodeRole};
use model::problem::Problem;
use model::release::RELEASES;
use model::release::{Chart, Releases};
use model::units::parse_quantity;

/// What kubeadm itself asks for: etcd on the control plane, two CoreDNS anywhere; its other pods ask for CPU alone
/// (kubeadm 1.35, `phases/etcd/local.go` and `phases/addons/dns/manifests.go`).
const ETCD: u64 = 100 << 20;
const COREDNS: (u64, u64) = (2, 70 << 20);

/// Pods that ask for memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// `loki statefulset/loki`.
    pub who: String,
    /// How many, and where.
    pub spread: Spread,
    /// Bytes that each asks for.
    pub each: u64,
}

/// What the kubelet keeps from pods.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reserve {
    /// Bytes.
    pub fixed: u64,
    /// Parts of a hundred of the node's memory, where a threshold is written as `5%`.
    pub percent: f64,
}

/// One node, with what it has and what is asked of it. Bytes all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The VM.
    pub node: String,
    /// Its memory.
    pub memory: u64,
    /// What is left of it for pods. The kernel keeps a few percent more for itself.
    pub allocatable: u64,
    /// What runs on every node, and on this one alone.
    pub fixed: u64,
    /// What the scheduler would put here if it goes where most room is, the largest first.
    pub floating: u64,
}

impl Row {
    /// What is left; less than nothing if it does not fit.
    pub fn free(&self) -> i64 {
        self.allocatable as i64 - self.fixed as i64 - self.floating as i64
    }
}

/// What pods of a workload ask for.
pub fn need(release: &str, workload: &Workload) -> Need {
    let each = request(&workload.pod);
    Need { who: format!("{release} {}", workload.name), spread: workload.spread, each }
}

/// A problem for each pod of a release that asks for more than the list allows it.
pub fn over(releases: &Releases, chart: &Chart, needs: &[Need]) -> Vec<Problem> {
    let Some(most) = chart.memory else { return vec![] };
    let name = &chart.placement.name;
    let line = releases.lines.get(&format!("{name}.memory")).copied();
    let over = needs.iter().filter(|need| need.each > most);
    over.map(|need| {
        let what =
            format!("a pod of `{}` asks for more memory than it may: {} of {}", need.who, said(need.each), said(most));
        Problem::new(what)
            .at(RELEASES, line)
            .why("the design counts on that figure; `memory` in the list is the place to change it")
    })
    .collect()
}

/// What a release asks for as far as its values say, where there is no chart to render: every
/// `resources.requests.memory` in them, times the `replicas` beside it. A release that waits for a DaemonSet is counted
/// on every node as a whole, which is more than it takes.
pub fn estimate(chart: &Chart, values: &Value) -> Need {
    let everywhere = chart.ready.iter().any(|workload| workload.starts_with("daemonset/"));
    let spread = if everywhere { Spread::EveryNode } else { Spread::Somewhere(1) };
    Need { who: format!("{} (by its values)", chart.placement.name), spread, each: asked(values) }
}

fn asked(values: &Value) -> u64 {
    let Some(map) = values.as_object() else {
        return values.as_array().into_iter().flatten().map(asked).sum();
    };
    if map.get("enabled") == Some(&Value::Bool(false)) {
        return 0;
    }
    let count = ["replicas", "replicaCount"].iter().find_map(|key| map.get(*key)?.as_u64()).unwrap_or(1);
    let own = map.get("resources").map_or(0, of) * count;
    own + map.iter().filter(|(key, _)| *key != "resources").map(|(_, value)| asked(value)).sum::<u64>()
}

/// What the scheduler counts for a pod: its containers together, or more if an init container asks for more before they
/// start. Init containers that go on running count with both (KEP-753).
fn request(pod: &Value) -> u64 {
    let list = |key: &str| pod[key].as_array().cloned().unwrap_or_default();
    let (mut sidecars, mut peak) = (0, 0);
    for container in list("initContainers") {
        let asks = of(&container["resources"]);
        if container["restartPolicy"] == "Always" {
            sidecars += asks;
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars + asks);
        }
    }
    let together: u64 = list("containers").iter().map(|container| of(&container["resources"])).sum();
    peak.max(sidecars + together)
}

/// A limit without a request is the request too.
fn of(resources: &Value) -> u64 {
    let at = |pointer: &str| resources.pointer(pointer).and_then(quantity);
    at("/requests/memory").or(at("/limits/memory")).unwrap_or(0)
}

/// A Kubernetes quantity as YAML holds it: a text or a number.
pub fn quantity(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => parse_quantity(text),
        Value::Number(number) => parse_quantity(&number.to_string()),
        _ => None,
    }
}

/// What a `KubeletConfiguration` keeps from pods: for the system, for Kubernetes, and before it evicts.
pub fn reserve(kubelet: &Value) -> Reserve {
    let mut reserve = Reserve::default();
    let hard = &kubelet["evictionHard"]["memory.available"];
    for part in [&kubelet["systemReserved"]["memory"], &kubelet["kubeReserved"]["memory"], hard] {
        match part.as_str().and_then(|text| text.strip_suffix('%')?.parse::<f64>().ok()) {
            Some(percent) => reserve.percent += percent,
            None => reserve.fixed += quantity(part).unwrap_or(0),
        }
    }
    reserve
}

/// Puts all needs on the nodes of a cluster. What does not fit is in the second list, each with its reason.
pub fn spread(cluster: &Cluster, reserve: Reserve, needs: &[Need]) -> (Vec<Row>, Vec<Problem>) {
    let everywhere: u64 = needs.iter().filter(|n| n.spread == Spread::EveryNode).map(|n| n.each).sum();
    let mut rows: Vec<Row> = cluster
        .nodes
        .iter()
        .map(|node| {
            let memory = node.memory.0;
            let kept = reserve.fixed + (memory as f64 * reserve.percent / 100.0) as u64;
            let own = if node.role == NodeRole::ControlPlane { ETCD } else { 0 };
            Row {
                node: cluster.vm(node),
                memory,
                allocatable: memory.saturating_sub(kept),
                fixed: everywhere + own,
                floating: 0,
            }
        })
        .collect();
    let mut left = Vec::new();
    for row in rows.iter().filter(|row| row.free() < 0) {
        let why = format!("what runs on every node asks for {}, and it has {}", said(row.fixed), said(row.allocatable));
        left.push(Problem::new(format!("`{}` has too little memory", row.node)).why(why));
    }
    if left.is_empty() {
        left = place(&mut rows, &singles(needs));
    }
    (rows, left)
}

/// Every pod that may run anywhere, the largest first. Of Jobs only the largest: they come and go.
fn singles(needs: &[Need]) -> Vec<(String, u64, bool)> {
    let mut all: Vec<(String, u64, bool)> = Vec::new();
    let dns = Need { who: "coredns".to_owned(), spread: Spread::Somewhere(COREDNS.0), each: COREDNS.1 };
    for need in needs.iter().chain([&dns]) {
        if let Spread::Somewhere(count) = need.spread {
            all.extend((0..count).map(|_| (need.who.clone(), need.each, false)));
        }
    }
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let passing = needs.iter().filter(|n| n.spread == Spread::Passing).max_by_key(|n| n.each);
    all.extend(passing.map(|need| (need.who.clone(), need.each, true)));
    all
}

fn place(rows: &mut [Row], pods: &[(String, u64, bool)]) -> Vec<Problem> {
    let mut left = Vec::new();
    for (who, each, passing) in pods {
        let Some(row) = rows.iter_mut().max_by_key(|row| row.free()) else { break };
        if row.free() >= *each as i64 {
            row.floating += if *passing { 0 } else { *each };
            continue;
        }
        let why =
            format!("it asks for {}, and the node with most room has {}", said(*each), said(row.free().max(0) as u64));
        let what = format!("no node of the cluster has room for a pod of `{who}`");
        left.push(Problem::new(what).why(why).hint("give a node more memory, or ask for less"));
    }
    left.dedup();
    left
}

/// In Mi, as pods write it.
fn said(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, fleet, list};
    use serde_json::json;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_pod_asks_for_its_containers_or_for_what_goes_before_them() {
        let c = |memory: &str| json!({"resources": {"requests": {"memory": memory}}});
        let sidecar = json!({"restartPolicy": "Always", "resources": {"requests": {"memory": "10Mi"}}});
        let limit = json!({"resources": {"limits": {"memory": "7Mi"}}});
        assert_eq!(request(&json!({"containers": [c("64Mi"), limit, {}]})), 71 * MIB);
        assert_eq!(request(&json!({"containers": [c("64Mi")], "initContainers": [c("100Mi")]})), 100 * MIB);
        let pod = json!({"containers": [c("64Mi")], "initContainers": [sidecar, c("60Mi")]});
        assert_eq!(request(&pod), 74 * MIB);
    }

    #[test]
    fn the_kubelet_keeps_its_part() {
        let kubelet = json!({"systemReserved": {"memory": "256Mi"}, "kubeReserved": {"memory": "256Mi"},
            "evictionHard": {"memory.available": "200Mi"}});
        assert_eq!(reserve(&kubelet), Reserve { fixed: 712 * MIB, percent: 0.0 });
        assert_eq!(reserve(&json!({"evictionHard": {"memory.available": "5%"}})).percent, 5.0);
    }

    #[test]
    fn a_pod_above_its_figure_is_found() {
        let releases = list(&LIST.replace("arm64 =", "memory = \"128Mi\"\narm64 ="), &fleet());
        let needs = [need("plain a", Spread::EveryNode, 128), need("plain b", Spread::Passing, 129)];
        let problems = over(&releases, &releases.charts[1], &needs);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].what, "a pod of `plain b` asks for more memory than it may: 129Mi of 128Mi");
        assert_eq!(problems[0].at.as_ref().unwrap().to_string(), "charts/releases.toml:28");
    }

    #[test]
    fn values_alone_give_an_upper_bound() {
        let chart = &list(LIST, &fleet()).charts[1];
        let values = json!({"replicas": 2, "resources": {"requests": {"memory": "10Mi"}}, "server": {
            "resources": {"limits": {"memory": "5Mi"}}}, "off": {"enabled": false,
            "resources": {"requests": {"memory": "99Mi"}}}});
        let need = estimate(chart, &values);
        assert_eq!((need.each, need.spread), (25 * MIB, Spread::Somewhere(1)));
        let chart = Chart { ready: vec!["daemonset/x".into()], ..chart.clone() };
        assert_eq!(estimate(&chart, &values).spread, Spread::EveryNode);
    }

    fn need(who: &str, spread: Spread, mib: u64) -> Need {
        Need { who: who.to_owned(), spread, each: mib * MIB }
    }

    /// app1: a control plane of 3G, a worker of 4G, of which 1G is kept on each.
    fn check(needs: &[Need]) -> (Vec<(u64, u64, i64)>, Vec<String>) {
        let fleet = fleet();
        let app1 = fleet.clusters.iter().find(|c| c.name == "app1").unwrap();
        let (rows, problems) = spread(app1, Reserve { fixed: 1 << 30, percent: 0.0 }, needs);
        let mib = |row: &Row| (row.fixed / MIB, row.floating / MIB, row.free() / MIB as i64);
        (rows.iter().map(mib).collect(), problems.into_iter().map(|p| p.what).collect())
    }

    #[test]
    fn pods_go_where_most_room_is() {
        let needs = [
            need("agent", Spread::EveryNode, 300),
            need("web", Spread::Somewhere(2), 1000),
            need("job", Spread::Passing, 500),
        ];
        let (rows, problems) = check(&needs);
        assert_eq!(rows, [(400, 140, 1508), (300, 2000, 772)]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (_, problems) = check(&[need("db", Spread::Somewhere(2), 2000)]);
        assert_eq!(problems, ["no node of the cluster has room for a pod of `db`"]);
        let (_, problems) = check(&[need("job", Spread::Passing, 4000)]);
        assert_eq!(problems, ["no node of the cluster has room for a pod of `job`"]);
        let (_, problems) = check(&[need("agent", Spread::EveryNode, 2500)]);
        assert_eq!(problems, ["`app1-cp` has too little memory"]);
    }
}
