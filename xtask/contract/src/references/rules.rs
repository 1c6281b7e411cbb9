//! How an app cluster gets along with a reference to the platform that nobody answers, by who refers and how.
//! Knows nothing of how references are found.

use super::super::evidence::{Kind, Sheet};
use super::{Class, Owner};

/// Who may refer (release or kind of object), by which value (`*` is one element), and why an outage is survived.
const SURVIVE: &[(&str, &str, Class, &str)] = &[
    (
        "prometheus-agent",
        "server.remoteWrite.*.url",
        Class::Buffered,
        "samples wait in the agent's log, for as long as C2 computes",
    ),
    (
        "promtail",
        "config.clients.*.url",
        Class::Buffered,
        "lines wait in the log files, positions are on disk and it retries for ever",
    ),
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
        "kvstoremesh keeps what the platform last said; nothing here asks it anything",
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
    (
        "promtail",
        "stringData.promtail\\.yaml.clients.*.url",
        Class::Buffered,
        "lines wait in the log files, positions are on disk and it retries for ever",
    ),
    // Secrets `cilium-clustermesh` and `cilium-kvstoremesh`, with a file for each peer.
    (
        "cilium",
        "data.**",
        Class::Cached,
        "kvstoremesh keeps what the platform last said; nothing here asks it anything",
    ),
    (
        "cilium",
        "spec.template.spec.hostAliases.**",
        Class::Cached,
        "kvstoremesh keeps what the platform last said; nothing here asks it anything",
    ),
];

/// The class of a reference in a value, and why.
pub(super) fn class(sheet: &Sheet, path: &str, owner: &Owner) -> (Class, String) {
    let (table, who) = match sheet.kind {
        Kind::Values { .. } => (SURVIVE, sheet.name.as_str()),
        Kind::Object => (SURVIVE, sheet.word("kind")),
        Kind::Rendered { .. } => (RENDERED, sheet.name.as_str()),
    };
    let known = table.iter().find(|(name, pattern, ..)| *name == who && fits(pattern, path));
    match (known, owner) {
        (_, Owner::Stranger(why)) => (Class::Fatal, format!("{why}; machines get theirs by DHCP and they change")),
        (_, Owner::PrivateRegistry(why)) => {
            (Class::Fatal, format!("{why}: without it no pod can be made anew on a node that lacks the image"))
        }
        (Some((.., Class::Cached, why)), Owner::Platform(_)) if who == "cilium" => (Class::Cached, (*why).to_owned()),
        (Some((.., class, why)), Owner::Stub(_)) => (*class, (*why).to_owned()),
        (Some(_), Owner::Platform(why)) => {
            (Class::Fatal, format!("{why}: go by a Service of the mesh, whose name is local and lasts"))
        }
        (None, Owner::Stub(service)) => (Class::Fatal, format!("nothing is known that survives without {service}")),
        (None, Owner::Platform(why)) => (Class::Fatal, format!("{why}; nothing is known that survives without it")),
    }
}

/// The class of a reference in a file of a node. Mirrors are asked first and then passed over.
pub(super) fn of_node(line: &str, owner: &Owner) -> (Class, String) {
    if line.contains("[host.") || line.contains("mirror") {
        return (Class::Optional, "a mirror: nodes ask the registry itself when it is silent".to_owned());
    }
    let why = match owner {
        Owner::Platform(why) | Owner::Stranger(why) | Owner::PrivateRegistry(why) => why.clone(),
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
