//! Pod Security: `baseline` in every namespace, and the exceptions by name, each with its reason.

use std::collections::BTreeMap;

use crate::context::{ClauseContext, shown};
use crate::rendered_state::{ClusterManifests, Document};
use charts::verify::namespaces;

const ENFORCE: &str = "metadata.labels.pod-security\\.kubernetes\\.io/enforce";

/// Namespaces that need more, measured with `enforce: baseline` everywhere on v1.35.6 (ADR-0003).
const PRIVILEGED: [(&str, &str); 3] = [
    ("kube-system", "Cilium uses the host's network, ports and paths"),
    ("monitoring", "node-exporter and Promtail read paths of the host"),
    ("local-path-storage", "helper pods mount the host path of each volume"),
];

pub(super) fn judge(cluster: &ClusterManifests, ctx: &mut ClauseContext) {
    ctx.rule("pod-security");
    let mut made: BTreeMap<&str, &Document> = BTreeMap::new();
    for space in cluster.objects("Namespace") {
        let name = space.word("metadata.name");
        ctx.read(space, ENFORCE);
        let level = namespaces::level(space.value());
        let excused = PRIVILEGED.iter().any(|(known, _)| *known == name);
        let holds = match level {
            Some("baseline" | "restricted") => true,
            Some("privileged") => excused,
            _ => false,
        };
        if !holds {
            let label = "pod-security.kubernetes.io/enforce: baseline";
            ctx.breach(cluster, space, ENFORCE, label, shown(level), label);
        }
        made.insert(name, space);
    }
    for release in cluster.releases() {
        let labelled = made.get(release.namespace()).is_some_and(|space| space.wave < release.wave);
        if !labelled {
            let want = format!("namespace {} labelled before {} is installed", release.namespace(), release.name);
            let hint = "write it into infra/manifests/namespaces*.yaml with its label";
            ctx.missing(cluster, &release.name, &want, "no such manifest in an earlier wave", hint);
        }
    }
    let privileged = made.keys().filter(|name| PRIVILEGED.iter().any(|(known, _)| known == *name)).count();
    ctx.metric(
        &format!("namespaces of {}", cluster.name),
        format!("{}, {privileged} of them excused by name", made.len()),
    );
    for (name, why) in PRIVILEGED {
        ctx.rationale(format!("namespace {name} is privileged: {why}"));
    }
}
