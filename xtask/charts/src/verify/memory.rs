//! Compares the memory requests of pods with the memory of nodes.

use serde_json::Value;

use crate::rendered::{Scheduling, Workload};
use model::fleet::{Cluster, NodeRole};
use model::problem::Problem;
use model::release::{Chart, RELEASES, Releases};
use model::units::parse_quantity;

/// Requests of kubeadm's own pods: etcd on the control plane, two CoreDNS anywhere; its other pods request CPU only
/// (kubeadm 1.35, `phases/etcd/local.go` and `phases/addons/dns/manifests.go`).
const ETCD: u64 = 100 << 20;
const COREDNS: (u64, u64) = (2, 70 << 20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its release and workload: `loki statefulset/loki`.
    pub who: String,
    pub scheduling: Scheduling,
    /// Bytes of each pod.
    pub each: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reserve {
    pub fixed: u64,
    /// Percent of the node's memory, where a threshold is written as `5%`.
    pub percent: f64,
}

/// The memory of a node in bytes, and the requests on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMemory {
    pub node: String,
    pub memory: u64,
    /// Without the reserve. The kernel uses a few percent more.
    pub allocatable: u64,
    /// Requests of pods that run on every node, and of etcd.
    pub fixed: u64,
    /// Requests of pods that may run anywhere, the largest scheduled first, each where most memory is free.
    pub floating: u64,
}

impl NodeMemory {
    /// Negative if the pods do not fit.
    pub fn free(&self) -> i64 {
        self.allocatable as i64 - self.fixed as i64 - self.floating as i64
    }
}

pub fn request(release: &str, workload: &Workload) -> Request {
    let each = pod_request(&workload.pod);
    Request { who: format!("{release} {}", workload.name), scheduling: workload.scheduling, each }
}

/// A problem for each workload whose pods request more than the `memory` of the release in the list.
pub fn over_limit(releases: &Releases, chart: &Chart, needs: &[Request]) -> Vec<Problem> {
    let Some(limit) = chart.memory else { return vec![] };
    let name = &chart.placement.name;
    let line = releases.line(&format!("{name}.memory"));
    let over = needs.iter().filter(|need| need.each > limit);
    over.map(|need| {
        let what = format!(
            "a pod of `{}` requests more memory than its limit in the list: {} of {}",
            need.who,
            mib(need.each),
            mib(limit)
        );
        Problem::new(what).at(RELEASES, line).why("the memory budget is based on `memory` of the release")
    })
    .collect()
}

/// The request of a release by its values, if there is no chart to render: every `resources.requests.memory`, times the
/// `replicas` next to it. A release that waits for a DaemonSet is counted on every node as a whole, an upper bound.
pub fn estimate(chart: &Chart, values: &Value) -> Request {
    let everywhere = chart.ready.iter().any(|workload| workload.starts_with("daemonset/"));
    let scheduling = if everywhere { Scheduling::EveryNode } else { Scheduling::Anywhere(1) };
    Request { who: format!("{} (by its values)", chart.placement.name), scheduling, each: requests_in(values) }
}

fn requests_in(values: &Value) -> u64 {
    let Some(map) = values.as_object() else {
        return values.as_array().into_iter().flatten().map(requests_in).sum();
    };
    if map.get("enabled") == Some(&Value::Bool(false)) {
        return 0;
    }
    let count = ["replicas", "replicaCount"].iter().find_map(|key| map.get(*key)?.as_u64()).unwrap_or(1);
    let own = map.get("resources").map_or(0, memory_of) * count;
    own + map.iter().filter(|(key, _)| *key != "resources").map(|(_, value)| requests_in(value)).sum::<u64>()
}

/// As the scheduler counts: the sum of the containers, or the peak of the init containers if that is more. Sidecars (init
/// containers that keep running) count in both (KEP-753).
fn pod_request(pod: &Value) -> u64 {
    let list = |key: &str| pod[key].as_array().cloned().unwrap_or_default();
    let (mut sidecars, mut peak) = (0, 0);
    for container in list("initContainers") {
        let own = memory_of(&container["resources"]);
        if container["restartPolicy"] == "Always" {
            sidecars += own;
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars + own);
        }
    }
    let together: u64 = list("containers").iter().map(|container| memory_of(&container["resources"])).sum();
    peak.max(sidecars + together)
}

