//! kubectl command lines, each with the kubeconfig of one cluster.
//!
//! The probe of an API server is `get --raw`, never `get nodes`: on a dead server that repeats discovery five times
//! (measured: 15 s instead of 3 s).

use super::helm::revisions;
use super::{Command, Tool};

pub const MANAGER: &str = "archipelago";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: String,
}

impl Kubectl {
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

    /// One object, or objects by kind and flags, printed by a jsonpath template.
    fn print(&self, what: &[&str], template: &str) -> Command {
        self.ask(&[&["get"], what, &["--output", &format!("jsonpath={template}")]].concat())
    }

    /// `ok` when the API server is ready.
    pub fn ready(&self) -> Command {
        self.ask(&["get", "--raw", "/readyz"])
    }

    /// The container runtime of a node: `containerd://2.2.1`.
    pub fn runtime(&self, node: &str) -> Command {
        self.print(&["node", node], "{.status.nodeInfo.containerRuntimeVersion}")
    }

    /// Exit 0 if the server has exactly these objects. `from` is a file, or `-` for stdin.
    pub fn diff(&self, from: &str) -> Command {
        self.ask(&["diff", "--server-side", "--force-conflicts", "--field-manager", MANAGER, "--filename", from])
    }

    pub fn apply(&self, from: &str) -> Command {
        self.act(&["apply", "--server-side", "--force-conflicts", "--field-manager", MANAGER, "--filename", from])
    }

    /// Objects of a file as the server has them, in its order; of a single one the object.
    pub fn live(&self, from: &str) -> Command {
        self.ask(&["get", "--filename", from, "--output", "json"])
    }

    /// Overwrites whole objects, with what others have added to them.
    pub fn replace(&self, from: &str) -> Command {
        self.act(&["replace", "--filename", from])
    }

    pub fn established(&self, crds: &[String]) -> Command {
        let names: Vec<String> = crds.iter().map(|c| format!("crd/{c}")).collect();
        let mut rest = vec!["wait", "--for", "condition=Established", "--timeout", "60s"];
        rest.extend(names.iter().map(String::as_str));
        self.act(&rest)
    }

    /// A line per node: name, pod range, readiness, and since when it is cordoned, if it is.
    pub fn nodes(&self) -> Command {
        let line = "{range .items[*]}{.metadata.name} {.spec.podCIDR} \
                    {.status.conditions[?(@.type==\"Ready\")].status} \
                    {.spec.taints[?(@.key==\"node.kubernetes.io/unschedulable\")].timeAdded}{\"\\n\"}{end}";
        self.print(&["nodes"], line)
    }

    /// Names of the nodes that kubeadm takes for control planes.
    pub fn control_planes(&self) -> Command {
        self.ask(&["get", "nodes", "--selector", CONTROL_PLANE, "--output", "name"])
    }

    pub fn label_control_plane(&self, node: &str) -> Command {
        self.act(&["label", "node", node, &format!("{CONTROL_PLANE}="), "--overwrite"])
    }

    /// A line per node: name and internal address, as its kubelet reports them.
    pub fn node_addresses(&self) -> Command {
        let line =
            "{range .items[*]}{.metadata.name} {.status.addresses[?(@.type==\"InternalIP\")].address}{\"\\n\"}{end}";
        self.print(&["nodes"], line)
    }

    /// A line per node: name, readiness, and the annotation of an upgrade in progress.
    pub fn marks(&self) -> Command {
        let line = "{range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} \
                    {.metadata.annotations.archipelago/upgrade}{\"\\n\"}{end}";
        self.print(&["nodes"], line)
    }

    /// One node in one line: `v1.35.7 True cordoned=true upgrade=drained`.
    pub fn node(&self, node: &str) -> Command {
        let line = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type==\"Ready\")].status} \
                    cordoned={.spec.unschedulable} upgrade={.metadata.annotations.archipelago/upgrade}";
        self.print(&["node", node], line)
    }

    /// Annotates a node with the progress of its upgrade; `None` removes the annotation.
    pub fn mark(&self, node: &str, how_far: Option<&str>) -> Command {
        let mark = how_far.map_or_else(|| "archipelago/upgrade-".to_owned(), |v| format!("archipelago/upgrade={v}"));
        self.act(&["annotate", "node", node, &mark, "--overwrite"])
    }

