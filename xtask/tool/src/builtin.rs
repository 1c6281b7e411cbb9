//! Commands that xtask itself carries out within a plan: by the driver if they are about its files and secrets, else by
//! the world.
//!
//! | command | does | done by |
//! |---|---|---|
//! | `machine` | JSON: `os`, `arch`, `cpus`, `memory_bytes`, `free_disk_bytes`, `networks`, `clock` (seconds since 1970) | world |
//! | `dial ADDRESS PORT` | opens a TCP connection: exit 0, or 1 with the reason on stderr | world |
//! | `mint NAME` | creates and stores a random secret, `[a-z][a-z0-9]{15}` | driver |
//! | `have NAME…` | exit 0 if all these secrets are stored, else 1 and the missing ones on stderr | driver |
//! | `keep PATH` | writes stdin to a file below `out/`, 0600, atomically | driver |
//! | `same PATH` | exit 0 if the file below `out/` holds exactly stdin, else 1 | driver |
//! | `folder PATH` | makes a folder below `out/`, if there is none | driver |
//! | `forget CLUSTER` | removes a cluster's kubeconfig and secrets; `.` is all of them | driver |
//! | `forgotten CLUSTER` | exit 0 if there are none, else 1 and their names on stderr | driver |
//! | `sha256 PATH` | prints the digest of a download below `out/`, exit 1 if there is none | world |
//! | `check PATH DIGEST` | exit 0 if a download below `out/` has this digest (`sha256:…`, `sha512:…`), 3 and both if it has another | world |
//! | `place PATH PATH` | moves an unpacked program within `out/` to where it is run, executable, in one step | world |

use super::{Command, Tool};

/// Exit code of `check` for a file with another digest.
pub const MISMATCH: i32 = 3;

pub fn machine() -> Command {
    Command::ask(Tool::Builtin, ["machine"])
}

/// The same, with the version of a tool beside it.
pub fn machine_with(tool: &str) -> Command {
    Command::ask(Tool::Builtin, ["machine", tool])
}

pub fn tcp_connect(address: &str, port: u16) -> Command {
    Command::ask(Tool::Builtin, ["dial".to_owned(), address.to_owned(), port.to_string()])
}

pub fn generate_secret(name: &str) -> Command {
    Command::act(Tool::Builtin, ["mint", name])
}

pub fn has_secrets(names: &[&str]) -> Command {
    Command::ask(Tool::Builtin, std::iter::once("have").chain(names.iter().copied()))
}

pub fn keep(path: &str, file: &str) -> Command {
    Command::act(Tool::Builtin, ["keep", path]).stdin_file(file)
}

pub fn file_matches(path: &str, file: &str) -> Command {
    Command::ask(Tool::Builtin, ["same", path]).stdin_file(file)
}

/// `helm pull` does not create its destination (measured in 3.18 and 4.1).
pub fn folder(path: &str) -> Command {
    Command::act(Tool::Builtin, ["folder", path])
}

pub fn delete_secrets(cluster: &str) -> Command {
    Command::act(Tool::Builtin, ["forget", cluster])
}

pub fn secrets_absent(cluster: &str) -> Command {
    Command::ask(Tool::Builtin, ["forgotten", cluster])
}

pub fn sha256(path: &str) -> Command {
    Command::ask(Tool::Builtin, ["sha256", path])
}

/// Another digest is final: the same file would be downloaded again.
pub fn check(path: &str, digest: &str) -> Command {
    Command { final_exit: Some(MISMATCH), ..Command::act(Tool::Builtin, ["check", path, digest]) }
}

pub fn install_binary(from: &str, to: &str) -> Command {
    Command::act(Tool::Builtin, ["place", from, to])
}
