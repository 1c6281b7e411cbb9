//! External Secrets: what it copies from Vault into a cluster, when it asks, and what it says while nobody answers.
//! Knows nothing of what is in a secret.
//!
//! While its provider does not answer the Secret stays as it is, and the object says so (sources of External Secrets
//! 2.9: an error of the provider leaves the target untouched; only a provider that answers "none" deletes, if told to).

use std::time::Duration;

use serde_json::{Value, json};

use super::clockwork;
use super::cluster::{Cluster, Copied};
use super::flags::duration;
use super::mesh::platform;
use super::mishap::Breach;
use super::pki;
use super::stage::Stage;
use super::yaml::text;

/// The label of the Secrets that it makes; its value is `true`.
pub const LABEL: &str = "reconcile.external-secrets.io/managed";
/// How soon it asks again where nobody answered (assumption: its back-off is somewhere between a second and 15 min).
const AGAIN: Duration = Duration::from_secs(60);

impl Cluster {
    /// Whether a Secret is there that External Secrets made, by namespace and name: `apps/database`.
    pub fn copied(&self, key: &str) -> bool {
        self.copies.get(key).is_some_and(|c| c.there)
    }
}

impl Copied {
    /// Whether it is to be read again.
    fn due(&self, every: Duration, now: Duration) -> bool {
        self.read.is_none_or(|read| read + every <= now) || self.done != self.marked
    }
}

impl Stage {
    /// Does what the operator did since anyone looked last.
    pub(super) fn settle_copies(&mut self, vm: &str, now: Duration) {
        let Some(cluster) = self.cluster(vm) else { return };
        let stale = self.breaks(cluster, Breach::Stale) || self.broke(cluster, Breach::Stale);
        let revoked = self.breaks(cluster, Breach::Revoked);
        let wanted: Vec<(String, Duration)> = cluster
            .objects_of("externalsecret")
            .map(|(_, object)| (target(object), every(object)))
            .filter(|(key, every)| revoked || cluster.copies.get(key).is_none_or(|copy| copy.due(*every, now)))
            .collect();
        for (key, every) in wanted {
            let Some(cluster) = self.cluster(vm) else { return };
            let mut copy = cluster.copies.get(&key).cloned().unwrap_or_default();
            if copy.due(every, now) && (copy.good || copy.tried + AGAIN <= now || copy.read.is_none()) && !stale {
                copy.tried = now;
                copy.good = self.reads_vault(cluster, now);
                if copy.good {
                    copy.read = Some(now);
                    copy.done.clone_from(&copy.marked);
                    copy.version += u64::from(!copy.there);
                    copy.there = true;
                }
            }
            copy.there &= !revoked;
            if let Some(cluster) = self.cluster_mut(vm) {
                cluster.copies.insert(key, copy);
            }
        }
    }

    /// When the operator asks for something next: now, if it had no good answer; never, if there is nothing to ask for.
    pub(super) fn next_copy(&self, cluster: &Cluster) -> Option<Duration> {
        let next = |(_, object): (&String, &Value)| {
            let copy = cluster.copies.get(&target(object)).filter(|copy| copy.good && copy.done == copy.marked)?;
            Some(copy.read? + every(object))
        };
        cluster.objects_of("externalsecret").map(next).try_fold(Duration::MAX, |first, next| Some(first.min(next?)))
    }

    /// Whether a cluster reaches a Vault that is open.
    fn reads_vault(&self, cluster: &Cluster, now: Duration) -> bool {
        platform(self, cluster, "vault", now).is_some_and(|there| !self.vault_sealed(there))
    }
}

/// How often an ExternalSecret is read.
fn every(object: &Value) -> Duration {
    duration(text(object, "/spec/refreshInterval")).unwrap_or_default()
}

/// Namespace and name of the Secret of an ExternalSecret.
fn target(object: &Value) -> String {
    let name = text(object, "/spec/target/name");
    let name = if name.is_empty() { text(object, "/metadata/name") } else { name };
    format!("{}/{name}", text(object, "/metadata/namespace"))
}

/// The status of an ExternalSecret.
pub fn status(cluster: &Cluster, object: &Value) -> Option<Value> {
    let copy = cluster.copies.get(&target(object))?;
    let (status, reason) = if copy.good { ("True", "SecretSynced") } else { ("False", "SecretSyncedError") };
    let conditions = json!([{ "type": "Ready", "status": status, "reason": reason }]);
    let read = copy.read.map(|read| utc(clockwork::EPOCH + read.as_secs()));
    Some(json!({ "conditions": conditions, "refreshTime": read }))
}

/// A moment as Kubernetes writes it: `2025-11-22T23:43:20Z`.
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

/// The Secrets that it made.
pub fn secrets(cluster: &Cluster) -> Vec<Value> {
    let there = cluster.copies.iter().filter(|(_, copy)| copy.there);
    let secret = |(key, copy): (&String, &Copied)| {
        let (namespace, name) = key.split_once('/').unwrap_or_default();
        let owned = |o: &&Value| target(o) == *key && text(o, "/spec/target/creationPolicy") == "Owner";
        let mut asked = cluster.objects_of("externalsecret").map(|(_, o)| o);
        let owner = asked.find(owned).map(|o| json!([{ "kind": "ExternalSecret", "name": text(o, "/metadata/name") }]));
        let uid = &pki::sha256(format!("{} {key}", cluster.ca).as_bytes())[..32];
        let mut made = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": name, "namespace": namespace, "uid": uid,
                "creationTimestamp": utc(clockwork::EPOCH + copy.read.unwrap_or_default().as_secs()),
                "labels": { LABEL: "true" },
                "resourceVersion": (4000 + copy.version).to_string() },
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
