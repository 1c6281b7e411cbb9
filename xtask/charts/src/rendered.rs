//! Objects that a chart renders, and the workloads among them.

use std::borrow::Cow;

use serde_json::Value;

use model::problem::Problem;
use model::yaml;

/// Where, and how many of, the pods of a workload are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// One on every node.
    EveryNode,
    /// That many, on any node.
    Anywhere(u64),
    /// One at a time, until it has finished: a Job.
    Transient,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// `daemonset/cilium`, as `kubectl` names it.
    pub name: String,
    pub namespace: String,
    pub scheduling: Scheduling,
    /// The `spec` of the pod.
    pub pod: Value,
    pub annotations: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Its template, from the comment that Helm writes above each document: `tiny/templates/deployment.yaml`. May be empty.
    pub template: String,
    /// The object; a custom resource definition has no schemas.
    pub value: Value,
}

/// Every object in a rendered text, in order.
///
/// # Errors
/// A document that is not YAML.
pub fn objects(release: &str, text: &str) -> Result<Vec<Rendered>, Problem> {
    let mut found = Vec::new();
    for part in documents(text) {
        let template = part.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
        for document in yaml::foreign(&format!("what {release} renders"), &without_schemas(part))? {
            let objects = items(&document.value).into_iter().filter(|object| object["kind"].is_string());
            found.extend(objects.map(|object| Rendered { template: template.to_owned(), value: object.clone() }));
        }
    }
    Ok(found)
}

pub fn workloads(objects: &[Rendered], namespace: &str) -> Vec<Workload> {
    objects.iter().filter_map(|object| workload(&object.value, namespace)).collect()
}

/// A custom resource definition without the `schema:` of each version: most of what charts render (5.7 of the 5.8 MB of
/// kyverno 3.9), and not needed here.
fn without_schemas(part: &str) -> Cow<'_, str> {
    if !part.contains("\nkind: CustomResourceDefinition") {
        return Cow::Borrowed(part);
    }
    let mut schema_indent: Option<usize> = None;
    let mut kept = String::new();
    for line in part.lines() {
        let indent = line.len() - line.trim_start().len();
        if schema_indent.is_some_and(|schema| line.trim().is_empty() || indent > schema) {
            continue;
        }
        schema_indent = (line.trim() == "schema:").then_some(indent);
        if schema_indent.is_none() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Cow::Owned(kept)
}

/// Texts between `---` lines, which cannot occur inside a document: block text is indented.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n---").map(|part| part.strip_prefix("---").unwrap_or(part)).filter(|part| !part.trim().is_empty())
}

/// The items of a `List`, or the object itself.
fn items(value: &Value) -> Vec<&Value> {
    match (value["kind"].as_str(), value["items"].as_array()) {
        (Some("List"), Some(items)) => items.iter().collect(),
        _ => vec![value],
    }
}

/// An object as a workload, if it creates pods.
pub fn workload(object: &Value, namespace: &str) -> Option<Workload> {
    let kind = object["kind"].as_str()?;
    let replicas = || object["spec"]["replicas"].as_u64().unwrap_or(1);
    let (template, scheduling) = match kind {
        "Pod" => ("", Scheduling::Anywhere(1)),
        "DaemonSet" => ("/spec/template", Scheduling::EveryNode),
        "Deployment" | "StatefulSet" | "ReplicaSet" => ("/spec/template", Scheduling::Anywhere(replicas())),
        "Job" => ("/spec/template", Scheduling::Transient),
        "CronJob" => ("/spec/jobTemplate/spec/template", Scheduling::Transient),
        _ => return None,
    };
    // The pod of a hook runs only during an install.
    let hook = object.pointer("/metadata/annotations/helm.sh~1hook").is_some();
    let template = object.pointer(template)?;
    Some(Workload {
        name: format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str().unwrap_or_default()),
        namespace: object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned(),
        scheduling: if hook { Scheduling::Transient } else { scheduling },
        pod: template.get("spec")?.clone(),
        annotations: template["metadata"]["annotations"].clone(),
    })
}

impl Workload {
    /// Its init containers and containers, with their names.
    pub fn containers(&self) -> impl Iterator<Item = (&str, &Value)> {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| self.pod[key].as_array().into_iter().flatten())
            .map(|container| (container["name"].as_str().unwrap_or_default(), container))
    }

    /// Names of volumes and the paths of the node that they mount.
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
    fn only_objects_with_pods_are_workloads() {
        let found = workloads(&objects("x", TEXT).unwrap(), "here");
        let got: Vec<_> = found.iter().map(|w| (w.name.as_str(), w.namespace.as_str(), w.scheduling)).collect();
        let want = [
            ("daemonset/agent", "here", Scheduling::EveryNode),
            ("job/once", "other", Scheduling::Transient),
            ("deployment/web", "here", Scheduling::Transient),
            ("statefulset/db", "here", Scheduling::Anywhere(2)),
        ];
        assert_eq!(got, want);
        assert_eq!(found[0].host_paths(), [("log", "/var/log")]);
        assert_eq!(found[0].containers().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn objects_have_their_template_and_definitions_no_schemas() {
        let found = objects("x", TEXT).unwrap();
        let got: Vec<_> = found.iter().map(|o| (o.template.as_str(), o.value["kind"].as_str().unwrap())).collect();
        let want = [
            ("x/templates/crd.yaml", "CustomResourceDefinition"),
            ("x/ds.yaml", "DaemonSet"),
            ("", "Job"),
            ("", "Deployment"),
            ("", "Service"),
            ("", "StatefulSet"),
        ];
        assert_eq!(got, want);
        let versions = serde_json::json!([{"name": "v1", "served": true}]);
        assert_eq!(
            (&found[0].value["spec"]["group"], &found[0].value["spec"]["versions"]),
            (&"x.test".into(), &versions)
        );
    }

    #[test]
    fn invalid_yaml_is_reported_with_its_release() {
        assert_eq!(objects("x", "a: [").unwrap_err().what, "cannot read `what x renders` as YAML");
    }
}
