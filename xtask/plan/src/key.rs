//! The key of a step: what it is about and what it does there, printed as `app1/cp/launch`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use model::fleet::{Cluster, Node};

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// This machine and its tools: `host/kubectl`.
    Host,
    /// Downloads: `charts/cilium-1.20.0`.
    Charts,
    /// Tools that are installed below `out/bin`: `tools/helm`.
    Tools,
    /// What clusters share: `fleet/kubeconfig`.
    Fleet,
    /// A cluster: `app1/nodes`.
    Cluster(String),
    /// A node of a cluster: `app1/cp/launch`.
    Node {
        /// The cluster's name.
        cluster: String,
        /// The node's name in its cluster.
        node: String,
        /// The VM that it runs in.
        machine: String,
    },
}

impl Scope {
    /// The first word of the keys of this scope.
    pub fn name(&self) -> &str {
        match self {
            Scope::Host => "host",
            Scope::Charts => "charts",
            Scope::Tools => "tools",
            Scope::Fleet => "fleet",
            Scope::Cluster(cluster) | Scope::Node { cluster, .. } => cluster,
        }
    }
}

/// Names a step. Keys are equal, and sorted, by their printed form; a copy shares it.
#[derive(Clone)]
pub struct StepKey(Arc<Inner>);

struct Inner {
    scope: Scope,
    text: String,
    /// Where the action begins in the text.
    action: usize,
}

impl StepKey {
    fn new(scope: Scope, path: &str, action: &str) -> Self {
        let text = format!("{path}/{action}");
        StepKey(Arc::new(Inner { scope, action: path.len() + 1, text }))
    }

    /// A check of this machine.
    pub fn host(action: &str) -> Self {
        StepKey::new(Scope::Host, "host", action)
    }

    /// A download.
    pub fn charts(action: &str) -> Self {
        StepKey::new(Scope::Charts, "charts", action)
    }

    /// The installation of a tool.
    pub fn tools(action: &str) -> Self {
        StepKey::new(Scope::Tools, "tools", action)
    }

    /// A step for what clusters share.
    pub fn fleet(action: &str) -> Self {
        StepKey::new(Scope::Fleet, "fleet", action)
    }

    /// A step of the cluster of that name.
    pub fn cluster(cluster: &str, action: &str) -> Self {
        StepKey::new(Scope::Cluster(cluster.to_owned()), cluster, action)
    }

    /// A step of a node.
    pub fn node(cluster: &Cluster, node: &Node, action: &str) -> Self {
        let path = format!("{}/{}", cluster.name, node.name);
        let (name, node, machine) = (cluster.name.clone(), node.name.clone(), cluster.vm(node));
        StepKey::new(Scope::Node { cluster: name, node, machine }, &path, action)
    }

    /// What the step is about.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// What it does there: `launch`.
    pub fn action(&self) -> &str {
        self.0.text.get(self.0.action..).unwrap_or_default()
    }

    pub fn machine(&self) -> Option<&str> {
        match self.scope() {
            Scope::Node { machine, .. } => Some(machine),
            _ => None,
        }
    }

    pub fn is_host(&self) -> bool {
        self.0.scope == Scope::Host
    }

    /// Whether it is about that cluster or a node of it.
    pub fn is_in(&self, cluster: &Cluster) -> bool {
        matches!(self.scope(), Scope::Cluster(name) | Scope::Node { cluster: name, .. } if *name == cluster.name)
    }

    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

/// A printed key. It does not show whether its second word is a node: the scope is then that of the cluster.
impl From<&str> for StepKey {
    fn from(text: &str) -> Self {
        let (first, action) = text.split_once('/').map_or((text, text.len()), |(first, _)| (first, first.len() + 1));
        let scope = match first {
            "host" => Scope::Host,
            "charts" => Scope::Charts,
            "tools" => Scope::Tools,
            "fleet" => Scope::Fleet,
            cluster => Scope::Cluster(cluster.to_owned()),
        };
        StepKey(Arc::new(Inner { scope, text: text.to_owned(), action }))
    }
}

impl Borrow<str> for StepKey {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for StepKey {
    fn eq(&self, other: &StepKey) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for StepKey {}

impl PartialEq<str> for StepKey {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<StepKey> for str {
    fn eq(&self, other: &StepKey) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<&str> for StepKey {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for StepKey {
    fn partial_cmp(&self, other: &StepKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StepKey {
    fn cmp(&self, other: &StepKey) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl serde::Serialize for StepKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::fleet;

    #[test]
    fn a_key_is_printed_and_parsed() {
        let fleet = fleet();
        let cluster = &fleet.clusters[0];
        let node = cluster.control_plane();
        let launch = StepKey::node(cluster, node, "launch");
        assert_eq!(launch.to_string(), format!("{}/{}/launch", cluster.name, node.name));
        assert_eq!((launch.action(), launch.machine()), ("launch", Some(cluster.vm(node).as_str())));
        assert!(launch.is_in(cluster));
        assert_eq!(launch, StepKey::from(launch.as_str()));
        let check = StepKey::from("host/helm");
        assert_eq!((check.scope(), check.action()), (&Scope::Host, "helm"));
        let pods = StepKey::from("app1/cilium/daemonset/cilium");
        assert_eq!((pods.scope().name(), pods.action()), ("app1", "cilium/daemonset/cilium"));
        assert_eq!((StepKey::from("a").scope().name(), StepKey::from("a").action()), ("a", ""));
    }
}
