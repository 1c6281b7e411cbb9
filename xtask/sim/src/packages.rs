//! Packages and scripts on a node, and kubeadm's upgrade.

use std::collections::BTreeMap;

use crate::kubeadm;
use crate::kubeadm_rules::kubeadm_error;
use crate::prelude::*;
use crate::vms::{Control, Guest, Work, Worker};

const SBIN: &str = "/usr/local/sbin/";

/// A value of `prep.env`, written by cloud-init and by upgrades.
fn prep_env<'a>(guest: &'a Guest, name: &str) -> &'a str {
    let all = guest.files.get("/etc/archipelago/prep.env").map_or("", String::as_str);
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_default().trim_matches(['"', '\''])
}

fn marker(guest: &Guest) -> String {
    format!("k8s={} pause={}", prep_env(guest, "K8S_PATCH"), prep_env(guest, "PAUSE_IMAGE"))
}

/// `node-prep`, of all packages or of kubeadm alone.
pub fn start_prep(sim: &mut SimState, vm: &str, alone: bool, request: &Request, now: Duration) -> Response {
    // Waits for the lock of another run: cloud-init's, or one whose caller was killed.
    let locks = |work: &Work| matches!(work, Work::Prep | Work::Kubeadm);
    if let Some(job) = sim.vms[vm].guest.jobs.iter().find(|job| locks(&job.work)) {
        return Response::pending_until(job.next, now);
    }
    if alone {
        return sim.start_job(vm, request, Work::Kubeadm, now, timings::KUBEADM);
    }
    if let Some(machine) = sim.vms.get_mut(vm) {
        if machine.guest.prep == marker(&machine.guest) {
            return Response::Done(success("node-prep: already done\n"));
        }
        machine.guest.packages = machine.guest.installed().to_owned();
        machine.guest.prep.clear();
    }
    sim.start_job(vm, request, Work::Prep, now, timings::PREP)
}

/// What `node-prep` says of the hosts that it asks and gets nothing from.
pub fn without_egress(guest: &Guest, unreachable: &BTreeMap<String, String>) -> String {
    let hosts = prep_env(guest, "EGRESS").split(',').filter_map(|host| Some((host, unreachable.get(host)?)));
    let line = |(host, why): (&str, &String)| match why.as_str() {
        "429" => format!("node-prep: {host} limits requests from here: HTTP 429\n"),
        why => format!("node-prep: cannot reach {host} from here: {why}\n"),
    };
    hosts.map(line).collect()
}

/// A running kubelet keeps its version until it restarts.
pub fn finish_prep(guest: &mut Guest) {
    let version = prep_env(guest, "K8S_PATCH").to_owned();
    if guest.running.is_empty() && guest.installed() != version {
        guest.running = guest.installed().to_owned();
    }
    guest.packages = version;
    guest.kubeadm.clear();
    guest.prep = marker(guest);
}

pub fn finish_kubeadm(guest: &mut Guest) {
    guest.kubeadm = prep_env(guest, "K8S_PATCH").to_owned();
}

/// As `node-state` computes it: over the same text as a rendered bundle.
pub fn scripts_digest(guest: &Guest) -> String {
    let ours = guest.files.iter().filter_map(|(path, text)| Some((path.strip_prefix(SBIN)?, text)));
    let ours = ours.filter(|(name, _)| name.starts_with("node-"));
    let all: String = ours.map(|(name, text)| format!("#: {name}\n{text}")).collect();
    pki::sha256((all + "#: end\n").as_bytes())[..32].to_owned()
}

/// `awk` over a bundle of scripts: all of them or none.
pub fn replace_scripts(sim: &mut SimState, vm: &str, bundle: &str) -> Output {
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(255, "") };
    let Some(all) = bundle.strip_suffix("#: end\n") else { return failure(1, "") };
    let files = machine.guest.files_mut();
    let mut name = String::new();
    for line in all.lines() {
        if let Some(next) = line.strip_prefix("#: ") {
            name = format!("{SBIN}{next}");
            files.insert(name.clone(), String::new());
        } else if let Some(text) = files.get_mut(&name) {
            text.push_str(&format!("{line}\n"));
        }
    }
    machine.guest.scripts = scripts_digest(&machine.guest);
    success("")
}

