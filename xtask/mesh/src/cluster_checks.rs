//! Checks that must pass before clusters can be linked, of each cluster and between clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use super::evidence::{self, Agents};
use super::{Finding, Grade, Survey, finding, why};
use machines::{Machine, MachineState, guest};
use model::fleet::{Cluster, Node};
use model::problem::Problem;
use plan::StepKey;
use plan::survey::clock_at_start;
use render::mesh::CERTIFICATES;
use tool::Output;
use tool::certificate::validity;
use tool::extract::json;

/// Clocks further apart than this make certificates invalid that are only just made.
const SECONDS: i64 = 60;

pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = survey.asked().filter_map(|c| unreachable(survey, c)).collect();
    found.extend(clocks(survey));
    for cluster in survey.here() {
        found.extend(nodes(survey, cluster));
        found.extend(release(survey, cluster));
        found.extend(stale_api_address(survey, cluster));
        found.extend(named(survey, cluster));
        found.extend(agents(survey, cluster));
        found.extend(certificates(survey, cluster));
    }
    found.extend(same_numbers(survey));
    found.extend(authority(survey));
    found.extend(ranges(survey));
    found.extend(datapath(survey));
    found.extend(versions(survey));
    found.extend(ports(survey));
    found
}

fn kubectl(cluster: &Cluster, rest: &str) -> String {
    format!("kubectl --kubeconfig out/kube/{}.yaml {rest}", cluster.name)
}

fn bootstrap(cluster: &Cluster) -> String {
    format!("cargo xtask bootstrap --only '{}/*'", cluster.name)
}

/// Whether kubectl has no kubeconfig of the cluster, which its bootstrap writes.
pub(super) fn is_unmade(answer: &Output) -> bool {
    answer.stderr.contains("no such file or directory")
}

fn unreachable(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let output = survey.answer(cluster, "api").filter(|o| !o.ok())?;
    let vm = Machine::of(cluster, cluster.control_plane());
    let info = survey.answers.get(&StepKey::node(cluster, cluster.control_plane(), "address"));
    let state = info.map(|output| vm.read(output).state).unwrap_or_default();
    if is_unmade(output) {
        let what = format!("{} has not been created yet, or not to its end", cluster.name);
        let why = match state {
            MachineState::Absent => format!("VM {vm} does not exist"),
            _ => format!("there is no out/kube/{}.yaml", cluster.name),
        };
        let problem = Problem::new(what).why(why).hint(bootstrap(cluster));
        return Some(finding("API servers", cluster, Grade::Unreachable, problem));
    }
    let problem = Problem::new(format!("{} is unreachable: API server not responding", cluster.name));
    let problem = match state {
        MachineState::Running | MachineState::Absent | MachineState::NoAnswer => {
            problem.why(why(output)).hint(bootstrap(cluster))
        }
        // No driver starts a deleted machine; a bootstrap recovers it.
        MachineState::Deleted => problem.why(format!("VM {vm} is deleted")).hint(bootstrap(cluster)),
        state => problem.why(format!("VM {vm} is {}", state.to_string().to_lowercase())).hint(vm.start().to_string()),
    };
    Some(finding("API servers", cluster, Grade::Unreachable, problem))
}

/// A node's clock, in seconds since 1970.
fn clock(survey: &Survey<'_>, cluster: &Cluster, node: &Node) -> Option<u64> {
    let output = survey.answers.get(&StepKey::node(cluster, node, "clock"))?;
    json(&output.stdout).ok()?["clock"].as_u64()
}

fn clocks(survey: &Survey<'_>) -> Option<Finding> {
    let read_at = |c: &Cluster, n| survey.times.get(&StepKey::node(c, n, "clock")).copied().unwrap_or_default();
    let start = |c, n| Some(clock_at_start(clock(survey, c, n)?, read_at(c, n)));
    let of = |c| move |n| Some((start(c, n)?, Machine::of(c, n), c));
    let mut all: Vec<(i64, Machine, &Cluster)> =
        survey.asked().flat_map(|c: &Cluster| c.nodes.iter().filter_map(of(c)).collect::<Vec<_>>()).collect();
    all.sort_by(|a, b| (a.0, a.1.name()).cmp(&(b.0, b.1.name())));
    let (first, last) = (all.first()?, all.last()?);
    let apart = last.0 - first.0;
    if apart <= SECONDS {
        return None;
    }
    // The one that is further from the median is the wrong one.
    let median = all[all.len() / 2].0;
    let wrong = if median - first.0 > last.0 - median { first } else { last };
    let problem = Problem::new(format!("clocks are {apart} s apart: {} and {}", first.1, last.1))
        .why(format!("more than {SECONDS} s, and certificates of one may not be valid yet for the other"))
        .hint(guest::sync_clock(&wrong.1).to_string());
    Some(finding("clocks", wrong.2, Grade::Blocks, problem))
}

