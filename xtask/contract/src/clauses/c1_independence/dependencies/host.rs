//! Whose a host is: of this cluster, of the platform, of another app cluster, or of the internet.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::services;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use charts::verify::ADDRESS;

/// Registries that anybody can reach.
const PUBLIC: [&str; 8] = [
    "docker.io",
    "ghcr.io",
    "quay.io",
    "registry.k8s.io",
    "public.ecr.aws",
    "reg.kyverno.io",
    "gcr.io",
    "mcr.microsoft.com",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The platform, by way of a Service of the mesh that stands here: `namespace/name`.
    Stub(String),
    /// The platform, directly: why that is known.
    Platform(String),
    /// An address that belongs to nothing in the fleet.
    Unknown(String),
    /// A registry that only this project could run.
    PrivateRegistry(String),
}

/// What is known of names and addresses, seen from one app cluster.
#[derive(Debug)]
pub struct Hosts {
    platform: String,
    platform_machines: Vec<String>,
    platform_ranges: [ipnet::Ipv4Net; 2],
    other_ranges: Vec<ipnet::Ipv4Net>,
    stubs: BTreeSet<String>,
    /// Namespaces that exist on the platform alone.
    only_there: BTreeSet<String>,
}

impl Hosts {
    pub fn of(state: &RenderedState, cluster: &ClusterManifests, platform: &ClusterManifests) -> Self {
        let here = namespaces(cluster);
        Hosts {
            platform: platform.name.clone(),
            platform_machines: platform.machines.clone(),
            platform_ranges: platform.ranges,
            other_ranges: state.apps().flat_map(|g| g.ranges).collect(),
            stubs: services::stubs(cluster),
            only_there: namespaces(platform).difference(&here).cloned().collect(),
        }
    }

    /// What a value points at, where that is not this cluster's own nor the internet's.
    pub fn read(&self, document: &Document, path: &str, text: &str) -> Option<(String, Owner)> {
        if text.contains('\n') {
            return text.lines().find_map(|line| self.read(document, path, line));
        }
        let key = path.rsplit('.').next().unwrap_or_default();
        if matches!(key, "image" | "registry" | "repository") {
            return self.image(text);
        }
        let said = self.names(text).into_iter().next();
        let ran = is_run(path);
        said.or_else(|| words(text).find_map(|word| self.host(document, word, ran)))
    }

    /// Names of the platform itself: its facts, machines, API server and addresses. For any text.
    pub fn names(&self, text: &str) -> Vec<(String, Owner)> {
        let mut found = Vec::new();
        for kind in ["fact", "secret"] {
            let token = format!("<{kind}:{}.", self.platform);
            if let Some((_, rest)) = text.split_once(&token) {
                let name = format!("{}.{}", self.platform, rest.split('>').next().unwrap_or_default());
                found.push((name, Owner::Platform(format!("a {kind} of {}", self.platform))));
            }
        }
        for word in words(text) {
            let host = bare(word);
            let machine = self.platform_machines.iter().any(|name| name == host);
            // A label of its name, as in harbor.mgmt.local or mgmt.mesh.cilium.io; a file such as mgmt.yaml is none.
            let labelled = host.split('.').any(|l| l == self.platform) && host.contains('.') && !word.starts_with('/');
            if machine || (labelled && !host.ends_with(".yaml")) {
                found.push((host.to_owned(), Owner::Platform(format!("a name on {}", self.platform))));
            } else if self.in_platform(host) {
                found.push((host.to_owned(), Owner::Platform(format!("an address of {}", self.platform))));
            }
        }
        found
    }

    fn in_platform(&self, host: &str) -> bool {
        let address: Option<Ipv4Addr> = host.parse().ok();
        address.is_some_and(|a| self.platform_ranges.iter().any(|range| range.contains(&a)))
    }

