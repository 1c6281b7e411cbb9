//! What a chart renders: its objects, the pods that they would make, and how many of them.
//! Knows nothing of Helm, of nodes, or of what is allowed.

use std::borrow::Cow;

use serde_json::Value;

use model::problem::Problem;
use model::yaml;

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

/// An object, and what made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The template, as Helm writes it over each document: `tiny/templates/deployment.yaml`. Empty if it did not.
    pub template: String,
    /// The object; of a custom resource definition without the schemas of its versions.
    pub value: Value,
}

/// Every object in a rendered text, in its order.
///
/// # Errors
/// A document that is not YAML.
pub fn objects(release: &str, text: &str) -> Result<Vec<Rendered>, Problem> {
    let mut found = Vec::new();
    for part in documents(text) {
        let template = part.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
        for document in yaml::foreign(&format!("what {release} renders"), &without_schemas(part))? {
            let objects = list(&document.value).into_iter().filter(|object| object["kind"].is_string());
            found.extend(objects.map(|object| Rendered { template: template.to_owned(), value: object.clone() }));
        }
    }
    Ok(found)
}

/// The workloads among objects, in their order.
pub fn workloads(objects: &[Rendered], namespace: &str) -> Vec<Workload> {
    objects.iter().filter_map(|object| workload(&object.value, namespace)).collect()
}

/// A custom resource definition without what stands under `schema:` of each version. Those are most of what charts
/// render (5.7 of the 5.8 MB of kyverno 3.9), and say nothing about a cluster.
fn without_schemas(part: &str) -> Cow<'_, str> {
    if !part.contains("\nkind: CustomResourceDefinition") {
        return Cow::Borrowed(part);
    }
    let mut within: Option<usize> = None;
    let mut kept = String::new();
    for line in part.lines() {
        let indent = line.len() - line.trim_start().len();
        if within.is_some_and(|schema| line.trim().is_empty() || indent > schema) {
            continue;
        }
        within = (line.trim() == "schema:").then_some(indent);
        if within.is_none() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Cow::Owned(kept)
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
metadata: {name: things.x.test}
spec:
  group: x.test
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: [not read}

        type: object
    served: true
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
        let found = workloads(&objects("x", TEXT).unwrap(), "here");
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
    fn objects_say_their_template_and_a_definition_is_read_without_its_schemas() {
        let found = objects("x", TEXT).unwrap();
        let told: Vec<_> = found.iter().map(|o| (o.template.as_str(), o.value["kind"].as_str().unwrap())).collect();
        let want = [
            ("x/templates/crd.yaml", "CustomResourceDefinition"),
            ("x/ds.yaml", "DaemonSet"),
            ("", "Job"),
            ("", "Deployment"),
            ("", "Service"),
            ("", "StatefulSet"),
        ];
        assert_eq!(told, want);
        let versions = serde_json::json!([{"name": "v1", "served": true}]);
        assert_eq!(
            (&found[0].value["spec"]["group"], &found[0].value["spec"]["versions"]),
            (&"x.test".into(), &versions)
        );
    }

    #[test]
    fn what_is_no_yaml_says_whose_it_is() {
        assert_eq!(objects("x", "a: [").unwrap_err().what, "cannot read `what x renders` as YAML");
    }
}
