//! Commands that run inside a machine: the node scripts of `infra/node/`, kubeadm, systemd.

use super::Machine;
use tool::{Command, Extractor, awk};

/// The kubeadm document of a control plane, on its node.
pub const INIT: &str = "/etc/archipelago/kubeadm-init.yaml";
/// The kubeadm document for upgrades of a control plane, on its node.
pub const UPGRADE: &str = "/etc/archipelago/kubeadm-upgrade.yaml";
/// The kubeadm document of a worker, on its node.
pub const JOIN: &str = "/etc/archipelago/kubeadm-join.yaml";
/// Exists once `kubeadm init` has succeeded; without it an API server that does not answer means a partial init.
pub const INIT_MARKER: &str = "/etc/archipelago/init.done";
/// The versions that `node-prep` installs.
pub const VERSIONS: &str = "/etc/archipelago/prep.env";

/// The state of the node, one line of JSON (`infra/node/node-state`). `api` is the name of its cluster's API server.
pub fn state(vm: &Machine, api: &str) -> Command {
    vm.ask(&["sudo", "/usr/local/sbin/node-state", api])
}

/// Opens a TCP connection from this node to another machine. bash is in every Ubuntu image; nc is not.
pub fn connects(vm: &Machine, address: &str, port: u16) -> Command {
    let open = format!("exec 3<>/dev/tcp/{address}/{port}");
    vm.ask(&["timeout", "5", "bash", "-c", &open])
}

/// Waits for cloud-init. Its exit code is ignored: it also fails for the driver's own vendor-data.
pub fn cloud_init(vm: &Machine) -> Command {
    vm.act(&["cloud-init", "status", "--wait", "--format", "json"]).ignore_exit()
}

pub fn cloud_init_report(vm: &Machine) -> Command {
    vm.ask(&["cloud-init", "status", "--long"])
}

const RUN: &str = "/usr/local/sbin/node-run";

/// A command that takes long, as a service of the machine: it goes on without its caller, and [`end`] ends it.
fn run(vm: &Machine, args: &[&str]) -> Command {
    let command = vm.act(&[&["sudo", RUN], args].concat());
    Command { end: Some(Box::new(end(vm))), ..command }
}

/// Ends what an earlier [`run`] left at work; see `infra/node/node-run`.
pub fn end(vm: &Machine) -> Command {
    vm.act(&["sudo", RUN, "--end"])
}

/// Prepares the node; can be repeated, and waits while cloud-init does the same.
pub fn prepare(vm: &Machine) -> Command {
    run(vm, &["/usr/local/sbin/node-prep"])
}

/// Replaces the scripts on the node by those in one text; see [`awk::REPLACE_SCRIPTS`].
pub fn replace_scripts(vm: &Machine, bundle: &str) -> Command {
    vm.act(&["sudo", "awk", awk::REPLACE_SCRIPTS]).stdin_file(bundle)
}

/// Installs the kubeadm of [`VERSIONS`] and nothing else.
pub fn install_kubeadm(vm: &Machine) -> Command {
    run(vm, &["/usr/local/sbin/node-prep", "kubeadm"])
}

/// Upgrades the control plane on this node by [`UPGRADE`]; see `infra/node/node-upgrade`.
pub fn upgrade(vm: &Machine, version: &str) -> Command {
    run(vm, &["/usr/local/sbin/node-upgrade", version])
}

/// Writes the kubelet's configuration from its cluster, for the version of the installed kubeadm.
pub fn upgrade_node(vm: &Machine) -> Command {
    run(vm, &["kubeadm", "upgrade", "node"])
}

/// Writes the API server's name and address into `/etc/hosts`.
pub fn hosts(vm: &Machine, address: &str, api: &str) -> Command {
    vm.act(&["sudo", "/usr/local/sbin/node-hosts", address, api])
}

/// Changes the address of a control plane or a worker; see `infra/node/node-readdress`.
pub fn readdress(vm: &Machine, address: &str) -> Command {
    run(vm, &["/usr/local/sbin/node-readdress", address])
}

/// Renews the certificates of a control plane by [`INIT`]; see `infra/node/node-renew`.
pub fn renew(vm: &Machine) -> Command {
    run(vm, &["/usr/local/sbin/node-renew"])
}

