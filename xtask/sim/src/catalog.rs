//! What upstream servers offer: chart archives with their published digests, Gateway API CRDs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::data;
use model::kinds::{self, Definition};

/// What a chart puts into a cluster: see `data/charts.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chart {
    #[serde(skip)]
    pub name: String,
    from: Vec<String>,
    #[serde(default)]
    sha256: BTreeMap<String, String>,
    #[serde(default = "default_install_ms")]
    pub install_ms: u64,
    #[serde(default)]
    pub pods: Vec<Pods>,
    /// Of `charts/kinds.toml`.
    #[serde(skip)]
    pub crds: Vec<Definition>,
    pub hook: Option<Hook>,
    pub files: Option<Files>,
}

/// Of a log shipper: pointers into the values.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Volumes of its pods, and the mounts.
    pub volumes: [String; 2],
    /// A path of the node that is mounted without values.
    pub otherwise: String,
    /// A flag, and its value.
    pub flag: Option<[String; 2]>,
    /// Texts of a ConfigMap's key.
    pub key: String,
    pub texts: Vec<String>,
}

fn charts() -> &'static BTreeMap<String, Chart> {
    static CHARTS: OnceLock<BTreeMap<String, Chart>> = OnceLock::new();
    CHARTS.get_or_init(|| {
        let mut charts: BTreeMap<String, Chart> = data::read(include_str!("../data/charts.toml"));
        let mut kinds = kinds::load(include_str!("../../../charts/kinds.toml")).expect("bug: the kinds of charts");
        for (name, chart) in &mut charts {
            chart.name.clone_from(name);
            chart.crds = kinds.remove(name).unwrap_or_default();
        }
        charts
    })
}

const fn default_install_ms() -> u64 {
    3000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub name: String,
    #[serde(default)]
    pub before: bool,
    pub memory: Vec<String>,
    #[serde(default)]
    pub makes: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Pods {
    pub kind: String,
    pub name: String,
    pub only: String,
    pub replicas: String,
    pub host_network: bool,
    pub violations: String,
    pub memory: Vec<String>,
    pub claim: Option<(String, String)>,
    pub secrets: Vec<String>,
    pub configs: Vec<String>,
    pub rolls: Vec<String>,
    pub rolls_if: String,
    pub pull: u64,
}

/// A chart that is published and not in the tables: it installs, and creates nothing that could be waited for.
pub static UNKNOWN_CHART: Chart = Chart {
    name: String::new(),
    from: vec![],
    sha256: BTreeMap::new(),
    install_ms: default_install_ms(),
    pods: vec![],
    crds: vec![],
    hook: None,
    files: None,
};

/// CRDs that Cilium's operator creates when it runs, not the chart (measured): full name, kind, version, namespaced.
pub const CILIUM_CRDS: &[(&str, &str, &str, bool)] = &[
    ("ciliumendpoints.cilium.io", "CiliumEndpoint", "v2", true),
    ("ciliumloadbalancerippools.cilium.io", "CiliumLoadBalancerIPPool", "v2", false),
    ("ciliuml2announcementpolicies.cilium.io", "CiliumL2AnnouncementPolicy", "v2alpha1", false),
    ("ciliumgatewayclassconfigs.cilium.io", "CiliumGatewayClassConfig", "v2alpha1", false),
    ("ciliumnetworkpolicies.cilium.io", "CiliumNetworkPolicy", "v2", true),
    ("ciliumclusterwidenetworkpolicies.cilium.io", "CiliumClusterwideNetworkPolicy", "v2", false),
    ("ciliumnodes.cilium.io", "CiliumNode", "v2", false),
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

/// The standard channel of a Gateway API version, or one file of it: as much of each CRD as the simulator reads.
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

pub fn find(name: &str) -> Option<&'static Chart> {
    charts().get(name)
}

pub fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// Whether a repository offers a chart, among those that are known.
pub fn is_published(name: &str, repository: &str) -> bool {
    find(name).is_some_and(|chart| chart.from.iter().any(|from| from == repository))
}

pub fn archive(chart: &str, version: &str) -> String {
    format!("simulated archive\nchart: {chart}\nversion: {version}\n")
}

pub fn parse_archive(archive: &str) -> Option<(String, String)> {
    let rest = archive.strip_prefix("simulated archive\nchart: ")?;
    let (chart, rest) = rest.split_once("\nversion: ")?;
    Some((chart.to_owned(), rest.strip_suffix('\n')?.to_owned()))
}

/// sha256 of published files, by file name.
pub fn published_digests() -> BTreeMap<String, String> {
    // The server is taken to hold the file that `charts/releases.toml` pins.
    let gateway = (
        "gateway-api-v1.6.1-standard-install.yaml",
        "24d931f22abd8e40c973264319ead7cfa09d0fb7716b7ab1ee2ff174cb063a73",
    );
    let versions = charts().iter().flat_map(|(name, chart)| chart.sha256.iter().map(move |of| (name, of)));
    let archives = versions.map(|(name, (version, digest))| (format!("{name}-{version}.tgz"), digest.clone()));
    archives.chain([(gateway.0.to_owned(), gateway.1.to_owned())]).collect()
}
