//! Amounts in what is rendered that the API server would refuse: replicas that are no number, quantities without a
//! unit of Kubernetes. Few charts have a schema that looks at them. Knows nothing of how much there is.

use serde_json::Value;

use super::memory::quantity;
use crate::rendered::Rendered;
use model::problem::Problem;
use model::yaml::Document;

/// What makes `replicas` pods.
const REPLICATED: [&str; 3] = ["Deployment", "ReplicaSet", "StatefulSet"];

/// A problem for each of them, at the line of our values that says the same under the same key, if one does.
pub fn unreadable(release: &str, written: &Document, objects: &[Rendered]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Rendered { value: object, .. } in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let who = format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str().unwrap_or_default());
        let replicas = &object["spec"]["replicas"];
        if REPLICATED.contains(&kind) && !replicas.is_null() && replicas.as_u64().is_none() {
            let why = "it is a whole number";
            problems.push(problem(release, &who, "replicas", replicas, written).why(why).hint("replicas: 1"));
        }
        let mut found = Vec::new();
        quantities(object, &mut found);
        for (key, value) in found.into_iter().filter(|(_, value)| quantity(value).is_none()) {
            let example = if key == "cpu" { "100m" } else { "64Mi" };
            let why = "a quantity is a number, with a unit of Kubernetes behind it or none";
            problems.push(problem(release, &who, key, value, written).why(why).hint(format!("{key}: {example}")));
        }
    }
    problems
}

fn problem(release: &str, who: &str, key: &str, value: &Value, written: &Document) -> Problem {
    let file = format!("charts/{release}/values.yaml");
    Problem::new(format!("`{key}` of {who} in `{release}` is not what Kubernetes reads: {value}"))
        .at(file, line(written, key, value))
}

/// The first line of our values with this value under this key.
fn line(written: &Document, key: &str, value: &Value) -> Option<usize> {
    let same = |path: &[String]| path.iter().try_fold(&written.value, |value, key| value.get(key)) == Some(value);
    let ends = |path: &[String]| path.last().is_some_and(|last| last == key || last.to_lowercase().ends_with(key));
    written.lines.iter().filter(|(path, _)| ends(path) && same(path)).map(|(_, line)| *line).min()
}

/// Every `resources.requests.*` and `resources.limits.*` in an object, with its last key: of containers and of claims.
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
    fn what_kubernetes_cannot_read_is_found_where_it_is_written() {
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
        let found = unreadable("plain", &written, &[bad, good]);
        let told: Vec<String> = found.iter().map(|p| format!("{} {}", p.at.as_ref().unwrap(), p.what)).collect();
        let want = [
            "charts/plain/values.yaml:4 `replicas` of deployment/web in `plain` is not what Kubernetes reads: \"one\"",
            "charts/plain/values.yaml:3 `memory` of deployment/web in `plain` is not what Kubernetes reads: \"64Mb\"",
            "charts/plain/values.yaml `cpu` of deployment/web in `plain` is not what Kubernetes reads: \"1 core\"",
        ];
        assert_eq!(told, want);
    }
}
