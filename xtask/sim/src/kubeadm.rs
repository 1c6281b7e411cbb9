//! kubeadm v1.35 inside a VM: validation, certificates, init and join with their texts as measured on v1.35.6.
//! Knows nothing of Multipass; what a cluster becomes afterwards is `cluster`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{Answer, Ask, Go, refused, said};
use super::clockwork;
use super::cluster::Cluster;
use super::flags::{Known, duration, parse};
use super::kubeadm_rules::{failed, validate};
use super::packages;
use super::pki;
use super::safe::Safe;
use super::stage::Stage;
use super::vms::{Control, Job, Power, Work, Worker};
use super::workload::{Wants, Workload};
use super::yaml::{self, text};
use tool::Output;

/// Go's words for a certificate of another time (crypto/x509).
pub const NOT_YET: &str = "x509: certificate has expired or is not yet valid";

const FLAGS: Known = Known {
    takes: &["config", "ignore-preflight-errors", "v", "output"],
    bare: &["upload-certs", "yes"],
    short: &[('v', "v"), ('o', "output"), ('y', "yes")],
};

/// Answers one command line in a VM.
pub fn answer(stage: &mut Stage, vm: &str, args: &[&str], root: bool, ask: &Ask, now: Duration) -> Answer {
    if stage.vms[vm].guest.installed().is_empty() {
        return Answer::Done(refused(1, "sudo: kubeadm: command not found"));
    }
    let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    let parsed = match parse(&args, &[FLAGS]) {
        Ok(parsed) => parsed,
        Err(super::flags::Bad::Unknown(flag)) => {
            return Answer::Done(stage.strange(ask, failed(&format!("unknown flag: {flag}"))));
        }
        Err(super::flags::Bad::NoValue(flag)) => {
            return Answer::Done(stage.strange(ask, failed(&format!("flag needs an argument: {flag}"))));
        }
    };
    let config = |stage: &Stage| read(stage, vm, parsed.get("config"));
    let outcome = match parsed.words.as_slice() {
        ["version"] => Ok(Answer::Done(said(format!("v{}\n", stage.vms[vm].guest.kubeadm())))),
        ["config", "validate"] => config(stage).and_then(|c| checked(&c)).map(|()| Answer::Done(said("ok\n"))),
        _ if !root => Err(failed("[ERROR IsPrivilegedUser]: user is not running as root")),
        ["config", "images", "pull"] => config(stage).and_then(|c| checked(&c)).map(|()| pulled(ask, now)),
        ["init", "phase", "certs", "ca"] => config(stage).map(|_| Answer::Done(authority(stage, vm))),
        ["init"] => config(stage).and_then(|c| init(stage, vm, c, ask, now)),
        ["join"] => config(stage).and_then(|c| join(stage, vm, c, ask, now)),
        ["upgrade", "node"] => Ok(Answer::Done(packages::upgrade_node(stage, vm, now))),
        ["upgrade", "apply", version] if parsed.on("yes") => packages::apply(stage, vm, version, ask, now),
        _ => {
            Err(stage.strange(ask, failed(&format!("unknown command \"{}\" for \"kubeadm\"", parsed.words.join(" ")))))
        }
    };
    outcome.unwrap_or_else(Answer::Done)
}

fn read(stage: &Stage, vm: &str, path: Option<&str>) -> Go<String> {
    let path = path.ok_or_else(|| failed("the --config flag is mandatory"))?;
    let file = stage.vms[vm].guest.files.get(path);
    file.cloned().ok_or_else(|| failed(&format!("open {path}: no such file or directory")))
}

/// Refuses a configuration that is not valid.
fn checked(config: &str) -> Go<()> {
    let documents = yaml::documents(config).map_err(|why| failed(&format!("error converting YAML to JSON: {why}")))?;
    validate(&documents).map_err(|message| failed(&message))
}

/// The documents of a configuration that was checked, by kind.
fn by_kind(config: &str) -> Go<BTreeMap<String, Rc<Value>>> {
    let documents = yaml::documents(config).map_err(|why| failed(&why))?;
    Ok(documents.iter().map(|d| (text(d, "/kind").to_owned(), d.clone())).collect())
}

fn pulled(ask: &Ask, now: Duration) -> Answer {
    let end = ask.since + clockwork::INIT / 2;
    if now < end { Answer::Again(end - now) } else { Answer::Done(said("[config/images] Pulled\n")) }
}

/// Re-runnable: an authority that is there is used (measured).
fn authority(stage: &mut Stage, vm: &str) -> Output {
    stage.serial += 1;
    let fresh = format!("ca-{vm}-{}", stage.serial);
    let Some(machine) = stage.vms.get_mut(vm) else { return failed("no such machine") };
    if machine.guest.ca.is_some() {
        return said("[certs] Using existing ca certificate authority\n");
    }
    machine.guest.ca = Some(fresh);
    said("[certs] Generating \"ca\" certificate and key\n")
}

