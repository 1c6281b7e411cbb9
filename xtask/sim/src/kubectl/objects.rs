//! Lists objects of the simulated API server.

use std::borrow::Cow;

use super::kinds::{CONTROLLERS, Kind};
use super::{manifests, mesh, pod_endpoints};
use crate::cluster::Revision;
use crate::conditions::Condition;
use crate::external_secrets;
use crate::prelude::*;

pub fn key(kind: &str, namespace: &str, name: &str) -> String {
    [&kind.to_lowercase(), "/", namespace, "/", name].concat()
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// None: all namespaces.
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
    pub selector: &'a str,
    /// Of what is made for the answer: names, for a table of several kinds.
    pub names_only: bool,
}

impl Query<'_> {
    fn fits(&self, name: &str) -> bool {
        self.name.is_none_or(|wanted| wanted == name)
    }
}

/// If the namespace is open, the first of several.
pub fn find<'a>(
    sim: &SimState,
    cluster: &'a Cluster,
    kind: &Kind,
    (namespace, name): (Option<&str>, &str),
    now: Duration,
) -> Option<Cow<'a, Value>> {
    let wanted = Query { namespace, name: Some(name), ..Query::default() };
    list(sim, cluster, kind, wanted, now).into_iter().next()
}

/// Objects that the query excludes are not even built, where that can be told before.
pub fn list<'a>(
    sim: &SimState,
    cluster: &'a Cluster,
    kind: &Kind,
    wanted: Query<'_>,
    now: Duration,
) -> Vec<Cow<'a, Value>> {
    let fits = |name: &str| wanted.fits(name);
    let mut all = derived_objects(sim, cluster, kind, wanted, now);
    if CONTROLLERS.contains(&&*kind.kind) {
        let applied = |w: &Workload| cluster.objects.contains_key(&key(&w.kind, &w.namespace, &w.name));
        let ours = cluster.workloads.values().filter(|w| w.kind == kind.kind && fits(&w.name) && !applied(w));
        all.extend(ours.map(|w| {
            Cow::Owned(match wanted.names_only {
                true => json!({ "kind": w.kind, "metadata": { "name": w.name, "namespace": w.namespace } }),
                false => manifests::workload(sim, cluster, w, now),
            })
        }));
    }
    let pods = |w| manifests::pods(sim, cluster, w, now);
    match &*kind.kind {
        "Event" => all.extend(cluster.workloads.values().filter_map(manifests::event).map(Cow::Owned)),
        "Pod" => all.extend(cluster.workloads.values().flat_map(pods).map(Cow::Owned)),
        _ => {}
    }
    let stored = applied_objects(cluster, kind, wanted).into_iter();
    all.extend(stored.map(|object| manifests::with_status(sim, cluster, kind, object, now)));
    // Cilium's objects have no labels.
    if mesh::KINDS.contains(&&*kind.kind) && selector_matches(wanted.selector, |_| None) {
        all.extend(mesh::objects(sim, cluster, &kind.kind, &fits, now).into_iter().map(Cow::Owned));
    }
    all.retain(|v| {
        let (namespace, name) = namespace_and_name(v);
        (!kind.namespaced || wanted.namespace.is_none_or(|wanted| wanted == namespace))
            && fits(name)
            && matches_selector(v, wanted.selector)
            && !is_removed(sim, cluster, &kind.kind, namespace, name)
    });
    all.sort_by(|one, other| namespace_and_name(one).cmp(&namespace_and_name(other)));
    all
}

