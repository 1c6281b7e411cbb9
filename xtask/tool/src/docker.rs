//! Docker command lines, for the services outside Kubernetes.
//! Knows nothing of what they serve; `infra/docker/compose.yaml` does.

use super::{Command, Tool};

/// Where the services are written down.
const FILE: &str = "infra/docker/compose.yaml";

/// Versions of client and server; exit 1 while the server does not answer.
pub fn version() -> Command {
    Command::ask(Tool::Docker, ["version", "--format", "json"])
}

/// The version of the compose plug-in, as `2.39.1`.
pub fn compose_version() -> Command {
    Command::ask(Tool::Docker, ["compose", "version", "--short"])
}

fn compose(profile: Option<&str>, rest: &[&str]) -> Vec<String> {
    let global = ["compose", "--file", FILE];
    let profile = profile.map(|p| ["--profile", p]).into_iter().flatten();
    global.into_iter().chain(profile).chain(rest.iter().copied()).map(str::to_owned).collect()
}

/// The names of the services that run, a line each.
pub fn running(profile: Option<&str>) -> Command {
    Command::ask(Tool::Docker, compose(profile, &["ps", "--services", "--status", "running"]))
}

/// Brings these services up and waits until those with a health check are healthy.
pub fn up(profile: Option<&str>, services: &[&str], seconds: u64) -> Command {
    let seconds = seconds.to_string();
    let flags = ["up", "--detach", "--wait", "--wait-timeout", &seconds];
    Command::act(Tool::Docker, compose(profile, &[&flags[..], services].concat()))
}

/// Takes these services away; their volumes stay.
pub fn down(profile: Option<&str>, services: &[&str]) -> Command {
    Command::act(Tool::Docker, compose(profile, &[&["rm", "--stop", "--force"][..], services].concat()))
}

/// Runs a service that does its work and ends.
pub fn run_once(profile: Option<&str>, service: &str) -> Command {
    Command::act(Tool::Docker, compose(profile, &["run", "--rm", service]))
}
