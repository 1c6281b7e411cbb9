//! Pods with a controller and what they need, from a chart's values or from a manifest.

use serde::{Deserialize, Serialize};

use crate::catalog::{Chart, Hook, Pods};
use crate::pki;
use crate::pod_security::baseline_violations;
use crate::prelude::*;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Empty if it was applied.
    pub release: String,
    pub since: Duration,
    pub replicas: usize,
    pub needs: PodNeeds,
    pub placed: Vec<String>,
    /// The node of its volume; its pods run nowhere else.
    pub volume_node: Option<String>,
    pub admitted: bool,
    pub pending: PendingReason,
    pub pending_until: Duration,
    /// Its images are on its nodes (assumption: a restarted pod stays where it was).
    pub images_cached: bool,
    /// Indexes of pods that were deleted and replaced, and when.
    pub deleted_pods: Vec<(usize, Duration)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodNeeds {
    pub host_network: bool,
    /// Of PodSecurity `baseline`.
    pub violations: String,
    /// Requested, in MiB.
    pub memory: u64,
    /// Name and storage class; empty for the default class.
    pub claim: Option<(String, String)>,
    /// Keys of mounted Secrets and ConfigMaps: `secret/vault/vault-tls`.
    pub mounts: Vec<String>,
    /// Seconds until its images are pulled.
    pub pull: u64,
    pub template: Value,
    /// Digest of the values whose checksum its chart puts on the pod.
    #[serde(default)]
    pub checksum: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PendingReason {
    #[default]
    None,
    /// Admission; the message of the event `FailedCreate`.
    Refused(String),
    /// The message of the event `FailedScheduling`.
    Unschedulable(String),
    /// The message of the event `FailedMount`.
    Unmounted(String),
}

impl Workload {
    pub fn key(&self) -> String {
        [&self.namespace, "/", &self.kind.to_lowercase(), "/", &self.name].concat()
    }

    pub fn is(&self, key: &str) -> bool {
        let mut parts = key.split('/');
        let mut fits = |own: &str| parts.next().is_some_and(|part| part.eq_ignore_ascii_case(own));
        fits(&self.namespace) && fits(&self.kind) && fits(&self.name)
    }

    /// None if the values switch it off.
    pub fn of_chart(pods: &Pods, release: &str, namespace: &str, values: &Value, now: Duration) -> Option<Workload> {
        let flag = |pointer: &str| values.pointer(pointer).map(|v| v == &json!(true) || v == "true");
        let made = match pods.only.strip_prefix('+') {
            Some(pointer) => flag(pointer) == Some(true),
            None => flag(&pods.only).is_none_or(|on| on || pods.only.is_empty()),
        };
        let replicas = values.pointer(&pods.replicas).and_then(Value::as_u64).map_or(1, |n| n as usize);
        let claim = pods
            .claim
            .as_ref()
            .map(|(name, pointer)| (with_release_name(name, release), text(values, pointer).to_owned()));
        let rolls = pods.rolls_if.is_empty() || flag(&pods.rolls_if) == Some(true);
        let configuration: String = pods.rolls.iter().filter_map(|at| Some(values.pointer(at)?.to_string())).collect();
        let needs = PodNeeds {
            host_network: pods.host_network,
            violations: pods.violations.clone(),
            memory: requested_memory(&pods.memory, values),
            claim,
            mounts: mounts(namespace, secret_names(&pods.secrets, values), secret_names(&pods.configs, values)),
            pull: pods.pull,
            template: Value::Null,
            checksum: if rolls { pki::sha256(configuration.as_bytes()) } else { String::new() },
        };
        made.then(|| Workload {
            kind: pods.kind.clone(),
            namespace: namespace.to_owned(),
            name: with_release_name(&pods.name, release),
            release: release.to_owned(),
            since: now,
            replicas,
            needs,
            ..Workload::default()
        })
    }

    pub fn all_of_chart(chart: &Chart, release: &str, namespace: &str, values: &Value, now: Duration) -> Vec<Workload> {
        chart.pods.iter().filter_map(|pods| Self::of_chart(pods, release, namespace, values, now)).collect()
    }

    pub fn from_manifest(object: &Value, namespace: &str, now: Duration) -> Workload {
        let template = &object["spec"]["template"];
        let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1) as usize;
        Workload {
            kind: text(object, "/kind").to_owned(),
            namespace: namespace.to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            since: now,
            replicas,
            needs: PodNeeds::of_pod(template, namespace),
            ..Workload::default()
        }
    }

    /// Pods are recreated if their needs changed. An identical upgrade touches nothing, not even a resourceVersion
    /// (measured).
    pub fn replacing(self, old: Option<Workload>) -> Workload {
        match old {
            Some(old) if old.needs == self.needs => Workload { replicas: self.replicas, ..old },
            Some(old) if old.needs.claim == self.needs.claim => Workload { volume_node: old.volume_node, ..self },
            _ => self,
        }
    }

    pub fn evict(&mut self, node: &str, now: Duration) {
        self.placed.retain(|place| place != node);
        (self.since, self.pending) = (now, PendingReason::None);
    }

    pub fn restart(&mut self, now: Duration) {
        self.since = now;
        (self.admitted, self.pending) = (false, PendingReason::None);
        self.placed.clear();
        self.deleted_pods.clear();
        self.images_cached = true;
    }

    pub fn delete_pod(&mut self, place: usize, now: Duration) {
        self.deleted_pods.push((place, now));
    }

    /// The number in a pod's name; replacements count on.
    pub fn ordinal(&self, place: usize) -> usize {
        place + self.placed.len().max(1) * self.deleted_pods.iter().filter(|(at, _)| *at == place).count()
    }

    pub fn replacement_ready_at(&self, place: usize) -> Duration {
        let last =
            self.deleted_pods.iter().filter(|(at, _)| *at == place).map(|(_, when)| *when + timings::START).max();
        last.unwrap_or_default()
    }
}

