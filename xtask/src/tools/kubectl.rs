//! kubectl command lines, each on one cluster's own kubeconfig.
//! Knows nothing of the objects.
//!
//! A probe of the API is `get --raw`, never `get nodes`: on a dead server the latter tries discovery five times over
//! (measured: 15 s instead of 3 s).

use super::helm::revisions;
use super::{Command, Tool};

/// Field manager of everything we apply.
pub const MANAGER: &str = "archipelago";

/// kubectl on one cluster.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: String,
}

impl Kubectl {
    /// On the cluster whose kubeconfig is this file.
    pub fn on(kubeconfig: &str) -> Self {
        Kubectl { kubeconfig: kubeconfig.to_owned() }
    }

    fn args(&self, rest: &[&str]) -> Vec<String> {
        let global = ["--kubeconfig", &self.kubeconfig, "--request-timeout", "10s"];
        global.iter().chain(rest).map(|a| (*a).to_owned()).collect()
    }

    fn ask(&self, rest: &[&str]) -> Command {
        Command::ask(Tool::Kubectl, self.args(rest))
    }

    fn act(&self, rest: &[&str]) -> Command {
        Command::act(Tool::Kubectl, self.args(rest))
    }

    /// `ok` when the API server is ready for us.
    pub fn ready(&self) -> Command {
        self.ask(&["get", "--raw", "/readyz"])
    }

    /// Exit 0 when the server has exactly these objects. `from` is a file, or `-` for what is fed.
    pub fn diff(&self, from: &str) -> Command {
        self.ask(&["diff", "--server-side", "--force-conflicts", "--field-manager", MANAGER, "--filename", from])
    }

    /// Makes the server have these objects.
    pub fn apply(&self, from: &str) -> Command {
        self.act(&["apply", "--server-side", "--force-conflicts", "--field-manager", MANAGER, "--filename", from])
    }

    /// Waits until CRDs are served.
    pub fn established(&self, crds: &[String]) -> Command {
        let names: Vec<String> = crds.iter().map(|c| format!("crd/{c}")).collect();
        let mut rest = vec!["wait", "--for", "condition=Established", "--timeout", "60s"];
        rest.extend(names.iter().map(String::as_str));
        self.act(&rest)
    }

    /// A line per node: name, pod range, readiness.
    pub fn nodes(&self) -> Command {
        let line = "{range .items[*]}{.metadata.name} {.spec.podCIDR} \
                    {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
        self.ask(&["get", "nodes", "--output", &format!("jsonpath={line}")])
    }

    /// The paths of all volumes that our storage class made on a node: `/`, and a colon before each.
    pub fn volumes(&self, node: &str) -> Command {
        let ours = r"@.metadata.annotations.local\.path\.provisioner/selected-node";
        let template = format!("/{{range .items[?({ours}==\"{node}\")]}}:{{.spec.local.path}}{{end}}");
        self.ask(&["get", "persistentvolumes", "--output", &format!("jsonpath={template}")])
    }

    /// Exit 0 when the workload runs as written now. Not `wait --for=condition=Available`: that is true of an old
    /// replica while the new one is stuck (measured).
    pub fn rolled_out(&self, namespace: &str, workload: &str) -> Command {
        self.ask(&["rollout", "status", workload, "--namespace", namespace, "--timeout", "5s"])
    }

    /// A line per revision of every Helm release of the cluster, with our labels: the same question for all of them.
    /// 2 kB and 0.06 s, where the whole Secrets are 10 MB (measured). The columns are those of [`revisions::LABELS`].
    pub fn revisions(&self) -> Command {
        let selector = "owner=helm,status!=superseded";
        let rest = ["get", "secrets", "--all-namespaces", "--selector", selector];
        self.ask(&[&rest[..], &["--label-columns", revisions::LABELS, "--no-headers"]].concat())
    }

    /// Removes the record of an install that was killed; what it made stays, and the next install takes it over.
    pub fn forget_install(&self, namespace: &str, release: &str) -> Command {
        let selector = format!("owner=helm,name={release},status=pending-install");
        self.act(&["delete", "secrets", "--namespace", namespace, "--selector", &selector])
    }

    /// A path of the API server itself; `…/services/NAME:PORT/proxy/…` asks a Service through it.
    pub fn raw(&self, path: &str) -> Command {
        self.ask(&["get", "--raw", path])
    }

    /// One object, or all of a kind, as a jsonpath template prints it.
    pub fn read(&self, namespace: &str, what: &[&str], template: &str) -> Command {
        let output = format!("jsonpath={template}");
        self.ask(&[&["get"], what, &["--namespace", namespace, "--output", &output]].concat())
    }

    /// Makes new pods of a workload, which read everything anew.
    pub fn restart(&self, namespace: &str, workload: &str) -> Command {
        self.act(&["rollout", "restart", workload, "--namespace", namespace])
    }

    /// Runs a command in a container; its exit code is the remote one.
    pub fn exec(&self, namespace: &str, pod: &str, container: &str, words: &[&str]) -> Command {
        let place = ["exec", "--namespace", namespace, pod, "--container", container, "--"];
        self.ask(&[&place[..], words].concat())
    }

    /// The same with standard input.
    pub fn exec_fed(&self, namespace: &str, pod: &str, container: &str, words: &[&str]) -> Command {
        let place = ["exec", "--stdin", "--namespace", namespace, pod, "--container", container, "--"];
        self.ask(&[&place[..], words].concat())
    }

    /// One key of a Secret, decoded. Exit 1 while the key is not there.
    pub fn secret_value(&self, namespace: &str, name: &str, key: &str) -> Command {
        let template = format!("go-template={{{{.data.{key} | base64decode}}}}");
        self.ask(&["get", "secret", name, "--namespace", namespace, "--output", &template])
    }

    /// Takes objects away again.
    pub fn delete(&self, from: &str) -> Command {
        self.act(&["delete", "--ignore-not-found", "--filename", from])
    }
}

/// The client's own version.
pub fn version() -> Command {
    Command::ask(Tool::Kubectl, ["version", "--client", "--output", "json"])
}
