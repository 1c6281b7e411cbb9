//! Docker command lines, for the services outside Kubernetes (`infra/docker/compose.yaml`).

use super::{Command, Tool};

const FILE: &str = "infra/docker/compose.yaml";

/// Exit 1 while the server does not answer.
pub fn version() -> Command {
    Command::ask(Tool::Docker, ["version", "--format", "json"])
}

/// Prints `2.39.1`.
pub fn compose_version() -> Command {
    Command::ask(Tool::Docker, ["compose", "version", "--short"])
}

fn compose(profile: Option<&str>, rest: &[&str]) -> Vec<String> {
    let global = ["compose", "--file", FILE];
    let profile = profile.map(|p| ["--profile", p]).into_iter().flatten();
    global.into_iter().chain(profile).chain(rest.iter().copied()).map(str::to_owned).collect()
}

pub fn running(profile: Option<&str>) -> Command {
    Command::ask(Tool::Docker, compose(profile, &["ps", "--services", "--status", "running"]))
}

/// Waits until services with a health check are healthy.
pub fn up(profile: Option<&str>, services: &[&str], seconds: u64) -> Command {
    let seconds = seconds.to_string();
    let flags = ["up", "--detach", "--wait", "--wait-timeout", &seconds];
    Command::act(Tool::Docker, compose(profile, &[&flags[..], services].concat()))
}

pub fn down(profile: Option<&str>, services: &[&str]) -> Command {
    Command::act(Tool::Docker, compose(profile, &[&["rm", "--stop", "--force"][..], services].concat()))
}

pub fn run_once(profile: Option<&str>, service: &str) -> Command {
    Command::act(Tool::Docker, compose(profile, &["run", "--rm", service]))
}
