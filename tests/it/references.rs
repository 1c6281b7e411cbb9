//! Every name in a manifest or a values file exists where it is used (`tests/fixtures/rendered.yaml`).

mod installed;
mod named;

use std::collections::BTreeMap;

use model::fleet::{Cluster, Fleet, Role};
use model::release::{Releases, Source};
use model::yaml;
use render::{self, Data};
use serde_json::Value;

use crate::golden::{data, load, read};
use installed::Installed;
use named::named;

/// One document with the place that it came from and the namespace that it is for.
struct Document {
    from: String,
    namespace: String,
    value: Value,
    /// Whether it is an object that is applied; otherwise it is a release's values.
    object: bool,
}

struct World {
    fleet: Fleet,
    releases: Releases,
    rendered: Value,
    documents: BTreeMap<String, Vec<Document>>,
}

impl World {
    /// The default fleet, from data files that a test may have spoilt.
    fn of(data: &Data) -> World {
        let (fleet, releases) = load("infra/fleet.toml");
        let files = render::files(&fleet, &releases, data).unwrap_or_else(|p| panic!("{p:#?}"));
        let rendered = documents("tests/fixtures/rendered.yaml", &read("tests/fixtures/rendered.yaml")).remove(0);
        let mut all = BTreeMap::new();
        for cluster in &fleet.clusters {
            let mut here = Vec::new();
            for manifest in releases.manifests.iter().filter(|m| m.placement.clusters.contains(&cluster.role)) {
                let Source::File(file) = &manifest.source else { continue };
                let text = &files[&format!("{}/{}.yaml", cluster.name, manifest.placement.name)];
                here.extend(documents(file, text).into_iter().map(|value| object(file, value)));
            }
            for chart in releases.charts.iter().filter(|c| c.placement.clusters.contains(&cluster.role)) {
                let path = format!("{}/{}/values.yaml", cluster.name, chart.placement.name);
                let value = documents(&path, &files[&path]).remove(0);
                here.push(Document { from: path, namespace: chart.namespace.clone(), value, object: false });
            }
            let secrets = files.iter().filter(|(path, _)| path.starts_with(&format!("{}/argo-cd/", cluster.name)));
            let secrets = secrets.filter(|(path, _)| !path.ends_with("values.yaml"));
            here.extend(secrets.flat_map(|(path, text)| documents(path, text).into_iter().map(|v| object(path, v))));
            all.insert(cluster.name.clone(), here);
        }
        World { fleet, releases, rendered, documents: all }
    }

    fn installed(&self, cluster: &Cluster) -> Installed {
        let mut installed = Installed::by_kubernetes();
        for chart in self.releases.charts.iter().filter(|c| c.placement.clusters.contains(&cluster.role)) {
            let name = &chart.placement.name;
            let rendered = self.rendered.get(name).unwrap_or_else(|| panic!("rendered.yaml knows nothing of `{name}`"));
            installed.add_release(&chart.namespace, rendered);
        }
        let objects = self.documents[&cluster.name].iter().filter(|d| d.object);
        objects.for_each(|d| installed.add_object(&d.namespace, &d.value));
        installed
    }

    /// Every name that leads nowhere, with the place where it stands.
    fn dangling(&self) -> Vec<String> {
        let mut found = Vec::new();
        for cluster in &self.fleet.clusters {
            let here = self.installed(cluster);
            for document in &self.documents[&cluster.name] {
                let names = named(&document.value, &document.namespace);
                let lost = names.into_iter().filter(|name| !self.is_there(&here, name));
                found.extend(lost.map(|name| format!("{}: {}: {name}", cluster.name, document.from)));
            }
            found.extend(self.release_needs(cluster, &here));
        }
        found
    }

    /// A name is looked for on its own cluster; what Argo CD delivers, on every workload cluster.
    fn is_there(&self, here: &Installed, name: &named::Name) -> bool {
        if !name.elsewhere {
            return here.has(name);
        }
        let workload = self.fleet.clusters.iter().filter(|c| c.role == Role::Workload);
        workload.map(|c| self.installed(c)).all(|there| there.has(name))
    }