fn nodes(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let lines = survey.stdout(cluster, "nodes")?;
    let ready =
        |vm: &String| lines.lines().any(|l| l.starts_with(&format!("{vm} ")) && l.split(' ').nth(2) == Some("True"));
    let not: Vec<String> = cluster.nodes.iter().map(|n| cluster.vm(n)).filter(|vm| !ready(vm)).collect();
    if not.is_empty() {
        return None;
    }
    let problem = Problem::new(format!("nodes of {} are not ready: {}", cluster.name, not.join(", ")))
        .why("the mesh counts every node, and one that is not ready is never connected")
        .hint(kubectl(cluster, "describe nodes"));
    Some(finding("nodes", cluster, Grade::Open, problem))
}

fn release(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let Some(revision) = evidence::revision(survey.stdout(cluster, "release")?) else {
        let problem = Problem::new(format!("Cilium is not installed on {}", cluster.name)).hint(bootstrap(cluster));
        return Some(finding("releases", cluster, Grade::Blocks, problem));
    };
    let stuck = Problem::new(format!("the Cilium release of {} is stuck: {}", cluster.name, revision.state));
    let (grade, hint) = match revision.state.as_str() {
        "pending-upgrade" | "pending-rollback" => {
            (Grade::Open, "cargo xtask mesh-connect   # rolls the interrupted upgrade back and repeats it".to_owned())
        }
        "pending-install" | "uninstalling" => (Grade::Blocks, bootstrap(cluster)),
        _ => return None,
    };
    let why =
        format!("helm was killed at revision {}; until that is rolled back, no upgrade is possible", revision.number);
    Some(finding("releases", cluster, grade, stuck.why(why).hint(hint)))
}

/// Agents use an address that their API server no longer has.
fn stale_api_address(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let used: Ipv4Addr = survey.stdout(cluster, "host")?.parse().ok()?;
    let now: Ipv4Addr = survey.address(cluster, cluster.control_plane())?.parse().ok()?;
    let problem =
        Problem::new(format!("Cilium on {} uses a stale API server address {used} (now {now})", cluster.name))
            .why("k8sServiceHost of the Cilium release is from before the control plane moved")
            .hint("cargo xtask mesh-connect");
    (used != now).then(|| finding("releases", cluster, Grade::Open, problem))
}

/// Whether the next upgrade of the release changes what runs: half of one, or an old address.
pub(super) fn outdated(survey: &Survey<'_>, cluster: &Cluster) -> bool {
    let half = survey.stdout(cluster, "release").and_then(evidence::revision).is_some_and(|r| r.state != "deployed");
    half || stale_api_address(survey, cluster).is_some()
}

fn config(survey: &Survey<'_>, cluster: &Cluster) -> Option<Value> {
    json(survey.stdout(cluster, "config")?).ok()
}

/// The cluster id and name are those of the fleet. The chart accepts 0 and 256.
fn named(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let config = config(survey, cluster)?;
    let (id, name) =
        (config["cluster-id"].as_str().unwrap_or("0"), config["cluster-name"].as_str().unwrap_or_default());
    let problem = if id != cluster.id.to_string() {
        let why = if id == "0" { "no mesh connects with id 0" } else { "it is in every identity of the cluster" };
        Problem::new(format!("{} runs with cluster id {id}, not {} as in the fleet", cluster.name, cluster.id)).why(why)
    } else if name != cluster.name {
        Problem::new(format!("{} runs with the cluster name `{name}`", cluster.name))
            .why("peers look for it by its name")
    } else {
        return None;
    };
    Some(finding("names and ids", cluster, Grade::Blocks, problem.hint(bootstrap(cluster))))
}

/// Two clusters with one id, and clusters that could take a different number of peers.
fn same_numbers(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut ids: BTreeMap<String, &Cluster> = BTreeMap::new();
    let mut most: Option<(String, &Cluster)> = None;
    for cluster in survey.here() {
        let Some(config) = config(survey, cluster) else { continue };
        let text = |key: &str, default: &str| config[key].as_str().unwrap_or(default).to_owned();
        if let Some(first) = ids.insert(text("cluster-id", "0"), cluster) {
            let what =
                format!("{} and {} have the same cluster id: {}", first.name, cluster.name, text("cluster-id", "0"));
            let problem = Problem::new(what).why("the mesh tells clusters apart by it").hint(bootstrap(cluster));
            found.push(finding("names and ids", cluster, Grade::Blocks, problem));
        }
        let max = text("max-connected-clusters", "255");
        match &most {
            Some((other, first)) if *other != max => {
                let what = format!("{} takes {other} peers at most and {} takes {max}", first.name, cluster.name);
                let problem = Problem::new(what).why("the number is part of every identity").hint(bootstrap(cluster));
                found.push(finding("names and ids", cluster, Grade::Blocks, problem));
            }
            Some(_) => {}
            None => most = Some((max, cluster)),
        }
    }
    found
}