    /// Cordons a node and evicts its pods as far as disruption budgets allow. A pod without a controller, which would be
    /// lost, makes it fail before anything is evicted.
    pub fn drain(&self, node: &str, seconds: u64) -> Command {
        let timeout = format!("{seconds}s");
        self.act(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", &timeout])
    }

    pub fn uncordon(&self, node: &str) -> Command {
        self.act(&["uncordon", node])
    }

    /// Waits until every pod has a node or the time is over; both are success.
    pub fn scheduled(&self, seconds: u64) -> Command {
        let timeout = format!("{seconds}s");
        let pods = ["wait", "pods", "--all", "--all-namespaces", "--for", "condition=PodScheduled"];
        self.act(&[&pods[..], &["--timeout", &timeout]].concat()).ignore_exit()
    }

    /// A line per pod of all namespaces: `monitoring/agent-0 Running True`, the last word being readiness.
    pub fn pods(&self) -> Command {
        let line = "{range .items[*]}{.metadata.namespace}/{.metadata.name} {.status.phase} \
                    {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
        self.print(&["pods", "--all-namespaces"], line)
    }

    /// Exit 1 while the server does not answer (measured).
    pub fn versions(&self) -> Command {
        self.ask(&["version", "--output", "json"])
    }

    /// The paths of all volumes of the storage class on a node: `/`, and a colon before each.
    pub fn volumes(&self, node: &str) -> Command {
        let ours = r"@.metadata.annotations.local\.path\.provisioner/selected-node";
        let template = format!("/{{range .items[?({ours}==\"{node}\")]}}:{{.spec.local.path}}{{end}}");
        self.print(&["persistentvolumes"], &template)
    }

    /// Exit 0 if the current revision runs. Not `wait --for=condition=Available`: an old replica satisfies that while the
    /// new one is stuck (measured).
    pub fn rolled_out(&self, namespace: &str, workload: &str) -> Command {
        self.ask(&["rollout", "status", workload, "--namespace", namespace, "--timeout", "5s"])
    }

    /// A line per revision of every Helm release, with [`revisions::LABELS`] as columns, and one per object of the kinds
    /// that releases bring: one command for all releases. As a table the server leaves out what is in the objects (the
    /// Secrets of the revisions alone are 10 MB, measured).
    pub fn revisions(&self) -> Command {
        let kinds = "secrets,customresourcedefinitions,daemonsets,deployments,statefulsets";
        let columns = ["--label-columns", revisions::LABELS, "--no-headers"];
        self.ask(&[&["get", kinds, "--all-namespaces", "--selector", "status!=superseded"], &columns[..]].concat())
    }

    /// Removes the record of a killed install; the next one adopts its objects.
    pub fn forget_install(&self, namespace: &str, release: &str) -> Command {
        let selector = format!("owner=helm,name={release},status=pending-install");
        self.act(&["delete", "secrets", "--namespace", namespace, "--selector", &selector])
    }

    /// A path of the API server; `…/services/NAME:PORT/proxy/…` is one of a Service.
    pub fn raw(&self, path: &str) -> Command {
        self.ask(&["get", "--raw", path])
    }

    pub fn read(&self, namespace: &str, what: &[&str], template: &str) -> Command {
        self.print(&[what, &["--namespace", namespace]].concat(), template)
    }

    /// Objects of some kinds (`a,b`) as one JSON list; `whose` restricts it by namespace or selector.
    pub fn list(&self, kinds: &str, whose: &[&str]) -> Command {
        self.ask(&[&["get", kinds][..], whose, &["--output", "json"]].concat())
    }

    /// A line per object of a kind: whole objects can be megabytes.
    pub fn names(&self, kind: &str) -> Command {
        self.ask(&["get", kind, "--output", "name"])
    }

    /// The object on stdin as admission would store it, webhooks included; nothing is created. A webhook that does not
    /// declare itself free of side effects rejects it.
    pub fn tried(&self) -> Command {
        self.ask(&["create", "--dry-run=server", "--filename", "-", "--output", "json"])
    }

    pub fn restart(&self, namespace: &str, workload: &str) -> Command {
        self.act(&["rollout", "restart", workload, "--namespace", namespace])
    }

    /// The exit code is that of the command in the container.
    pub fn exec(&self, namespace: &str, pod: &str, container: &str, words: &[&str]) -> Command {
        let place = ["exec", "--namespace", namespace, pod, "--container", container, "--"];
        self.ask(&[&place[..], words].concat())
    }

    pub fn exec_fed(&self, namespace: &str, pod: &str, container: &str, words: &[&str]) -> Command {
        let place = ["exec", "--stdin", "--namespace", namespace, pod, "--container", container, "--"];
        self.ask(&[&place[..], words].concat())
    }

    /// One key of a Secret, decoded. Exit 1 while the key is not there.
    pub fn secret_value(&self, namespace: &str, name: &str, key: &str) -> Command {
        let template = format!("go-template={{{{.data.{key} | base64decode}}}}");
        self.ask(&["get", "secret", name, "--namespace", namespace, "--output", &template])
    }

    /// Server-side apply as a dry run, admission included.
    pub fn offer(&self, from: &str) -> Command {
        let dry = ["--field-manager", MANAGER, "--dry-run=server", "--filename", from];
        self.ask(&[&["apply", "--server-side"], &dry[..]].concat())
    }

    /// The last lines of a workload's pod, or all.
    pub fn logs(&self, namespace: &str, workload: &str, last: Option<u32>) -> Command {
        let last = last.map_or("-1".to_owned(), |n| n.to_string());
        self.ask(&["logs", workload, "--namespace", namespace, "--tail", &last])
    }

    pub fn pods_on(&self, node: &str, namespace: &str, label: &str, template: &str) -> Command {
        let on = format!("spec.nodeName={node}");
        self.print(&["pods", "--namespace", namespace, "--selector", label, "--field-selector", &on], template)
    }

    /// Prints `kind/name` of those objects that exist.
    pub fn present(&self, namespace: &str, what: &[&str]) -> Command {
        self.ask(&[&["get"], what, &["--namespace", namespace, "--ignore-not-found", "--output", "name"]].concat())
    }

    /// A line per object of some kinds (`a,b`) of a namespace, as people read them.
    pub fn table(&self, namespace: &str, kinds: &str) -> Command {
        self.ask(&["get", kinds, "--namespace", namespace, "--no-headers"])
    }

    pub fn table_of_all(&self, kinds: &str) -> Command {
        self.ask(&["get", kinds, "--all-namespaces", "--no-headers"])
    }

    /// A line per object that is none of Helm's: certificates (`ca=` before those of authorities), whether Jobs have ended,
    /// and the time as Leases were last renewed. Keys are not printed.
    pub fn certificates(&self, namespace: &str) -> Command {
        let template = r#"{range .items[*]}{.kind}/{.metadata.name} {.spec.renewTime}{.data.tls\.crt} ca={.data.ca\.crt} {.status.conditions[*].type}{"\n"}{end}"#;
        self.read(namespace, &["secrets,jobs,leases", "--selector", "owner!=helm"], template)
    }

    /// Runs the Job of a CronJob now, under a name that an earlier one may have had.
    pub fn run_cron_job(&self, namespace: &str, cron: &str, job: &str) -> [Command; 2] {
        let place = ["--namespace", namespace];
        [
            self.act(&[&["delete", "job", job, "--ignore-not-found"], &place[..]].concat()),
            self.act(&[&["create", "job", job, "--from", &format!("cronjob/{cron}")], &place[..]].concat()),
        ]
    }

    pub fn delete_secret(&self, namespace: &str, name: &str) -> Command {
        self.act(&["delete", "secret", name, "--namespace", namespace, "--ignore-not-found"])
    }

    /// Does not wait for its end.
    pub fn delete_pod(&self, namespace: &str, pod: &str) -> Command {
        self.act(&["delete", "pod", pod, "--namespace", namespace, "--ignore-not-found", "--wait=false"])
    }

    pub fn annotate(&self, namespace: &str, what: &[&str], pair: &str) -> Command {
        self.act(&[&["annotate"], what, &[pair, "--namespace", namespace, "--overwrite"]].concat())
    }

    pub fn delete(&self, from: &str) -> Command {
        self.act(&["delete", "--ignore-not-found", "--filename", from])
    }
}

pub fn version() -> Command {
    Command::ask(Tool::Kubectl, ["version", "--client", "--output", "json"])
}