fn preflight(errors: &[String]) -> Output {
    let lines: String = errors.iter().map(|e| format!("\t[ERROR {e}\n")).collect();
    let advice = "[preflight] If you know what you are doing, you can make a check non-fatal with \
                  `--ignore-preflight-errors=...`";
    let end = failed("error execution phase preflight: preflight checks failed").stderr;
    refused(1, format!("[preflight] Some fatal errors occurred:\n{lines}{advice}\n{end}"))
}

/// What preflight says to an init over the remains of another (measured).
fn remains() -> Output {
    let mut errors: Vec<String> =
        ["6443", "10259", "10257", "2379", "2380"].map(|port| format!("Port-{port}]: Port {port} is in use")).into();
    for pod in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"] {
        let path = format!("/etc/kubernetes/manifests/{pod}.yaml");
        errors.push(format!("FileAvailable--{}]: {path} already exists", path[1..].replace('/', "-")));
    }
    errors.push("DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty".into());
    preflight(&errors)
}

fn init(stage: &mut Stage, vm: &str, config: String, ask: &Ask, now: Duration) -> Go<Answer> {
    checked(&config)?;
    let busy = stage.vms[vm].guest.jobs.iter().any(|job| matches!(job.work, Work::Init(_)));
    if stage.vms[vm].guest.control != Control::None || busy {
        return Err(remains());
    }
    Ok(stage.begin(vm, ask, Work::Init(config), now, clockwork::INIT))
}

/// An init ends: the control plane is there, or half of it.
pub fn inited(stage: &mut Stage, vm: &str, config: &str, now: Duration) -> Output {
    let Ok(documents) = by_kind(config) else { return failed("the configuration changed under an init") };
    authority(stage, vm);
    let born = stage.clock_of(vm, now);
    let Some(machine) = stage.vms.get_mut(vm) else { return failed("no such machine") };
    let ca = machine.guest.ca.clone().unwrap_or_default();
    let cluster = made(&documents, &ca, machine.ip, machine.guest.installed(), now);
    if cluster.advertise != machine.ip {
        // etcd cannot listen on an address that is not there.
        machine.guest.control = Control::Partial;
        let at = format!("kube-apiserver check failed at https://{}:6443/livez", cluster.advertise);
        let phase = "error execution phase wait-control-plane: failed while waiting for the control plane to start";
        return failed(&format!("{phase}: {at}: context deadline exceeded"));
    }
    let name = text(&documents["InitConfiguration"], "/nodeRegistration/name").to_lowercase();
    let name = if name.is_empty() { vm.to_owned() } else { name };
    let mut cluster = Cluster { born, ..cluster };
    cluster.register(&name, vm, machine.ip, true, now);
    machine.guest.node_ip = Some(node_ip(&documents["InitConfiguration"], machine.ip));
    machine.guest.control = Control::Made(Box::new(cluster));
    said("\nYour Kubernetes control-plane has initialized successfully!\n")
}

/// What the kubelet is told; without a word of it, it takes the first address that it finds.
fn node_ip(configuration: &Value, first: Ipv4Addr) -> Ipv4Addr {
    let args = configuration["nodeRegistration"]["kubeletExtraArgs"].as_array().into_iter().flatten();
    let told = args.filter(|arg| text(arg, "/name") == "node-ip").find_map(|arg| text(arg, "/value").parse().ok());
    told.unwrap_or(first)
}