    /// A word of a value, if it is a host that only the platform can answer for. What a container runs with may name one
    /// without scheme and port.
    fn host(&self, document: &Document, word: &str, ran: bool) -> Option<(String, Owner)> {
        let url = word.contains("://");
        let host = bare(word);
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            // A sample stands where the values name a machine; whose it is they say themselves, and they are read, too.
            let known = address.is_loopback()
                || address.is_unspecified()
                || (address == ADDRESS && document.made_by().is_some())
                || self.other_ranges.iter().any(|range| range.contains(&address));
            let unknown = url && !known;
            return unknown.then(|| (host.to_owned(), Owner::Unknown("an address of nothing in the fleet".into())));
        }
        // `loki:3100` is as good a name as `http://loki`.
        let located = url || is_located(word) || ran;
        let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
        let service = match labels[..] {
            [name] if located => format!("{}/{name}", document.namespace()),
            [name, space] if located || self.stubs.contains(&format!("{space}/{name}")) => format!("{space}/{name}"),
            [name, space, "svc", ..] => format!("{space}/{name}"),
            _ => return None,
        };
        if self.stubs.contains(&service) {
            return Some((service.clone(), Owner::Stub(service)));
        }
        let space = service.split('/').next().unwrap_or_default();
        let why = || format!("the namespace {space} is on {} alone, and no Service here has that name", self.platform);
        self.only_there.contains(space).then(|| (service.clone(), Owner::Platform(why())))
    }

    /// The registry of an image, unless it is a public one; a name without one means docker.io.
    fn image(&self, text: &str) -> Option<(String, Owner)> {
        if let Some(named) = self.names(text).into_iter().next() {
            return Some(named);
        }
        let first = text.split('/').next().unwrap_or_default();
        let is_host = first.contains(['.', ':']) && (text.contains('/') || !first.contains(':'));
        let private = is_host && !PUBLIC.contains(&first) && !first.ends_with(".gcr.io");
        private.then(|| (first.to_owned(), Owner::PrivateRegistry("not a public registry".into())))
    }
}

/// Namespaces that manifests make or releases are installed into.
fn namespaces(cluster: &ClusterManifests) -> BTreeSet<String> {
    let made = cluster.objects("Namespace").map(|n| n.word("metadata.name"));
    let used = cluster.releases().map(Document::namespace);
    made.chain(used).map(str::to_owned).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || ".-_:/<>@".contains(c);
    text.split(move |c: char| !part(c)).filter(|word| word.len() > 2)
}

fn is_located(word: &str) -> bool {
    let port = |rest: &str| rest.split('/').next().is_some_and(|port| port.parse::<u16>().is_ok());
    word.split_once(':').is_some_and(|(host, rest)| !host.is_empty() && port(rest))
}

/// Whether a text is an argument, a part of a command after its program, or the value of an environment variable; in
/// values of charts, too. `env` of a chart may be a map.
fn is_run(path: &str) -> bool {
    let keys: Vec<&str> = path.split('.').collect();
    let list = |at: usize| keys.get(at).is_some_and(|key| key.to_lowercase().ends_with("args") || *key == "command");
    match keys[..] {
        [.., "command", "0"] => false,
        [.., _] if keys.len() > 1 && list(keys.len() - 2) => true,
        [.., list, _, "value"] if list.to_lowercase().contains("env") => true,
        [.., map, _] => ["env", "extraEnv", "extraEnvVars", "environment"].contains(&map),
        _ => false,
    }
}

/// `http://user@host:80/path` gives `host`.
fn bare(word: &str) -> &str {
    let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or_default();
    let rest = rest.rsplit('@').next().unwrap_or_default();
    rest.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_makes_a_word_a_place() {
        assert!(is_located("loki:3100") && is_located("vault.vault:8200"));
        assert!(is_located("vault.vault:8200/v1"));
        assert!(["loki", "loki:x", "docker.io/a:1.2", ":80", "a:1:2"].iter().all(|word| !is_located(word)));
    }

    #[test]
    fn what_a_container_runs_with_is_known_by_its_path() {
        let pod = "spec.template.spec.initContainers.0";
        for path in ["args.0", "command.2", "env.1.value", "lifecycle.postStart.exec.command.1"] {
            assert!(is_run(&format!("{pod}.{path}")), "{path}");
        }
        assert!(is_run("server.extraEnv.0.value") && is_run("extraArgs.2") && is_run("grafana.env.HOST"));
        assert!(["command.0", "image", "env.0.name", "name"].iter().all(|path| !is_run(&format!("{pod}.{path}"))));
    }

    #[test]
    fn a_host_is_extracted_from_its_context() {
        for (word, want) in [
            ("http://u:p@vault.vault.svc:8200/v1", "vault.vault.svc"),
            ("10.100.0.7:19291", "10.100.0.7"),
            ("mgmt-api:6443", "mgmt-api"),
            ("ghcr.io/x/y:1", "ghcr.io"),
        ] {
            assert_eq!(bare(word), want);
        }
        let found: Vec<&str> = words("VAULT=http://a.b:1, \"c.d\"").collect();
        assert_eq!(found, ["VAULT", "http://a.b:1", "c.d"]);
    }
}
