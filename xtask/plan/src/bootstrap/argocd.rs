//! Workload clusters become known to Argo CD: the token of their account, and a Secret on the platform (ADR-0001).

use super::super::{Expect, Step, StepKey};
use super::kube_path;
use crate::power::removal;
use model::fleet::{Cluster, Fleet, Role};
use model::release::Releases;
use render::argocd::{ACCESS, ARGO_CD, NAMESPACE, TOKEN, apps_file, file, token_secret};
use tool::Extractor;
use tool::kubectl::Kubectl;

/// Two steps per workload cluster, if the releases hold Argo CD and the account for it.
pub(super) fn steps(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    let platform = fleet.clusters.iter().find(|c| c.role == Role::Platform);
    let holds = releases.on(Role::Platform, ARGO_CD).is_some() && releases.manifest_on(Role::Workload, ACCESS);
    let Some(platform) = platform.filter(|_| holds) else { return vec![] };
    let workload = fleet.clusters.iter().filter(|c| c.role == Role::Workload);
    let apps = fleet.gitops.repository.iter().map(|_| {
        let kubectl = Kubectl::on(&kube_path(platform));
        let (file, id) = (apps_file(platform), StepKey::fleet(&format!("{ARGO_CD}/apps-of-git")));
        Step::new(id, "let Argo CD deliver apps/", kubectl.diff("-").stdin_file(&file), Expect::Exit(0))
            .needs([StepKey::cluster(&platform.name, ARGO_CD)])
            .act([kubectl.apply("-").stdin_file(&file)])
            .undo([kubectl.delete("-").stdin_file(&file)])
    });
    workload.flat_map(|cluster| [token(cluster), registered(platform, cluster)]).chain(apps).collect()
}

fn token_step(cluster: &Cluster) -> StepKey {
    StepKey::cluster(&cluster.name, &format!("{ACCESS}/token"))
}

/// Read at every run: a recreated cluster has another one. Kubernetes fills it in after the Secret.
fn token(cluster: &Cluster) -> Step {
    let ask = Kubectl::on(&kube_path(cluster)).secret_value(NAMESPACE, TOKEN, "token");
    let ask = ask.capture_secret(token_secret(cluster), Extractor::Stdout);
    let token = Expect::Match(r"^[\w-]+\.[\w-]+\.[\w-]+$".into());
    let title = format!("read the token that Argo CD has on {}", cluster.name);
    Step::new(token_step(cluster), title, ask, token).needs([StepKey::cluster(&cluster.name, ACCESS)]).poll(60, 2)
}

/// Steps of a `destroy` that removes workload clusters and leaves the platform.
pub(crate) fn removed(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    let platform = fleet.clusters.iter().find(|c| c.role == Role::Platform);
    let Some((platform, argo)) = platform.zip(releases.on(Role::Platform, ARGO_CD)) else { return vec![] };
    let kubectl = Kubectl::on(&kube_path(platform));
    let step = |cluster: &Cluster| {
        let secret = format!("cluster-{}", cluster.name);
        let title = format!("remove {} from Argo CD", cluster.name);
        let ask = kubectl.read(&argo.namespace, &["secret", &secret], "{.metadata.name}");
        removal(platform, cluster, ARGO_CD, title, ask, "not found")
            .act([kubectl.delete_secret(&argo.namespace, &secret)])
    };
    fleet.clusters.iter().filter(|c| c.role == Role::Workload).map(step).collect()
}

fn registered(platform: &Cluster, cluster: &Cluster) -> Step {
    let kubectl = Kubectl::on(&kube_path(platform));
    let file = file(platform, cluster);
    // Of the fleet and of no cluster: it needs two, and choosing one must not bring up the other.
    let id = StepKey::fleet(&format!("{ARGO_CD}/{}", cluster.name));
    let title = format!("register {} at Argo CD", cluster.name);
    Step::new(id, title, kubectl.diff("-").stdin_file(&file), Expect::Exit(0))
        .needs([StepKey::cluster(&platform.name, ARGO_CD), token_step(cluster)])
        .act([kubectl.apply("-").stdin_file(&file)])
        .undo([kubectl.delete("-").stdin_file(&file)])
}
