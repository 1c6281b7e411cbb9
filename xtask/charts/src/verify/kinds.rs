//! Compares the definitions that a chart renders with the table of kinds, on which the simulator and own manifests rest.

use serde_json::Value;

use crate::rendered::Rendered;
use model::kinds::{Definition, KINDS};
use model::problem::Problem;

/// A problem for each definition that is not in the table, is another one there, or is there and not rendered. A chart that
/// renders nothing at all says nothing about its kinds.
pub fn problems(release: &str, values: &Value, objects: &[Rendered], table: &[Definition]) -> Vec<Problem> {
    let rendered: Vec<Definition> = objects.iter().filter_map(|object| definition(&object.value)).collect();
    let is_off = |d: &Definition| {
        let pointer = d.switch.as_ref().map(|path| format!("/{}", path.replace('.', "/")));
        pointer.is_some_and(|pointer| values.pointer(&pointer) == Some(&Value::Bool(false)))
    };
    let same = |a: &Definition, b: &Definition| {
        let sorted = |d: &Definition| {
            let mut versions = d.versions.clone();
            versions.sort();
            versions
        };
        (&a.kind, a.namespaced, sorted(a)) == (&b.kind, b.namespaced, sorted(b))
    };
    let mut found = Vec::new();
    if objects.is_empty() {
        return found;
    }
    for one in &rendered {
        let known = table.iter().find(|d| d.name == one.name);
        if !known.is_some_and(|known| same(known, one)) {
            let scope = if one.namespaced { "namespaced" } else { "cluster" };
            let line = format!("\"{}\" = \"{} {} {scope}\"", one.name, one.kind, one.versions.join(","));
            let what = if known.is_some() { "is another one in" } else { "is not in" };
            found.push(Problem::new(format!("`{}` of {release} {what} {KINDS}", one.name)).hint(line));
        }
    }
    for known in table.iter().filter(|d| !is_off(d) && !rendered.iter().any(|one| one.name == d.name)) {
        let problem = Problem::new(format!("{release} does not render `{}`, which {KINDS} lists", known.name));
        found.push(problem.hint(format!("remove its line from {KINDS}")));
    }
    found.into_iter().map(|problem| problem.at(KINDS, None)).collect()
}

fn definition(object: &Value) -> Option<Definition> {
    if object["kind"] != "CustomResourceDefinition" {
        return None;
    }
    let served = object["spec"]["versions"].as_array()?.iter().filter(|v| v["served"] != false);
    Some(Definition {
        name: object["metadata"]["name"].as_str()?.to_owned(),
        kind: object["spec"]["names"]["kind"].as_str()?.to_owned(),
        versions: served.filter_map(|v| Some(v["name"].as_str()?.to_owned())).collect(),
        namespaced: object["spec"]["scope"] == "Namespaced",
        switch: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kinds;
    use serde_json::json;

    #[test]
    fn the_table_and_what_is_rendered_are_compared_both_ways() {
        let all = kinds::load(include_str!("../../../../charts/kinds.toml")).unwrap();
        assert_eq!(["argo-cd", "external-secrets", "kyverno", "velero"].map(|chart| all[chart].len()), [3, 25, 22, 13]);
        let table = kinds::load("[x]\n\"as.b.c\" = \"A v1 namespaced\"\n\"bs.b.c\" = \"B v1 cluster on.b\"\n").unwrap();
        let crd = |name: &str, scope: &str, kind: &str| Rendered {
            template: String::new(),
            value: json!({"kind": "CustomResourceDefinition", "metadata": {"name": name},
                "spec": {"scope": scope, "names": {"kind": kind}, "versions": [{"name": "v1", "served": true}]}}),
        };
        let what = |values: Value, objects: &[Rendered]| -> Vec<String> {
            problems("x", &values, objects, &table["x"]).into_iter().map(|p| p.what).collect()
        };
        let (a, b) = (crd("as.b.c", "Namespaced", "A"), crd("bs.b.c", "Cluster", "B"));
        assert_eq!(what(json!({}), &[a.clone(), b.clone()]), [""; 0]);
        assert_eq!(what(json!({"on": {"b": false}}), std::slice::from_ref(&a)), [""; 0]);
        assert_eq!(
            what(json!({}), std::slice::from_ref(&a)),
            ["x does not render `bs.b.c`, which charts/kinds.toml lists"]
        );
        let other = [crd("as.b.c", "Cluster", "A"), b, crd("cs.b.c", "Cluster", "C")];
        let want = ["`as.b.c` of x is another one in charts/kinds.toml", "`cs.b.c` of x is not in charts/kinds.toml"];
        assert_eq!(what(json!({}), &other), want);
        assert!(kinds::load("[x]\na = \"A v1\"\n").is_err());
    }
}
