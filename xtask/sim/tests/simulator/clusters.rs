//! kubeadm in a VM, joins, and control planes whose VM changes its address.

use super::*;

const KUBEADM: &str = "sudo kubeadm init --config /etc/archipelago/kubeadm-init.yaml";

fn join(sim: &mut Fixture, secret: &str, pin: &str) -> TaskId {
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    \
         apiServerEndpoint: app1-api:6443\n    token: arc002.{secret}\n    caCertHashes: ['{pin}']\n\
         nodeRegistration: {{name: app1-w1}}\ntimeouts: {{discovery: 5m0s}}\n"
    );
    sim.write_file("app1-w1", "/etc/archipelago/kubeadm-join.yaml", &config);
    sim.start("multipass exec -n app1-w1 -- sudo kubeadm join --config /etc/archipelago/kubeadm-join.yaml", "")
}

/// A worker and a control plane that is only prepared, with the pin of its CA.
fn pair() -> (Fixture, String) {
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    assert!(sim.exec("app1-cp", "sudo kubeadm init phase certs ca --config /etc/archipelago/kubeadm-init.yaml").ok());
    let state = sim.state("app1-cp");
    assert_eq!(state["control_plane"], "none");
    sim.launch("app1-w1");
    let ip = sim.ip("app1-cp");
    sim.exec("app1-w1", &format!("sudo /usr/local/sbin/node-hosts {ip} app1-api"));
    (sim, state["ca_hash"].as_str().unwrap().to_owned())
}

#[test]
fn a_join_started_before_init_waits_and_joins() {
    let (mut sim, pin) = pair();
    let waiting = join(&mut sim, "abcdefghij012345", &pin);
    sim.advance(20);
    assert!(sim.exec("app1-cp", KUBEADM).ok());
    assert!(sim.wait_for(waiting).ok());
    assert_eq!(sim.state("app1-w1")["worker"], "joined");
    assert_eq!(sim.state("app1-w1")["ca_hash"], pin);
    assert_eq!(sim.state("app1-cp")["control_plane"], "up");
    sim.kubeconfig();
    sim.advance(5);
    let ranges = sim.ok("kubectl --kubeconfig app1.yaml get nodes --output 'jsonpath={.items[*].spec.podCIDR}'");
    assert_eq!(ranges, "10.101.0.0/24 10.101.1.0/24");
    let again = join(&mut sim, "abcdefghij012345", &pin);
    assert!(sim.wait_for(again).stderr.contains("[ERROR FileAvailable--etc-kubernetes-kubelet.conf]"));
}

#[test]
fn wrong_secret_and_wrong_pin_fail_at_once_and_a_missing_token_at_the_limit() {
    let (mut sim, pin) = pair();
    assert!(sim.exec("app1-cp", KUBEADM).ok());
    let before = sim.world.now();
    let task = join(&mut sim, "wrongwrongwrong0", &pin);
    assert!(sim.wait_for(task).stderr.contains("failed to verify JWS signature"));
    let task = join(&mut sim, "abcdefghij012345", "sha256:00");
    assert!(sim.wait_for(task).stderr.contains("are pinned"));
    assert!(sim.world.now() - before < Duration::from_secs(10));
    sim.advance(3 * 3600);
    let task = join(&mut sim, "abcdefghij012345", &pin);
    assert!(sim.wait_for(task).stderr.contains("could not find a JWS signature in the cluster-info ConfigMap"));
    let token = "multipass exec -n app1-cp -- sudo /usr/local/sbin/node-token arc002";
    assert!(sim.run_with_stdin(token, "abcdefghij012345").ok());
    let task = join(&mut sim, "abcdefghij012345", &pin);
    assert!(sim.wait_for(task).ok());
}

#[test]
fn init_twice_is_refused_and_a_dead_one_is_reset() {
    let mut sim = Fixture::with_control_plane();
    sim.fails(&format!("multipass exec -n app1-cp -- {KUBEADM}"), 1, "[ERROR Port-6443]: Port 6443 is in use");
    sim.fails(&format!("multipass exec -n app1-cp -- {KUBEADM}"), 1, "manifests/kube-apiserver.yaml already exists");
    let ca = sim.state("app1-cp")["ca_hash"].clone();
    assert!(sim.exec("app1-cp", "sudo /usr/local/sbin/node-reset").ok());
    let state = sim.state("app1-cp");
    assert_eq!((&state["control_plane"], &state["sealed"], &state["ca_hash"]), (&"none".into(), &false.into(), &ca));
}

