//! What the outside world offers: chart archives with their published digests, Gateway API CRDs.
//! Knows nothing of how anything is fetched or installed.

use std::collections::BTreeMap;

mod charts;

pub use charts::{Chart, Hook, Pods, find};

/// CRDs that Cilium's operator makes when it runs, not the chart (measured).
pub const CILIUM_CRDS: &[(&str, &str, &str)] = &[
    ("ciliumendpoints.cilium.io", "CiliumEndpoint", "v2"),
    ("ciliumloadbalancerippools.cilium.io", "CiliumLoadBalancerIPPool", "v2"),
    ("ciliuml2announcementpolicies.cilium.io", "CiliumL2AnnouncementPolicy", "v2alpha1"),
    ("ciliumgatewayclassconfigs.cilium.io", "CiliumGatewayClassConfig", "v2alpha1"),
    ("ciliumnetworkpolicies.cilium.io", "CiliumNetworkPolicy", "v2"),
    ("ciliumclusterwidenetworkpolicies.cilium.io", "CiliumClusterwideNetworkPolicy", "v2"),
    ("ciliumnodes.cilium.io", "CiliumNode", "v2"),
];

/// Gateway API's standard channel: plural, kind.
const GATEWAY: &[(&str, &str)] = &[
    ("backendtlspolicies", "BackendTLSPolicy"),
    ("gatewayclasses", "GatewayClass"),
    ("gateways", "Gateway"),
    ("grpcroutes", "GRPCRoute"),
    ("httproutes", "HTTPRoute"),
    ("listenersets", "ListenerSet"),
    ("referencegrants", "ReferenceGrant"),
    ("tcproutes", "TCPRoute"),
    ("tlsroutes", "TLSRoute"),
    ("udproutes", "UDPRoute"),
];

/// The standard channel of a Gateway API version, or one file of it: what the embedded world reads of a CRD.
pub fn gateway_api(version: &str, only: Option<&str>) -> String {
    let mut out = String::new();
    for (plural, kind) in GATEWAY.iter().filter(|(plural, _)| only.is_none_or(|name| name == *plural)) {
        let scope = if *plural == "gatewayclasses" { "Cluster" } else { "Namespaced" };
        out.push_str(&format!(
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    \
             gateway.networking.k8s.io/bundle-version: {version}\n    gateway.networking.k8s.io/channel: standard\n  \
             name: {plural}.gateway.networking.k8s.io\nspec:\n  group: gateway.networking.k8s.io\n  names:\n    \
             kind: {kind}\n    plural: {plural}\n  scope: {scope}\n  versions:\n  - name: v1\n    served: true\n"
        ));
    }
    if only.is_none() {
        for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
            let name = "safe-upgrades.gateway.networking.k8s.io";
            out.push_str(&format!(
                "---\napiVersion: admissionregistration.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
            ));
        }
    }
    out
}

/// A chart that the embedded world was not taught. Of what it makes nothing is known, so nothing of it is shown: no
/// pod, and nothing that could be waited for.
pub static STRANGER: Chart = Chart { name: "", from: &[], pods: &[], crds: &[], hook: None };

/// Whether a chart of that name is known here.
pub fn knows(name: &str) -> bool {
    find(name).is_some()
}

/// Whether a repository has a chart of that name, among those that are known here.
pub fn has(name: &str, from: &str) -> bool {
    find(name).is_some_and(|chart| chart.from.contains(&from))
}

/// What the embedded world's registries serve as an archive.
pub fn archive(chart: &str, version: &str) -> String {
    format!("archive of the embedded world\nchart: {chart}\nversion: {version}\n")
}

/// Chart and version of such an archive.
pub fn opened(archive: &str) -> Option<(String, String)> {
    let rest = archive.strip_prefix("archive of the embedded world\nchart: ")?;
    let (chart, rest) = rest.split_once("\nversion: ")?;
    Some((chart.to_owned(), rest.strip_suffix('\n')?.to_owned()))
}

/// sha256 of archives as the projects' own indexes publish them (August 2026).
pub fn digests() -> BTreeMap<String, String> {
    // The server is taken to hold the file that `charts/releases.toml` pins.
    let gateway = "24d931f22abd8e40c973264319ead7cfa09d0fb7716b7ab1ee2ff174cb063a73".to_owned();
    let gateway = ("gateway-api-v1.6.1-standard-install.yaml".to_owned(), gateway);
    [
        ("cilium-1.20.0", "c5f013912360d1a334f44ef25f36da59ba3414cdb48f466ee12d0c4fdff27883"),
        ("argo-cd-10.1.1", "a677dfa6ca7e9f9a71fe9bf54ea86a9011d5c7db8e137c5171e78c4493af20e5"),
        ("external-secrets-2.9.0", "da2d5c126a103b4c1b16a9dc1c168c4332a3687144e88ac070e594f81a0b6578"),
        ("loki-18.11.0", "d4d99424d197e1460878093c9fced02346669ab0698a0dca7c575ab76fff7aeb"),
        ("grafana-12.11.1", "5dddbb4efe49f502a50264592637f4d2b99db50a0a800abde2f8cba3f8da0a74"),
        ("promtail-6.17.1", "12115103a3b94932473fb3873aa670a68da9504e2f323c03790257088b479d9f"),
        ("kyverno-3.9.0", "9663e8d3d15b070e5925b4f26b3f9a8824872a42ac7bf27ca105c897cb5aba51"),
        ("kyverno-policies-3.9.0", "75eece1dd8c5f995c5818ed05a60f7714a2c60cac0a9eec69d331dbba24fc501"),
        ("velero-12.1.0", "cd23589ad1b2d25cdd3220f6866b3f6f4c5683c4c09494e76a14700b33f81f83"),
        ("thanos-0.38.0", "afb8dc54203894f83aa98ac00284a175a40cb6e1d06f4aa3e73f9df6a20fff44"),
        ("seaweedfs-4.44.0", "cf7741928657659424a7011a903f925bc1c480a00cb4c0a6df93da8feaaa9cf2"),
        ("prometheus-29.27.0", "1a4694c2f0a6a778d634c13e5434079fcfb3abacf33ae0f95814f84098602edd"),
        // Not in an index of theirs that could be read, but in two records of others (charts/releases.toml).
        ("vault-0.34.1", "df4c37fac32496892ff1e1d6fd7954d3a402cc7b1b2b4c2226af11b8a57564c4"),
    ]
    .map(|(file, digest)| (format!("{file}.tgz"), digest.to_owned()))
    .into_iter()
    .chain([gateway])
    .collect()
}
