//! Real requests over the mesh, and the platform's own figures of what came over it.

use super::super::{Expect, Step, StepKey, bootstrap};
use super::{MeshScope, address_step, id, is_platform, kube_path};
use model::fleet::{Cluster, Fleet, Role};
use model::release::{Chart, Releases};
use render::mesh::peers;
use tool::kubectl::Kubectl;
use tool::{Command, Extractor, Limits};

/// Services of the platform under their own names on a workload cluster (`infra/manifests/mesh-services.yaml`): what
/// is asked there, and the status that says it is the right one. Receive has no page of its own on that port: any
/// answer is one.
const SERVICES: [(&str, &str, &str); 3] = [
    ("thanos-receive", "http://thanos-receive.monitoring.svc.cluster.local:19291/", r"^[2-5]\d\d$"),
    ("loki", "http://loki.monitoring.svc.cluster.local:3100/ready", "^200$"),
    ("vault", "http://vault.vault.svc.cluster.local:8200/v1/sys/health", "^200$"),
];
/// The sample's Service that prefers another cluster (`infra/manifests/sample.yaml`).
const PEER: &str = "http://sample-peer.sample.svc.cluster.local/api/info";
/// Where the platform counts what it received within the last five minutes: charts that send it, figure, path, and the
/// query. Of the metrics it is the series that every target has, so that the query stays cheap.
const RECEIVED: [(&[&str], &str, &str, &str); 2] = [
    (
        &["prometheus"],
        "metrics",
        "/api/v1/namespaces/monitoring/services/thanos-query:9090/proxy/api/v1/query?query=",
        "sum(count_over_time(up%7Bcluster%3D%22CLUSTER%22%7D%5B5m%5D))",
    ),
    (
        &["promtail", "alloy", "fluent-bit"],
        "logs",
        "/api/v1/namespaces/monitoring/services/loki:3100/proxy/loki/api/v1/query?query=",
        "sum(count_over_time(%7Bcluster%3D%22CLUSTER%22%7D%5B5m%5D))",
    ),
];

/// Facts with the figures of a cluster that a plan for this scope reads, and what each counts. None where the platform
/// is not linked: what an earlier run has read is old.
pub fn figures(fleet: &Fleet, scope: &MeshScope, cluster: &Cluster) -> Vec<(String, &'static str)> {
    let linked = peers(fleet, cluster).into_iter().any(|p| is_platform(p) && scope.has(p));
    if !linked || is_platform(cluster) {
        return vec![];
    }
    let all = [
        ("secrets", "secret store ready"),
        ("metrics", "samples of up in five minutes"),
        ("logs", "log lines in five minutes"),
    ];
    all.map(|(what, of)| (figure(cluster, what), of)).into()
}

fn figure(cluster: &Cluster, what: &str) -> String {
    format!("{}.mesh.{what}", cluster.name)
}

/// All proofs that the scope allows: both ends of each must be in it.
pub(super) fn steps(fleet: &Fleet, releases: &Releases, scope: &MeshScope) -> Vec<Step> {
    let here = |c: &&Cluster| scope.has(c);
    let holds = |name: &str| releases.manifest_on(Role::Workload, name);
    let vault = if holds("secret-stores") { bootstrap::vault_steps(fleet, releases) } else { vec![] };
    let mut steps: Vec<Step> = Vec::new();
    for cluster in fleet.clusters.iter().filter(here).filter(|c| !is_platform(c)) {
        let linked: Vec<&Cluster> = peers(fleet, cluster).into_iter().filter(|p| scope.has(p)).collect();
        let others: Vec<&str> = linked.iter().filter(|c| !is_platform(c)).map(|c| c.name.as_str()).collect();
        if holds("sample") && !others.is_empty() {
            steps.push(peer(cluster, &others));
        }
        let Some(platform) = linked.iter().find(|c| is_platform(c)) else { continue };
        if holds("sample") && holds("mesh-services") {
            let opened = opened(&vault, platform);
            let open: Vec<StepKey> = opened.iter().map(|step| step.id.clone()).collect();
            let new: Vec<Step> = opened.into_iter().filter(|o| !steps.iter().any(|s| s.id == o.id)).collect();
            steps.extend(new);
            for (name, url, status) in SERVICES {
                let of = if name == "vault" { open.clone() } else { vec![] };
                steps.push(asked(cluster, platform, name, url, status).needs(of));
            }
            if holds("secret-stores") {
                let trusted = trusted(&vault, cluster, platform);
                let last = trusted.iter().map(|step| step.id.clone()).collect::<Vec<_>>();
                steps.extend(trusted);
                steps.push(store(cluster).needs(last));
            }
        }
        let sends = |chart: &Chart| chart.placement.clusters.contains(&Role::Workload);
        let charts: Vec<&str> = releases.charts.iter().filter(|c| sends(c)).map(|c| c.chart.as_str()).collect();
        let received_from = RECEIVED.iter().filter(|(of, ..)| of.iter().any(|chart| charts.contains(chart)));
        steps.extend(received_from.map(|(_, what, path, query)| received(cluster, platform, what, path, query)));
    }
    steps
}

const CURL: [&str; 5] = ["curl", "--silent", "--show-error", "--max-time", "5"];

