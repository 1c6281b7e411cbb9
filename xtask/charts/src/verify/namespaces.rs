//! Checks that each release has a namespace, and that Pod Security admits its pods (ADR-0003).
//!
//! The rules are those of the level `baseline` of the Pod Security Standards, with the API server's messages:
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rendered::Workload;
use model::fleet::{Cluster, Fleet};
use model::problem::{At, Problem, nearest};
use model::release::{Chart, RELEASES, Releases, Source};
use model::yaml::{self, Document};
use render::Data;

/// The label of the enforced level.
const LABEL: &str = "pod-security.kubernetes.io/enforce";
/// Capabilities that `baseline` allows to add.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Sysctls that `baseline` allows.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The enforced level of each namespace of a cluster, and where it is written.
pub type Levels = BTreeMap<String, (String, At)>;

/// The level that a namespace enforces, if it has the label.
pub fn level(namespace: &Value) -> Option<&str> {
    namespace["metadata"]["labels"][LABEL].as_str()
}

/// Why a namespace of a level refuses the pods of a workload: `privileged` refuses none. What violates `restricted` alone
/// is not known here.
pub fn refused(level: &str, workload: &Workload) -> Vec<String> {
    if level == "privileged" { vec![] } else { violations(workload) }
}

/// The namespaces in manifests. One without a label admits everything.
pub fn levels<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Levels {
    let mut levels = Levels::new();
    for document in documents.into_iter().filter(|d| d.value["kind"] == "Namespace") {
        let metadata = &document.value["metadata"];
        let level = level(&document.value).unwrap_or("privileged");
        let path = ["metadata", "labels", LABEL].map(str::to_owned);
        let at = At { file: document.file.clone(), line: document.line(&path) };
        levels.insert(metadata["name"].as_str().unwrap_or_default().to_owned(), (level.to_owned(), at));
    }
    levels
}

/// The namespaces in the manifests of a cluster.
pub fn cluster_levels(releases: &Releases, data: &Data, cluster: &Cluster) -> Result<Levels, Problem> {
    Ok(levels(&manifest_objects(releases, data, cluster)?))
}

/// Every object of the manifests of a cluster.
fn manifest_objects(releases: &Releases, data: &Data, cluster: &Cluster) -> Result<Vec<Document>, Problem> {
    let mut all = Vec::new();
    for manifest in releases.manifests_on(cluster.role) {
        if let Source::File(file) = &manifest.source {
            all.extend(yaml::foreign(file, data.get(file).map_or("", String::as_str))?);
        }
    }
    Ok(all)
}

