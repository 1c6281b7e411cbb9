//! Controllers that write objects: tokens of service accounts, Kyverno's configuration of its own webhook.

use crate::admission::{KYVERNO, WEBHOOK};
use crate::conditions::Breach;
use crate::prelude::*;

const TOKEN: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";

impl SimState {
    pub(super) fn reconcile_objects(&mut self, vm: &str, now: Duration) {
        let Some(cluster) = self.cluster(vm) else { return };
        let kyverno = cluster.workloads.get(KYVERNO).filter(|_| awaits_webhook(cluster));
        let webhook = kyverno.is_some_and(|k| self.rolled_out(cluster, k, now));
        let lenient = self.breach_active(cluster, Breach::AdmitsEverything);
        let Some(cluster) = self.cluster_mut(vm) else { return };
        if lenient {
            cluster.objects.remove(WEBHOOK);
        } else if webhook {
            let name = WEBHOOK.rsplit('/').next().unwrap_or_default();
            let object = json!({ "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration", "metadata": { "name": name } });
            cluster.ensure_object(WEBHOOK.into(), object);
        }
        tokens(cluster);
    }
}

pub fn awaits_webhook(cluster: &Cluster) -> bool {
    cluster.workloads.contains_key(KYVERNO) && !cluster.objects.contains_key(WEBHOOK)
}

/// Fills in the token of a Secret whose service account exists.
fn tokens(cluster: &mut Cluster) {
    let waiting = |o: &Value| o["type"] == TOKEN && o["data"]["token"].is_null();
    let named = |o: &Value| o["metadata"]["annotations"][ACCOUNT].as_str().unwrap_or_default().to_owned();
    let made: Vec<(String, String)> = cluster
        .objects_of("secret")
        .filter(|(_, object)| waiting(object))
        .map(|(key, object)| (key.clone(), text(object, "/metadata/namespace").to_owned(), named(object)))
        .filter(|(_, space, account)| cluster.objects.contains_key(&format!("serviceaccount/{space}/{account}")))
        .map(|(key, space, account)| (key, format!("system:serviceaccount:{space}:{account}")))
        .collect();
    for (key, subject) in made {
        let part = |value: Value| pki::base64(value.to_string().as_bytes()).trim_end_matches('=').replace('+', "-");
        let header = part(json!({ "alg": "RS256" })).replace('/', "_");
        let claims = part(json!({ "iss": "kubernetes/serviceaccount", "sub": subject })).replace('/', "_");
        let token = format!("{header}.{claims}.{}", pki::sha256(format!("{subject} {}", cluster.ca).as_bytes()));
        let authority = pki::base64(pki::authority(&cluster.ca).as_bytes());
        if let Some(secret) = cluster.object_mut(&key) {
            secret["data"]["token"] = json!(pki::base64(token.as_bytes()));
            secret["data"]["ca.crt"] = json!(authority);
        }
    }
}
