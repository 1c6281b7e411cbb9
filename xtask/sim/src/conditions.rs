//! Conditions that tests inject into a cluster.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use ipnet::Ipv4Net;

/// A broken condition of one cluster, beyond what commands can bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its agents trust a CA of their own.
    OtherAuthority,
    /// It runs with this id.
    ClusterId(u8),
    /// Its pod ranges are in this network.
    PodRanges(Ipv4Net),
    /// Its mesh server listens on this port.
    MeshPort(u16),
    /// Its agents use this protocol.
    Tunnel(String),
    NoAgents,
    /// Its KVStoreMesh connects to no cluster.
    Disconnected,
    /// Its KVStoreMesh does not connect to this cluster.
    DisconnectedFrom(String),
    /// Its agents miss a node of each peer.
    MissingRemoteNode,
    /// Its agents are connected and never finish synchronising.
    Unsynced,
    /// Its nodes accept nothing on this port from other machines (4240: cilium-health, 8472: tunnel).
    ClosedPort(u16),
    /// Its full-size packets to other clusters are lost.
    FullSizePacketsLost,
    /// What this release sends to the platform does not arrive, or it cannot use what it receives.
    CutOff(String),
    /// The agent of this node uses an old address until agents restart.
    StaleAgentAddress {
        node: String,
        ip: Ipv4Addr,
        since: Duration,
    },
    /// Its clocks are ahead by this many seconds.
    ClockAhead(u64),
    NoCertificates,
    /// Its mesh server has no pod.
    NoMeshServer,
    /// A test of `cilium connectivity test` fails.
    ConnectivityTestFails,
    /// `node-readdress` fails on its control plane.
    ReaddressFails,
    /// Its packets to other clusters are lost.
    PacketsLost,
    /// The agent of one node runs with another tunnel protocol than configured.
    AgentTunnel {
        node: String,
        tunnel: String,
    },
    NoAgentOn(String),
    /// Its Prometheus Agent was killed, for a reason as the kubelet writes it: `OOMKilled`.
    AgentKilled(String),
    /// Its Prometheus Agent writes this many bytes a second.
    WalBytesPerSecond(u64),
    /// Pods of a release run with another value than its values have.
    RunsWith {
        release: String,
        pointer: String,
        value: serde_json::Value,
    },
    /// An object was deleted: `secret/sample/sample-credentials`.
    Removed(String),
    /// This breaks while the platform is down, against the contract.
    DuringOutage(Breach),
}

/// What an outage of the platform breaks on a workload cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// C1: its sample needs the platform.
    SampleFails,
    /// C1: its route to other workload clusters leads through the platform.
    MeshFails,
    /// C1: its sample is changed.
    SampleChanged,
    /// C2: its agent restarts, and queued samples are lost.
    AgentRestarts,
    /// C3: its Secret is deleted.
    SecretDeleted,
    /// C3: its Secret is never synced again.
    SecretNotSynced,
    /// C4: Kyverno admits everything.
    AdmitsEverything,
    /// C5: its agents use another tunnel protocol.
    TunnelChanged,
}