/// Which authority most clusters trust, and those that do not. Of two clusters either may be the wrong one.
fn authority(survey: &Survey<'_>) -> Vec<Finding> {
    let known: Vec<(&Cluster, &str)> =
        survey.here().filter_map(|c| Some((c, survey.stdout(c, "authority").filter(|ca| !ca.is_empty())?))).collect();
    let trusting = |ca: &str| known.iter().filter(|(_, other)| *other == ca).count();
    let most = known.iter().rev().max_by_key(|(_, ca)| trusting(ca));
    let Some((first, trusted)) = most.and_then(|(_, ca)| known.iter().find(|(_, other)| other == ca)) else {
        return vec![];
    };
    let problem = |cluster: &Cluster, ca: &str| {
        let number = survey.stdout(cluster, "release").and_then(evidence::revision).map_or(0, |r| r.number);
        let print = |of: &Cluster, ca| format!("{} {}", of.name, evidence::fingerprint(ca));
        Problem::new(format!("{} and {} trust different authorities", first.name, cluster.name))
            .why(format!(
                "sha256 of the certificate in the Secret kube-system/cilium-ca: {}, {}; neither takes the other's",
                print(first, trusted),
                print(cluster, ca)
            ))
            .hint(format!(
                "helm rollback cilium {number} --namespace kube-system --kubeconfig out/kube/{}.yaml   # Helm 4: and \
                 --force-conflicts",
                cluster.name
            ))
    };
    let others = known.iter().filter(|(_, ca)| ca != trusted);
    others.map(|(c, ca)| finding("authority", c, Grade::Blocks, problem(c, ca))).collect()
}

/// The ranges in use, which may differ from those of the fleet.
fn ranges(survey: &Survey<'_>) -> Vec<Finding> {
    let nodes = |c: &Cluster| survey.stdout(c, "ranges").map(evidence::node_addresses).unwrap_or_default();
    let all: Vec<_> = survey
        .here()
        .flat_map(|c| nodes(c).into_iter().flat_map(move |s| s.ranges.into_iter().map(move |r| (c, s.node.clone(), r))))
        .collect();
    let mut found = Vec::new();
    let mut reported: BTreeSet<[&str; 2]> = BTreeSet::new();
    for (at, (cluster, node, range)) in all.iter().enumerate() {
        for (earlier, other, taken) in all[..at].iter().filter(|(c, ..)| c.name != cluster.name) {
            let clash = taken.contains(range) || range.contains(taken);
            if clash && reported.insert([&earlier.name, &cluster.name]) {
                let what = format!("pod ranges overlap: {taken} of {other} and {range} of {node}");
                let problem = Problem::new(what)
                    .why("the mesh routes by pod address, so each cluster needs its own (ADR-0005)")
                    .hint(format!("give {} another `pod_cidr` in {} and recreate it", cluster.name, survey.fleet.file));
                found.push(finding("pod ranges", cluster, Grade::Blocks, problem));
            }
        }
    }
    found
}

fn answered(survey: &Survey<'_>, cluster: &Cluster) -> Option<Agents> {
    evidence::agents(survey.stdout(cluster, "agents")?)
}

fn agents(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let agents = answered(survey, cluster)?;
    let hint = kubectl(cluster, "--namespace kube-system get pods --selector k8s-app=cilium --output wide");
    if agents.count == 0 {
        let problem = Problem::new(format!("{} has no Cilium agent", cluster.name))
            .why("cilium-cli lists none and reports success: \"All 0 nodes are connected\"");
        return Some(finding("datapath", cluster, Grade::Passing, problem.hint(hint)));
    }
    let silent = agents.silent.join(", ");
    let problem = Problem::new(format!("agents of {} do not answer: {silent}", cluster.name)).hint(hint);
    (!silent.is_empty()).then(|| finding("datapath", cluster, Grade::Open, problem))
}

/// Compares what agents do, not their ConfigMap: a change of it restarts none of them.
fn datapath(survey: &Survey<'_>) -> Option<Finding> {
    let mut modes: BTreeMap<String, Vec<&Cluster>> = BTreeMap::new();
    for cluster in survey.here() {
        for mode in answered(survey, cluster)?.modes {
            modes.entry(mode).or_default().push(cluster);
        }
    }
    if modes.len() < 2 {
        return None;
    }
    let rarest = modes.values().min_by_key(|clusters| clusters.len())?.first().copied()?;
    let names = |all: &[&Cluster]| all.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
    let parts: Vec<String> = modes.iter().map(|(mode, all)| format!("{mode} on {}", names(all))).collect();
    let problem = Problem::new(format!("clusters use different routing/tunnel modes: {}", parts.join("; ")))
        .why("links would come up, and pods would not reach each other; cilium-cli does not compare this")
        .hint(kubectl(rarest, "--namespace kube-system rollout restart daemonset/cilium"));
    Some(finding("datapath", rarest, Grade::Blocks, problem))
}

