//! Reads outputs of kubectl, node-state and cilium-cli. An output may be garbage of any kind; then there is no value.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use serde_json::Value;
use tool::extract::{json, unbase64};
use tool::helm::revisions;

/// The newest revision of a release, as its row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub number: u32,
    /// `deployed`, `pending-upgrade`.
    pub state: String,
    /// Version in our label, `1.20.0`; empty without one.
    pub version: String,
}

/// The newest revision of Cilium in the table of all.
pub fn revision(table: &str) -> Option<Revision> {
    let newest = revisions::newest(table, "kube-system/cilium")?;
    let version = newest.chart.rsplit_once('-').map_or("", |(_, version)| version).to_owned();
    Some(Revision { number: newest.number.try_into().ok()?, state: newest.status, version })
}

/// The sha256 of a certificate in base64 of PEM, as `openssl x509 -noout -fingerprint -sha256` begins it: eight of
/// its bytes tell two apart. Of what is no certificate, the sha256 of the text.
pub fn fingerprint(certificate: &str) -> String {
    let text = unbase64(certificate).and_then(|bytes| String::from_utf8(bytes).ok());
    let body = text.as_deref().map(|pem| pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>());
    let bytes = body.as_deref().and_then(unbase64).unwrap_or_else(|| certificate.as_bytes().to_vec());
    let pairs: Vec<String> = hmac_sha256::Hash::hash(&bytes).iter().take(8).map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddresses {
    pub node: String,
    pub addresses: Vec<String>,
    pub ranges: Vec<Ipv4Net>,
}

/// Name, addresses and pod ranges, a node per line.
pub fn node_addresses(lines: &str) -> Vec<NodeAddresses> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let node = words.next()?.to_owned();
        let (ranges, addresses): (Vec<&str>, Vec<&str>) = words.partition(|w| w.contains('/'));
        let ranges = ranges.into_iter().filter_map(|r| r.parse().ok()).collect();
        Some(NodeAddresses { node, addresses: addresses.into_iter().map(str::to_owned).collect(), ranges })
    };
    lines.lines().filter_map(parse).collect()
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents {
    pub count: usize,
    /// Names of those that did not answer.
    pub silent: Vec<String>,
    /// The modes of the others: `tunnel vxlan`.
    pub modes: BTreeSet<String>,
}

/// Of the output of `cilium status`.
pub fn agents(status: &str) -> Option<Agents> {
    let document = json(status).ok()?;
    let Some(all) = document["cilium_status"].as_object() else { return Some(Agents::default()) };
    let mut agents = Agents { count: all.len(), ..Agents::default() };
    for (name, agent) in all {
        let routing = &agent["routing"];
        match (routing["inter-host-routing-mode"].as_str(), routing["tunnel-protocol"].as_str()) {
            (Some(mode), protocol) => {
                agents.modes.insert([mode.to_lowercase(), protocol.unwrap_or_default().to_owned()].join(" "));
            }
            (None, _) => agents.silent.push(name.clone()),
        }
    }
    Some(agents)
}

/// How many nodes of a peer each agent has at least; `None` if no agent reports it.
pub fn nodes_known(status: &str, peer: &str) -> Option<u64> {
    let document = json(status).ok()?;
    let known = document["cilium_status"].as_object()?.values().filter_map(|agent| {
        let remote = agent["cluster-mesh"]["clusters"].as_array()?.iter().find(|remote| remote["name"] == peer)?;
        Some(remote["num-nodes"].as_u64().unwrap_or(0))
    });
    known.min()
}

/// The addresses that a mesh server is configured with for a peer, from the lines of its host aliases.
pub fn configured_addresses(aliases: &str, peer: &str) -> Vec<String> {
    let host = format!("{peer}.mesh.cilium.io");
    let names = |line: &&str| line.split_whitespace().skip(1).any(|w| w.trim_matches(['[', ']', '"']) == host);
    aliases.lines().filter(names).filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
}

/// The state of one peer in `cilium clustermesh status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub connected: u64,
    pub total: u64,
    pub error: Option<String>,
}

/// The link to a peer in one part of the document: `/connectivity`, or `/kvstoremesh/status`. Zeros are left out there;
/// a part that is missing altogether was not asked.
pub fn link(document: &Value, part: &str, peer: &str) -> Option<Link> {
    let part = document.pointer(part).filter(|p| !p.is_null())?;
    let errors = part["errors"].as_object().into_iter().flatten();
    let error = errors.filter_map(|(_, peers)| peers[peer]["Errors"][0].as_str()).next().map(str::to_owned);
    let connected = part["clusters"][peer]["connected"].as_u64().unwrap_or(0);
    Some(Link { connected, total: part["total"].as_u64().unwrap_or(0), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_revision_is_read_with_and_without_labels() {
        let row = |n, rest| format!("kube-system  secret/sh.helm.release.v1.cilium.v{n}  t  1  5m  {n}  {rest}\n");
        let rows = row(9, "deployed  cilium-1.20.0  ab") + &row(10, "pending-upgrade");
        let newest = revision(&rows).unwrap();
        assert_eq!((newest.number, newest.state.as_str(), newest.version.as_str()), (10, "pending-upgrade", ""));
        assert_eq!(revision(rows.lines().next().unwrap()).unwrap().version, "1.20.0");
        assert_eq!(revision("garbage\n"), None);
    }

    #[test]
    fn omitted_counts_are_zero_and_an_omitted_part_is_none() {
        // As cilium-cli 0.19.7 prints a mesh whose mgmt is down (its own structs, marshalled).
        let text = r#"{"connectivity":{"connected":{"avg":1,"max":2},"clusters":{"app2":{"configured":3,"connected":3},
            "mgmt":{"configured":3}},"total":3,"not_ready":3,"errors":{"cilium-x1":{"mgmt":{"Errors":["remote cluster
            configuration required but not found"],"Warnings":[],"Disabled":false}}}},"kvstoremesh":{"enabled":true}}"#;
        let document: Value =
            serde_json::from_str(&text.replace("remote cluster\n            ", "remote cluster ")).unwrap();
        let mgmt = link(&document, "/connectivity", "mgmt").unwrap();
        assert_eq!((mgmt.connected, mgmt.total), (0, 3));
        assert_eq!(mgmt.error.as_deref(), Some("remote cluster configuration required but not found"));
        assert_eq!(link(&document, "/connectivity", "app2").unwrap().error, None);
        assert_eq!(link(&document, "/kvstoremesh/status", "mgmt"), None);
    }

    #[test]
    fn a_fingerprint_is_that_of_the_certificate_inside() {
        // `printf abc | openssl dgst -sha256` begins like this; abc is YWJj, and stands in a block of its own.
        let pem = tool::extract::base64(b"-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n");
        assert_eq!(fingerprint(&pem), "BA:78:16:BF:8F:01:CF:EA");
        assert_ne!(fingerprint("no base64!"), fingerprint("nor this!"));
    }

    #[test]
    fn aliases_are_read_however_kubectl_prints_the_list() {
        for lines in ["192.0.2.7 mgmt.mesh.cilium.io\n", "192.0.2.7 [\"mgmt.mesh.cilium.io\"]\n"] {
            assert_eq!(configured_addresses(lines, "mgmt"), ["192.0.2.7"]);
            assert_eq!(configured_addresses(lines, "app1"), [""; 0]);
        }
    }
}
