//! kubectl and cilium-cli against a simulated API server.
//! Knows nothing of the other tools.

use super::*;

const K: &str = "kubectl --kubeconfig app1.yaml --request-timeout 10s";

fn apply(scene: &mut Scene, text: &str) -> Output {
    scene.fed(&format!("{K} apply --server-side --force-conflicts --field-manager archipelago --filename -"), text)
}

fn diff(scene: &mut Scene, text: &str) -> Exit {
    scene.fed(&format!("{K} diff --server-side --force-conflicts --field-manager archipelago --filename -"), text).exit
}

const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, \
    metadata: {name: monitoring, labels: {pod-security.kubernetes.io/enforce: baseline}}}";

#[test]
fn the_ways_not_to_reach_a_server_have_their_texts() {
    let mut scene = Scene::clustered();
    assert_eq!(scene.ok(&format!("{K} get --raw /readyz")), "ok");
    scene.no("kubectl --kubeconfig none.yaml get nodes", 1, "error: stat none.yaml: no such file or directory");
    scene.no("kubectl --kubeconfig app1.yaml --context x get nodes", 1, "context \"x\" does not exist");
    scene.world.stage_mut().disturb(Kind::Refuse, 0, Duration::from_secs(1_000_000));
    scene.no(&format!("{K} get --raw /readyz"), 1, "was refused - did you specify the right host or port?");
    scene.ok("multipass stop app1-cp");
    scene.no(&format!("{K} get --raw /readyz"), 1, "Unable to connect to the server: dial tcp");
}

#[test]
fn certificates_of_another_cluster_are_refused() {
    let mut scene = Scene::clustered();
    scene.exec("app1-cp", "sudo /usr/local/sbin/node-reset");
    scene.ok("multipass delete --purge app1-cp");
    let mut other = Scene::clustered();
    let old = String::from_utf8(scene.disk.0.borrow().0["app1.yaml"].clone()).unwrap();
    let good = String::from_utf8(other.disk.0.borrow().0["app1.yaml"].clone()).unwrap();
    // The same story has the same bytes, so the authority is made another by hand.
    assert_eq!(old, good);
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    let strange = pki::base64(pki::authority("ca-other").as_bytes());
    config["clusters"][0]["cluster"]["certificate-authority-data"] = strange.into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.no(&format!("{K} get nodes"), 1, "x509: certificate signed by unknown authority");
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    config["clusters"][0]["cluster"]["tls-server-name"] = "nobody".into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.no(&format!("{K} get nodes"), 1, "not nobody");
    let mut config: serde_json::Value = serde_json::from_str(&good).unwrap();
    config["users"][0]["user"]["client-certificate-data"] = "".into();
    other.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into());
    other.no(&format!("{K} get nodes"), 1, "You must be logged in to the server (Unauthorized)");
}

#[test]
fn apply_and_diff_agree() {
    let mut scene = Scene::clustered();
    assert_eq!(diff(&mut scene, NAMESPACE), Exit::Code(1));
    assert_eq!(apply(&mut scene, NAMESPACE).stdout, "namespace/monitoring serverside-applied\n");
    assert_eq!(diff(&mut scene, NAMESPACE), Exit::Code(0));
    assert_eq!(diff(&mut scene, &NAMESPACE.replace("baseline", "privileged")), Exit::Code(1));
    assert_eq!(diff(&mut scene, "a: ["), Exit::Code(2));
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: monitoring}, data: {a: b}}";
    assert!(apply(&mut scene, map).ok());
    assert_eq!(diff(&mut scene, map), Exit::Code(0));
    assert_eq!(diff(&mut scene, &map.replace("a: b", "a: c")), Exit::Code(1));
}

#[test]
fn what_the_server_refuses_is_refused_and_the_rest_goes_in() {
    let mut scene = Scene::clustered();
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
        let output = apply(&mut scene, text);
        assert_eq!(output.exit, Exit::Code(1), "{text}");
        assert!(output.stderr.contains(said), "{text}: {output:?}");
    }
    let both = format!("{{apiVersion: x/v1, kind: X, metadata: {{name: x}}}}\n---\n{NAMESPACE}\n");
    let output = apply(&mut scene, &both);
    assert!(!output.ok() && output.stdout.contains("namespace/monitoring serverside-applied"));
    scene.no(&format!("{K} get nodes --bogus"), 1, "unknown flag: --bogus\nSee 'kubectl get --help' for usage.");
    scene.no(&format!("{K} frob"), 1, "unknown command \"frob\" for \"kubectl\"");
    scene.no(&format!("{K} get nosuchkind"), 1, "the server doesn't have a resource type \"nosuchkind\"");
    scene.no(&format!("{K} get pods nosuch"), 1, "Error from server (NotFound): pods \"nosuch\" not found");
    scene.no(&format!("{K} apply --server-side --filename none.yaml"), 1, "the path \"none.yaml\" does not exist");
}

