//! The services outside Kubernetes, on the machine's own Docker: Nexus, and Harbor when asked for. No step of a cluster
//! needs any of these: clusters start while Docker is off.

use super::super::{Expect, Step, StepKey};
use super::{host, secrets as minted};
use model::fleet::Fleet;
use render::docker::{ADMIN, CONFIG, DATABASE};
use tool::{Limits, builtin, docker};

const NEXUS: [&str; 1] = ["nexus"];
/// The services of the profile `harbor` in `infra/docker/compose.yaml`.
pub(super) const HARBOR: [&str; 8] = [
    "harbor-core",
    "harbor-db",
    "harbor-jobservice",
    "harbor-portal",
    "harbor-proxy",
    "harbor-redis",
    "harbor-registry",
    "harbor-registryctl",
];
/// Written when Harbor's configuration has been made from the file as it is now.
const PREPARED: &str = "docker/harbor/prepared.yml";

pub(super) fn steps(fleet: &Fleet) -> Vec<Step> {
    if !fleet.docker.services {
        return vec![];
    }
    let mut steps = host::docker();
    steps.push(service("nexus", None, &NEXUS));
    if fleet.docker.harbor {
        let harbor = service("harbor", Some("harbor"), &HARBOR).needs(["fleet/docker/harbor-prepare"]);
        steps.extend([configured(), prepared(), harbor]);
    }
    steps
}

pub(super) fn secrets(fleet: &Fleet) -> Vec<&'static str> {
    if fleet.docker.services && fleet.docker.harbor { vec![ADMIN, DATABASE] } else { vec![] }
}

fn service(name: &str, profile: Option<&str>, services: &[&str]) -> Step {
    let lines = services.iter().map(|s| (*s).to_owned()).collect();
    Step::new(
        StepKey::fleet(&format!("docker/{name}")),
        format!("start {name}"),
        docker::running(profile),
        Expect::Lines(lines),
    )
    .needs(["host/docker", "host/compose"])
    .act([docker::up(profile, services, 1200)])
    .undo([docker::down(profile, services)])
    .limits(Limits::QUICK.minutes(30).settle(60))
    .hint("docker compose --file infra/docker/compose.yaml logs")
}

fn configured() -> Step {
    let title = "write Harbor's configuration with its passwords";
    Step::new(StepKey::fleet("docker/harbor-config"), title, builtin::file_matches(CONFIG, CONFIG), Expect::Exit(0))
        .needs([ADMIN, DATABASE].map(minted::id))
        .act([builtin::keep(CONFIG, CONFIG)])
}

/// Before the services, always: where a file is not there yet, Docker would make a folder of its name.
fn prepared() -> Step {
    let title = "create the files that Harbor's services mount";
    Step::new(StepKey::fleet("docker/harbor-prepare"), title, builtin::file_matches(PREPARED, CONFIG), Expect::Exit(0))
        .needs(["fleet/docker/harbor-config", "host/docker", "host/compose"])
        .act([docker::run_once(Some("harbor-setup"), "harbor-prepare"), builtin::keep(PREPARED, CONFIG)])
        .limits(Limits::QUICK.minutes(15))
}