#[test]
fn a_power_cut_in_the_middle_leaves_half_an_init() {
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    let task = sim.start(&format!("multipass exec -n app1-cp -- {KUBEADM}"), "");
    sim.advance(20);
    assert!(sim.state("app1-cp")["control_plane"] == "busy");
    sim.ok("multipass stop app1-cp");
    assert_eq!(sim.wait_for(task).exit, Exit::Code(255));
    sim.ok("multipass start app1-cp");
    assert_eq!(sim.state("app1-cp")["control_plane"], "partial");
    sim.fails(&format!("multipass exec -n app1-cp -- {KUBEADM}"), 1, "/var/lib/etcd is not empty");
}

#[test]
fn a_node_that_was_lost_comes_back_when_its_kubelet_starts() {
    let (mut sim, pin) = pair();
    assert!(sim.exec("app1-cp", KUBEADM).ok());
    let task = join(&mut sim, "abcdefghij012345", &pin);
    assert!(sim.wait_for(task).ok());
    assert!(sim.exec("app1-cp", "sudo /usr/local/sbin/node-reset").ok());
    assert!(sim.exec("app1-cp", KUBEADM).ok());
    sim.kubeconfig();
    let nodes = "kubectl --kubeconfig app1.yaml get nodes --output name";
    sim.advance(600);
    assert_eq!((sim.ok(nodes), sim.state("app1-w1")["worker"] == "joined"), ("node/app1-cp\n".into(), true));
    sim.ok("multipass stop app1-w1");
    sim.ok("multipass start app1-w1");
    sim.advance(30);
    assert_eq!(sim.ok(nodes), "node/app1-cp\nnode/app1-w1\n");
}

#[test]
fn an_init_goes_on_without_its_asker() {
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    let task = sim.start(&format!("multipass exec -n app1-cp -- {KUBEADM}"), "");
    sim.advance(20);
    sim.world.kill(task, true);
    sim.advance(60);
    assert_eq!(sim.state("app1-cp")["control_plane"], "up");
}

#[test]
fn a_wide_service_range_leaves_nodes_without_pod_range() {
    let mut sim = Fixture::with_prepared_vm("10.96.0.0/12");
    assert!(sim.exec("app1-cp", KUBEADM).ok());
    sim.kubeconfig();
    sim.advance(60);
    assert_eq!(sim.ok("kubectl --kubeconfig app1.yaml get nodes --output 'jsonpath={.items[*].spec.podCIDR}'"), "");
    let cidr = "kubectl --kubeconfig app1.yaml get servicecidr kubernetes --output 'jsonpath={.spec.cidrs[0]}'";
    assert_eq!(sim.ok(cidr), "10.96.0.0/12");
}

#[test]
fn a_wrong_address_ends_in_half_a_control_plane() {
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    let config = INIT.replace("IP", "192.168.252.99").replace("SERVICES", "10.97.0.0/16");
    sim.write_file("app1-cp", "/etc/archipelago/kubeadm-init.yaml", &config);
    sim.fails(&format!("multipass exec -n app1-cp -- {KUBEADM}"), 1, "wait-control-plane");
    assert_eq!(sim.state("app1-cp")["control_plane"], "partial");
}

#[test]
fn configurations_are_validated_where_they_lie() {
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    let validate =
        "multipass exec -n app1-cp -- sudo kubeadm config validate --config /etc/archipelago/kubeadm-init.yaml";
    assert_eq!(sim.ok(validate), "ok\n");
    sim.write_file("app1-cp", "/etc/archipelago/kubeadm-init.yaml", "kind: [");
    sim.fails(validate, 1, "error: error converting YAML to JSON");
    sim.fails("multipass exec -n app1-cp -- sudo kubeadm init --config /x.yaml", 1, "open /x.yaml: no such file");
    sim.fails("multipass exec -n app1-cp -- sudo kubeadm init", 1, "the --config flag is mandatory");
    sim.fails("multipass exec -n app1-cp -- sudo kubeadm init --bogus", 1, "unknown flag: --bogus");
    sim.fails("multipass exec -n app1-cp -- kubeadm init --config /x", 1, "IsPrivilegedUser");
}