/// A problem for each release, and each object of a manifest, whose namespace is in no manifest. One on several clusters is
/// reported for the first.
pub fn missing_namespaces(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Vec<Problem>, Problem> {
    let mut problems = Vec::new();
    for cluster in &fleet.clusters {
        let objects = manifest_objects(releases, data, cluster)?;
        let levels = levels(&objects);
        let charts = releases.charts_on(cluster.role);
        problems.extend(charts.filter_map(|chart| missing_of_release(releases, chart, &levels, &cluster.name)));
        problems.extend(objects.iter().filter_map(|object| missing_of_object(object, &levels, &cluster.name)));
    }
    let mut reported = BTreeSet::new();
    problems.retain(|problem| reported.insert(problem.at.clone()));
    Ok(problems)
}

/// A problem if the namespace of a release is in no manifest: it would have no label, or not exist.
pub fn missing_of_release(releases: &Releases, chart: &Chart, levels: &Levels, cluster: &str) -> Option<Problem> {
    let (name, namespace) = (&chart.placement.name, &chart.namespace);
    let line = releases.line(&format!("{name}.namespace"));
    let why = "its label must exist before the first pod (ADR-0003)";
    missing(name, namespace, levels, cluster).map(|problem| problem.at(RELEASES, line).why(why))
}

fn missing_of_object(object: &Document, levels: &Levels, cluster: &str) -> Option<Problem> {
    let metadata = &object.value["metadata"];
    let who = format!("{}/{}", object.value["kind"].as_str()?, metadata["name"].as_str()?);
    let path = ["metadata", "namespace"].map(str::to_owned);
    let problem = missing(&who, metadata["namespace"].as_str()?, levels, cluster)?;
    Some(problem.at(object.file.clone(), object.lines.get(&path[..]).copied()).why("the object cannot be created"))
}

fn missing(who: &str, namespace: &str, levels: &Levels, cluster: &str) -> Option<Problem> {
    (!levels.contains_key(namespace)).then(|| {
        Problem::new(format!("no manifest on {cluster} has the namespace of `{who}`: `{namespace}`")).hint(
            match nearest(namespace, levels.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it to infra/manifests, or use one of {}", names(levels)),
            },
        )
    })
}

fn names(levels: &Levels) -> String {
    levels.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A problem for each workload that its namespace would not admit.
pub fn forbidden(release: &str, workloads: &[Workload], levels: &Levels) -> Vec<Problem> {
    let mut problems = Vec::new();
    for workload in workloads {
        let Some((level, at)) = levels.get(&workload.namespace) else { continue };
        let reasons = refused(level, workload);
        if !reasons.is_empty() {
            let what = format!("namespace `{}` forbids `{}` of `{release}`", workload.namespace, workload.name);
            let why = format!("violates {level}: {}", reasons.join(", "));
            let problem = Problem::new(what).at(at.file.clone(), at.line).why(why);
            problems.push(problem.hint("use another namespace, or add an exception and its reason to ADR-0003"));
        }
    }
    problems
}

/// Violations of `baseline`, as in the API server's message.
fn violations(workload: &Workload) -> Vec<String> {
    let mut found = Vec::new();
    let pod = &workload.pod;
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|key| pod[**key] == true)
        .map(|key| format!("{key}=true"))
        .collect();
    if !host.is_empty() {
        found.push(format!("host namespaces ({})", host.join(", ")));
    }
    let volumes: Vec<String> = workload.host_paths().iter().map(|(name, _)| format!("{name:?}")).collect();
    if !volumes.is_empty() {
        found.push(format!("hostPath volumes (volumes {})", volumes.join(", ")));
    }
    found.extend(context_violations("pod", &pod["securityContext"]));
    for sysctl in texts(&pod["securityContext"]["sysctls"], "name").filter(|name| !SYSCTLS.contains(name)) {
        found.push(format!("forbidden sysctls ({sysctl})"));
    }
    for (name, container) in workload.containers() {
        found.extend(container_violations(name, container));
    }
    let annotations = workload.annotations.as_object().into_iter().flatten();
    let profiles = annotations.filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"));
    for (key, value) in profiles.filter(|(_, value)| !is_apparmor_allowed(value)) {
        found.push(format!("forbidden AppArmor profile ({key}={value})"));
    }
    found
}

fn container_violations(name: &str, container: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let context = &container["securityContext"];
    if context["privileged"] == true {
        found.push(format!("privileged (container {name:?} must not set securityContext.privileged=true)"));
    }
    let ports = container["ports"].as_array().into_iter().flatten();
    let ports: Vec<String> =
        ports.filter_map(|p| p["hostPort"].as_u64()).filter(|p| *p != 0).map(|p| p.to_string()).collect();
    if !ports.is_empty() {
        let s = if ports.len() == 1 { "" } else { "s" };
        found.push(format!("hostPort (container {name:?} uses hostPort{s} {})", ports.join(", ")));
    }
    let added = context["capabilities"]["add"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let added: Vec<String> =
        added.filter(|c| !CAPABILITIES.contains(&c.trim_start_matches("CAP_"))).map(|c| format!("{c:?}")).collect();
    if !added.is_empty() {
        found.push(format!("non-default capabilities (container {name:?} adds {})", added.join(", ")));
    }
    if context["procMount"].as_str().is_some_and(|mount| mount != "Default") {
        found.push(format!("procMount (container {name:?} must not set it)"));
    }
    found.extend(context_violations(&format!("container {name:?}"), context));
    let probes = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"];
    let pointers = probes.iter().flat_map(|p| [format!("/{p}/httpGet/host"), format!("/{p}/tcpSocket/host")]);
    let hosts = pointers.filter_map(|pointer| container.pointer(&pointer)?.as_str());
    for host in hosts.filter(|host| !host.is_empty()) {
        let reason = format!("probe or lifecycle host (container {name:?} uses probe or lifecycle host {host:?})");
        if !found.contains(&reason) {
            found.push(reason);
        }
    }
    found
}

/// Violations in the security context of a pod or container.
fn context_violations(who: &str, context: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if context["seccompProfile"]["type"] == "Unconfined" {
        found.push(format!("seccompProfile ({who} must not set it to \"Unconfined\")"));
    }
    if context["appArmorProfile"]["type"] == "Unconfined" {
        found.push(format!("forbidden AppArmor profile ({who} must not set it to \"Unconfined\")"));
    }
    if context["windowsOptions"]["hostProcess"] == true {
        found.push(format!("hostProcess ({who} must not set it)"));
    }
    let linux = &context["seLinuxOptions"];
    let types = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let other_type = linux["type"].as_str().is_some_and(|t| !types.contains(&t));
    let named = ["user", "role"].iter().any(|key| linux[*key].as_str().is_some_and(|v| !v.is_empty()));
    if other_type || named {
        found.push(format!("seLinuxOptions ({who} sets what is not allowed)"));
    }
    found
}

fn is_apparmor_allowed(value: &Value) -> bool {
    value.as_str().is_some_and(|v| v.is_empty() || v == "runtime/default" || v.starts_with("localhost/"))
}

fn texts<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |item| item[key].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendered::workload;
    use model::samples::{LIST, fleet, list};
    use model::yaml;
    use serde_json::json;

    const SPACES: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: plain\n  labels:\n    \
        pod-security.kubernetes.io/enforce: baseline\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: open\n";

    fn daemonset(spec: Value) -> Workload {
        let object = json!({"kind": "DaemonSet", "metadata": {"name": "x"}, "spec": {"template": {"spec": spec}}});
        workload(&object, "plain").unwrap()
    }

    fn all() -> Levels {
        levels(&yaml::parse("infra/manifests/namespaces.yaml", SPACES).unwrap())
    }

    /// The texts are those of a real API server v1.35.
    #[test]
    fn violations_match_the_api_servers_messages() {
        let node_exporter = json!({"hostNetwork": true, "hostPID": true,
            "volumes": [{"name": "proc", "hostPath": {"path": "/proc"}}, {"name": "sys", "hostPath": {"path": "/sys"}}],
            "containers": [{"name": "node-exporter", "ports": [{"hostPort": 9100}, {"containerPort": 1}]}]});
        let want = [
            "host namespaces (hostNetwork=true, hostPID=true)",
            "hostPath volumes (volumes \"proc\", \"sys\")",
            "hostPort (container \"node-exporter\" uses hostPort 9100)",
        ];
        assert_eq!(violations(&daemonset(node_exporter)), want);
        let operator = json!({"containers": [{"name": "o", "ports": [{"hostPort": 9234}, {"hostPort": 9963}],
            "livenessProbe": {"httpGet": {"host": "127.0.0.1"}},
            "readinessProbe": {"httpGet": {"host": "127.0.0.1"}}}]});
        let want = [
            "hostPort (container \"o\" uses hostPorts 9234, 9963)",
            "probe or lifecycle host (container \"o\" uses probe or lifecycle host \"127.0.0.1\")",
        ];
        assert_eq!(violations(&daemonset(operator)), want);
    }

    #[test]
    fn each_rule_of_baseline_is_checked() {
        let context = |context: Value| {
            let pod =
                json!({"containers": [{"name": "c"}], "initContainers": [{"name": "i", "securityContext": context}]});
            violations(&daemonset(pod)).len()
        };
        for bad in [
            json!({"privileged": true}),
            json!({"capabilities": {"add": ["NET_ADMIN"]}}),
            json!({"procMount": "Unmasked"}),
            json!({"seccompProfile": {"type": "Unconfined"}}),
            json!({"appArmorProfile": {"type": "Unconfined"}}),
            json!({"seLinuxOptions": {"type": "spc_t"}}),
            json!({"windowsOptions": {"hostProcess": true}}),
        ] {
            assert_eq!(context(bad.clone()), 1, "{bad}");
        }
        let good = json!({"privileged": false, "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}, "seLinuxOptions": {"type": "container_t"}});
        assert_eq!(context(good), 0);
        let sysctl = json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}, "containers": []});
        assert_eq!(violations(&daemonset(sysctl)), ["forbidden sysctls (kernel.msgmax)"]);
    }

    #[test]
    fn forbidden_workload_is_reported_at_the_label() {
        let bad = daemonset(json!({"hostNetwork": true}));
        let problems = forbidden("x", std::slice::from_ref(&bad), &all());
        assert_eq!(problems[0].at.as_ref().unwrap().to_string(), "infra/manifests/namespaces.yaml:6");
        assert_eq!(problems[0].why.as_deref(), Some("violates baseline: host namespaces (hostNetwork=true)"));
        let open = Workload { namespace: "open".into(), ..bad };
        assert_eq!(forbidden("x", &[open], &all()), []);
    }

    #[test]
    fn object_in_a_missing_namespace_is_reported() {
        let object = |space: &str| {
            let text = format!("kind: Service\nmetadata:\n  name: web\n  namespace: {space}\n");
            missing_of_object(&yaml::parse("infra/manifests/web.yaml", &text).unwrap()[0], &all(), "app1")
        };
        let problem = object("plan").unwrap();
        assert_eq!(problem.what, "no manifest on app1 has the namespace of `Service/web`: `plan`");
        assert_eq!(problem.at.unwrap().to_string(), "infra/manifests/web.yaml:4");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `plain`?"));
        assert_eq!(object("open"), None);
    }

    #[test]
    fn release_in_a_missing_namespace_is_reported() {
        let releases = list(LIST, &fleet());
        assert_eq!(missing_of_release(&releases, &releases.charts[1], &all(), "mgmt"), None);
        let problem = missing_of_release(&releases, &releases.charts[0], &all(), "mgmt").unwrap();
        assert_eq!(problem.at.unwrap().to_string(), "charts/releases.toml:9");
    }
}
