//! References that are no text: Services of the mesh, routes and webhooks to them, Secrets that the platform fills.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Class, Dependency, dependency, texts};
use crate::rendered_state::{ClusterManifests, Document};

/// Annotations of the mesh, each with its older name, which Cilium still reads (pkg/annotation): a Service of the whole
/// mesh, whether its backends here are offered to others, and which backends come first.
const GLOBAL: [&str; 2] = ["service.cilium.io/global", "io.cilium/global-service"];
const SHARED: [&str; 2] = ["service.cilium.io/shared", "io.cilium/shared-service"];
const AFFINITY: [&str; 2] = ["service.cilium.io/affinity", "io.cilium/service-affinity"];

/// The value of an annotation and its path.
fn annotation(service: &Document, names: [&str; 2]) -> (String, String) {
    let at = names.map(|name| format!("metadata.annotations.{}", name.replace('.', "\\.")));
    let path = at.iter().find(|path| service.get(path).is_some()).unwrap_or(&at[0]).clone();
    (service.word(&path).to_lowercase(), path)
}

/// `namespace/name` of an object.
fn key(document: &Document) -> String {
    format!("{}/{}", document.namespace(), document.word("metadata.name"))
}

fn is_global(service: &Document) -> bool {
    annotation(service, GLOBAL).0 == "true"
}

fn has_own_backends(service: &Document) -> bool {
    service.get("spec.selector").is_some_and(|s| s.as_object().is_some_and(|s| !s.is_empty()))
}

/// Services whose backends are all elsewhere: global, without a selector.
pub fn stubs(cluster: &ClusterManifests) -> BTreeSet<String> {
    cluster.objects("Service").filter(|s| is_global(s) && !has_own_backends(s)).map(key).collect()
}

/// Global Services of an app cluster, and what routes or admits through one of them.
pub(super) fn walk(cluster: &ClusterManifests, platform: &ClusterManifests) -> Vec<Dependency> {
    let stubs = stubs(cluster);
    let shared_there: BTreeSet<String> =
        platform.objects("Service").filter(|s| is_global(s) && annotation(s, SHARED).0 != "false").map(key).collect();
    let mut found = Vec::new();
    for service in cluster.objects("Service").filter(|s| is_global(s)) {
        let (name, local) = (key(service), annotation(service, AFFINITY).0 == "local");
        let own = has_own_backends(service);
        let known = own || STUBS.contains(&name.as_str());
        let (class, why) = match (own, shared_there.contains(&name)) {
            (true, false) => continue,
            (true, true) if local => (Class::Optional, "backends here come first (affinity: local)"),
            (true, true) => (
                Class::Fatal,
                "a share of requests goes to the platform, and a backend that does not answer stays in use",
            ),
            (false, _) if known => {
                (Class::Optional, "a name without backends here; its callers are classified themselves")
            }
            (false, _) => (Class::Fatal, "it has no backends here, and nothing answers while the platform is down"),
        };
        found.push(dependency(cluster, service, &annotation(service, GLOBAL).1, name, class, why));
    }
    for document in cluster.documents.iter().filter(|s| s.chart().is_none()) {
        texts(document.value(), &mut |path, text| {
            let service = format!("{}/{text}", namespace_near(document, path));
            let Some(why) = traffic(document, path).filter(|_| stubs.contains(&service)) else { return };
            found.push(dependency(cluster, document, path, service, Class::Fatal, why));
        });
    }
    found
}

/// The platform's services that app clusters know by name; each has callers that survive without it.
const STUBS: [&str; 3] = ["monitoring/thanos-receive", "monitoring/loki", "vault/vault"];

/// The namespace beside a name, else the object's own.
fn namespace_near(document: &Document, path: &str) -> String {
    let beside = path.rsplit_once('.').map_or("", |(table, _)| table);
    match document.word(&format!("{beside}.namespace")) {
        "" => document.namespace().to_owned(),
        other => other.to_owned(),
    }
}

/// Why a name at this place decides whether requests are served.
fn traffic(document: &Document, path: &str) -> Option<&'static str> {
    let kind = document.word("kind");
    if path.contains("backendRefs.") && path.ends_with(".name") {
        return Some("requests that come in here are sent to the platform");
    }
    let hook = kind.ends_with("WebhookConfiguration") && path.ends_with("clientConfig.service.name");
    let api = kind == "APIService" && path.ends_with("spec.service.name");
    let converted = kind == "CustomResourceDefinition" && path.ends_with("webhook.clientConfig.service.name");
    (hook || api || converted).then_some("this API server would wait for the platform")
}

/// Secrets that External Secrets fills, where a pod takes one: it must start where none ever came.
pub(super) fn secrets(cluster: &ClusterManifests) -> Vec<Dependency> {
    let of_one = cluster.objects("ExternalSecret").map(|s| {
        let name = [s.word("spec.target.name"), s.word("metadata.name")].into_iter().find(|name| !name.is_empty());
        (s.namespace().to_owned(), name.unwrap_or_default().to_owned())
    });
    // In which namespaces is a matter of labels: all.
    let of_all = cluster.objects("ClusterExternalSecret").map(|s| {
        let names = ["spec.externalSecretSpec.target.name", "spec.externalSecretName", "metadata.name"];
        let name = names.map(|path| s.word(path)).into_iter().find(|name| !name.is_empty());
        (String::new(), name.unwrap_or_default().to_owned())
    });
    let filled: BTreeSet<(String, String)> = of_one.chain(of_all).collect();
    let is_filled =
        |space: &str, name: &str| [space, ""].iter().any(|s| filled.contains(&(s.to_string(), name.into())));
    let mut found = Vec::new();
    for document in cluster.documents.iter().filter(|s| !s.word("kind").contains("ExternalSecret")) {
        texts(document.value(), &mut |path, text| {
            let table = secret_table(path, document.chart().is_some());
            let Some(table) = table.filter(|_| is_filled(document.namespace(), text)) else { return };
            let optional = document.get(&format!("{table}.optional")) == Some(&Value::Bool(true));
            let (class, why) = match optional {
                true => (Class::Cached, "the Secret stays through an outage, and the pod starts without it"),
                false => (Class::Fatal, "not optional: where the Secret never came, the pod does not start"),
            };
            found.push(dependency(cluster, document, path, format!("Secret {text}"), class, why));
        });
    }
    found
}

/// The table that a Secret's name stands in, if the path is one of a Secret without which a pod does not start: volumes
/// of every kind, projected ones, environment variables, drivers of storage; in the values of a chart any key that
/// says so. A pod starts without its `imagePullSecrets`.
fn secret_table(path: &str, of_chart: bool) -> Option<&str> {
    let (table, key) = path.rsplit_once('.')?;
    let last = table.rsplit('.').next().unwrap_or_default();
    let mount = key == "secretName" && ["secret", "azureFile"].contains(&last);
    let named = ["secret", "secretRef", "secretKeyRef", "nodePublishSecretRef", "nodeStageSecretRef"];
    let chart = of_chart && (key.to_lowercase().ends_with("secret") || key.to_lowercase().ends_with("secretname"));
    (mount || chart || (key == "name" && named.contains(&last))).then_some(table)
}