#[test]
fn older_gateway_crds_are_kept_out_by_the_newer_ones() {
    let mut scene = Scene::clustered();
    let url =
        |v: &str| format!("https://github.com/kubernetes-sigs/gateway-api/releases/download/{v}/standard-install.yaml");
    for version in ["v1.6.1", "v1.4.1"] {
        scene.ok(&format!("curl -fsSL --retry 3 --output out/{version}.yaml {}", url(version)));
    }
    let apply = |v: &str| format!("{K} apply --server-side --force-conflicts --filename out/{v}.yaml");
    let output = scene.ok(&apply("v1.6.1"));
    assert_eq!(output.lines().count(), 12);
    scene.no(&apply("v1.4.1"), 1, "Installing CRDs with version before v1.5.0 is prohibited by default");
    scene.ok(&apply("v1.6.1"));
    scene.ok(&format!("{K} wait --for condition=Established crd/gateways.gateway.networking.k8s.io --timeout 30s"));
    assert_eq!(scene.run(&format!("{K} diff --server-side --filename out/v1.6.1.yaml")).exit, Exit::Code(0));
    scene.no(&format!("curl -fsSL --output x {}", url("nightly")), 22, "404");
    scene.no("curl --bogus https://x", 2, "option --bogus: is unknown");
}

#[test]
fn waits_end_at_once_when_there_is_nothing_to_wait_for() {
    let mut scene = Scene::clustered();
    let before = scene.world.now();
    scene.no(&format!("{K} wait --for condition=Ready node/none --timeout 60s"), 1, "NotFound");
    scene.no(
        &format!("{K} wait --for condition=X pods --selector a=b --timeout 60s"),
        1,
        "no matching resources found",
    );
    assert!(scene.world.now() - before < Duration::from_secs(2));
    scene.no(
        &format!("{K} wait --for condition=Ready nodes --all --timeout 20s"),
        1,
        "timed out waiting for the condition on nodes/app1-cp",
    );
    scene.no(&format!("{K} wait --for create crd/x.y --timeout 5s"), 1, "timed out waiting for the condition");
    scene.no(&format!("{K} rollout status deployment/coredns --namespace kube-system --timeout 5s"), 1, "timed out");
    scene.no(&format!("{K} rollout status deployment/none"), 1, "NotFound");
}

#[test]
fn deleting_and_labelling_are_seen_afterwards() {
    let mut scene = Scene::clustered();
    apply(&mut scene, NAMESPACE);
    scene.ok(&format!("{K} label namespace monitoring a=b --overwrite"));
    assert_eq!(scene.ok(&format!("{K} get ns --selector a=b --output name")), "namespace/monitoring\n");
    assert!(scene.ok(&format!("{K} delete namespace monitoring")).contains("\"monitoring\" deleted"));
    scene.no(&format!("{K} delete namespace monitoring"), 1, "not found");
    assert!(scene.ok(&format!("{K} delete namespace monitoring --ignore-not-found")).contains("No resources"));
}

#[test]
fn cilium_status_exits_0_whatever_is_wrong_unless_it_waits() {
    let mut scene = Scene::clustered();
    let status = scene.ok("cilium status --output json --interactive=false");
    assert!(status.contains("not found"));
    scene.no("cilium status --output json --wait --wait-duration 5s", 1, "timeout while waiting for status");
    scene.no("cilium status --bogus", 1, "unknown flag: --bogus");
    scene.no("cilium install --output json", 1, "unknown command");
    scene.ok("multipass stop app1-cp");
    scene.no("cilium status --output json", 1, "Unable to determine status");
}

#[test]
fn the_mesh_authority_is_two_blocks_on_stdout() {
    let mut scene = Scene::new();
    let line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout - -days 3650 -subj '/CN=mesh ca' -addext keyUsage=critical,keyCertSign";
    let out = scene.ok(line);
    assert!(out.starts_with("-----BEGIN PRIVATE KEY-----\n") && out.contains("-----BEGIN CERTIFICATE-----\n"));
    assert_ne!(out, scene.ok(line));
    scene.no("openssl req -x509 -bogus", 1, "req: Unknown option or message digest: bogus");
    scene.no("openssl frob", 1, "Invalid command 'frob'");
}
