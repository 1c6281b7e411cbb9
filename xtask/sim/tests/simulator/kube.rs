//! kubectl and cilium-cli against a simulated API server.

use super::*;
use tool::extract::base64;

const K: &str = "kubectl --kubeconfig app1.yaml --request-timeout 10s";

fn apply(sim: &mut Fixture, text: &str) -> Output {
    sim.run_with_stdin(
        &format!("{K} apply --server-side --force-conflicts --field-manager archipelago --filename -"),
        text,
    )
}

fn diff(sim: &mut Fixture, text: &str) -> Exit {
    sim.run_with_stdin(
        &format!("{K} diff --server-side --force-conflicts --field-manager archipelago --filename -"),
        text,
    )
    .exit
}

const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, \
    metadata: {name: monitoring, labels: {pod-security.kubernetes.io/enforce: baseline}}}";

#[test]
fn the_ways_not_to_reach_a_server_have_their_texts() {
    let mut sim = Fixture::with_control_plane();
    assert_eq!(sim.ok(&format!("{K} get --raw /readyz")), "ok");
    sim.fails("kubectl --kubeconfig none.yaml get nodes", 1, "error: stat none.yaml: no such file or directory");
    sim.fails("kubectl --kubeconfig app1.yaml --context x get nodes", 1, "context \"x\" does not exist");
    sim.world.state_mut().apply_vm_fault(Kind::Refuse, 0, Duration::from_secs(1_000_000));
    sim.fails(&format!("{K} get --raw /readyz"), 1, "was refused - did you specify the right host or port?");
    sim.ok("multipass stop app1-cp");
    sim.fails(&format!("{K} get --raw /readyz"), 1, "Unable to connect to the server: dial tcp");
}

#[test]
fn certificates_of_another_cluster_are_refused() {
    let mut sim = Fixture::with_control_plane();
    sim.exec("app1-cp", "sudo /usr/local/sbin/node-reset");
    sim.ok("multipass delete --purge app1-cp");
    let mut other = Fixture::with_control_plane();
    let old = String::from_utf8(sim.disk.0.borrow().0["app1.yaml"].clone()).unwrap();
    let good = String::from_utf8(other.disk.0.borrow().0["app1.yaml"].clone()).unwrap();
    assert_eq!(old, good);
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    let certificate =
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(b"authority ca-other"));
    let strange = base64(certificate.as_bytes());
    config["clusters"][0]["cluster"]["certificate-authority-data"] = strange.into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.fails(&format!("{K} get nodes"), 1, "x509: certificate signed by unknown authority");
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    config["clusters"][0]["cluster"]["tls-server-name"] = "nobody".into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.fails(&format!("{K} get nodes"), 1, "not nobody");
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    config["users"][0]["user"]["client-certificate-data"] = "".into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.fails(&format!("{K} get nodes"), 1, "You must be logged in to the server (Unauthorized)");
}

#[test]
fn apply_and_diff_agree() {
    let mut sim = Fixture::with_control_plane();
    assert_eq!(diff(&mut sim, NAMESPACE), Exit::Code(1));
    assert_eq!(apply(&mut sim, NAMESPACE).stdout, "namespace/monitoring serverside-applied\n");
    assert_eq!(diff(&mut sim, NAMESPACE), Exit::Code(0));
    assert_eq!(diff(&mut sim, &NAMESPACE.replace("baseline", "privileged")), Exit::Code(1));
    assert_eq!(diff(&mut sim, "a: ["), Exit::Code(2));
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: monitoring}, data: {a: b}}";
    assert!(apply(&mut sim, map).ok());
    assert_eq!(diff(&mut sim, map), Exit::Code(0));
    assert_eq!(diff(&mut sim, &map.replace("a: b", "a: c")), Exit::Code(1));
}

#[test]
fn refused_objects_fail_and_the_others_are_applied() {
    let mut sim = Fixture::with_control_plane();
    for (text, said) in [
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: nosuch}}",
            "namespaces \"nosuch\" not found",
        ),
        (
            "{apiVersion: cilium.io/v2, kind: CiliumLoadBalancerIPPool, metadata: {name: pool}}",
            "no matches for kind \"CiliumLoadBalancerIPPool\" in version \"cilium.io/v2\"\nensure CRDs",
        ),
        (
            "{apiVersion: v1, kind: Namespace, \
             metadata: {name: other, labels: {pod-security.kubernetes.io/enforce: basline}}}",
            "must be one of privileged, baseline, restricted",
        ),
        ("{kind: ConfigMap, metadata: {name: c}}", "apiVersion not set"),
        ("a: [", "error parsing STDIN"),
        ("", "no objects passed to apply"),
    ] {
        let output = apply(&mut sim, text);
        assert_eq!(output.exit, Exit::Code(1), "{text}");
        assert!(output.stderr.contains(said), "{text}: {output:?}");
    }
    let both = format!("{{apiVersion: x/v1, kind: X, metadata: {{name: x}}}}\n---\n{NAMESPACE}\n");
    let output = apply(&mut sim, &both);
    assert!(!output.ok() && output.stdout.contains("namespace/monitoring serverside-applied"));
    sim.fails(&format!("{K} get nodes --bogus"), 1, "unknown flag: --bogus\nSee 'kubectl get --help' for usage.");
    sim.fails(&format!("{K} frob"), 1, "unknown command \"frob\" for \"kubectl\"");
    sim.fails(&format!("{K} get nosuchkind"), 1, "the server doesn't have a resource type \"nosuchkind\"");
    sim.fails(&format!("{K} get pods nosuch"), 1, "Error from server (NotFound): pods \"nosuch\" not found");
    sim.fails(&format!("{K} apply --server-side --filename none.yaml"), 1, "the path \"none.yaml\" does not exist");
}

