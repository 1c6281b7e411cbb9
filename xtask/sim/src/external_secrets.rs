//! External Secrets: syncs Secrets from Vault. While Vault does not answer, the Secret stays and the object's status
//! reports it (sources of External Secrets 2.9: an error of the provider leaves the target untouched; only a provider
//! that answers "none" deletes, if configured to).

use crate::admission;
use crate::cluster::SyncedSecret;
use crate::conditions::Breach;
use crate::mesh::platform_with;
use crate::prelude::*;

/// The label of Secrets that it creates; its value is `true`.
pub const LABEL: &str = "reconcile.external-secrets.io/managed";
/// Pause after a failed sync (assumption: the back-off is between a second and 15 min).
const RETRY: Duration = Duration::from_secs(60);

impl Cluster {
    /// By namespace and name: `apps/database`.
    pub fn has_synced_secret(&self, key: &str) -> bool {
        self.synced_secrets.get(key).is_some_and(|c| c.there)
    }
}

impl SyncedSecret {
    fn due(&self, every: Duration, now: Duration) -> bool {
        self.read.is_none_or(|read| read + every <= now) || self.done != self.marked
    }
}

impl SimState {
    pub(super) fn reconcile_external_secrets(&mut self, vm: &str, now: Duration) {
        let Some(cluster) = self.cluster(vm) else { return };
        let stale = self.breach_active(cluster, Breach::SecretNotSynced)
            || self.breach_happened(cluster, Breach::SecretNotSynced);
        let revoked = self.breach_active(cluster, Breach::SecretDeleted);
        let wanted: Vec<(String, Duration)> = cluster
            .objects_of("externalsecret")
            .filter(|(_, object)| is_processed(cluster, object))
            .map(|(_, object)| (target(object), refresh_interval(object)))
            .filter(|(key, every)| revoked || cluster.synced_secrets.get(key).is_none_or(|sync| sync.due(*every, now)))
            .collect();
        for (key, every) in wanted {
            let Some(cluster) = self.cluster(vm) else { return };
            let mut sync = cluster.synced_secrets.get(&key).cloned().unwrap_or_default();
            if sync.due(every, now) && (sync.good || sync.tried + RETRY <= now || sync.read.is_none()) && !stale {
                sync.tried = now;
                sync.good = self.reads_vault(cluster, now);
                if sync.good {
                    sync.read = Some(now);
                    sync.done.clone_from(&sync.marked);
                    sync.version += u64::from(!sync.there);
                    sync.there = true;
                }
            }
            sync.there &= !revoked;
            if let Some(cluster) = self.cluster_mut(vm) {
                cluster.synced_secrets.insert(key, sync);
            }
        }
    }

    /// When the next sync is due: None if the last one failed, never if there is no ExternalSecret.
    pub(super) fn next_secret_sync(&self, cluster: &Cluster) -> Option<Duration> {
        let next = |(_, object): (&String, &Value)| {
            let sync =
                cluster.synced_secrets.get(&target(object)).filter(|sync| sync.good && sync.done == sync.marked)?;
            Some(sync.read? + refresh_interval(object))
        };
        let all = cluster.objects_of("externalsecret").filter(|(_, object)| is_processed(cluster, object));
        all.map(next).try_fold(Duration::MAX, |first, next| Some(first.min(next?)))
    }

    fn reads_vault(&self, cluster: &Cluster, now: Duration) -> bool {
        platform_with(self, cluster, "vault", now).is_some_and(|there| !self.vault_sealed(there))
    }
}

