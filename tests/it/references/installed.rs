//! Objects on a cluster: of Kubernetes, of charts, of manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::named::Name;

pub type At = (String, String);

#[derive(Default)]
pub struct Installed {
    objects: BTreeSet<(String, At)>,
    pub ports: BTreeMap<At, BTreeMap<String, u64>>,
    pub shared: BTreeSet<At>,
}

const CLUSTER_WIDE: [&str; 4] = ["Namespace", "StorageClass", "GatewayClass", "ClusterSecretStore"];

impl Installed {
    /// What is on a cluster before anything is installed.
    pub fn by_kubernetes() -> Installed {
        let mut installed = Installed::default();
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            installed.add("Namespace", "", name);
        }
        installed.add_service("default", "kubernetes", [("https".to_owned(), 443)].into());
        installed
    }

    fn add(&mut self, kind: &str, namespace: &str, name: &str) {
        let namespace = if CLUSTER_WIDE.contains(&kind) { "" } else { namespace };
        self.objects.insert((kind.to_owned(), (namespace.to_owned(), name.to_owned())));
    }

    fn add_service(&mut self, namespace: &str, name: &str, ports: BTreeMap<String, u64>) {
        self.add("Service", namespace, name);
        self.ports.insert((namespace.to_owned(), name.to_owned()), ports);
    }

    /// An entry of `tests/fixtures/rendered.yaml`.
    pub fn add_release(&mut self, namespace: &str, rendered: &Value) {
        for (kind, names) in rendered.as_object().expect("a table of kinds") {
            match kind.as_str() {
                "uses" => {}
                "shared" => {
                    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
                    self.shared.extend(names.map(|name| (namespace.to_owned(), name.to_owned())));
                }
                "Service" => {
                    for (name, ports) in names.as_object().expect("services") {
                        let port = |(name, number): (&String, &Value)| Some((name.clone(), number.as_u64()?));
                        let ports = ports.as_object().expect("ports").iter().filter_map(port).collect();
                        self.add_service(namespace, name, ports);
                    }
                }
                kind => {
                    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
                    names.for_each(|name| self.add(kind, namespace, name));
                }
            }
        }
    }

    /// An object of a manifest; an ExternalSecret stands for the Secret that it makes too.
    pub fn add_object(&mut self, namespace: &str, object: &Value) {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        self.add(kind, namespace, name);
        match kind {
            "ExternalSecret" => self.add("Secret", namespace, text("/spec/target/name")),
            "Service" => {
                let ports = object["spec"]["ports"].as_array().into_iter().flatten();
                let port = |p: &Value| Some((p["name"].as_str().unwrap_or_default().to_owned(), p["port"].as_u64()?));
                self.add_service(namespace, name, ports.filter_map(port).collect());
            }
            _ => {}
        }
        // The ports that a pod names, for services that name them.
        for container in
            object.pointer("/spec/template/spec/containers").and_then(Value::as_array).into_iter().flatten()
        {
            for port in container["ports"].as_array().into_iter().flatten() {
                self.add("port", namespace, port["name"].as_str().unwrap_or_default());
            }
        }
    }

    pub fn has(&self, name: &Name) -> bool {
        let namespace = if CLUSTER_WIDE.contains(&name.kind.as_str()) { "" } else { &name.namespace };
        let at = (namespace.to_owned(), name.name.clone());
        let there = self.objects.contains(&(name.kind.clone(), at.clone()))
            || name.kind == "ServiceAccount" && name.name == "default";
        let port = name.port.is_none_or(|port| self.ports.get(&at).is_some_and(|p| p.values().any(|p| *p == port)));
        there && port
    }
}
