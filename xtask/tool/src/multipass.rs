//! Multipass command lines.
//! Knows nothing of what runs inside a VM; `tools::guest` writes those.

use super::{Command, Tool};
use model::fleet::{Bytes, Node};

/// Client and daemon versions. Exit 0 even with the daemon down; then `multipassd` is absent.
pub fn version() -> Command {
    Command::ask(Tool::Multipass, ["version", "--format", "json"])
}

/// State and addresses of one VM, by name: asking for all of them stalls on a dead one (canonical/multipass#3645).
pub fn info(vm: &str) -> Command {
    Command::ask(Tool::Multipass, ["info", vm, "--format", "json"])
}

/// Launches a VM. User-data comes by stdin: a snap cannot read our files (canonical/multipass#3693).
/// Its exit code says nothing about cloud-init, and after a timeout the VM lives on.
pub fn launch(vm: &str, node: &Node, image: &str, user_data: &str) -> Command {
    let size = |b: Bytes| b.to_string();
    let args = [
        "launch",
        image,
        "--name",
        vm,
        "--cpus",
        &node.cpus.to_string(),
        "--memory",
        &size(node.memory),
        "--disk",
        &size(node.disk),
        "--timeout",
        "900",
        "--cloud-init",
        "-",
    ];
    Command::act(Tool::Multipass, args).fed(user_data)
}

/// Starts a stopped or suspended VM.
pub fn start(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["start", vm])
}

/// Stops a VM as its power button would.
pub fn stop(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["stop", vm])
}

/// Stops a VM that does not answer.
pub fn stop_by_force(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["stop", "--force", vm])
}

/// Brings back a VM that was deleted but not purged; it is stopped then.
pub fn recover(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["recover", vm])
}

/// Deletes one VM for good. Never `purge`: that takes every deleted VM of the user's machine.
pub fn delete(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["delete", "--purge", vm])
}