/// The cluster that a configuration describes.
fn made(documents: &BTreeMap<String, Rc<Value>>, ca: &str, ip: Ipv4Addr, version: &str, now: Duration) -> Cluster {
    let none = Value::Null;
    let (init, all) = (&documents["InitConfiguration"], documents.get("ClusterConfiguration").map_or(&none, |all| all));
    let or = |found: &str, default: &str| if found.is_empty() { default.to_owned() } else { found.to_owned() };
    let net = |pointer: &str, default: &str| or(text(all, pointer), default).parse().ok();
    let advertise = text(init, "/localAPIEndpoint/advertiseAddress").parse().unwrap_or(ip);
    let endpoint = or(text(all, "/controlPlaneEndpoint"), &format!("{advertise}:6443"));
    let mut sans: Vec<String> = vec![advertise.to_string(), "127.0.0.1".into(), "kubernetes".into()];
    sans.push(endpoint.split(':').next().unwrap_or_default().to_owned());
    sans.push(text(init, "/nodeRegistration/name").to_owned());
    sans.extend(
        all["apiServer"]["certSANs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into),
    );
    let tokens = init["bootstrapTokens"].as_array().into_iter().flatten().filter_map(|entry| {
        let (id, secret) = text(entry, "/token").split_once('.')?;
        let ttl = duration(text(entry, "/ttl")).unwrap_or(Duration::from_secs(24 * 3600));
        Some((id.to_owned(), (secret.to_owned(), now + ttl)))
    });
    let namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"]
        .map(|name| (name.to_owned(), [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into()));
    Cluster {
        name: or(text(all, "/clusterName"), "kubernetes"),
        ca: ca.to_owned(),
        endpoint,
        advertise,
        sans,
        version: or(text(all, "/kubernetesVersion"), &format!("v{version}")),
        pods: net("/networking/podSubnet", "0.0.0.0/32").unwrap_or_default(),
        services: net("/networking/serviceSubnet", "10.96.0.0/12").unwrap_or_default(),
        tokens: tokens.collect(),
        born: 0,
        api_from: now,
        nodes: BTreeMap::new(),
        cordoned: BTreeSet::new(),
        marks: BTreeMap::new(),
        namespaces: namespaces.into(),
        crds: BTreeMap::new(),
        releases: vec![],
        workloads: [("kube-system/deployment/coredns".to_owned(), coredns(now))].into(),
        objects: [(
            "configmap/kube-system/kubeadm-config".to_owned(),
            Rc::new(json!({ "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "kubeadm-config", "namespace": "kube-system" } })),
        )]
        .into(),
        settled: now,
        vault: Safe::default(),
        copies: BTreeMap::new(),
        seen: vec![],
    }
}

/// Upstream: kubeadm's manifest asks for 70Mi in each of two pods.
fn coredns(since: Duration) -> Workload {
    let wants = Wants { memory: 70, pull: clockwork::pull::SMALL, ..Wants::default() };
    Workload {
        kind: "Deployment".into(),
        namespace: "kube-system".into(),
        name: "coredns".into(),
        since,
        replicas: 2,
        wants,
        ..Workload::default()
    }
}

fn join(stage: &mut Stage, vm: &str, config: String, ask: &Ask, now: Duration) -> Go<Answer> {
    checked(&config)?;
    let guest = &stage.vms[vm].guest;
    let file = |name: &str| {
        let path = format!("/etc/kubernetes/{name}");
        format!("FileAvailable--{}]: {path} already exists", path[1..].replace('/', "-"))
    };
    let busy = guest.jobs.iter().any(|job| matches!(job.work, Work::Join(_, true)));
    if guest.worker == Worker::Joined {
        let port = "Port-10250]: Port 10250 is in use".to_owned();
        return Err(preflight(&[port, file("kubelet.conf"), file("pki/ca.crt")]));
    }
    if guest.worker == Worker::Partial || busy {
        return Err(preflight(&[file("bootstrap-kubelet.conf"), file("pki/ca.crt")]));
    }
    Ok(stage.begin(vm, ask, Work::Join(config, false), now, Duration::from_millis(200)))
}

/// A join looks for the API, or ends. Discovery retries what may still come (refused, no such name, no signature for
/// the token) and gives up at once on what will not change (wrong secret, wrong authority); measured.
pub fn joining(stage: &mut Stage, vm: &str, job: &Job) -> Option<Output> {
    let Work::Join(config, found) = &job.work else { return None };
    let Ok(documents) = by_kind(config) else { return Some(failed("the configuration changed under a join")) };
    let join = &documents["JoinConfiguration"];
    let limit = duration(text(join, "/timeouts/discovery")).unwrap_or(Duration::from_secs(300));
    let identity = "error execution phase preflight: couldn't validate the identity of the API Server";
    let now = job.next;
    match discover(stage, vm, join, now) {
        Ok(control) if *found => return Some(joined(stage, vm, &control, join, now)),
        Ok(_) => again(stage, vm, job, true, now + clockwork::JOIN),
        Err(Trouble::Now(why)) => return Some(failed(&format!("{identity}: {why}"))),
        Err(Trouble::Later(_)) if *found => {
            if let Some(machine) = stage.vms.get_mut(vm) {
                machine.guest.worker = Worker::Partial;
            }
            return Some(failed("error execution phase kubelet-wait-bootstrap: context deadline exceeded"));
        }
        Err(Trouble::Later(why)) if now >= job.began + limit => return Some(failed(&format!("{identity}: {why}"))),
        Err(Trouble::Later(_)) => again(stage, vm, job, false, now + clockwork::DISCOVERY),
    }
    None
}

fn again(stage: &mut Stage, vm: &str, job: &Job, found: bool, next: Duration) {
    let Work::Join(config, _) = &job.work else { return };
    if let Some(machine) = stage.vms.get_mut(vm) {
        machine.guest.jobs.push(Job { work: Work::Join(config.clone(), found), next, ..job.clone() });
    }
}

enum Trouble {
    Later(String),
    Now(String),
}

/// The VM of the control plane that a join finds behind its endpoint.
fn discover(stage: &Stage, vm: &str, join: &Value, now: Duration) -> Result<String, Trouble> {
    let endpoint = text(join, "/discovery/bootstrapToken/apiServerEndpoint");
    let (id, secret) = text(join, "/discovery/bootstrapToken/token").split_once('.').unwrap_or_default();
    let host = endpoint.split(':').next().unwrap_or_default();
    let address = host.parse().ok().or_else(|| stage.vms[vm].guest.hosts.get(host).copied());
    let url = format!("https://{endpoint}/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s");
    let asking = format!("failed to request the cluster-info ConfigMap: Get \"{url}\": dial tcp");
    let address = address.ok_or_else(|| Trouble::Later(format!("{asking}: lookup {host}: no such host")))?;
    let control = stage.at(address).map(|(name, _)| name.clone()).filter(|name| stage.api_up(name, now));
    let control =
        control.ok_or_else(|| Trouble::Later(format!("{asking} {address}:6443: connect: connection refused")))?;
    let Some(cluster) = stage.cluster(&control) else { return Err(Trouble::Later(asking)) };
    // That discovery retries it is assumed, as it does with all but what it compares itself.
    if now < stage.valid_from(cluster, vm) {
        return Err(Trouble::Later(format!("tls: failed to verify certificate: {NOT_YET}")));
    }
    match cluster.tokens.get(id).filter(|(_, expires)| now < *expires) {
        None => {
            let text = "could not find a JWS signature in the cluster-info ConfigMap for token ID";
            return Err(Trouble::Later(format!("{text} \"{id}\"")));
        }
        Some((known, _)) if known != secret => {
            let text = "failed to verify JWS signature of received cluster info object, can't trust this API Server";
            return Err(Trouble::Now(text.into()));
        }
        Some(_) => {}
    }
    let pins = join["discovery"]["bootstrapToken"]["caCertHashes"].as_array();
    let pin = pki::pin(&cluster.ca);
    if pins.is_some_and(|pins| pins.iter().any(|p| p.as_str() == Some(&pin))) {
        return Ok(control);
    }
    let text = "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys";
    Err(Trouble::Now(format!("{text} \"{pin}\" are pinned")))
}

/// A kubelet that has started looks for its cluster until it answers, and makes its Node object if there is none
/// (upstream: `registerWithAPIServer`). With the certificate of another authority it never gets in.
pub fn registering(stage: &mut Stage, vm: &str, job: &Job) {
    let Some(machine) = stage.vms.get(vm) else { return };
    let (ip, trusts, now) = (machine.ip, machine.guest.trusts.clone(), job.next);
    if machine.guest.node_ip != Some(ip) {
        // It does not start with an address that the machine has not; whoever mends that starts it anew.
        return;
    }
    let known: Vec<Ipv4Addr> = machine.guest.hosts.values().copied().collect();
    let found = known.iter().filter_map(|ip| stage.at(*ip)).map(|(name, _)| name.clone()).find(|name| {
        let known = |c: &Cluster| Some(&c.ca) == trusts.as_ref() && stage.valid_from(c, vm) <= now;
        stage.api_up(name, now) && stage.cluster(name).is_some_and(known)
    });
    match found.and_then(|control| stage.cluster_mut(&control)) {
        Some(cluster) if cluster.nodes.contains_key(vm) => {
            cluster.nodes.values_mut().filter(|node| node.vm == vm).for_each(|node| node.ip = ip);
        }
        Some(cluster) => cluster.register(vm, vm, ip, false, now),
        None => {
            if let Some(machine) = stage.vms.get_mut(vm) {
                machine.guest.jobs.push(Job { next: now + clockwork::DISCOVERY, ..job.clone() });
            }
        }
    }
}

fn joined(stage: &mut Stage, vm: &str, control: &str, join: &Value, now: Duration) -> Output {
    let name = text(join, "/nodeRegistration/name").to_lowercase();
    let name = if name.is_empty() { vm.to_owned() } else { name };
    let machine = stage.vms.get(vm).filter(|vm| vm.power == Power::Running);
    let Some(ip) = machine.map(|vm| vm.ip) else { return refused(255, "") };
    let Some(cluster) = stage.cluster_mut(control) else { return failed("the control plane is gone") };
    cluster.register(&name, vm, ip, false, now);
    let ca = cluster.ca.clone();
    if let Some(machine) = stage.vms.get_mut(vm) {
        machine.guest.worker = Worker::Joined;
        machine.guest.node_ip = Some(node_ip(join, ip));
        machine.guest.trusts = Some(ca);
    }
    said("\nThis node has joined the cluster:\n* Certificate signing request was sent to apiserver.\n")
}
