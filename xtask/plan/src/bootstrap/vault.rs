//! Vault once it is installed: keys, unsealing, its store of secrets, a login for every workload cluster (ADR-0018).
//! These steps also wait until it is ready: Helm cannot wait for a sealed one.

use serde_json::json;

use super::super::{Expect, Step, StepKey};
use super::{kube_path, secrets};
use crate::power::removal;
use model::fleet::{Cluster, Fleet, Role};
use model::release::{Chart, Releases};
use model::token::{fact, secret};
use tool::kubectl::Kubectl;
use tool::vault::{ROOT_TOKEN, UNSEAL_KEY, Vault};
use tool::{Limits, builtin};

/// The release that is Vault, and the release that logs in from workload clusters.
const VAULT: &str = "vault";
const READER: &str = "external-secrets";
/// The secret that shows the whole way, from here to a workload's pod.
pub(super) const SAMPLE: &str = "sample-password";
/// Audience of the tokens that log in; `infra/manifests/secret-stores.yaml` asks for it.
const AUDIENCE: &str = "vault";

/// All steps, if the releases hold a Vault.
pub(super) fn steps(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    let Some((platform, vault)) = there(fleet, releases) else { return vec![] };
    let here = Here { platform, vault: Vault::of(Kubectl::on(&kube_path(platform)), &vault.namespace, VAULT) };
    let mut steps = vec![here.up(), here.init(), here.keys(), here.unseal(), here.forget()];
    steps.extend([here.engine(), here.sample()]);
    if let Some(reader) = reader(releases) {
        let workload = fleet.clusters.iter().filter(|c| c.role == Role::Workload);
        steps.extend(workload.flat_map(|c| [here.mount(c), here.trust(c), here.policy(c), here.role(c, reader)]));
    }
    steps
}

/// Steps of a `destroy` that removes workload clusters and leaves the platform.
pub(crate) fn removed(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    let Some((platform, vault)) = there(fleet, releases) else { return vec![] };
    let vault = Vault::of(Kubectl::on(&kube_path(platform)), &vault.namespace, VAULT);
    let step = |cluster: &Cluster| {
        let (mount, policy) = (format!("sys/auth/{}", cluster.name), format!("sys/policies/acl/{}", cluster.name));
        let title = format!("remove the login of {} from Vault", cluster.name);
        removal(platform, cluster, VAULT, title, vault.read(&mount), "No auth engine at")
            .act([vault.delete(&mount), vault.delete(&policy)])
    };
    fleet.clusters.iter().filter(|c| c.role == Role::Workload).map(step).collect()
}

/// The step after which a workload cluster can log in, for steps that follow it.
pub(super) fn login(fleet: &Fleet, releases: &Releases, cluster: &Cluster) -> Option<StepKey> {
    there(fleet, releases)?;
    reader(releases).filter(|_| cluster.role == Role::Workload)?;
    Some(login_step(cluster, "role"))
}

/// Of the fleet and of no cluster: these steps need two clusters, and choosing one must not bring up the other.
fn login_step(cluster: &Cluster, what: &str) -> StepKey {
    StepKey::fleet(&format!("{VAULT}/{}/{what}", cluster.name))
}

/// Whether a release's entry uses what Vault holds: it needs the one that reads from there.
pub(super) fn is_read_by(needs: &[String]) -> bool {
    needs.iter().any(|need| need == READER)
}

fn there<'a>(fleet: &'a Fleet, releases: &'a Releases) -> Option<(&'a Cluster, &'a Chart)> {
    let platform = fleet.clusters.iter().find(|c| c.role == Role::Platform)?;
    Some((platform, releases.on(Role::Platform, VAULT)?))
}

fn reader(releases: &Releases) -> Option<&Chart> {
    releases.on(Role::Workload, READER)
}

struct Here<'a> {
    platform: &'a Cluster,
    vault: Vault,
}