impl PodNeeds {
    pub fn of_pod(pod: &Value, namespace: &str) -> PodNeeds {
        let spec = &pod["spec"];
        let containers = spec["containers"].as_array().into_iter().flatten();
        let volumes = || spec["volumes"].as_array().into_iter().flatten();
        let mut secrets: Vec<String> = volumes()
            .filter(|v| v["secret"]["optional"] != json!(true))
            .map(|v| text(v, "/secret/secretName").to_owned())
            .collect();
        let mut configs: Vec<String> = volumes()
            .filter(|v| v["configMap"]["optional"] != json!(true))
            .map(|v| text(v, "/configMap/name").to_owned())
            .collect();
        for from in containers.clone().flat_map(|c| c["envFrom"].as_array().into_iter().flatten()) {
            let wanted = |kind: &str| from[kind]["optional"] != json!(true);
            secrets.extend(wanted("secretRef").then(|| text(from, "/secretRef/name").to_owned()));
            configs.extend(wanted("configMapRef").then(|| text(from, "/configMapRef/name").to_owned()));
        }
        secrets.retain(|name| !name.is_empty());
        configs.retain(|name| !name.is_empty());
        PodNeeds {
            host_network: spec["hostNetwork"] == json!(true),
            violations: baseline_violations(spec),
            memory: containers.map(|c| mebibytes(text(c, "/resources/requests/memory"))).sum(),
            claim: None,
            mounts: mounts(namespace, secrets, configs),
            pull: timings::PULL_MEDIUM,
            template: pod.clone(),
            checksum: String::new(),
        }
    }

    pub fn of_hook(hook: &Hook, values: &Value) -> PodNeeds {
        PodNeeds { memory: requested_memory(&hook.memory, values), ..PodNeeds::default() }
    }
}

