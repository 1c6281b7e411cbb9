//! What can be wrong with a cluster of a scene, for tests to arrange and the simulated tools to show.
//! Knows nothing of who notices.

use serde::{Deserialize, Serialize};

use super::net::Net;

/// Something that is wrong with one cluster of a scene, beyond what commands can bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mishap {
    /// Its agents trust an authority of their own.
    OtherAuthority,
    /// It runs with this cluster id.
    ClusterId(u8),
    /// Its nodes' pods have ranges in this network.
    PodRanges(Net),
    /// Its mesh server listens on this port.
    Port(u16),
    /// Its agents use this protocol.
    Tunnel(String),
    /// `cilium status` and `clustermesh status` find no agent.
    NoAgents,
    /// Its KVStoreMesh connects with nobody.
    Deaf,
    /// Its clocks are ahead by so many seconds.
    Clock(u64),
    /// The Job that makes its certificates has not ended.
    NoCertificates,
    /// Its packets to other clusters get lost.
    Lossy,
    /// The agent of one node runs on with another protocol than it was told since.
    Agent {
        /// The node.
        node: String,
        /// The protocol.
        tunnel: String,
    },
    /// A node has no agent.
    NoAgentOn(String),
    /// Something killed its Prometheus Agent: the reason as the kubelet writes it, `OOMKilled`.
    Killed(String),
    /// Its Prometheus Agent writes so many bytes a second.
    Writes(u64),
    /// Pods of a release run on with another value than it has.
    Runs {
        /// The release.
        release: String,
        /// Where in its values.
        pointer: String,
        /// What they run with.
        value: serde_json::Value,
    },
    /// Somebody took an object away: `secret/sample/sample-credentials`.
    Gone(String),
}
