//! Finds replicas and quantities in rendered objects that the API server would refuse. Few charts have a schema for them.

use serde_json::Value;

use super::memory::quantity;
use crate::rendered::Rendered;
use model::problem::Problem;
use model::yaml::Document;

/// Kinds with `replicas`.
const REPLICATED: [&str; 3] = ["Deployment", "ReplicaSet", "StatefulSet"];

/// A problem for each, at the line of our values with the same key and value, if there is one.
pub fn invalid_quantities(release: &str, values: &Document, objects: &[Rendered]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Rendered { value: object, .. } in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let who = format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str().unwrap_or_default());
        let replicas = &object["spec"]["replicas"];
        if REPLICATED.contains(&kind) && !replicas.is_null() && replicas.as_u64().is_none() {
            let why = "it must be a whole number";
            problems.push(problem(release, &who, "replicas", replicas, values).why(why).hint("replicas: 1"));
        }
        let mut found = Vec::new();
        quantities(object, &mut found);
        for (key, value) in found.into_iter().filter(|(_, value)| quantity(value).is_none()) {
            let example = if key == "cpu" { "100m" } else { "64Mi" };
            let why = "a quantity is a number with an optional unit of Kubernetes";
            problems.push(problem(release, &who, key, value, values).why(why).hint(format!("{key}: {example}")));
        }
    }
    problems
}

fn problem(release: &str, who: &str, key: &str, value: &Value, values: &Document) -> Problem {
    let file = format!("charts/{release}/values.yaml");
    Problem::new(format!("`{key}` of {who} in `{release}` is not valid in Kubernetes: {value}"))
        .at(file, line(values, key, value))
}

/// The first line of our values with this key and value.
fn line(values: &Document, key: &str, value: &Value) -> Option<usize> {
    let same = |path: &[String]| path.iter().try_fold(&values.value, |value, key| value.get(key)) == Some(value);
    let ends = |path: &[String]| path.last().is_some_and(|last| last == key || last.to_lowercase().ends_with(key));
    values.lines.iter().filter(|(path, _)| ends(path) && same(path)).map(|(_, line)| *line).min()
}

/// Every `resources.requests.*` and `resources.limits.*` in an object (containers, volume claims), with its last key.
fn quantities<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    for item in value.as_array().into_iter().flatten() {
        quantities(item, found);
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        if key == "resources" {
            let sides = ["requests", "limits"].iter().filter_map(|side| below.get(side)?.as_object()).flatten();
            found.extend(sides.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value)));
        }
        quantities(below, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::yaml;
    use serde_json::json;

    #[test]
    fn invalid_quantities_are_reported_at_their_line() {
        let object = |replicas: Value, resources: Value| Rendered {
            template: String::new(),
            value: json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas,
                "template": {"spec": {"containers": [{"resources": resources}]}}}}),
        };
        let written = "count: 3\nmain:\n  memory: 64Mb\n  replicas: one\nresources:\n  requests:\n    memory: 64Mb\n";
        let written = yaml::parse("charts/plain/values.yaml", written).unwrap().remove(0);
        let few = json!({"requests": {"memory": "64Mb", "cpu": "0.1"}, "limits": {"cpu": "1 core", "memory": null}});
        let fine = json!({"requests": {"memory": "1Gi", "cpu": 1}, "limits": {"memory": 1_000_000}});
        let (bad, good) = (object(json!("one"), few), object(json!(2), fine));
        let found = invalid_quantities("plain", &written, &[bad, good]);
        let got: Vec<String> = found.iter().map(|p| format!("{} {}", p.at.as_ref().unwrap(), p.what)).collect();
        let want = [
            "charts/plain/values.yaml:4 `replicas` of deployment/web in `plain` is not valid in Kubernetes: \"one\"",
            "charts/plain/values.yaml:3 `memory` of deployment/web in `plain` is not valid in Kubernetes: \"64Mb\"",
            "charts/plain/values.yaml `cpu` of deployment/web in `plain` is not valid in Kubernetes: \"1 core\"",
        ];
        assert_eq!(got, want);
    }
}
