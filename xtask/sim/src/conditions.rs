//! What can be wrong with a cluster of a scene, for tests to arrange and the simulated tools to show.
//! Knows nothing of who notices.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::Net;

/// Something that is wrong with one cluster of a scene, beyond what commands can bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
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
    /// Its KVStoreMesh does not connect with this one cluster.
    DeafTo(String),
    /// Its agents have lost a node of each peer.
    Forgets,
    /// Its agents are connected and never end copying.
    Unsynced,
    /// Its nodes take nothing on this port from other machines: 4240 is cilium-health's, 8472 the tunnel's.
    Closed(u16),
    /// Its packets of full size to other clusters get lost.
    SmallOnly,
    /// What this release sends to the platform does not get there, or it cannot use what it gets.
    Withholds(String),
    /// The agent of this node goes on with this address, until agents are started anew after this time.
    Held {
        /// The node.
        node: String,
        /// The address that it had when its agent started.
        ip: Ipv4Addr,
        /// When agents were started last.
        since: Duration,
    },
    /// Its clocks are ahead by so many seconds.
    Clock(u64),
    /// The Job that makes its certificates has not ended.
    NoCertificates,
    /// Its certificates ended before the first day of the embedded world.
    OldCertificates,
    /// No pod of its mesh server is there.
    NoServer,
    /// Some test of `cilium connectivity test` fails with it.
    FullTest,
    /// Its control plane cannot be moved to another address.
    Jammed,
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
    /// This breaks while the platform is away, which the contract says nothing does.
    Away(Breach),
}

/// What an outage of the platform may break on a workload cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// C1: its sample needs the platform.
    Tied,
    /// C1: its way to other workload clusters leads through the platform.
    Routed,
    /// C1: somebody changes its sample.
    Touched,
    /// C2: its agent is started anew, and what waits is never sent.
    Forgets,
    /// C3: its Secret is deleted.
    Revoked,
    /// C3: its Secret is never read again.
    Stale,
    /// C4: Kyverno lets everything in.
    Lenient,
    /// C5: its agents carry packets another way.
    Rerouted,
}
