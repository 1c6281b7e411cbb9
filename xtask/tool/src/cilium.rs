//! cilium-cli command lines: for diagnosis, never the owner of the release (ADR-0008).
//!
//! Contexts are found through `KUBECONFIG` alone: `--kubeconfig` holds for the first cluster of a command and not for
//! the second (measured on 0.19.7). Never `--wait` with `--output json`: that exits 0 after its time is over.

use super::{Command, Tool};

/// Also looks up the newest version in the network; prints `unknown` for it offline, exit 0.
pub fn version() -> Command {
    Command::ask(Tool::Cilium, ["version", "--client"])
}

/// cilium-cli with a merged kubeconfig that has a context per cluster.
#[derive(Debug, Clone)]
pub struct Cilium {
    kubeconfig: String,
}

impl Cilium {
    pub fn with(kubeconfig: &str) -> Self {
        Cilium { kubeconfig: kubeconfig.to_owned() }
    }

    fn ask(&self, words: &[&str]) -> Command {
        Command::ask(Tool::Cilium, words.iter().copied()).env("KUBECONFIG", &self.kubeconfig)
    }

    /// The status of every agent. Always exit 0; an agent without an answer is null.
    pub fn status(&self, context: &str) -> Command {
        self.ask(&["status", "--context", context, "--output", "json", "--interactive=false"])
    }

    /// The peers of agents and of KVStoreMesh. Always exit 0; zeros are left out, and so is all of `connectivity` if an
    /// agent does not answer.
    pub fn mesh_status(&self, context: &str) -> Command {
        self.ask(&["clustermesh", "status", "--context", context, "--output", "json"])
    }

    /// The connectivity test between two clusters, in namespaces of its own, with a sysdump on failure. Hubble is off, so
    /// without flows. One test at a time: policies allow no more namespaces (`charts/kyverno/values.yaml`).
    pub fn connectivity(&self, context: &str, peer: &str, file: &str) -> Command {
        let words = ["connectivity", "test", "--context", context, "--multi-cluster", peer];
        let how = ["--hubble=false", "--flow-validation=disabled", "--timeout", "25m"];
        let dump = ["--collect-sysdump-on-failure", "--sysdump-quick", "--sysdump-output-filename", file];
        Command { mutates: true, ..self.ask(&[&words[..], &how[..], &dump[..]].concat()) }
    }

    /// Writes `<file>.zip`.
    pub fn sysdump(&self, context: &str, file: &str) -> Command {
        self.ask(&["sysdump", "--context", context, "--output-filename", file, "--quick"])
    }
}
