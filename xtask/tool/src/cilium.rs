//! cilium-cli command lines: it judges, it owns nothing (ADR-0008).
//! Knows nothing of Helm values.
//!
//! Contexts are found through `KUBECONFIG` alone: `--kubeconfig` holds for the first cluster of a command and not for
//! the second (measured on 0.19.7). Never `--wait` with `--output json`: that exits 0 after its time is over.

use super::{Command, Tool};

/// The client's version. Asks the network for the newest one too, and says `unknown` offline, exit 0.
pub fn version() -> Command {
    Command::ask(Tool::Cilium, ["version", "--client"])
}

/// cilium-cli with a kubeconfig that has a context per cluster.
#[derive(Debug, Clone)]
pub struct Cilium {
    kubeconfig: String,
}

impl Cilium {
    /// With this merged kubeconfig.
    pub fn with(kubeconfig: &str) -> Self {
        Cilium { kubeconfig: kubeconfig.to_owned() }
    }

    fn ask(&self, words: &[&str]) -> Command {
        Command::ask(Tool::Cilium, words.iter().copied()).env("KUBECONFIG", &self.kubeconfig)
    }

    /// What every agent of a cluster says of itself. Exit 0 whatever is wrong; an agent that did not answer is null.
    pub fn status(&self, context: &str) -> Command {
        self.ask(&["status", "--context", context, "--output", "json", "--interactive=false"])
    }

    /// Which peers agents and KVStoreMesh of a cluster know. Exit 0 whatever is wrong; zeros are left out, and all of
    /// `connectivity` where an agent could not be asked.
    pub fn mesh_status(&self, context: &str) -> Command {
        self.ask(&["clustermesh", "status", "--context", context, "--output", "json"])
    }

    /// The long test between two clusters; makes and removes its own namespaces, and keeps what one would need to look
    /// further if it fails. Without flows: Hubble is off. One test at a time: with more it would need more namespaces
    /// than policies make room for (`charts/kyverno/values.yaml`).
    pub fn connectivity(&self, context: &str, peer: &str, file: &str) -> Command {
        let words = ["connectivity", "test", "--context", context, "--multi-cluster", peer];
        let how = ["--hubble=false", "--flow-validation=disabled", "--timeout", "25m"];
        let dump = ["--collect-sysdump-on-failure", "--sysdump-quick", "--sysdump-output-filename", file];
        Command { mutates: true, ..self.ask(&[&words[..], &how[..], &dump[..]].concat()) }
    }

    /// Collects what one would need to look further, into `<file>.zip`. Changes nothing in the cluster.
    pub fn sysdump(&self, context: &str, file: &str) -> Command {
        self.ask(&["sysdump", "--context", context, "--output-filename", file, "--quick"])
    }
}
