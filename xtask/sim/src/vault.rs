//! Vault's pod: sealed after every start.

use crate::prelude::*;
use crate::vault_store::{VaultStore, status};

pub const WORKLOAD: &str = "vault/statefulset/vault";
/// Scripts read the token from the first line of stdin.
const TOKEN: &str = "read -r VAULT_TOKEN; export VAULT_TOKEN; ";

const INIT: &str = "vault operator init -key-shares=1 -key-threshold=1 -format=json";

impl SimState {
    /// Identifies a start of Vault's pod, with the launch of its VM.
    fn vault_pod_id(&self, cluster: &Cluster) -> Option<(String, u64)> {
        let pod = cluster.workloads.get(WORKLOAD)?;
        let vm = self.vms.get(&cluster.nodes.get(pod.placed.first()?)?.vm)?;
        Some((format!("{}-{}-{}", vm.made_by, vm.boots, pod.since.as_millis()), vm.made_by))
    }

    pub(super) fn vault_sealed(&self, cluster: &Cluster) -> bool {
        let run = self.vault_pod_id(cluster).map(|(run, _)| run);
        cluster.vault.keys.is_none() || run.is_none() || cluster.vault.open != run
    }

    /// None for an unsupported command.
    pub(super) fn exec_in_vault(&mut self, vm: &str, words: &[&str], stdin: &str) -> Option<Output> {
        let (run, disk) = self.vault_pod_id(self.cluster(vm)?)?;
        self.serial += 1;
        let serial = self.serial;
        let sealed = self.vault_sealed(self.cluster(vm)?);
        let store = &mut self.cluster_mut(vm)?.vault;
        if store.keys.is_some() && store.disk != disk {
            // Its node was recreated, and the volume was a folder there (assumption: recreated empty).
            *store = VaultStore::default();
        }
        let sealed = sealed || store.keys.is_none();
        Some(match words {
            ["sh", "-c", "vault status -format=json || [ $? -eq 2 ]"] => success(status(store, sealed)),
            ["vault", "status", "-format=json"] if sealed => Output { stdout: status(store, true), ..failure(2, "") },
            ["vault", "status", "-format=json"] => success(status(store, false)),
            ["sh", "-c", script] if script.starts_with(&format!("umask 077; {INIT} >")) => {
                let kept = script.rsplit_once(" && cat ").map(|(_, path)| path.to_owned())?;
                if *script != format!("umask 077; {INIT} >{kept}.new && mv {kept}.new {kept} && cat {kept}") {
                    return None;
                }
                let output = store.init(serial, disk);
                if output.ok() {
                    store.files.insert(kept, output.stdout.clone());
                }
                output
            }
            ["cat", path] => match store.files.get(*path) {
                Some(text) => success(text.clone()),
                None => failure(1, format!("cat: can't open '{path}': No such file or directory")),
            },
            ["test", "!", "-e", path] if store.files.contains_key(*path) => failure(1, ""),
            ["test", "!", "-e", _] => success(""),
            ["rm", "-f", path] => {
                store.files.remove(*path);
                success("")
            }
            ["vault", "operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"] => {
                store.init(serial, disk)
            }
            ["vault", "write", "sys/unseal", "-"] => store.unseal(stdin, run),
            ["sh", "-c", script] => return store.script(script.strip_prefix(TOKEN)?, stdin, sealed),
            _ => return None,
        })
    }
}