impl Here<'_> {
    fn id(&self, what: &str) -> StepKey {
        StepKey::cluster(&self.platform.name, &format!("{VAULT}/{what}"))
    }

    fn up(&self) -> Step {
        let platform = &self.platform.name;
        Step::new(self.id("up"), "wait for Vault to answer", self.vault.status(), Expect::Exit(0))
            .needs([VAULT, "nodes"].map(|action| StepKey::cluster(platform, action)))
            .poll(600, 5)
            .observed_by_pods(&Kubectl::on(&kube_path(self.platform)), VAULT)
            .hint(format!(
                "kubectl --kubeconfig {} describe pod {VAULT}-0 --namespace {VAULT}",
                kube_path(self.platform)
            ))
    }

    fn init(&self) -> Step {
        let done = Expect::Json("/initialized".into(), "true".into());
        Step::new(self.id("init"), "initialise Vault and store its keys", self.vault.status(), done)
            .needs([self.id("up")])
            .act([self.vault.init()])
    }

    /// Never a second init: it would need an empty volume, and emptying it is not ours to decide.
    fn keys(&self) -> Step {
        let ask = builtin::has_secrets(&[UNSEAL_KEY, ROOT_TOKEN]);
        Step::new(self.id("keys"), "check that Vault's keys are stored", ask, Expect::Exit(0))
            .needs([self.id("init")])
            .act([self.vault.keys()])
            .limits(Limits::QUICK.attempts(2, 2))
            .hint(format!(
                "restore {UNSEAL_KEY} and {ROOT_TOKEN} in out/secrets; or give up what Vault holds: \
                 kubectl --kubeconfig {} --namespace {VAULT} delete pvc/data-{VAULT}-0 pod/{VAULT}-0 --wait=false",
                kube_path(self.platform)
            ))
    }

    /// Asked at every run: Vault is sealed again whenever its pod restarts. Keys that are still on the volume are newer
    /// than those that are kept: those may be of a Vault that is no more.
    fn unseal(&self) -> Step {
        let open = Expect::Json("/sealed".into(), "false".into());
        Step::new(self.id("unseal"), "unseal Vault", self.vault.status(), open)
            .needs([self.id("keys")])
            .act([self.vault.keys().ignore_exit(), self.vault.unseal()])
            .limits(Limits::QUICK.settle(30))
    }

    /// Once they have opened Vault, its keys are where they belong.
    fn forget(&self) -> Step {
        Step::new(self.id("forget"), "delete Vault's keys from its volume", self.vault.forgotten(), Expect::Exit(0))
            .needs([self.id("unseal")])
            .act([self.vault.forget()])
    }

    /// A step that writes a path unless it matches. Patient: an unsealed Vault takes seconds to become active.
    fn written(
        &self,
        id: StepKey,
        title: String,
        (read, wants): (&str, Vec<Expect>),
        write: (&str, serde_json::Value),
    ) -> Step {
        Step::new(id, title, self.vault.read(read), Expect::All(wants))
            .needs([self.id("unseal")])
            .act([self.vault.write(write.0, &write.1)])
            .limits(Limits::QUICK.attempts(5, 3))
    }

    fn engine(&self) -> Step {
        let path = "sys/mounts/secret";
        let wants = vec![is("/type", "kv"), is("/options/version", "2")];
        let value = json!({"type": "kv", "options": {"version": "2"}});
        self.written(self.id("secrets"), "make Vault's store of secrets".into(), (path, wants), (path, value))
    }

    /// Written once; later changes in Vault are kept.
    fn sample(&self) -> Step {
        let there = vec![Expect::JsonAtLeast("/data/current_version".into(), 1)];
        let value = json!({"data": {"password": secret(SAMPLE)}, "options": {"cas": 0}});
        self.written(
            self.id("sample"),
            "put a sample secret into Vault".into(),
            ("secret/metadata/sample", there),
            ("secret/data/sample", value),
        )
        .needs([self.id("secrets"), secrets::id(SAMPLE)])
    }

    fn mount(&self, cluster: &Cluster) -> Step {
        let name = &cluster.name;
        let path = format!("sys/auth/{name}");
        let title = format!("enable the Vault auth mount of {name}");
        let value = json!({"type": "kubernetes"});
        self.written(login_step(cluster, "mount"), title, (&path, vec![is("/type", "kubernetes")]), (&path, value))
    }

    fn trust(&self, cluster: &Cluster) -> Step {
        let name = &cluster.name;
        let host = format!("https://{}:6443", fact(&cluster.ip_fact(cluster.control_plane())));
        let ca = format!("{name}.ca");
        let wants = vec![is("/kubernetes_host", &host), is("/disable_local_ca_jwt", "true")];
        let title = format!("configure the API address of {name} in Vault");
        Step::new(login_step(cluster, "config"), title, self.vault.read_trust(name, &ca), Expect::All(wants))
            .needs([login_step(cluster, "mount"), StepKey::cluster(name, "kubeconfig")])
            .act([self.vault.write_trust(name, &host, &ca)])
            .limits(Limits::QUICK.attempts(5, 3))
    }

    fn policy(&self, cluster: &Cluster) -> Step {
        let name = &cluster.name;
        let path = format!("sys/policies/acl/{name}");
        let text = r#"path "secret/data/*" { capabilities = ["read"] }"#;
        let title = format!("write the Vault policy of {name}");
        let value = json!({ "policy": text });
        self.written(login_step(cluster, "policy"), title, (&path, vec![is("/policy", text)]), (&path, value))
    }

    fn role(&self, cluster: &Cluster, reader: &Chart) -> Step {
        let name = &cluster.name;
        let path = format!("auth/{name}/role/{READER}");
        let namespace = &reader.namespace;
        let value = json!({
            "audience": AUDIENCE,
            "bound_service_account_names": [READER],
            "bound_service_account_namespaces": [namespace],
            "token_policies": [name],
            "token_ttl": "1h",
        });
        let wants = vec![
            is("/audience", AUDIENCE),
            is("/bound_service_account_names/0", READER),
            is("/bound_service_account_namespaces/0", namespace),
            is("/token_policies/0", name),
            is("/token_ttl", "3600"),
        ];
        let title = format!("write the Vault role of External Secrets on {name}");
        self.written(login_step(cluster, "role"), title, (&path, wants), (&path, value))
            .needs([login_step(cluster, "config"), login_step(cluster, "policy")])
    }
}

fn is(pointer: &str, text: &str) -> Expect {
    Expect::Json(format!("/data{pointer}"), text.into())
}
