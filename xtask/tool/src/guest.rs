//! Command lines that run inside a VM: our node scripts (`infra/node/`) and kubeadm.
//! Knows nothing of what they find there.
//!
//! Always `multipass exec -n`: without it the client maps the host's working directory first, and with `-d` it joins
//! the arguments unquoted (multipass 1.16.3 `exec.cpp`).

use super::{Command, Reading, Tool};

/// Where a node keeps the kubeadm document it was given.
pub const INIT: &str = "/etc/archipelago/kubeadm-init.yaml";
/// The same of a worker.
pub const JOIN: &str = "/etc/archipelago/kubeadm-join.yaml";
/// Says that `kubeadm init` ended well here; without it a silent API server means a half-done one.
pub const SEAL: &str = "/etc/archipelago/init.done";
/// Which versions `node-prep` installs.
pub const VERSIONS: &str = "/etc/archipelago/prep.env";
/// What [`replace_scripts`] runs.
pub const REPLACE: &str = "/^#: /{n=$2;if(n!~/^(node-[a-z]+|end)$/){bad=1;exit}next}{t[n]=t[n] $0 \"\\n\"}\
    END{if(bad||n!=\"end\")exit 1;for(n in t){f=\"/usr/local/sbin/\" n;printf \"%s\",t[n]>(f \".new\");\
    close(f \".new\");if(system(\"chmod 755 \" f \".new && mv \" f \".new \" f))exit 1}}";

fn exec(vm: &str, args: &[&str]) -> Vec<String> {
    ["exec", "-n", vm, "--"].iter().chain(args).map(|a| (*a).to_owned()).collect()
}

fn act(vm: &str, args: &[&str]) -> Command {
    Command::act(Tool::Multipass, exec(vm, args))
}

/// What the node is: one line of JSON, see `infra/node/node-state`. `api` is the name of its cluster's API server.
pub fn state(vm: &str, api: &str) -> Command {
    Command::ask(Tool::Multipass, exec(vm, &["sudo", "/usr/local/sbin/node-state", api]))
}

/// Whether a port of another machine takes connections, seen from this node. bash is in every Ubuntu image; nc is not.
pub fn connects(vm: &str, address: &str, port: u16) -> Command {
    let open = format!("exec 3<>/dev/tcp/{address}/{port}");
    Command::ask(Tool::Multipass, exec(vm, &["timeout", "5", "bash", "-c", &open]))
}

/// Waits for cloud-init. Its exit code is no verdict: a flake in Multipass's own vendor-data fails it too.
pub fn cloud_init(vm: &str) -> Command {
    act(vm, &["cloud-init", "status", "--wait", "--format", "json"]).any_exit()
}

/// Prepares the node; re-runnable, and waits if cloud-init is at it.
pub fn prepare(vm: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-prep"])
}

/// Puts scripts that are fed as one text in the place of those on the node: each line `#: NAME` begins one, `#: end`
/// ends the text. Nothing is written before all of it is there, and each script is replaced whole. awk alone, since the
/// scripts that are there may be of any age.
pub fn replace_scripts(vm: &str, bundle: &str) -> Command {
    act(vm, &["sudo", "awk", REPLACE]).fed(bundle)
}

/// Installs the kubeadm of `prep.env` and nothing else.
pub fn install_kubeadm(vm: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-prep", "kubeadm"])
}

/// Upgrades the control plane on this node; see `infra/node/node-upgrade`.
pub fn upgrade(vm: &str, version: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-upgrade", version])
}

/// Writes the kubelet's configuration as its cluster has it now, for the version that kubeadm is of.
pub fn upgrade_node(vm: &str) -> Command {
    act(vm, &["sudo", "kubeadm", "upgrade", "node"])
}

/// Makes the API server's name point to an address.
pub fn hosts(vm: &str, address: &str, api: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-hosts", address, api])
}

/// Moves a control plane or a worker to the address that its VM has now; see `infra/node/node-readdress`.
pub fn readdress(vm: &str, address: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-readdress", address])
}

/// Takes kubeadm's work back, all but the cluster's CA: workers have its hash pinned.
pub fn reset(vm: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-reset"])
}

/// Makes sure a bootstrap token lives, if there is an API server to hold it yet.
pub fn token(vm: &str, id: &str, secret: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-token", id]).told(secret)
}

/// Writes a generated file to the node, for root alone.
pub fn keep(vm: &str, path: &str, file: &str) -> Command {
    act(vm, &["sudo", "/usr/local/sbin/node-keep", path]).fed(file)
}

/// Strict decoding of a kubeadm document. `kubeadm init` itself only warns of an unknown key (measured on v1.35.6).
pub fn validate(vm: &str, path: &str) -> Command {
    act(vm, &["sudo", "kubeadm", "config", "validate", "--config", path])
}

/// Makes the cluster's CA, so that its hash is known before there is an API server.
pub fn make_ca(vm: &str) -> Command {
    act(vm, &["sudo", "kubeadm", "init", "phase", "certs", "ca", "--config", INIT])
}

/// Makes the control plane, and marks that it ended well. Both in one command of the node's own: it goes on when we
/// are killed, and an init that ended must never be taken for one that died.
pub fn init(vm: &str) -> Command {
    act(vm, &["sudo", "sh", "-c", &format!("kubeadm init --config {INIT} && touch {SEAL}")])
}

/// Marks that init ended well, where it was killed between the two.
pub fn seal(vm: &str) -> Command {
    act(vm, &["sudo", "touch", SEAL])
}

/// Starts the kubelet anew, which makes it register its node again.
pub fn restart_kubelet(vm: &str) -> Command {
    act(vm, &["sudo", "systemctl", "restart", "kubelet"])
}

/// Exit 0 if all these paths are there; a colon between them.
pub fn have_folders(vm: &str, paths: &str) -> Command {
    let words = ["sudo", "xargs", "-d", ":", "-r", "stat", "--format", "%n", "--"];
    Command::ask(Tool::Multipass, exec(vm, &words)).told(paths)
}

/// Makes those that are not there, for whoever a pod runs as; the others are left as they are.
pub fn make_folders(vm: &str, paths: &str) -> Command {
    act(vm, &["sudo", "xargs", "-d", ":", "-r", "mkdir", "-m", "0777", "-p", "--"]).told(paths)
}

/// Sets the clock anew by whichever of the two services this node has; the other one is refused, exit 5.
pub fn synchronise(vm: &str) -> Command {
    act(vm, &["sudo", "systemctl", "try-restart", "systemd-timesyncd", "chrony"]).any_exit()
}

/// Joins a worker. May start before the API server answers: it polls (measured on v1.35.6).
pub fn join(vm: &str) -> Command {
    act(vm, &["sudo", "kubeadm", "join", "--config", JOIN])
}

/// Reads the admin's credentials as secrets `<cluster>.ca`, `.admin-cert` and `.admin-key` (base64, as they stand).
pub fn credentials(vm: &str, cluster: &str) -> Command {
    let admin = "/etc/kubernetes/admin.conf";
    let args = ["sudo", "kubectl", "config", "view", "--kubeconfig", admin, "--raw", "--output", "json"];
    let at = |pointer: &str| Reading::Pointer(pointer.to_owned());
    Command::ask(Tool::Multipass, exec(vm, &args))
        .learn_secret(format!("{cluster}.ca"), at("/clusters/0/cluster/certificate-authority-data"))
        .learn_secret(format!("{cluster}.admin-cert"), at("/users/0/user/client-certificate-data"))
        .learn_secret(format!("{cluster}.admin-key"), at("/users/0/user/client-key-data"))
}
