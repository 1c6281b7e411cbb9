//! Vault inside its pod: sealed whenever the pod is new.
//! Knows nothing of what Vault keeps or of how anyone gets in.

use super::ask::{refused, said};
use super::cluster::Cluster;
use super::safe::{Safe, status};
use super::stage::Stage;
use tool::Output;

/// The key of its workload.
pub const WORKLOAD: &str = "vault/statefulset/vault";
/// Takes the token from the first line.
const TOKEN: &str = "read -r VAULT_TOKEN; export VAULT_TOKEN; ";

const INIT: &str = "vault operator init -key-shares=1 -key-threshold=1 -format=json";

impl Stage {
    /// Names one run of Vault's pod: it is another after its VM booted, and when the pod was made anew.
    fn vault_run(&self, cluster: &Cluster) -> Option<(String, u64)> {
        let pod = cluster.workloads.get(WORKLOAD)?;
        let vm = self.vms.get(&cluster.nodes.get(pod.placed.first()?)?.vm)?;
        Some((format!("{}-{}-{}", vm.made_by, vm.boots, pod.since.as_millis()), vm.made_by))
    }

    /// Whether Vault is sealed; a Vault that was never initialised is.
    pub(super) fn vault_sealed(&self, cluster: &Cluster) -> bool {
        let run = self.vault_run(cluster).map(|(run, _)| run);
        cluster.vault.keys.is_none() || run.is_none() || cluster.vault.open != run
    }

    /// Runs a command in the running container. `None`: it is not one that the embedded world knows.
    pub(super) fn in_vault(&mut self, vm: &str, words: &[&str], stdin: &str) -> Option<Output> {
        let (run, disk) = self.vault_run(self.cluster(vm)?)?;
        self.serial += 1;
        let serial = self.serial;
        let sealed = self.vault_sealed(self.cluster(vm)?);
        let safe = &mut self.cluster_mut(vm)?.vault;
        if safe.keys.is_some() && safe.disk != disk {
            // Its node was made anew, and the volume was a folder there (assumed to be made anew, empty).
            *safe = Safe::default();
        }
        let sealed = sealed || safe.keys.is_none();
        Some(match words {
            ["sh", "-c", "vault status -format=json || [ $? -eq 2 ]"] => said(status(safe, sealed)),
            ["vault", "status", "-format=json"] if sealed => Output { stdout: status(safe, true), ..refused(2, "") },
            ["vault", "status", "-format=json"] => said(status(safe, false)),
            ["sh", "-c", script] if script.starts_with(&format!("umask 077; {INIT} >")) => {
                let kept = script.rsplit_once(" && cat ").map(|(_, path)| path.to_owned())?;
                if *script != format!("umask 077; {INIT} >{kept}.new && mv {kept}.new {kept} && cat {kept}") {
                    return None;
                }
                let output = safe.init(serial, disk);
                if output.ok() {
                    safe.files.insert(kept, output.stdout.clone());
                }
                output
            }
            ["cat", path] => match safe.files.get(*path) {
                Some(text) => said(text.clone()),
                None => refused(1, format!("cat: can't open '{path}': No such file or directory")),
            },
            ["test", "!", "-e", path] if safe.files.contains_key(*path) => refused(1, ""),
            ["test", "!", "-e", _] => said(""),
            ["rm", "-f", path] => {
                safe.files.remove(*path);
                said("")
            }
            ["vault", "operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"] => {
                safe.init(serial, disk)
            }
            ["vault", "write", "sys/unseal", "-"] => safe.unseal(stdin, run),
            ["sh", "-c", script] => return safe.script(script.strip_prefix(TOKEN)?, stdin, sealed),
            _ => return None,
        })
    }
}