    /// What a release itself names: its namespace, the workloads it is waited for by, and what its pods use.
    fn release_needs(&self, cluster: &Cluster, here: &Installed) -> Vec<String> {
        let mut found = Vec::new();
        for chart in self.releases.charts.iter().filter(|c| c.placement.clusters.contains(&cluster.role)) {
            let (release, namespace) = (&chart.placement.name, &chart.namespace);
            let mut lost = |name: named::Name| {
                if !here.has(&name) {
                    found.push(format!("{}: {release}: {name}", cluster.name));
                }
            };
            lost(named::Name::of("Namespace", "", namespace));
            for workload in &chart.ready {
                let (kind, name) = workload.split_once('/').expect("checked when it was read");
                let kinds = ["DaemonSet", "Deployment", "StatefulSet"];
                let kind = kinds.into_iter().find(|k| k.eq_ignore_ascii_case(kind)).expect("checked likewise");
                lost(named::Name::of(kind, namespace, name));
            }
            for used in self.rendered[release]["uses"].as_array().into_iter().flatten() {
                let (kind, name) = used.as_str().and_then(|u| u.split_once('/')).expect("Kind/name");
                lost(named::Name::of(kind, namespace, name));
            }
        }
        found
    }
}

fn documents(file: &str, text: &str) -> Vec<Value> {
    yaml::parse(file, text).unwrap_or_else(|p| panic!("{p:#?}")).into_iter().map(|d| d.value).collect()
}

fn object(from: &str, value: Value) -> Document {
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    Document { from: from.to_owned(), namespace, value, object: true }
}

#[test]
fn every_reference_resolves() {
    assert_eq!(World::of(&data()).dangling(), Vec::<String>::new());
}

/// The mesh pairs services by namespace and name, and their backends by the name of the port.
#[test]
fn stubs_match_the_platform_services() {
    let world = World::of(&data());
    let on = |role| world.fleet.clusters.iter().find(|c| c.role == role).expect("a cluster of each role");
    let platform = world.installed(on(Role::Platform));
    let mut stubs = 0;
    for document in world.documents[&on(Role::Workload).name].iter().filter(|d| d.object) {
        let value = &document.value;
        if value["kind"] != "Service" || !value["spec"]["selector"].is_null() {
            continue;
        }
        stubs += 1;
        let name = value["metadata"]["name"].as_str().expect("a name");
        let at = (document.namespace.clone(), name.to_owned());
        let annotations = &value["metadata"]["annotations"];
        assert_eq!(annotations["service.cilium.io/global"], "true", "{at:?}");
        assert_eq!(annotations["service.cilium.io/shared"], "false", "{at:?}: it has nothing to share");
        assert!(platform.shared.contains(&at), "the platform shares no service {at:?}");
        for port in value["spec"]["ports"].as_array().expect("ports") {
            let (name, number) = (port["name"].as_str().unwrap_or_default(), port["port"].as_u64().expect("a number"));
            assert_eq!(platform.ports[&at].get(name), Some(&number), "{at:?}: port {name}");
        }
    }
    assert_eq!(stubs, platform.shared.len(), "each shared service has its stub");
}

#[test]
fn dangling_reference_is_found() {
    let spoilt = [
        ("charts/grafana/values.yaml", "existingSecret: grafana-admin", "existingSecret: grafana-amdin"),
        ("charts/grafana/values.yaml", "thanos-query.monitoring", "thanos-qurey.monitoring"),
        ("charts/promtail/values.yaml", "svc.cluster.local:3100", "svc.cluster.local:3101"),
        ("charts/velero/values.yaml", "extraSecretRef: velero-s3", "extraSecretRef: velero"),
        ("charts/loki/values.yaml", "storageClass: local-path", "storageClass: local"),
        ("infra/manifests/gateway-platform.yaml", "name: argocd-server", "name: argo-server"),
        ("infra/manifests/gateway-platform.yaml", "gatewayClassName: cilium", "gatewayClassName: envoy"),
        ("infra/manifests/sample.yaml", "serviceAccountName: sample", "serviceAccountName: simple"),
        ("infra/manifests/sample.yaml", "secretName: sample-credentials", "secretName: sample-credential"),
        ("infra/manifests/sample.yaml", "targetPort: http\n", "targetPort: web\n"),
        ("infra/manifests/secret-stores.yaml", "namespace: external-secrets", "namespace: eso"),
        ("infra/manifests/argocd-access.yaml", "service-account.name: argocd-manager", "service-account.name: argocd"),
        ("infra/manifests/argocd-apps.yaml", "        namespace: gitops", "        namespace: git"),
        ("infra/manifests/namespaces-workload.yaml", "name: vault", "name: vaults"),
        ("infra/manifests/namespaces-platform.yaml", "name: velero", "name: velero2"),
    ];
    for (file, from, to) in spoilt {
        let mut data = data();
        let text = data.get_mut(file).expect("a data file");
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replace(from, to);
        let found = World::of(&data).dangling();
        assert!(!found.is_empty(), "{file}: {to:?} is not noticed");
    }
}