#[test]
fn newer_gateway_crds_block_older_ones() {
    let mut sim = Fixture::with_control_plane();
    let url =
        |v: &str| format!("https://github.com/kubernetes-sigs/gateway-api/releases/download/{v}/standard-install.yaml");
    for version in ["v1.6.1", "v1.4.1"] {
        sim.ok(&format!("curl -fsSL --retry 3 --output out/{version}.yaml {}", url(version)));
    }
    let apply = |v: &str| format!("{K} apply --server-side --force-conflicts --filename out/{v}.yaml");
    let output = sim.ok(&apply("v1.6.1"));
    assert_eq!(output.lines().count(), 12);
    sim.fails(&apply("v1.4.1"), 1, "Installing CRDs with version before v1.5.0 is prohibited by default");
    sim.ok(&apply("v1.6.1"));
    sim.ok(&format!("{K} wait --for condition=Established crd/gateways.gateway.networking.k8s.io --timeout 30s"));
    assert_eq!(sim.run(&format!("{K} diff --server-side --filename out/v1.6.1.yaml")).exit, Exit::Code(0));
    sim.fails(&format!("curl -fsSL --output x {}", url("nightly")), 22, "404");
    sim.fails("curl --bogus https://x", 2, "option --bogus: is unknown");
}

#[test]
fn waits_end_at_once_when_there_is_nothing_to_wait_for() {
    let mut sim = Fixture::with_control_plane();
    let before = sim.world.now();
    sim.fails(&format!("{K} wait --for condition=Ready node/none --timeout 60s"), 1, "NotFound");
    sim.fails(
        &format!("{K} wait --for condition=X pods --selector a=b --timeout 60s"),
        1,
        "no matching resources found",
    );
    assert!(sim.world.now() - before < Duration::from_secs(2));
    sim.fails(
        &format!("{K} wait --for condition=Ready nodes --all --timeout 20s"),
        1,
        "timed out waiting for the condition on nodes/app1-cp",
    );
    sim.fails(&format!("{K} wait --for create crd/x.y --timeout 5s"), 1, "timed out waiting for the condition");
    sim.fails(&format!("{K} rollout status deployment/coredns --namespace kube-system --timeout 5s"), 1, "timed out");
    sim.fails(&format!("{K} rollout status deployment/none"), 1, "NotFound");
}

#[test]
fn deleting_and_labelling_are_seen_afterwards() {
    let mut sim = Fixture::with_control_plane();
    apply(&mut sim, NAMESPACE);
    sim.ok(&format!("{K} label namespace monitoring a=b --overwrite"));
    assert_eq!(sim.ok(&format!("{K} get ns --selector a=b --output name")), "namespace/monitoring\n");
    assert!(sim.ok(&format!("{K} delete namespace monitoring")).contains("\"monitoring\" deleted"));
    sim.fails(&format!("{K} delete namespace monitoring"), 1, "not found");
    assert!(sim.ok(&format!("{K} delete namespace monitoring --ignore-not-found")).contains("No resources"));
}

#[test]
fn cilium_status_exits_0_unless_it_waits() {
    let mut sim = Fixture::with_control_plane();
    let status = sim.ok("cilium status --output json --interactive=false");
    assert!(status.contains("not found"));
    sim.fails("cilium status --output json --wait --wait-duration 5s", 1, "timeout while waiting for status");
    sim.fails("cilium status --bogus", 1, "unknown flag: --bogus");
    sim.fails("cilium install --output json", 1, "unknown command");
    sim.ok("multipass stop app1-cp");
    sim.fails("cilium status --output json", 1, "Unable to determine status");
}

#[test]
fn the_mesh_authority_is_two_blocks_on_stdout() {
    let mut sim = Fixture::new();
    let line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout - -days 3650 -subj '/CN=mesh ca' -addext keyUsage=critical,keyCertSign";
    let out = sim.ok(line);
    assert!(out.starts_with("-----BEGIN PRIVATE KEY-----\n") && out.contains("-----BEGIN CERTIFICATE-----\n"));
    assert_ne!(out, sim.ok(line));
    sim.fails("openssl req -x509 -bogus", 1, "req: Unknown option or message digest: bogus");
    sim.fails("openssl frob", 1, "Invalid command 'frob'");
}
