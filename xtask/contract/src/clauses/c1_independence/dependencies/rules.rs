//! How an app cluster survives an unanswered dependency on the platform, by who depends and how.

use super::{Class, Owner};
use crate::rendered_state::{Document, Kind};

/// Judged by its own rule: `c1.logs`.
const SHIPPED: &str = "lines wait in the log files, positions are on disk and it retries without end";

/// Who may depend (release, chart or kind of object), by which value (`*` is one element), and why an outage is survived.
const SURVIVE: &[(&str, &str, Class, &str)] = &[
    (
        "prometheus-agent",
        "server.remoteWrite.*.url",
        Class::Buffered,
        "samples wait in the agent's log, for as long as C2 computes",
    ),
    ("promtail", "config.clients.*.url", Class::Buffered, SHIPPED),
    ("alloy", "alloy.configMap.content", Class::Buffered, SHIPPED),
    ("fluent-bit", "config.outputs", Class::Buffered, SHIPPED),
    (
        "ClusterSecretStore",
        "spec.provider.vault.server",
        Class::Cached,
        "the Secrets that were copied stay as they are (C3)",
    ),
    ("SecretStore", "spec.provider.vault.server", Class::Cached, "the Secrets that were copied stay as they are (C3)"),
    (
        "cilium",
        "clustermesh.**",
        Class::Cached,
        "kvstoremesh keeps the platform's last state; nothing here waits for it",
    ),
];

/// The same for what charts make of these values.
const RENDERED: &[(&str, &str, Class, &str)] = &[
    (
        "prometheus-agent",
        "data.prometheus\\.yml.remote_write.*.url",
        Class::Buffered,
        "samples wait in the agent's log, for as long as C2 computes",
    ),
    ("promtail", "stringData.promtail\\.yaml.clients.*.url", Class::Buffered, SHIPPED),
    ("alloy", "data.config\\.alloy", Class::Buffered, SHIPPED),
    ("fluent-bit", "data.fluent-bit\\.conf", Class::Buffered, SHIPPED),
    // Secrets `cilium-clustermesh` and `cilium-kvstoremesh`, with a file for each peer.
    ("cilium", "data.**", Class::Cached, "kvstoremesh keeps the platform's last state; nothing here waits for it"),
    (
        "cilium",
        "spec.template.spec.hostAliases.**",
        Class::Cached,
        "kvstoremesh keeps the platform's last state; nothing here waits for it",
    ),
];

/// The class of a dependency in a value, and why.
pub(super) fn class(document: &Document, path: &str, owner: &Owner) -> (Class, String) {
    let (table, who) = match document.kind {
        Kind::Values { .. } => (SURVIVE, document.name.as_str()),
        Kind::Object => (SURVIVE, document.word("kind")),
        Kind::Rendered { .. } => (RENDERED, document.name.as_str()),
    };
    let chart = document.chart().or(document.made_by()).unwrap_or(who);
    let known = table.iter().find(|(name, pattern, ..)| (*name == who || *name == chart) && fits(pattern, path));
    match (known, owner) {
        (_, Owner::Unknown(why)) => (Class::Fatal, format!("{why}; addresses of machines come from DHCP and change")),
        (_, Owner::PrivateRegistry(why)) => {
            (Class::Fatal, format!("{why}: without it no pod can be created on a node that lacks the image"))
        }
        (Some((.., Class::Cached, why)), Owner::Platform(_)) if chart == "cilium" => (Class::Cached, (*why).to_owned()),
        (Some((.., class, why)), Owner::Stub(_)) => (*class, (*why).to_owned()),
        (Some(_), Owner::Platform(why)) => {
            (Class::Fatal, format!("{why}: use a Service of the mesh, whose name is local and does not change"))
        }
        (None, Owner::Stub(service)) => (Class::Fatal, format!("nothing is known to survive without {service}")),
        (None, Owner::Platform(why)) => (Class::Fatal, format!("{why}; nothing is known to survive without it")),
    }
}

/// The class of a dependency in a file of a node. Nodes ask a mirror first, and then the registry.
pub(super) fn of_node(line: &str, owner: &Owner) -> (Class, String) {
    if line.contains("[host.") || line.contains("mirror") {
        return (Class::Optional, "a mirror: nodes use the registry itself when it does not answer".to_owned());
    }
    let why = match owner {
        Owner::Platform(why) | Owner::Unknown(why) | Owner::PrivateRegistry(why) => why.clone(),
        Owner::Stub(service) => format!("Service {service}"),
    };
    (Class::Fatal, format!("{why}; a node must start without the platform"))
}

/// `a.*.c` fits `a.0.c`; `a.**` fits everything below `a`.
fn fits(pattern: &str, path: &str) -> bool {
    if let Some(stem) = pattern.strip_suffix("**") {
        return path.starts_with(stem);
    }
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), path.split('.').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(p, k)| *p == "*" || p == k)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_name_one_place() {
        assert!(fits("server.remoteWrite.*.url", "server.remoteWrite.0.url"));
        assert!(!fits("server.remoteWrite.*.url", "server.remoteWrite.0.proxy_url"));
        assert!(fits("clustermesh.**", "clustermesh.config.clusters.0.ips.0") && !fits("clustermesh.**", "cluster.id"));
    }
}
