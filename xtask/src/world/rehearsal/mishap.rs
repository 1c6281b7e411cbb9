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