/// Without a request, the limit is the request.
fn memory_of(resources: &Value) -> u64 {
    let at = |pointer: &str| resources.pointer(pointer).and_then(quantity);
    at("/requests/memory").or(at("/limits/memory")).unwrap_or(0)
}

/// A Kubernetes quantity in YAML: a string or a number.
pub fn quantity(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => parse_quantity(text),
        Value::Number(number) => parse_quantity(&number.to_string()),
        _ => None,
    }
}

/// The reserve of a `KubeletConfiguration`: for the system, for Kubernetes, and below the eviction threshold.
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

/// Schedules all requests on the nodes of a cluster, with a problem for each that does not fit.
pub fn schedule(cluster: &Cluster, reserve: Reserve, needs: &[Request]) -> (Vec<NodeMemory>, Vec<Problem>) {
    let everywhere: u64 = needs.iter().filter(|n| n.scheduling == Scheduling::EveryNode).map(|n| n.each).sum();
    let mut rows: Vec<NodeMemory> = cluster
        .nodes
        .iter()
        .map(|node| {
            let memory = node.memory.0;
            let reserved = reserve.fixed + (memory as f64 * reserve.percent / 100.0) as u64;
            let own = if node.role == NodeRole::ControlPlane { ETCD } else { 0 };
            NodeMemory {
                node: cluster.vm(node),
                memory,
                allocatable: memory.saturating_sub(reserved),
                fixed: everywhere + own,
                floating: 0,
            }
        })
        .collect();
    let mut problems = Vec::new();
    for row in rows.iter().filter(|row| row.free() < 0) {
        let why = format!("pods on every node request {}, and {} is allocatable", mib(row.fixed), mib(row.allocatable));
        problems.push(Problem::new(format!("`{}` has too little memory", row.node)).why(why));
    }
    if problems.is_empty() {
        problems = assign(&mut rows, &pods_by_size(needs));
    }
    (rows, problems)
}

/// Every pod that may run anywhere, the largest first. Of Jobs only the largest, which needs free memory but keeps none.
fn pods_by_size(needs: &[Request]) -> Vec<(String, u64, bool)> {
    let mut all: Vec<(String, u64, bool)> = Vec::new();
    let dns = Request { who: "coredns".to_owned(), scheduling: Scheduling::Anywhere(COREDNS.0), each: COREDNS.1 };
    for need in needs.iter().chain([&dns]) {
        if let Scheduling::Anywhere(count) = need.scheduling {
            all.extend((0..count).map(|_| (need.who.clone(), need.each, false)));
        }
    }
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let transient = needs.iter().filter(|n| n.scheduling == Scheduling::Transient).max_by_key(|n| n.each);
    all.extend(transient.map(|need| (need.who.clone(), need.each, true)));
    all
}

