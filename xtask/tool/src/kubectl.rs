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

    /// A line per node: name and internal address, as its kubelet reports them.
    pub fn node_addresses(&self) -> Command {
        let line =
            "{range .items[*]}{.metadata.name} {.status.addresses[?(@.type==\"InternalIP\")].address}{\"\\n\"}{end}";
        self.ask(&["get", "nodes", "--output", &format!("jsonpath={line}")])
    }

    /// A line per node: name, readiness, and our mark of an upgrade that has begun.
    pub fn marks(&self) -> Command {
        let line = "{range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} \
                    {.metadata.annotations.archipelago/upgrade}{\"\\n\"}{end}";
        self.ask(&["get", "nodes", "--output", &format!("jsonpath={line}")])
    }

    /// One node in one line: `v1.35.7 True cordoned=true upgrade=drained`.
    pub fn node(&self, node: &str) -> Command {
        let line = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type==\"Ready\")].status} \
                    cordoned={.spec.unschedulable} upgrade={.metadata.annotations.archipelago/upgrade}";
        self.ask(&["get", "node", node, "--output", &format!("jsonpath={line}")])
    }

    /// Marks a node with how far its upgrade is; `None` takes the mark away.
    pub fn mark(&self, node: &str, how_far: Option<&str>) -> Command {
        let mark = how_far.map_or_else(|| "archipelago/upgrade-".to_owned(), |v| format!("archipelago/upgrade={v}"));
        self.act(&["annotate", "node", node, &mark, "--overwrite"])
    }

    /// Cordons a node and moves every pod away that has a controller, as far as disruption budgets allow. A pod
    /// without a controller makes it refuse, before anything is moved: it would be lost.
    pub fn drain(&self, node: &str, seconds: u64) -> Command {
        let timeout = format!("{seconds}s");
        self.act(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", &timeout])
    }

    /// Lets pods onto a node again.
    pub fn uncordon(&self, node: &str) -> Command {
        self.act(&["uncordon", node])
    }

    /// Waits until every pod has a node, or the time is over; either is an end.
    pub fn scheduled(&self, seconds: u64) -> Command {
        let timeout = format!("{seconds}s");
        let pods = ["wait", "pods", "--all", "--all-namespaces", "--for", "condition=PodScheduled"];
        self.act(&[&pods[..], &["--timeout", &timeout]].concat()).any_exit()
    }

    /// A line per pod of all namespaces: `monitoring/agent-0 Running True`, the last word its readiness.
    pub fn pods(&self) -> Command {
        let line = "{range .items[*]}{.metadata.namespace}/{.metadata.name} {.status.phase} \
                    {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
        self.ask(&["get", "pods", "--all-namespaces", "--output", &format!("jsonpath={line}")])
    }

    /// Client and server versions. Exit 1 while the server does not answer (measured).
    pub fn versions(&self) -> Command {
        self.ask(&["version", "--output", "json"])
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

    /// Objects of some kinds (`a,b`) as one JSON list: all there are, those of a namespace, or those a selector fits.
    pub fn list(&self, kinds: &str, whose: &[&str]) -> Command {
        self.ask(&[&["get", kinds][..], whose, &["--output", "json"]].concat())
    }

    /// The names of all objects of a kind, a line each: where whole objects would be megabytes.
    pub fn names(&self, kind: &str) -> Command {
        self.ask(&["get", kind, "--output", "name"])
    }

    /// Asks whether an object that is fed would be let in, and shows it as it would be. Goes through all of admission,
    /// webhooks included, and makes nothing; a webhook that does not say it is free of side effects refuses it.
    pub fn tried(&self) -> Command {
        self.ask(&["create", "--dry-run=server", "--filename", "-", "--output", "json"])
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

    /// What the server would say to these objects, all admission included; nothing is made.
    pub fn offer(&self, from: &str) -> Command {
        let dry = ["--field-manager", MANAGER, "--dry-run=server", "--filename", from];
        self.ask(&[&["apply", "--server-side"], &dry[..]].concat())
    }

    /// The last lines that a workload's pod printed; all of them without a number.
    pub fn logs(&self, namespace: &str, workload: &str, last: Option<u32>) -> Command {
        let last = last.map_or("-1".to_owned(), |n| n.to_string());
        self.ask(&["logs", workload, "--namespace", namespace, "--tail", &last])
    }

    /// Pods with a label on one node, as a jsonpath template prints them.
    pub fn pods_on(&self, node: &str, namespace: &str, label: &str, template: &str) -> Command {
        let (on, output) = (format!("spec.nodeName={node}"), format!("jsonpath={template}"));
        let which = ["--namespace", namespace, "--selector", label, "--field-selector", &on, "--output", &output];
        self.ask(&[&["get", "pods"], &which[..]].concat())
    }

    /// Prints `kind/name` of those of these objects that are there, and nothing for the others.
    pub fn present(&self, namespace: &str, what: &[&str]) -> Command {
        self.ask(&[&["get"], what, &["--namespace", namespace, "--ignore-not-found", "--output", "name"]].concat())
    }

    /// Deletes a pod; whoever owns it makes another. Does not wait for its end.
    pub fn delete_pod(&self, namespace: &str, pod: &str) -> Command {
        self.act(&["delete", "pod", pod, "--namespace", namespace, "--ignore-not-found", "--wait=false"])
    }

    /// Writes an annotation over what is there.
    pub fn annotate(&self, namespace: &str, what: &[&str], pair: &str) -> Command {
        self.act(&[&["annotate"], what, &[pair, "--namespace", namespace, "--overwrite"]].concat())
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
