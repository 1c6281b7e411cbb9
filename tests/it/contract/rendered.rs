//! Mutants of rendered charts: breaches that no value shows. The texts are what pinned charts made of our values, cut.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use charts::rendered::objects;
use contract::Clause::{self, C1, C2, C3, C4, C5};
use contract::{self, Evidence, Report};
use model::fleet::Fleet;
use model::release::Releases;
use render::Data;

use super::super::golden;

/// One change of what a release renders.
struct Mutant {
    owner: Clause,
    name: &'static str,
    release: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn m(owner: Clause, name: &'static str, release: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { owner, name, release, from, to }
}

const AGENT: &str = "prometheus-agent";
const ESO: &str = "external-secrets";
/// A further document, by its name in `more.yaml`.
const MORE: &str = "";

const MUTANTS: &[Mutant] = &[
    m(C1, "a chart's pod asks Vault", "kyverno", MORE, "a pod that asks Vault"),
    m(C1, "a file in a ConfigMap names Vault", "kyverno", MORE, "a file that names Vault"),
    m(C1, "an encoded file in a Secret names Loki", "kyverno", MORE, "an encoded file that names Loki"),
    m(C1, "an argument names the platform's API server", "kyverno", MORE, "an argument that names the API server"),
    m(C1, "a chart's image comes from a registry of ours", "kyverno", MORE, "an image of a registry of ours"),
    m(C1, "a pod that asks the platform's DNS", "kyverno", MORE, "another DNS"),
    m(C1, "a chart's webhook answers on the platform", "kyverno", MORE, "a webhook that Vault answers"),
    m(C1, "a chart's definition converts on the platform", "kyverno", MORE, "a definition that Vault converts"),
    m(C2, "a chart that writes another truncate period", AGENT, "truncate-frequency=3h", "truncate-frequency=1h"),
    m(C2, "a chart that renames the flag", AGENT, "wal-truncate-frequency", "wal-truncate"),
    m(C2, "a chart that starts a server", AGENT, "            - --agent\n", ""),
    m(C2, "series forgotten after an hour", AGENT, "max-time=8h", "max-time=1h"),
    m(C2, "a chart that leaves the grace period out", AGENT, "      terminationGracePeriodSeconds: 120\n", ""),
    m(C2, "a chart that leaves the priority out", AGENT, "      priorityClassName: \"system-cluster-critical\"\n", ""),
    m(C2, "a chart that sets the limit to the request", AGENT, "memory: 256Mi", "memory: 112Mi"),
    m(C2, "a chart with a nervous probe", AGENT, "            failureThreshold: 20\n", ""),
    m(C2, "a log on no claim", AGENT, "        name: storage-volume\n      spec", "        name: other\n      spec"),
    m(C2, "a log beside its volume", AGENT, "mountPath: /data", "mountPath: /prometheus"),
    m(C2, "a claim that is too small", AGENT, "\"2Gi\"", "\"256Mi\""),
    m(C2, "a job of the chart's own without a ceiling", AGENT, "      sample_limit: 3000\n", ""),
    m(C2, "samples given up after an hour", AGENT, "capacity: 2500", "sample_age_limit: 1h"),
    m(C2, "a chart that drops the receiver", AGENT, "    remote_write:", "    remote_read:"),
    m(C2, "a configuration under another name", AGENT, "  prometheus.yml: |", "  agent.yml: |"),
    m(C2, "a receiver under another name", "thanos", "  name: thanos-receive\n", "  name: thanos-thanos-receive\n"),
    m(C2, "a port under another name", "thanos", "name: remote-write", "name: rw"),
    m(C2, "a receiver that is not offered", "thanos", "service.cilium.io/shared: \"true\"", "a: b"),
    m(C2, "a chart that drops the window", "thanos", "            - \"--tsdb.out-of-order.time-window=12h\"\n", ""),
    m(C3, "a silent store asked all the time", ESO, "interval=5m", "interval=5s"),
    m(C3, "a chart that drops the argument", ESO, "            - --store-requeue-interval=5m\n", ""),
    m(C3, "a controller under another name", ESO, "  name: external-secrets\n", "  name: eso\n"),
    m(C3, "no definition of a store", ESO, "kind: ClusterSecretStore", "kind: SecretStore"),
    m(C4, "a chart's webhook on the platform", "thanos", MORE, "a webhook for pods"),
    m(C4, "Kyverno's definitions on the platform", "thanos", MORE, "a definition of Kyverno"),
    m(C4, "a chart's policy on the platform", "thanos", MORE, "a policy"),
    m(C4, "a chart's policy that only talks", "kyverno", MORE, "a policy that talks"),
    m(C4, "a chart's webhook that fails closed on itself", "kyverno", MORE, "a webhook for pods"),
    m(C4, "a pod that its namespace forbids", "kyverno", MORE, "a pod on the host's network"),
    m(C4, "a namespace of the chart's own without a label", "kyverno", MORE, "a namespace without a label"),
    m(C4, "a chart that drops the label", "cilium", "    pod-security.kubernetes.io/enforce: baseline\n", "    a: b\n"),
    m(C4, "a webhook that fails open", "kyverno", "forceFailurePolicyIgnore=false", "forceFailurePolicyIgnore=true"),
    m(C4, "nodes that must ask Kyverno", "kyverno", "            - --excludeBootstrapResources=true\n", ""),
    m(C5, "a chart that routes natively", "cilium", "routing-mode: \"tunnel\"", "routing-mode: \"native\""),
    m(C5, "geneve", "cilium", "\"vxlan\"", "\"geneve\""),
    m(C5, "a chart that renames the key", "cilium", "  tunnel-protocol:", "  tunnel:"),
    m(C5, "routes beside the tunnel", "cilium", "routes: \"false\"", "routes: \"true\""),
    m(C5, "no configuration", "cilium", "  name: cilium-config\n", "  name: cilium\n"),
];

/// The texts by release.
fn texts() -> BTreeMap<&'static str, String> {
    let read = |release: &&'static str| (*release, golden::read(&format!("tests/fixtures/renders/{release}.yaml")));
    [AGENT, "thanos", ESO, "kyverno", "cilium"].iter().map(read).collect()
}