/// Whether the controller takes an ExternalSecret: one that runs, for its namespace, and a store of its class that lets the
/// namespace in (ShouldProcessStore and the arguments of chart 2.9). What it does not take gets no status.
fn is_processed(cluster: &Cluster, object: &Value) -> bool {
    let Some(values) = cluster.release("external-secrets").map(|release| &release.values) else { return false };
    let namespace = text(object, "/metadata/namespace");
    let scope = values["scopedNamespace"].as_str().filter(|scope| !scope.is_empty());
    let stores = ["clustersecretstore", "secretstore"].into_iter().flat_map(|kind| cluster.objects_of(kind));
    let named = |(_, store): &(&String, &Value)| {
        store["metadata"]["name"] == object["spec"]["secretStoreRef"]["name"]
            && text(store, "/kind") == object["spec"]["secretStoreRef"]["kind"].as_str().unwrap_or("SecretStore")
    };
    let class = values["controllerClass"].as_str().filter(|class| !class.is_empty()).unwrap_or("default");
    let ours = |(_, store): (&String, &Value)| {
        let cluster_wide = text(store, "/kind") == "ClusterSecretStore";
        let on = values[if cluster_wide { "processClusterStore" } else { "processSecretStore" }] != json!(false);
        let conditions = store["spec"]["conditions"].as_array().cloned().unwrap_or_default();
        let lets_in = |c: &Value| {
            let selector = &c["namespaceSelector"];
            let labels = admission::namespace_labels(cluster, namespace);
            c["namespaces"].as_array().is_some_and(|n| n.contains(&json!(namespace)))
                || (selector.is_object() && admission::is_selected(selector, &labels))
        };
        on && !(cluster_wide && values["scopedRBAC"] == json!(true))
            && ["", class].contains(&text(store, "/spec/controller"))
            && (conditions.is_empty() || conditions.iter().any(lets_in))
    };
    values["createOperator"] != json!(false)
        && values["replicaCount"] != json!(0)
        && scope.is_none_or(|scope| scope == namespace)
        && stores.filter(named).any(ours)
}

fn refresh_interval(object: &Value) -> Duration {
    duration(text(object, "/spec/refreshInterval")).unwrap_or_default()
}

fn target(object: &Value) -> String {
    let name = text(object, "/spec/target/name");
    let name = if name.is_empty() { text(object, "/metadata/name") } else { name };
    format!("{}/{name}", text(object, "/metadata/namespace"))
}

pub fn status(cluster: &Cluster, object: &Value) -> Option<Value> {
    let sync = cluster.synced_secrets.get(&target(object))?;
    let (status, reason) = if sync.good { ("True", "SecretSynced") } else { ("False", "SecretSyncedError") };
    let conditions = json!([{ "type": "Ready", "status": status, "reason": reason }]);
    let read = sync.read.map(|read| utc(timings::EPOCH + read.as_secs()));
    Some(json!({ "conditions": conditions, "refreshTime": read }))
}

/// RFC 3339, as Kubernetes writes times: `2025-11-22T23:43:20Z`.
pub fn utc(seconds: u64) -> String {
    let (mut day, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (month, day) = (month + 1, day + 1);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

pub fn secrets(cluster: &Cluster) -> Vec<Value> {
    let there = cluster.synced_secrets.iter().filter(|(_, sync)| sync.there);
    let secret = |(key, sync): (&String, &SyncedSecret)| {
        let (namespace, name) = key.split_once('/').unwrap_or_default();
        let owned = |o: &&Value| target(o) == *key && text(o, "/spec/target/creationPolicy") == "Owner";
        let mut asked = cluster.objects_of("externalsecret").map(|(_, o)| o);
        let owner = asked.find(owned).map(|o| json!([{ "kind": "ExternalSecret", "name": text(o, "/metadata/name") }]));
        let uid = &pki::sha256(format!("{} {key}", cluster.ca).as_bytes())[..32];
        let mut made = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": name, "namespace": namespace, "uid": uid,
                "creationTimestamp": utc(timings::EPOCH + sync.read.unwrap_or_default().as_secs()),
                "labels": { LABEL: "true" },
                "resourceVersion": (4000 + sync.version).to_string() },
            "data": { "password": pki::base64(b"simulated") } });
        if let Some(owner) = owner {
            made["metadata"]["ownerReferences"] = owner;
        }
        made
    };
    there.map(secret).collect()
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn moments_are_written_as_kubernetes_writes_them() {
        // date --utc --date @SECONDS +%FT%TZ
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_855_000, "2025-11-22T23:43:20Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