fn mounts(namespace: &str, secrets: Vec<String>, configs: Vec<String>) -> Vec<String> {
    let keys = |kind: &'static str, names: Vec<String>| {
        names.into_iter().map(move |name| [kind, "/", namespace, "/", &name].concat())
    };
    keys("secret", secrets).chain(keys("configmap", configs)).collect()
}

fn with_release_name(name: &str, release: &str) -> String {
    name.replace("{r}", release)
}

fn secret_names(pointers: &[String], values: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for pointer in pointers {
        if pointer.starts_with('/') {
            names.extend(values_at(values, pointer).into_iter().filter_map(Value::as_str).map(str::to_owned));
        } else {
            names.push(pointer.clone());
        }
    }
    names.sort();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

/// `*` matches every entry.
fn values_at<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    let Some((head, tail)) = pointer.split_once("/*") else { return value.pointer(pointer).into_iter().collect() };
    let entries: Vec<&Value> = match value.pointer(head) {
        Some(Value::Object(map)) => map.values().collect(),
        Some(Value::Array(list)) => list.iter().collect(),
        _ => vec![],
    };
    entries.into_iter().flat_map(|entry| values_at(entry, tail)).collect()
}

fn requested_memory(pointers: &[String], values: &Value) -> u64 {
    let memory = |pointer: &String| values.pointer(&format!("{pointer}/requests/memory")).and_then(Value::as_str);
    pointers.iter().filter_map(memory).map(mebibytes).sum()
}

/// A quantity of memory in MiB, rounded up; 0 if it is none.
pub fn mebibytes(quantity: &str) -> u64 {
    let digits = quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len());
    let number: u64 = quantity[..digits].parse().unwrap_or(0);
    let bytes = match &quantity[digits..] {
        "Ki" => number << 10,
        "Mi" => number << 20,
        "Gi" => number << 30,
        "k" => number * 1_000,
        "M" => number * 1_000_000,
        "G" => number * 1_000_000_000,
        _ => number,
    };
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn made(chart: &str, release: &str, values: Value) -> Vec<Workload> {
        Workload::all_of_chart(catalog::find(chart).unwrap(), release, "monitoring", &values, Duration::ZERO)
    }

    #[test]
    fn requests_claims_and_secrets_are_read_from_the_values() {
        let values = json!({ "receive": { "resources": { "requests": { "memory": "1Gi" } },
            "persistence": { "storageClass": "local-path" } }, "global": { "objstore": { "secretName": "x" } } });
        let all = made("thanos", "thanos", values);
        let receive = all.iter().find(|w| w.name == "thanos-receive").unwrap();
        assert_eq!((receive.needs.memory, receive.needs.mounts.join(" ").as_str()), (1024, "secret/monitoring/x"));
        assert_eq!(receive.needs.claim, Some(("data-thanos-receive-0".into(), "local-path".into())));
        let key = json!({ "secretKeyRef": { "name": "seaweedfs-s3" } });
        let values = json!({ "allInOne": { "secretExtraEnvironmentVars": { "A": key, "B": key } } });
        assert_eq!(made("seaweedfs", "seaweedfs", values)[0].needs.mounts, ["secret/monitoring/seaweedfs-s3"]);
    }

    #[test]
    fn switches_decide_which_containers_run() {
        let names = |all: Vec<Workload>| all.into_iter().map(|w| w.name).collect::<Vec<_>>();
        assert_eq!(names(made("prometheus", "agent", json!({}))), ["agent", "agent-prometheus-node-exporter"]);
        let off = json!({ "prometheus-node-exporter": { "enabled": false } });
        assert_eq!(names(made("prometheus", "agent", off)), ["agent"]);
        assert_eq!(made("cilium", "cilium", json!({})).len(), 3);
        assert_eq!(made("cilium", "cilium", json!({ "clustermesh": { "useAPIServer": true } })).len(), 4);
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, mebi) in [("192Mi", 192), ("1Gi", 1024), ("1024Ki", 1), ("100M", 96), ("", 0), ("1", 1)] {
            assert_eq!(mebibytes(text), mebi, "{text}");
        }
    }
}
