//! PodSecurity's level `baseline`.

use crate::prelude::*;

/// Violations of `baseline`, or nothing. The text is measured, the order is that of the real checks; checks that
/// nothing here can fail are left out.
pub fn baseline_violations(spec: &Value) -> String {
    let on = |value: &Value| value.as_bool() == Some(true);
    let names = |list: &[String]| list.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    let list = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    let spaces: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|key| on(&spec[*key]))
        .map(|key| format!("{key}=true"))
        .collect();
    if !spaces.is_empty() {
        found.push(format!("host namespaces ({})", spaces.join(", ")));
    }
    let paths: Vec<String> =
        list("volumes").iter().filter(|v| v["hostPath"].is_object()).map(|v| text(v, "/name").to_owned()).collect();
    if !paths.is_empty() {
        let volumes = if paths.len() == 1 { "volume" } else { "volumes" };
        found.push(format!("hostPath volumes ({volumes} {})", names(&paths)));
    }
    for container in list("initContainers").iter().chain(&list("containers")) {
        let name = text(container, "/name");
        let ports = container["ports"].as_array().into_iter().flatten();
        let taken: Vec<String> = ports.filter_map(|p| p["hostPort"].as_u64()).map(|p| p.to_string()).collect();
        if !taken.is_empty() {
            let word = if taken.len() == 1 { "hostPort" } else { "hostPorts" };
            found.push(format!("hostPort (container \"{name}\" uses {word} {})", taken.join(", ")));
        }
        if on(&container["securityContext"]["privileged"]) {
            found.push(format!("privileged (container \"{name}\" must not set securityContext.privileged=true)"));
        }
    }
    found.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn baseline_violations_are_named_as_by_the_api_server() {
        let exporter = json!({ "hostNetwork": true, "hostPID": true, "volumes": [{ "name": "proc", "hostPath": {} },
            { "name": "sys", "hostPath": {} }, { "name": "root", "hostPath": {} }],
            "containers": [{ "name": "node-exporter", "ports": [{ "hostPort": 9100 }] }] });
        assert_eq!(
            baseline_violations(&exporter),
            "host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volumes \"proc\", \"sys\", \"root\"), \
             hostPort (container \"node-exporter\" uses hostPort 9100)"
        );
        let privileged = json!({ "containers": [{ "name": "c", "securityContext": { "privileged": true } }] });
        let words = "privileged (container \"c\" must not set securityContext.privileged=true)";
        assert_eq!(baseline_violations(&privileged), words);
        assert_eq!(baseline_violations(&json!({ "containers": [{ "name": "c" }] })), "");
    }
}