fn version_numbers(version: &str) -> (u64, u64, u64) {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether a kubelet is of a later minor than its API server, an unsupported skew. Upstream states it for init's
/// preflight; that such a kubelet does not become ready is assumed.
pub fn kubelet_too_new(kubelet: &str, server: &str) -> bool {
    // The usual case; this is called for every pod at every poll.
    if server.strip_prefix('v') == Some(kubelet) {
        return false;
    }
    let (kubelet, server) = (version_numbers(kubelet), version_numbers(server));
    (kubelet.0, kubelet.1) > (server.0, server.1)
}

/// Version errors of `kubeadm upgrade apply` (texts and rules: kubernetes/kubernetes
/// `cmd/kubeadm/app/phases/upgrade/policy.go` and `cmd/phases/upgrade/apply/preflight.go`; with v1.35 every failure of
/// a phase begins as here).
fn version_errors(cluster: &str, kubeadm: &str, wanted: &str) -> Option<String> {
    let (from, own, to) = (version_numbers(cluster), version_numbers(kubeadm), version_numbers(wanted));
    let mut fatal = vec![];
    let mut soft = vec![];
    if to.1 > from.1 + 1 {
        let why = "is too high; kubeadm can upgrade only 1 minor version at a time";
        fatal.push(format!("Specified version to upgrade to \"{wanted}\" {why}"));
    }
    if to.1 + 1 < from.1 {
        let why = "is too low; kubeadm can downgrade only 1 minor version at a time";
        fatal.push(format!("Specified version to downgrade to \"{wanted}\" {why}"));
    }
    if own < to && to.1 > own.1 {
        let why = format!("is at least one minor release higher than the kubeadm minor release ({} > {})", to.1, own.1);
        fatal.push(format!("Specified version to upgrade to \"{wanted}\" {why}. Such an upgrade is not supported"));
    } else if own < to {
        let hint = "Upgrade kubeadm first using the tool you used to install kubeadm";
        soft.push(format!(
            "Specified version to upgrade to \"{wanted}\" is higher than the kubeadm version \"v{kubeadm}\". {hint}"
        ));
    }
    if own.1 > to.1 {
        let only = format!("{}.{}", own.0, own.1);
        soft.push(format!("Kubeadm version v{kubeadm} can only be used to upgrade to Kubernetes version {only}"));
    }
    let listed = |all: &[String]| all.iter().map(|why| format!("\t- {why}\n")).collect::<String>();
    let begin = "error execution phase preflight: the version argument is invalid due to these";
    if !fatal.is_empty() {
        let end = "Please fix the misalignments highlighted above and try upgrading again";
        return Some(format!("{begin} fatal errors:\n\n{}\n{end}", listed(&fatal)));
    }
    let end = "Can be bypassed if you pass the --force flag";
    (!soft.is_empty()).then(|| format!("{begin} errors:\n\n{}\n{end}", listed(&soft)))
}

/// `node-upgrade VERSION`: a snapshot of etcd, and `kubeadm upgrade apply` by the document that was kept on the node.
pub fn node_upgrade(
    sim: &mut SimState,
    vm: &str,
    version: &str,
    request: &Request,
    now: Duration,
) -> ToolResult<Response> {
    let guest = &sim.vms[vm].guest;
    if !matches!(guest.control, Control::Made(_)) {
        return Err(failure(1, "node-upgrade: there is no control plane on this node"));
    }
    if let Some(job) = guest.jobs.iter().find(|job| matches!(job.work, Work::Apply(_))) {
        return Ok(Response::pending_until(job.next, now));
    }
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.upgrading = version.to_owned();
    }
    kubeadm::upgrade_config(sim, vm, "/etc/archipelago/kubeadm-upgrade.yaml")?;
    start_upgrade(sim, vm, version, request, now)
}