fn assign(rows: &mut [NodeMemory], pods: &[(String, u64, bool)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (who, each, transient) in pods {
        let Some(row) = rows.iter_mut().max_by_key(|row| row.free()) else { break };
        if row.free() >= *each as i64 {
            row.floating += if *transient { 0 } else { *each };
            continue;
        }
        let why =
            format!("it requests {}, and the largest free memory is {}", mib(*each), mib(row.free().max(0) as u64));
        let what = format!("no node has enough free memory for a pod of `{who}`");
        problems.push(Problem::new(what).why(why).hint("increase `memory` of a node, or lower the request"));
    }
    problems.dedup();
    problems
}

/// As in a pod: `64Mi`.
fn mib(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, fleet, list};
    use serde_json::json;

    const MIB: u64 = 1 << 20;

    #[test]
    fn pod_request_is_the_sum_of_containers_or_the_init_peak() {
        let c = |memory: &str| json!({"resources": {"requests": {"memory": memory}}});
        let sidecar = json!({"restartPolicy": "Always", "resources": {"requests": {"memory": "10Mi"}}});
        let limit = json!({"resources": {"limits": {"memory": "7Mi"}}});
        assert_eq!(pod_request(&json!({"containers": [c("64Mi"), limit, {}]})), 71 * MIB);
        assert_eq!(pod_request(&json!({"containers": [c("64Mi")], "initContainers": [c("100Mi")]})), 100 * MIB);
        let pod = json!({"containers": [c("64Mi")], "initContainers": [sidecar, c("60Mi")]});
        assert_eq!(pod_request(&pod), 74 * MIB);
    }

    #[test]
    fn kubelet_reserve_is_summed() {
        let kubelet = json!({"systemReserved": {"memory": "256Mi"}, "kubeReserved": {"memory": "256Mi"},
            "evictionHard": {"memory.available": "200Mi"}});
        assert_eq!(reserve(&kubelet), Reserve { fixed: 712 * MIB, percent: 0.0 });
        assert_eq!(reserve(&json!({"evictionHard": {"memory.available": "5%"}})).percent, 5.0);
    }

    #[test]
    fn request_above_the_limit_is_reported() {
        let releases = list(&LIST.replace("arm64 =", "memory = \"128Mi\"\narm64 ="), &fleet());
        let needs =
            [request_of("plain a", Scheduling::EveryNode, 128), request_of("plain b", Scheduling::Transient, 129)];
        let problems = over_limit(&releases, &releases.charts[1], &needs);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].what,
            "a pod of `plain b` requests more memory than its limit in the list: 129Mi of 128Mi"
        );
        assert_eq!(problems[0].at.as_ref().unwrap().to_string(), "charts/releases.toml:28");
    }

    #[test]
    fn estimate_by_values_is_an_upper_bound() {
        let chart = &list(LIST, &fleet()).charts[1];
        let values = json!({"replicas": 2, "resources": {"requests": {"memory": "10Mi"}}, "server": {
            "resources": {"limits": {"memory": "5Mi"}}}, "off": {"enabled": false,
            "resources": {"requests": {"memory": "99Mi"}}}});
        let need = estimate(chart, &values);
        assert_eq!((need.each, need.scheduling), (25 * MIB, Scheduling::Anywhere(1)));
        let chart = Chart { ready: vec!["daemonset/x".into()], ..chart.clone() };
        assert_eq!(estimate(&chart, &values).scheduling, Scheduling::EveryNode);
    }

    fn request_of(who: &str, scheduling: Scheduling, mib: u64) -> Request {
        Request { who: who.to_owned(), scheduling, each: mib * MIB }
    }

    /// app1: a control plane of 3G, a worker of 4G, of which 1G is reserved on each.
    fn check(needs: &[Request]) -> (Vec<(u64, u64, i64)>, Vec<String>) {
        let fleet = fleet();
        let app1 = fleet.clusters.iter().find(|c| c.name == "app1").unwrap();
        let (rows, problems) = schedule(app1, Reserve { fixed: 1 << 30, percent: 0.0 }, needs);
        let mib = |row: &NodeMemory| (row.fixed / MIB, row.floating / MIB, row.free() / MIB as i64);
        (rows.iter().map(mib).collect(), problems.into_iter().map(|p| p.what).collect())
    }

    #[test]
    fn pods_are_scheduled_where_most_memory_is_free() {
        let needs = [
            request_of("agent", Scheduling::EveryNode, 300),
            request_of("web", Scheduling::Anywhere(2), 1000),
            request_of("job", Scheduling::Transient, 500),
        ];
        let (rows, problems) = check(&needs);
        assert_eq!(rows, [(400, 140, 1508), (300, 2000, 772)]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn pods_that_do_not_fit_are_reported() {
        let (_, problems) = check(&[request_of("db", Scheduling::Anywhere(2), 2000)]);
        assert_eq!(problems, ["no node has enough free memory for a pod of `db`"]);
        let (_, problems) = check(&[request_of("job", Scheduling::Transient, 4000)]);
        assert_eq!(problems, ["no node has enough free memory for a pod of `job`"]);
        let (_, problems) = check(&[request_of("agent", Scheduling::EveryNode, 2500)]);
        assert_eq!(problems, ["`app1-cp` has too little memory"]);
    }
}