fn versions(survey: &Survey<'_>) -> Option<Finding> {
    let minor = |c: &Cluster| {
        let version = survey.stdout(c, "release").and_then(evidence::revision)?.version;
        version.rsplit_once('.').map(|(minor, _)| minor.to_owned())
    };
    let mut known = survey.here().filter_map(|c| Some((c, minor(c)?)));
    let (first, wanted) = known.next()?;
    let (other, got) = known.find(|(_, m)| *m != wanted)?;
    let problem = Problem::new(format!("{} runs Cilium {wanted} and {} runs {got}", first.name, other.name))
        .why("one minor for all: peers of different ones are connected only while upgrading")
        .hint(bootstrap(other));
    Some(finding("datapath", other, Grade::Blocks, problem))
}

fn certificates(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let answer = survey.stdout(cluster, "certificates")?;
    if let Some(made) = answer.lines().find_map(|line| line.strip_prefix("Secret/clustermesh-apiserver-remote-cert ")) {
        // One of several that one Job makes at once.
        return outside(survey, cluster, made.split(' ').next()?);
    }
    let mut own = answer.lines().filter(|line| line.starts_with("Job/clustermesh-apiserver-generate-certs"));
    if own.any(|line| line.ends_with(" Complete")) {
        let problem = Problem::new(format!("{} has lost the certificates for its peers", cluster.name))
            .why("the Secret kube-system/clustermesh-apiserver-remote-cert is gone, and the Job that makes it is complete")
            .hint(issue(cluster));
        return Some(finding("certificates", cluster, Grade::Blocks, problem));
    }
    let problem = Problem::new(format!("{} has no certificates for its peers yet", cluster.name))
        .why("the Job clustermesh-apiserver-generate-certs has not finished")
        .hint(kubectl(cluster, "--namespace kube-system describe job"));
    Some(finding("certificates", cluster, Grade::Passing, problem))
}

fn issue(cluster: &Cluster) -> String {
    format!("cargo xtask bootstrap --only '{}/{CERTIFICATES}'", cluster.name)
}

/// Certificates that ended, or begin only later, by the cluster's own clock: those that it shows to its peers' servers,
/// and those that its own server shows, are as old (upstream: `tls-cronjob/_job-spec.tpl` of the chart).
fn outside(survey: &Survey<'_>, cluster: &Cluster, certificate: &str) -> Option<Finding> {
    let valid = validity(certificate)?;
    let now = i64::try_from(clock(survey, cluster, cluster.control_plane())?).ok()?;
    let ago = |seconds: i64| match seconds / 86_400 {
        0 => format!("{} min", seconds / 60),
        days => format!("{days} d"),
    };
    let why = match now {
        late if late > *valid.end() => format!("ended {} ago", ago(now - valid.end())),
        early if early < *valid.start() => format!("begins in {}", ago(valid.start() - now)),
        _ => return None,
    };
    let vm = cluster.vm(cluster.control_plane());
    let problem = Problem::new(format!("the mesh certificates of {} are not valid now", cluster.name))
        .why(format!("that in the Secret kube-system/clustermesh-apiserver-remote-cert {why} by the clock of {vm}"))
        .hint(issue(cluster));
    Some(finding("certificates", cluster, Grade::Blocks, problem))
}

/// Each cluster has a mesh port of its own: with the same one, agents ended up at their own server (cilium#24692).
fn ports(survey: &Survey<'_>) -> Vec<Finding> {
    let mut taken: BTreeMap<String, &Cluster> = BTreeMap::new();
    let mut found = Vec::new();
    for cluster in survey.here() {
        let Some(port) = survey.stdout(cluster, "service").filter(|p| !p.is_empty()) else { continue };
        let wanted = survey.fleet.mesh_port(cluster).to_string();
        let problem = match taken.insert(port.to_owned(), cluster) {
            Some(first) => Problem::new(format!("{} and {} have the same mesh port: {port}", first.name, cluster.name))
                .why("agents could end up at their own cluster's server (cilium/cilium#24692)"),
            None if port != wanted => {
                Problem::new(format!("{} has mesh port {port}, peers use {wanted}", cluster.name))
            }
            None => continue,
        };
        found.push(finding("ports", cluster, Grade::Blocks, problem.hint(bootstrap(cluster))));
    }
    found
}