/// `kubeadm upgrade apply --yes --config FILE VERSION`.
pub fn start_upgrade(
    sim: &mut SimState,
    vm: &str,
    version: &str,
    request: &Request,
    now: Duration,
) -> ToolResult<Response> {
    let server = "[ERROR ControlPlaneNodesReady]: there are NotReady control-planes in the cluster";
    if !sim.api_up(vm, now) {
        // It first reads its configuration from the cluster (text assumed).
        return Err(kubeadm_error(
            "error execution phase preflight: couldn't create a Kubernetes client: connection refused",
        ));
    }
    let Some(cluster) = sim.cluster(vm) else { return Err(kubeadm_error(server)) };
    let kubeadm = sim.vms[vm].guest.kubeadm().to_owned();
    if let Some(why) = version_errors(&cluster.version, &kubeadm, version) {
        return Err(kubeadm_error(&why));
    }
    let ready = cluster.nodes.iter().filter(|(_, node)| node.vm == vm);
    let ready = ready.map(|(name, _)| sim.node_ready(cluster, name, now)).all(|is| is == crate::cluster::Ready::Yes);
    if !ready {
        return Err(kubeadm_error(&format!(
            "error execution phase preflight: preflight checks failed\n\t{server}: [{vm}]"
        )));
    }
    // The API server restarts meanwhile, and etcd where its image is another (durations assumed).
    let etcd = version_numbers(&cluster.version).1 != version_numbers(version).1;
    sim.refusing.insert(vm.to_owned(), now + timings::API_AFTER_BOOT * if etcd { 2 } else { 1 });
    Ok(sim.start_job(vm, request, Work::Apply(version.to_owned()), now, timings::UPGRADE))
}

pub fn finish_upgrade(sim: &mut SimState, vm: &str, version: &str, now: Duration) -> Output {
    let renewed = sim.clock_of(vm, now);
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(255, "") };
    machine.guest.upgrading.clear();
    if let Control::Made(cluster) = &mut machine.guest.control {
        cluster.version = version.to_owned();
        // Upstream: an upgrade renews all certificates (`--certificate-renewal`, true by default).
        cluster.certs_issued_at = renewed;
    }
    success(format!(
        "\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to \"{version}\".\n\n[upgrade] Now \
         please proceed with upgrading the rest of the nodes by following the right order.\n"
    ))
}

/// It reads the kubelet's configuration from its cluster.
pub fn upgrade_node(sim: &SimState, vm: &str, now: Duration) -> Output {
    let guest = &sim.vms[vm].guest;
    let joined = guest.worker == Worker::Joined;
    let valid = |name: &String| sim.cluster(name).is_some_and(|c| sim.valid_from(c, vm) <= now);
    let up = |ip: &std::net::Ipv4Addr| sim.vm_at(*ip).is_some_and(|(name, _)| sim.api_up(name, now) && valid(name));
    if !joined || !guest.hosts.values().any(up) {
        let why = "couldn't create a Kubernetes client from file \"/etc/kubernetes/kubelet.conf\"";
        return kubeadm_error(&format!("error execution phase preflight: {why}"));
    }
    success(
        "[upgrade] The configuration for this node was successfully updated!\n[upgrade] Now you should go ahead and \
         upgrade the kubelet package using your package manager.\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_refused_as_kubeadm_refuses_them() {
        for (cluster, kubeadm, wanted, why) in [
            ("v1.35.6", "1.35.7", "v1.35.7", ""),
            ("v1.35.7", "1.35.7", "v1.35.7", ""),
            ("v1.34.9", "1.35.7", "v1.35.7", ""),
            ("v1.35.6", "1.35.6", "v1.35.7", "is higher than the kubeadm version \"v1.35.6\""),
            ("v1.33.2", "1.35.7", "v1.35.7", "is too high; kubeadm can upgrade only 1 minor version at a time"),
            ("v1.37.0", "1.35.7", "v1.35.7", "is too low; kubeadm can downgrade only 1 minor version at a time"),
            ("v1.35.6", "1.35.7", "v1.36.0", "at least one minor release higher than the kubeadm minor release"),
            ("v1.35.6", "1.36.0", "v1.35.7", "Kubeadm version v1.36.0 can only be used to upgrade to"),
        ] {
            let found = version_errors(cluster, kubeadm, wanted).unwrap_or_default();
            assert!(if why.is_empty() { found.is_empty() } else { found.contains(why) }, "{cluster} {wanted}: {found}");
        }
    }

    #[test]
    fn a_kubelet_may_be_older_than_its_server_and_not_of_a_later_minor() {
        assert!(
            kubelet_too_new("1.36.0", "v1.35.7")
                && !kubelet_too_new("1.35.7", "v1.35.6")
                && !kubelet_too_new("1.34.1", "v1.35.6")
        );
    }
}
