//! `tools install`: pinned helm, kubectl and cilium into `out/bin`, each archive checked before it is unpacked.

use std::collections::BTreeMap;

use super::bootstrap::host;
use super::{Expect, Plan, Pool, Step, StepKey};
use model::fleet::Fleet;
use model::fleet::binaries::{Archive, Binary};
use render::Files;
use tool::{Command, Limits, builtin, curl, tar};

/// Where archives are kept and unpacked, below `out/`.
const SHELF: &str = "tools";
const PULLS: usize = 3;

/// The plan for one platform, as `macos-aarch64`.
pub fn plan(fleet: &Fleet, binaries: &[Binary], platform: &str) -> Plan {
    let wanted = |binary: &Binary| {
        let (ask, _) = host::look(fleet, &binary.name)?;
        let archive = binary.archives.iter().find(|archive| archive.platform == platform);
        Some(match archive {
            Some(archive) => install(binary, archive, ask),
            None => look(fleet, binary, platform)?,
        })
    };
    let tools: Vec<Step> = binaries.iter().filter_map(wanted).collect();
    let fetches = tools.iter().any(|step| !step.act.is_empty());
    let mut steps: Vec<Step> = host::steps(fleet).into_iter().filter(|s| fetches && s.id == "host/curl").collect();
    steps.extend(tools);
    Plan { name: "tools install", steps, files: Files::new(), pools: BTreeMap::from([(Pool::Pull, PULLS)]) }
}

/// There already in this very version, wherever it came from: then nothing is fetched. `out/bin` is looked at first by
/// every run, so what is placed there is what answers.
fn install(binary: &Binary, archive: &Archive, ask: Command) -> Step {
    let (name, version) = (&binary.name, &binary.version);
    let folder = format!("{SHELF}/{name}-{version}");
    let packed = format!("{folder}/{}", archive.file());
    let unpacked = format!("{folder}/{}", archive.member);
    let exact = Expect::Version(host::version_at(name).into(), format!("={version}"));
    let fetch = [
        builtin::folder(&folder),
        curl::get(&archive.url, &format!("out/{packed}")),
        builtin::check(&packed, &archive.digest.to_string()),
        tar::extract(&format!("out/{packed}"), &archive.member, &format!("out/{folder}")),
        builtin::install_binary(&unpacked, &format!("bin/{name}")),
    ];
    Step::new(StepKey::tools(name), format!("install {name} {version} into out/bin"), ask, exact)
        .needs(["host/curl"])
        .pool(Pool::Pull)
        .remedy("not there", Expect::Absent, fetch.clone())
        .act(fetch)
        .limits(Limits::QUICK.minutes(5).settle(0).attempts(2, 2))
        .hint(format!("without this download: {} · digests: {}", host::package(name), binary.published))
}

/// No build of it is pinned for this platform: one that a run accepts must come from elsewhere.
fn look(fleet: &Fleet, binary: &Binary, platform: &str) -> Option<Step> {
    let name = &binary.name;
    let (ask, accepted) = host::look(fleet, name)?;
    let hint = format!("none is pinned for {platform} · {}", host::install_hint(name));
    Some(Step::new(StepKey::tools(name), format!("check {name}"), ask, accepted).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use model::fleet::binaries::{PLATFORMS, load};
    use model::samples::fleet;

    #[test]
    fn every_platform_has_a_sound_plan_with_a_step_for_each_tool() {
        let list = load("t", include_str!("../../../infra/tools.toml"), &fleet()).unwrap();
        for platform in PLATFORMS {
            let plan = plan(&fleet(), &list, platform);
            assert_eq!(check(&plan), [""; 0], "{platform}");
            assert_eq!(plan.steps.iter().filter(|s| *s.id.scope() == crate::Scope::Tools).count(), 3, "{platform}");
        }
    }

    #[test]
    fn an_archive_is_checked_before_it_is_unpacked() {
        let list = load("t", include_str!("../../../infra/tools.toml"), &fleet()).unwrap();
        let plan = plan(&fleet(), &list, "linux-x86_64");
        for step in plan.steps.iter().filter(|s| !s.act.is_empty()) {
            let order: Vec<&str> = step.act.iter().map(|c| c.args[0].as_str()).collect();
            assert_eq!(order, ["folder", "--fail", "check", "-xzf", "place"], "{}", step.id);
        }
    }
}