/// What evidence is gathered from, read and rendered once.
fn inputs() -> &'static (Fleet, Releases, Data, Data) {
    static INPUTS: OnceLock<(Fleet, Releases, Data, Data)> = OnceLock::new();
    INPUTS.get_or_init(|| {
        let (fleet, releases) = golden::load("infra/fleet.toml");
        let data = golden::data();
        let files = render::files(&fleet, &releases, &data).unwrap_or_else(|p| panic!("{p:#?}"));
        (fleet, releases, data, files)
    })
}

/// The shipped data, and these texts as what its releases render.
fn judge(texts: &BTreeMap<&str, String>) -> Report {
    let (fleet, releases, data, files) = inputs();
    let mut evidence = Evidence::gather(fleet, releases, data, files).expect("it renders");
    for cluster in &fleet.clusters {
        let here = releases.charts.iter().filter(|c| c.placement.clusters.contains(&cluster.role));
        for chart in here {
            let Some(text) = texts.get(chart.placement.name.as_str()) else { continue };
            evidence.add(&cluster.name, chart, objects(&chart.placement.name, text).expect("YAML"));
        }
    }
    contract::check(&evidence)
}

fn mutated(text: &str, mutant: &Mutant) -> String {
    if mutant.from == MORE {
        let all = golden::read("tests/fixtures/renders/more.yaml");
        let more = all.split("\n--- # ").find_map(|part| part.strip_prefix(mutant.to)?.strip_prefix('\n'));
        return format!("{text}---\n{}\n", more.unwrap_or_else(|| panic!("no document {}", mutant.to)));
    }
    assert!(text.contains(mutant.from), "{}: its text is gone", mutant.name);
    text.replacen(mutant.from, mutant.to, 1)
}

fn holds_and_catches(clause: Clause) {
    let texts = texts();
    let report = judge(&texts);
    let found: Vec<_> = report.findings().filter(|f| f.clause == clause).collect();
    assert!(found.is_empty(), "what the charts render breaks {clause}: {found:#?}");
    let mut escaped = Vec::new();
    for mutant in MUTANTS.iter().filter(|m| m.owner == clause) {
        let text = mutated(&texts[mutant.release], mutant);
        let mut texts = texts.clone();
        texts.insert(mutant.release, text);
        match judge(&texts).findings().find(|f| f.clause == clause) {
            Some(found) => assert!(!found.hint.is_empty() && found.at.line.is_some(), "{}: {found:#?}", mutant.name),
            None => escaped.push(mutant.name),
        }
    }
    assert!(escaped.is_empty(), "{clause} let them pass: {escaped:#?}");
}

#[test]
fn c1_catches_what_a_chart_adds() {
    holds_and_catches(C1);
}

#[test]
fn c2_catches_what_a_chart_makes_of_the_agent() {
    holds_and_catches(C2);
}

#[test]
fn c3_catches_what_a_chart_makes_of_the_controller() {
    holds_and_catches(C3);
}

#[test]
fn c4_catches_what_a_chart_admits_and_refuses() {
    holds_and_catches(C4);
}

#[test]
fn c5_catches_what_a_chart_configures_for_agents() {
    holds_and_catches(C5);
}

/// A value and what a chart makes of it are one reference, at the line of the value; what is rendered is counted.
#[test]
fn c1_reference_in_values_and_rendering_is_one() {
    let report = judge(&texts());
    let agents: Vec<_> = report.references.iter().filter(|r| r.to == "monitoring/thanos-receive").collect();
    let subjects: Vec<&str> = agents.iter().map(|r| r.subject.as_str()).collect();
    assert_eq!(subjects, ["prometheus-agent", "Service/thanos-receive"].repeat(2));
    let rendering = report.rendering.expect("it was rendered");
    assert_eq!((rendering.releases.len(), rendering.objects), (5, 2 * (2 + 3 + 1) + 2 + 3 * 2));
}

/// An address that only a run knows is a sample in what is rendered. Its value says whose it is.
#[test]
fn c1_sample_address_is_accepted() {
    let ask = |address: &str| {
        let pod =
            "---\nkind: Pod\nmetadata: {name: extra}\nspec: {containers: [{name: a, args: ['https://HERE:6443']}]}\n";
        let mut texts = texts();
        let text = texts["kyverno"].clone() + &pod.replace("HERE", address);
        texts.insert("kyverno", text);
        judge(&texts).findings().count()
    };
    assert_eq!([ask("192.0.2.10"), ask("192.0.2.11")], [0, 1]);
}

/// What a value decides is shown with the line of that value; what only the chart decides, with the line that names it.
#[test]
fn c2_breach_points_to_the_deciding_line() {
    let at = |from: &str, to: &str| {
        let mut texts = texts();
        let text = texts[AGENT].replacen(from, to, 1);
        texts.insert(AGENT, text);
        let report = judge(&texts);
        let found = report.findings().next().expect("a breach").clone();
        (found.subject, found.at.to_string())
    };
    let (subject, place) = at("      terminationGracePeriodSeconds: 120\n", "");
    assert_eq!(subject, "StatefulSet/prometheus-agent of prometheus-agent");
    assert!(place.starts_with("charts/releases.toml:"), "{place}");
    let (_, place) = at("mountPath: /data", "mountPath: /prometheus");
    assert!(place.starts_with("charts/releases.toml:"), "{place}");
}
