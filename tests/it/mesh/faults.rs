//! Each fault of a mesh and its message.

use sim::{Condition, SimState};

use crate::fixtures::connected;

/// What is arranged, how the most likely cause begins, and what must be among its evidence.
type Fault = (fn(&mut SimState), &'static str, &'static str);

/// Faults that stop a run before it changes anything.
const IN_THE_WAY: [Fault; 9] = [
    (
        |s| s.inject("app2", Condition::OtherAuthority),
        "mgmt and app2 trust different authorities",
        ", app2 BA:E1:D6:3B:41:A6:B5:21; neither takes the other's",
    ),
    (
        |s| s.inject("app1", Condition::ClusterId(0)),
        "app1 runs with cluster id 0, not 2 as in the fleet",
        "no mesh connects",
    ),
    (
        |s| s.inject("app2", Condition::PodRanges("10.101.0.0/16".parse().expect("a network"))),
        "pod ranges overlap: 10.101.0.0/24 of app1-cp and 10.101.0.0/24 of app2-cp",
        "routes by pod address",
    ),
    (|s| s.inject("app1", Condition::MeshPort(32379)), "mgmt and app1 have the same mesh port: 32379", "cilium#24692"),
    (
        |s| s.inject("app2", Condition::Tunnel("geneve".into())),
        "clusters use different routing/tunnel modes: tunnel geneve on app2; tunnel vxlan on mgmt, app1",
        "cilium-cli does not compare this",
    ),
    // cilium-cli says of it, exit 0: "All 0 nodes are connected to all clusters".
    (|s| s.inject("app1", Condition::NoAgents), "app1 has no Cilium agent", "All 0 nodes are connected"),
    (|s| s.inject("app2", Condition::ClockAhead(300)), "clocks are 30", "more than 60 s"),
    (
        |s| s.inject("app2", Condition::NoCertificates),
        "app2 has no certificates for its peers yet",
        "the Job clustermesh-apiserver-generate-certs has not finished",
    ),
    (
        |s| s.age_mesh_certificates("app1", 400),
        "the mesh certificates of app1 are not valid now",
        " d ago by the clock of app1-cp",
    ),
];

/// Faults that a run works around, repairs or shows.
const OTHERS: [Fault; 14] = [
    (|s| s.power_off_vm("app2-cp"), "app2 is unreachable: API server not responding", "VM app2-cp is stopped"),
    (
        |s| s.leave_pending_upgrade("app1", "cilium"),
        "the Cilium release of app1 is stuck: pending-upgrade",
        "helm was killed at revision 3",
    ),
    (|s| s.change_worker_address("app1-w1"), "mgmt uses a stale address of app1: ", "it is at "),
    (
        |s| s.change_lease("app1-w1"),
        "app1-w1 has a new address: its kubelet uses ",
        "its node is not ready until both agree",
    ),
    (|s| s.change_lease("app1-cp"), "app1-cp has a new address: its control plane uses ", "etcd and the API server's"),
    (
        |s| s.inject("app1", Condition::Disconnected),
        "KVStoreMesh of app1 is not connected with mgmt",
        "0 of 1 connected: Waiting for initial connection to be established",
    ),
    // One link of three.
    (
        |s| s.inject("app1", Condition::DisconnectedFrom("app2".into())),
        "KVStoreMesh of app1 is not connected with app2",
        "0 of 1 connected: Waiting for initial connection to be established",
    ),
    (
        |s| s.inject("app2", Condition::Unsynced),
        "the agents of app2 are still copying from mgmt",
        "0 of 2 connected: synchronization in progress for endpoints",
    ),
    (
        |s| s.inject("app2", Condition::MissingRemoteNode),
        "agents of app2 have 1 of the 2 nodes of mgmt",
        "packets to the others are dropped",
    ),
    (
        |s| s.inject("app2", Condition::ClosedPort(4240)),
        "an agent of mgmt does not reach app2/app2-cp at 192.168.252.",
        "Connection timed out",
    ),
    (
        |s| s.inject("app2", Condition::ClosedPort(8472)),
        "an agent of mgmt does not reach pods on app2/app2-cp through the tunnel, port 8472/udp",
        "Connection timed out",
    ),
    (
        |s| s.inject("app2", Condition::PacketsLost),
        "a pod of app1 does not reach a pod of app2",
        "Connection timed out after 5001 milliseconds",
    ),
    (
        |s| s.inject("mgmt", Condition::FullSizePacketsLost),
        "small requests from app1 reach mgmt, and one of 1400 bytes does not",
        "(MTU)",
    ),
    (
        |s| s.inject("app1", Condition::NoMeshServer),
        "mgmt-cp does not reach the mesh port of app1: 192.168.252.",
        "Connection refused",
    ),
];

#[test]
fn each_fault_has_its_own_message() {
    let repo = connected();
    let state = repo.state();
    let good = repo.must("mesh-connect --simulate --diagnose");
    assert!(good.err.contains("the mesh matches the fleet"), "{}", good.err);
    for (fault, sentence, evidence) in IN_THE_WAY.iter().chain(&OTHERS) {
        repo.set_state(&state);
        repo.edit_stage(fault);
        let ran = repo.run("mesh-connect --simulate --diagnose");
        let (_, printed) = ran.err.split_once("error: most likely cause: ").unwrap_or_default();
        assert!(printed.starts_with(sentence) && printed.contains(evidence), "{sentence}\n{evidence}\n{}", ran.err);
        assert_eq!(ran.code, 1, "{sentence}");
    }
}

#[test]
fn blocking_faults_are_reported_before_any_change() {
    let repo = connected();
    let state = repo.state();
    let refused = |faults: &[Fault]| {
        repo.set_state(&state);
        faults.iter().for_each(|(fault, ..)| repo.edit_stage(fault));
        let ran = repo.run("mesh-connect --simulate");
        assert_eq!(ran.code, 1, "{}", ran.err);
        for (_, sentence, _) in faults {
            assert!(ran.err.contains(&format!("error: {sentence}")), "{sentence}\n{}", ran.err);
        }
        assert!(ran.err.contains("nothing was changed") && !ran.err.contains("Started"), "{}", ran.err);
    };
    IN_THE_WAY.iter().for_each(|fault| refused(&[*fault]));
    refused(&[IN_THE_WAY[0], IN_THE_WAY[4], IN_THE_WAY[7]]);
}

#[test]
fn diagnosis_runs_in_order_and_prints_json() {
    let repo = connected();
    repo.edit_stage(|s| s.inject("app2", Condition::PacketsLost));
    repo.edit_stage(|s| s.inject("app1", Condition::DisconnectedFrom("app2".into())));
    let ran = repo.run("mesh-connect --simulate --diagnose --format json");
    let event: serde_json::Value = serde_json::from_str(ran.out.lines().next().expect("a line")).expect("JSON");
    let checks: Vec<&str> =
        event["findings"].as_array().expect("a list").iter().filter_map(|f| f["check"].as_str()).collect();
    assert_eq!((checks[0], checks.last()), ("KVStoreMesh", Some(&"pods")), "{checks:?}");
    let ran = repo.run("mesh-connect --simulate --diagnose");
    let order: Vec<&str> =
        ran.err.lines().filter_map(|l| l.trim().strip_prefix("Checked ")?.split(':').next()).collect();
    assert_eq!(order, mesh::CHECKS);
}
