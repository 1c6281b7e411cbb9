//! Preconditions: checks of this machine and its tools.

use super::super::{Expect, Step, StepKey};
use ipnet::Ipv4Net;
use machines::Driver;
use model::fleet::{Fault, Fleet};
use model::token::fact;
use tool::{Command, Extractor, Limits, builtin, cilium, curl, docker, helm, kubectl, openssl};

pub(crate) fn steps(fleet: &Fleet) -> Vec<Step> {
    let tools = tools().into_iter().map(|(name, ask)| tool(fleet, name, ask));
    [machine(fleet), network(fleet), driver(fleet)].into_iter().chain(faults(fleet)).chain(tools).collect()
}

pub(super) fn ids(fleet: &Fleet) -> Vec<StepKey> {
    steps(fleet).into_iter().map(|s| s.id).collect()
}

/// For services in Docker. Compose has `env_file` with `required` since 2.24.
pub(super) fn docker() -> Vec<Step> {
    let server = Expect::JsonPresent("/Server/Version".into());
    let compose = Expect::Version(String::new(), ">=2.24".into());
    vec![
        Step::new(StepKey::host("docker"), "check docker", docker::version(), server)
            .hint("start Docker, or set `services = false` in [docker] of infra/fleet.toml"),
        Step::new(StepKey::host("compose"), "check docker compose", docker::compose_version(), compose)
            .hint("Debian, Ubuntu: sudo apt install docker-compose-v2 · Docker Desktop brings it"),
    ]
}

fn tools() -> [(&'static str, Command); 5] {
    [
        ("helm", helm::version()),
        ("kubectl", kubectl::version()),
        ("cilium", cilium::version()),
        ("openssl", openssl::version()),
        ("curl", curl::version()),
    ]
}

fn tool(fleet: &Fleet, name: &str, ask: Command) -> Step {
    Step::new(StepKey::host(name), format!("check {name}"), ask, accepted(fleet, name)).hint(install_hint(name))
}

/// The command that reads a tool's version, and the versions that are accepted.
pub(crate) fn look(fleet: &Fleet, name: &str) -> Option<(Command, Expect)> {
    tools().into_iter().find(|(tool, _)| *tool == name).map(|(_, ask)| (ask, accepted(fleet, name)))
}

/// Where a tool's version is in its output, for [`Expect::Version`].
pub(crate) fn version_at(name: &str) -> &'static str {
    match name {
        "kubectl" => "/clientVersion/gitVersion",
        _ => "",
    }
}

fn accepted(fleet: &Fleet, name: &str) -> Expect {
    version(fleet, name, version_at(name)).unwrap_or(Expect::Exit(0))
}

/// The range of `fleet.toml` for a tool's version, if it has one.
fn version(fleet: &Fleet, name: &str, at: &str) -> Option<Expect> {
    let range = fleet.versions.tools.iter().find(|(tool, _)| tool == name);
    range.map(|(_, range)| Expect::Version(at.into(), range.clone()))
}

pub(crate) fn driver_key(driver: Driver) -> StepKey {
    StepKey::host(driver.program())
}

fn driver(fleet: &Fleet) -> Step {
    let driver = Driver::of(fleet);
    let (name, check) = (driver.program(), driver.host_check());
    let ask = check.ask.capture(DRIVER, Extractor::Pointer(check.version_at.into()));
    let usable = Expect::All([check.ready].into_iter().chain(version(fleet, name, check.version_at)).collect());
    Step::new(driver_key(driver), format!("check {name}"), ask, usable)
        .fallback(check.otherwise)
        .limits(Limits::QUICK.settle(0).attempts(2, 2))
        .hint(check.install)
}

pub fn fault_key(fault: &Fault) -> StepKey {
    StepKey::host(&format!("{}/{}", fault.tool, fault.versions.to_string().trim_start_matches('=')))
}

/// A step per known fault of the driver, which depends on the machine as well as on the version.
fn faults(fleet: &Fleet) -> impl Iterator<Item = Step> {
    let driver = Driver::of(fleet);
    let of = move |fault: &&Fault| fault.tool == driver.program();
    fleet.versions.faults.iter().filter(of).map(move |fault| {
        let Fault { versions, os, arch, why, fix, .. } = fault;
        let version = Expect::Version("/tool".into(), versions.to_string());
        let machine = [("/os", os), ("/arch", arch)].map(|(at, what)| Expect::Json(at.into(), what.clone()));
        let affected = Expect::All(machine.into_iter().chain([version]).collect());
        let title = format!("check that {} is not {versions} on {os} {arch}: {why}", driver.program());
        Step::new(fault_key(fault), title, builtin::machine_with(&fact(DRIVER)), affected.negated())
            .needs([driver_key(driver)])
            .hint(fix)
    })
}

/// The check of the machines' driver and those of the tools named.
pub fn machine_tools(fleet: &Fleet, tools: &[&str]) -> Vec<Step> {
    let driver = Driver::of(fleet).program();
    let wanted = |step: &Step| step.id.action() == driver || tools.contains(&step.id.action());
    steps(fleet).into_iter().filter(wanted).collect()
}

pub(crate) fn install_hint(name: &str) -> &'static str {
    match name {
        "helm" => "cargo xtask tools install   # or macOS: brew install helm · Linux: sudo snap install helm --classic",
        "kubectl" => {
            "cargo xtask tools install   # brew and snap bring the newest, which the API server may not support"
        }
        "cilium" => "Linux: cargo xtask tools install · macOS: brew install cilium-cli",
        "openssl" => "macOS brings it · Debian, Ubuntu: sudo apt install openssl",
        _ => "macOS brings it · Debian, Ubuntu: sudo apt install curl",
    }
}

/// The same without `tools install`.
pub(crate) fn package(name: &str) -> &'static str {
    let install_hint = install_hint(name);
    match name {
        "cilium" => "brew install cilium-cli",
        "kubectl" => "macOS: brew install kubectl · Linux: sudo snap install kubectl --classic",
        _ => install_hint.strip_prefix("cargo xtask tools install   # or ").unwrap_or(install_hint),
    }
}

/// The fact with the version of the machines' driver.
const DRIVER: &str = "host.driver";
/// The fact with the number of cores of this machine.
pub(crate) const CORES: &str = "host.cpus";

fn machine_facts() -> Command {
    builtin::machine().capture(CORES, Extractor::Pointer("/cpus".into()))
}

/// RAM of all VMs, services in Docker and the system; an initial amount of disk (images and VMs are sparse files).
fn machine(fleet: &Fleet) -> Step {
    let memory = fleet.needed_memory();
    let free = fleet.host.free_disk;
    let want = Expect::All(vec![
        Expect::JsonAtLeast("/memory_bytes".into(), memory.0),
        Expect::JsonAtLeast("/free_disk_bytes".into(), free.0),
    ]);
    Step::new(
        StepKey::host("machine"),
        format!("check for {memory} of RAM and {free} of free disk"),
        machine_facts(),
        want,
    )
    .hint("give the clusters less memory in infra/fleet.toml, or free some disk")
}

/// Of pods and Services.
pub fn ranges(fleet: &Fleet) -> Vec<Ipv4Net> {
    fleet.clusters.iter().flat_map(|c| [c.pod_cidr, c.service_cidr]).collect()
}

/// No network of this machine, that of the VMs among them, may overlap a range of the fleet.
fn network(fleet: &Fleet) -> Step {
    let want = Expect::Outside("/networks".into(), ranges(fleet));
    Step::new(
        StepKey::host("network"),
        "compare this machine's networks with the clusters' ranges",
        machine_facts(),
        want,
    )
    .hint("cargo xtask fleet check")
}