/// curl in a pod of the sample: its image has it.
pub(super) fn curl(cluster: &Cluster, words: &[&str]) -> Command {
    in_sample(cluster, &[&CURL, words].concat())
}

/// Asks for nothing but the status of an answer.
pub(super) fn status_of(url: &str) -> [&str; 5] {
    ["--output", "/dev/null", "--write-out", "%{http_code}", url]
}

/// The same with 1400 bytes more in its head: with the 50 of the tunnel it just fits an MTU of 1500, so a smaller one on
/// the way shows. The shell of the sample makes the filler, to keep plans readable.
pub(super) fn large(cluster: &Cluster, url: &str) -> Command {
    let filler = r#"--header "X-Filler: $(printf %01400d 0)""#;
    let script = format!("{} {filler} {}", CURL.join(" "), status_of(url).join(" "));
    in_sample(cluster, &["sh", "-c", &script])
}

fn in_sample(cluster: &Cluster, words: &[&str]) -> Command {
    Kubectl::on(&kube_path(cluster)).exec("sample", "deployment/sample", "podinfo", words)
}

fn proof(cluster: &Cluster, what: &str, title: String, ask: Command, want: Expect) -> Step {
    Step::new(id(cluster, what), title, ask, want)
        .needs([id(cluster, "connected")])
        .poll(180, 5)
        .observed_by_pods(&Kubectl::on(&kube_path(cluster)), "sample")
        .hint("cargo xtask mesh-connect --diagnose")
}

fn asked(cluster: &Cluster, platform: &Cluster, name: &str, url: &str, status: &str) -> Step {
    let ask = curl(cluster, &status_of(url));
    let title = format!("query {name} on {} from a pod of {}", platform.name, cluster.name);
    proof(cluster, &format!("to-{name}"), title, ask, Expect::Match(status.to_owned()))
        .needs([id(platform, "connected")])
}

fn peer(cluster: &Cluster, others: &[&str]) -> Step {
    let want = Expect::Match(format!(r#""message":\s*"({})""#, others.join("|")));
    let title = format!("query the sample from a pod of {}, answered by {}", cluster.name, others.join(" or "));
    let connected = others.iter().map(|name| StepKey::cluster(name, "mesh/connected"));
    proof(cluster, "to-sample", title, curl(cluster, &[PEER]), want).needs(connected)
}

/// What Vault needs again, by the steps that `bootstrap` has for it: it is sealed whenever its VM boots, and it keeps
/// the address at which it asks a cluster who logs in.
fn again(vault: &[Step], id: &StepKey, needs: Vec<StepKey>) -> Option<Step> {
    let hint = "cargo xtask start   # unseals Vault, and gives each cluster its login there";
    let step = vault.iter().find(|step| step.id == *id)?.clone();
    Some(Step { needs, ..step }.hint(hint))
}

fn opened(vault: &[Step], platform: &Cluster) -> Vec<Step> {
    let [up, unseal] = ["up", "unseal"].map(|what| StepKey::cluster(&platform.name, &format!("vault/{what}")));
    let steps = [again(vault, &up, vec![id(platform, "server")]), again(vault, &unseal, vec![up])];
    steps.into_iter().flatten().collect()
}

fn trusted(vault: &[Step], cluster: &Cluster, platform: &Cluster) -> Option<Step> {
    let addresses = cluster.nodes.iter().map(|node| address_step(cluster, node));
    let needs = addresses.chain([StepKey::cluster(&platform.name, "vault/unseal")]).collect();
    again(vault, &StepKey::fleet(&format!("vault/{}/config", cluster.name)), needs)
}

fn store(cluster: &Cluster) -> Step {
    let ready = r#"{.status.conditions[?(@.type=="Ready")].status}"#;
    let ask = Kubectl::on(&kube_path(cluster)).read(
        "external-secrets",
        &["clustersecretstores.external-secrets.io", "vault"],
        ready,
    );
    let ask = ask.capture(figure(cluster, "secrets"), Extractor::Stdout);
    let title = format!("wait until {} can read secrets from Vault", cluster.name);
    let hint =
        format!("kubectl --kubeconfig {} describe clustersecretstores.external-secrets.io vault", kube_path(cluster));
    let step = proof(cluster, "secrets", title, ask, Expect::Stdout("True".into())).needs([id(cluster, "to-vault")]);
    // The operator tries again every few minutes when it failed before.
    let step = step.limits(Limits::QUICK.settle(420).attempts(1, 5)).hint(hint);
    step.observed_by_pods(&Kubectl::on(&kube_path(cluster)), "external-secrets")
}

/// What the platform counted of a cluster's last five minutes: nothing of it could come another way.
fn received(cluster: &Cluster, platform: &Cluster, what: &str, path: &str, query: &str) -> Step {
    let value = "/data/result/0/value/1";
    let path = format!("{path}{}", query.replace("CLUSTER", &cluster.name));
    let ask = Kubectl::on(&kube_path(platform)).raw(&path);
    let ask = ask.capture(figure(cluster, what), Extractor::Pointer(value.to_owned()));
    let title = format!("count what {} holds of {}'s {what}", platform.name, cluster.name);
    proof(cluster, what, title, ask, Expect::JsonAtLeast(value.into(), 1))
        .limits(Limits::QUICK.settle(300).attempts(1, 5))
        .observed_by_pods(&Kubectl::on(&kube_path(platform)), "monitoring")
}