/// Undoes kubeadm's changes, except for the cluster's CA, whose hash workers pin.
pub fn reset(vm: &Machine) -> Command {
    run(vm, &["/usr/local/sbin/node-reset"])
}

/// Creates the bootstrap token if it has expired and there is an API server.
pub fn token(vm: &Machine, id: &str, secret: &str) -> Command {
    vm.act(&["sudo", "/usr/local/sbin/node-token", id]).stdin_text(secret)
}

/// Writes a generated file to the node, readable by root alone.
pub fn keep(vm: &Machine, path: &str, file: &str) -> Command {
    vm.act(&["sudo", "/usr/local/sbin/node-keep", path]).stdin_file(file)
}

/// Strict decoding of a kubeadm document. `kubeadm init` itself only warns of an unknown key (measured on v1.35.6).
pub fn validate(vm: &Machine, path: &str) -> Command {
    vm.act(&["sudo", "kubeadm", "config", "validate", "--config", path])
}

/// Creates the cluster's CA, so that its hash is available before there is an API server.
pub fn make_ca(vm: &Machine) -> Command {
    vm.act(&["sudo", "kubeadm", "init", "phase", "certs", "ca", "--config", INIT])
}

/// Creates the control plane and its [`INIT_MARKER`] in one command on the node: an init that has succeeded must not be taken for a partial one.
pub fn init(vm: &Machine) -> Command {
    run(vm, &["sh", "-c", &format!("kubeadm init --config {INIT} && touch {INIT_MARKER}")])
}

/// Creates the [`INIT_MARKER`] where init was killed just before.
pub fn mark_init(vm: &Machine) -> Command {
    vm.act(&["sudo", "touch", INIT_MARKER])
}

/// Also makes the kubelet register its node again.
pub fn restart_kubelet(vm: &Machine) -> Command {
    vm.act(&["sudo", "systemctl", "restart", "kubelet"])
}

/// The kubelet's last lines, for a person to read.
pub fn kubelet_log(vm: &Machine) -> Command {
    vm.ask(&["sudo", "journalctl", "-u", "kubelet", "-n", "50"])
}

pub fn prune_images(vm: &Machine) -> Command {
    vm.act(&["sudo", "crictl", "rmi", "--prune"])
}

/// Exit 0 if all these paths, separated by colons, exist.
pub fn paths_exist(vm: &Machine, paths: &str) -> Command {
    vm.ask(&["sudo", "xargs", "-d", ":", "-r", "stat", "--format", "%n", "--"]).stdin_text(paths)
}

/// Creates missing folders, writable by any user of a pod; others are unchanged.
pub fn make_folders(vm: &Machine, paths: &str) -> Command {
    vm.act(&["sudo", "xargs", "-d", ":", "-r", "mkdir", "-m", "0777", "-p", "--"]).stdin_text(paths)
}

/// Restarts the time service of this node; exit 5 is that of the one it does not have.
pub fn sync_clock(vm: &Machine) -> Command {
    vm.act(&["sudo", "systemctl", "try-restart", "systemd-timesyncd", "chrony"]).ignore_exit()
}

/// Joins a worker. May start before the API server: it polls (measured on v1.35.6).
pub fn join(vm: &Machine) -> Command {
    run(vm, &["kubeadm", "join", "--config", JOIN])
}

/// Reads the admin's credentials as secrets `<cluster>.ca`, `.admin-cert` and `.admin-key`, in base64.
pub fn credentials(vm: &Machine, cluster: &str) -> Command {
    let admin = "/etc/kubernetes/admin.conf";
    let args = ["sudo", "kubectl", "config", "view", "--kubeconfig", admin, "--raw", "--output", "json"];
    let at = |pointer: &str| Extractor::Pointer(pointer.to_owned());
    vm.ask(&args)
        .capture_secret(format!("{cluster}.ca"), at("/clusters/0/cluster/certificate-authority-data"))
        .capture_secret(format!("{cluster}.admin-cert"), at("/users/0/user/client-certificate-data"))
        .capture_secret(format!("{cluster}.admin-key"), at("/users/0/user/client-key-data"))
}
