//! What a chart renders: the pods that its objects would make, and how many of them.
//! Knows nothing of Helm, of nodes, or of what is allowed.

use serde_json::Value;

use crate::problem::Problem;
use crate::render::yaml;

/// Where and how long the pods of a workload run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One on every node.
    EveryNode,
    /// That many, wherever there is room.
    Somewhere(u64),
    /// One at a time, until it is done: a Job.
    Passing,
}

/// A workload of which pods are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// `daemonset/cilium`, as `kubectl` names it.
    pub name: String,
    /// Where its pods are.
    pub namespace: String,
    /// Where and how long they run.
    pub spread: Spread,
    /// The pod's `spec`.
    pub pod: Value,
    /// The pod's annotations, or null.
    pub annotations: Value,
}

/// The workloads in a rendered text, in its order. Custom resource definitions are passed over unread: they are long.
///
/// # Errors
/// A document that is not YAML.
pub fn workloads(release: &str, text: &str, namespace: &str) -> Result<Vec<Workload>, Problem> {
    let mut found = Vec::new();
    for part in documents(text).filter(|part| !part.contains("\nkind: CustomResourceDefinition")) {
        for document in yaml::foreign(&format!("what {release} renders"), part)? {
            for object in list(&document.value) {
                found.extend(workload(object, namespace));
            }
        }
    }
    Ok(found)
}

/// Texts between lines that are `---`. Such a line cannot stand inside of a document: block text is indented.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n---").map(|part| part.strip_prefix("---").unwrap_or(part)).filter(|part| !part.trim().is_empty())
}

/// The objects of a `List`, or the one object.
fn list(value: &Value) -> Vec<&Value> {
    match (value["kind"].as_str(), value["items"].as_array()) {
        (Some("List"), Some(items)) => items.iter().collect(),
        _ => vec![value],
    }
}

/// The workload that an object is, if it makes pods.
pub fn workload(object: &Value, namespace: &str) -> Option<Workload> {
    let kind = object["kind"].as_str()?;
    let replicas = || object["spec"]["replicas"].as_u64().unwrap_or(1);
    let (template, spread) = match kind {
        "Pod" => ("", Spread::Somewhere(1)),
        "DaemonSet" => ("/spec/template", Spread::EveryNode),
        "Deployment" | "StatefulSet" | "ReplicaSet" => ("/spec/template", Spread::Somewhere(replicas())),
        "Job" => ("/spec/template", Spread::Passing),
        "CronJob" => ("/spec/jobTemplate/spec/template", Spread::Passing),
        _ => return None,
    };
    // A hook's pod is there while Helm works.
    let hook = object.pointer("/metadata/annotations/helm.sh~1hook").is_some();
    let template = object.pointer(template)?;
    Some(Workload {
        name: format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str().unwrap_or_default()),
        namespace: object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned(),
        spread: if hook { Spread::Passing } else { spread },
        pod: template.get("spec")?.clone(),
        annotations: template["metadata"]["annotations"].clone(),
    })
}

impl Workload {
    /// Its containers, those that run before the others among them, with their names.
    pub fn containers(&self) -> impl Iterator<Item = (&str, &Value)> {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| self.pod[key].as_array().into_iter().flatten())
            .map(|container| (container["name"].as_str().unwrap_or_default(), container))
    }

    /// Paths of the node that it mounts, with the names of the volumes.
    pub fn host_paths(&self) -> Vec<(&str, &str)> {
        let volumes = self.pod["volumes"].as_array().into_iter().flatten();
        let path = |v: &'_ Value| v.get("hostPath").is_some_and(|h| !h.is_null());
        volumes
            .filter(|v| path(v))
            .map(|v| (v["name"].as_str().unwrap_or_default(), v["hostPath"]["path"].as_str().unwrap_or_default()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"---
# Source: x/templates/crd.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: [not read}
---
# Source: x/ds.yaml
kind: DaemonSet
metadata:
  name: agent
spec:
  template:
    spec:
      containers:
      - name: a
        mode: 0755
      volumes:
      - name: log
        hostPath: {path: /var/log}
      - name: none
        emptyDir: {}
---
kind: Job
metadata:
  name: once
  namespace: other
spec:
  template: {spec: {}}
---
kind: List
items:
- kind: Deployment
  metadata:
    name: web
    annotations: {helm.sh/hook: pre-install}
  spec:
    template: {spec: {}}
- kind: Service
  metadata: {name: web}
---

---
kind: StatefulSet
metadata: {name: db}
spec: {replicas: 2, template: {spec: {}}}
"#;

    #[test]
    fn workloads_are_found_and_all_else_is_not() {
        let found = workloads("x", TEXT, "here").unwrap();
        let told: Vec<_> = found.iter().map(|w| (w.name.as_str(), w.namespace.as_str(), w.spread)).collect();
        let want = [
            ("daemonset/agent", "here", Spread::EveryNode),
            ("job/once", "other", Spread::Passing),
            ("deployment/web", "here", Spread::Passing),
            ("statefulset/db", "here", Spread::Somewhere(2)),
        ];
        assert_eq!(told, want);
        assert_eq!(found[0].host_paths(), [("log", "/var/log")]);
        assert_eq!(found[0].containers().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_is_no_yaml_says_whose_it_is() {
        assert_eq!(workloads("x", "a: [", "here").unwrap_err().what, "cannot read `what x renders` as YAML");
    }
}