pub fn is_removed(sim: &SimState, cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> bool {
    let gone = |m: &Condition| matches!(m, Condition::Removed(gone) if *gone == key(kind, namespace, name));
    cluster.objects.contains_key(&deleted(kind, namespace, name)) || sim.conditions(&cluster.name).any(gone)
}

/// The marker of an object that follows from others, and was deleted.
pub fn deleted(kind: &str, namespace: &str, name: &str) -> String {
    format!("deleted/{}", key(kind, namespace, name))
}

fn namespace_and_name(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    let of = |name: &str| metadata[name].as_str().unwrap_or_default();
    (of("namespace"), of("name"))
}

fn applied_objects<'a>(cluster: &'a Cluster, kind: &Kind, wanted: Query<'_>) -> Vec<&'a Value> {
    if let (Some(namespace), Some(name)) = (wanted.namespace, wanted.name) {
        let key = key(&kind.kind, if kind.namespaced { namespace } else { "" }, name);
        return cluster.object(&key).into_iter().collect();
    }
    let fits = |key: &str| wanted.fits(key.rsplit('/').next().unwrap_or_default());
    cluster.objects_of(&kind.kind.to_lowercase()).filter(|(key, _)| fits(key)).map(|(_, object)| object).collect()
}

/// Objects that follow from the state of the cluster.
fn derived_objects<'a>(
    sim: &SimState,
    cluster: &'a Cluster,
    kind: &Kind,
    wanted: Query<'_>,
    now: Duration,
) -> Vec<Cow<'a, Value>> {
    let fits = |name: &str| wanted.fits(name);
    let made: Vec<Value> = match &*kind.kind {
        "Node" => {
            cluster.nodes.keys().filter(|n| fits(n)).map(|name| manifests::node(sim, cluster, name, now)).collect()
        }
        "Namespace" => {
            let spaces = cluster.namespaces.iter().filter(|(name, _)| fits(name));
            spaces.map(|(name, labels)| manifests::namespace(name, labels)).collect()
        }
        "Secret" => {
            let fits = |r: &&Revision| wanted.name.is_none_or(|name| manifests::is_secret_of(r, name));
            let releases = cluster.releases.iter().filter(fits).map(|r| Cow::Borrowed(manifests::release_secret(r)));
            let copied =
                selector_matches(wanted.selector, |label| (label == external_secrets::LABEL).then_some("true"));
            let copied = copied.then(|| external_secrets::secrets(cluster)).into_iter().flatten();
            return releases.chain(copied.map(Cow::Owned)).collect();
        }
        "CustomResourceDefinition" => {
            let crds = cluster.crds.iter().filter(|(name, _)| fits(name));
            crds.map(|(name, crd)| match wanted.names_only {
                true => json!({ "kind": "CustomResourceDefinition", "metadata": { "name": name } }),
                false => manifests::crd(name, crd, now),
            })
            .collect()
        }
        "ConfigMap" => pod_endpoints::config_maps(sim, cluster),
        "ServiceCIDR" => vec![manifests::service_cidr(cluster)],
        "PersistentVolume" => {
            let claims = cluster.objects_of("persistentvolumeclaim").map(|(_, claim)| claim);
            claims.filter_map(manifests::volume).collect()
        }
        _ => vec![],
    };
    made.into_iter().map(Cow::Owned).collect()
}

/// Whether labels fit a selector: `a=b,c!=d,e,!f`.
pub fn matches_selector(object: &Value, selector: &str) -> bool {
    selector.is_empty() || {
        let labels = &object["metadata"]["labels"];
        selector_matches(selector, |name| labels.get(name).and_then(Value::as_str))
    }
}

fn selector_matches<'v>(selector: &str, label: impl Fn(&str) -> Option<&'v str>) -> bool {
    let value = |name: &str| label(name.trim());
    selector.split(',').filter(|s| !s.is_empty()).all(|term| {
        if let Some((name, wanted)) = term.split_once("!=") {
            value(name) != Some(wanted.trim())
        } else if let Some((name, wanted)) = term.split_once("==").or_else(|| term.split_once('=')) {
            value(name) == Some(wanted.trim())
        } else if let Some(name) = term.strip_prefix('!') {
            value(name).is_none()
        } else {
            value(term).is_some()
        }
    })
}

/// Whether an object has the fields of a field selector: `spec.nodeName=a,metadata.name=b`.
pub fn matches_fields(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|s| !s.is_empty()).all(|term| {
        let (path, wanted) = term.split_once('=').unwrap_or((term, ""));
        text(object, &format!("/{}", path.replace('.', "/"))) == wanted
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_read_as_the_api_server_reads_them() {
        let object = json!({ "metadata": { "labels": { "owner": "helm", "status": "deployed" } } });
        for (selector, fits) in [
            ("owner=helm,status!=superseded", true),
            ("owner=helm,status!=deployed", false),
            ("owner", true),
            ("!owner", false),
            ("name!=x", true),
            ("owner==helm", true),
        ] {
            assert_eq!(matches_selector(&object, selector), fits, "{selector}");
        }
    }
}
