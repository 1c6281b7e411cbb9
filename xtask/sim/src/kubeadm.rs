//! kubeadm v1.35 inside a VM: validation, certificates, init and join, with texts measured on v1.35.6.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::kubeadm_rules::{check_fields, kubeadm_error, validate};
use crate::packages;
use crate::prelude::*;
use crate::vault_store::VaultStore;
use crate::vms::{Control, Job, Power, Work, Worker};
use crate::workload::PodNeeds;
use crate::yaml;

/// Go's text for a certificate outside of its validity (crypto/x509).
pub const NOT_YET: &str = "x509: certificate has expired or is not yet valid";

pub fn answer(
    sim: &mut SimState,
    vm: &str,
    args: &[&str],
    root: bool,
    request: &Request,
    now: Duration,
) -> ToolResult<Response> {
    if sim.vms[vm].guest.installed().is_empty() {
        return Err(failure(1, "sudo: kubeadm: command not found"));
    }
    let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    let args = sim.parse_args(request, "kubeadm", &[], &args)?;
    let config = |sim: &SimState| read_config(sim, vm, args.get("config"));
    let output = match args.words.as_slice() {
        ["version"] => success(format!("v{}\n", sim.vms[vm].guest.kubeadm())),
        ["config", "validate"] => {
            validate_config(&config(sim)?)?;
            success("ok\n")
        }
        _ if !root => kubeadm_error("[ERROR IsPrivilegedUser]: user is not running as root"),
        ["config", "images", "pull"] => {
            validate_config(&config(sim)?)?;
            return Ok(pull_images(request, now));
        }
        ["init", "phase", "certs", "ca"] => {
            config(sim)?;
            ensure_ca(sim, vm)
        }
        ["init"] => return init(sim, vm, config(sim)?, request, now),
        ["join"] => return join(sim, vm, config(sim)?, request, now),
        ["upgrade", "node"] => packages::upgrade_node(sim, vm, now),
        ["upgrade", "apply", version] if args.on("yes") => {
            if let Some(path) = args.get("config") {
                upgrade_config(sim, vm, path)?;
            }
            return packages::start_upgrade(sim, vm, version, request, now);
        }
        words => {
            let text = format!("unknown command \"{}\" for \"kubeadm\"", words.join(" "));
            sim.unsupported(request, kubeadm_error(&text))
        }
    };
    Ok(Response::Done(output))
}

fn read_config(sim: &SimState, vm: &str, path: Option<&str>) -> ToolResult<String> {
    let path = path.ok_or_else(|| kubeadm_error("the --config flag is mandatory"))?;
    let file = sim.vms[vm].guest.files.get(path);
    file.cloned().ok_or_else(|| kubeadm_error(&format!("open {path}: no such file or directory")))
}

/// The document of an upgrade, which `kubeadm config validate` does not take (measured on v1.35.6).
pub fn upgrade_config(sim: &SimState, vm: &str, path: &str) -> ToolResult<()> {
    let documents = by_kind(&read_config(sim, vm, Some(path))?)?;
    let kind = "UpgradeConfiguration";
    let document = documents.get(kind).ok_or_else(|| kubeadm_error(&format!("no {kind} found in the YAML file")))?;
    check_fields(document, "kubeadm.k8s.io/v1beta4", kind).map_err(|why| kubeadm_error(&why))
}

fn validate_config(config: &str) -> ToolResult<()> {
    let documents =
        yaml::documents(config).map_err(|why| kubeadm_error(&format!("error converting YAML to JSON: {why}")))?;
    validate(&documents).map_err(|message| kubeadm_error(&message))
}

fn by_kind(config: &str) -> ToolResult<BTreeMap<String, Rc<Value>>> {
    let documents = yaml::documents(config).map_err(|why| kubeadm_error(&why))?;
    Ok(documents.iter().map(|d| (text(d, "/kind").to_owned(), d.clone())).collect())
}

fn pull_images(request: &Request, now: Duration) -> Response {
    let end = request.since + timings::INIT / 2;
    if now < end { Response::Pending(end - now) } else { Response::Done(success("[config/images] Pulled\n")) }
}

/// An existing CA is reused (measured).
fn ensure_ca(sim: &mut SimState, vm: &str) -> Output {
    sim.serial += 1;
    let fresh = format!("ca-{vm}-{}", sim.serial);
    let Some(machine) = sim.vms.get_mut(vm) else { return kubeadm_error("no such machine") };
    if machine.guest.ca.is_some() {
        return success("[certs] Using existing ca certificate authority\n");
    }
    machine.guest.ca = Some(fresh);
    success("[certs] Generating \"ca\" certificate and key\n")
}

fn preflight(errors: &[String]) -> Output {
    let lines: String = errors.iter().map(|e| format!("\t[ERROR {e}\n")).collect();
    let advice = "[preflight] If you know what you are doing, you can make a check non-fatal with \
                  `--ignore-preflight-errors=...`";
    let end = kubeadm_error("error execution phase preflight: preflight checks failed").stderr;
    failure(1, format!("[preflight] Some fatal errors occurred:\n{lines}{advice}\n{end}"))
}

/// Preflight errors of an init over an existing one (measured).
fn existing_control_plane_error() -> Output {
    let mut errors: Vec<String> =
        ["6443", "10259", "10257", "2379", "2380"].map(|port| format!("Port-{port}]: Port {port} is in use")).into();
    for pod in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"] {
        let path = format!("/etc/kubernetes/manifests/{pod}.yaml");
        errors.push(format!("FileAvailable--{}]: {path} already exists", path[1..].replace('/', "-")));
    }
    errors.push("DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty".into());
    preflight(&errors)
}

fn init(sim: &mut SimState, vm: &str, config: String, request: &Request, now: Duration) -> ToolResult<Response> {
    validate_config(&config)?;
    let busy = sim.vms[vm].guest.jobs.iter().any(|job| matches!(job.work, Work::Init(_)));
    if sim.vms[vm].guest.control != Control::None || busy {
        return Err(existing_control_plane_error());
    }
    Ok(sim.start_job(vm, request, Work::Init(config), now, timings::INIT))
}

pub fn finish_init(sim: &mut SimState, vm: &str, config: &str, now: Duration) -> Output {
    let Ok(documents) = by_kind(config) else { return kubeadm_error("the configuration changed under an init") };
    ensure_ca(sim, vm);
    let certs_issued_at = sim.clock_of(vm, now);
    let Some(machine) = sim.vms.get_mut(vm) else { return kubeadm_error("no such machine") };
    let ca = machine.guest.ca.clone().unwrap_or_default();
    let cluster = new_cluster(&documents, &ca, machine.ip, machine.guest.installed(), now);
    if cluster.advertise != machine.ip {
        // etcd cannot listen on an address that the machine does not have.
        machine.guest.control = Control::Partial;
        let at = format!("kube-apiserver check failed at https://{}:6443/livez", cluster.advertise);
        let phase = "error execution phase wait-control-plane: failed while waiting for the control plane to start";
        return kubeadm_error(&format!("{phase}: {at}: context deadline exceeded"));
    }
    let name = text(&documents["InitConfiguration"], "/nodeRegistration/name").to_lowercase();
    let name = if name.is_empty() { vm.to_owned() } else { name };
    let mut cluster = Cluster { certs_issued_at, ..cluster };
    cluster.register(&name, vm, machine.ip, true, now);
    machine.guest.node_ip = Some(node_ip(&documents["InitConfiguration"], machine.ip));
    machine.guest.kubelet_issued = certs_issued_at;
    machine.guest.control = Control::Made(Box::new(cluster));
    success("\nYour Kubernetes control-plane has initialized successfully!\n")
}

/// The kubelet's `node-ip`; by default the first address.
fn node_ip(configuration: &Value, first: Ipv4Addr) -> Ipv4Addr {
    let args = configuration["nodeRegistration"]["kubeletExtraArgs"].as_array().into_iter().flatten();
    let configured =
        args.filter(|arg| text(arg, "/name") == "node-ip").find_map(|arg| text(arg, "/value").parse().ok());
    configured.unwrap_or(first)
}

fn new_cluster(
    documents: &BTreeMap<String, Rc<Value>>,
    ca: &str,
    ip: Ipv4Addr,
    version: &str,
    now: Duration,
) -> Cluster {
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
        certs_issued_at: 0,
        api_from: now,
        nodes: BTreeMap::new(),
        cordoned: BTreeSet::new(),
        annotations: BTreeMap::new(),
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
        reconciled_until: now,
        vault: VaultStore::default(),
        synced_secrets: BTreeMap::new(),
        reachability: vec![],
    }
}

/// 70Mi in each of two pods (upstream: kubeadm's manifest).
fn coredns(since: Duration) -> Workload {
    let needs = PodNeeds { memory: 70, pull: timings::PULL_SMALL, ..PodNeeds::default() };
    Workload {
        kind: "Deployment".into(),
        namespace: "kube-system".into(),
        name: "coredns".into(),
        since,
        replicas: 2,
        needs,
        ..Workload::default()
    }
}

fn join(sim: &mut SimState, vm: &str, config: String, request: &Request, now: Duration) -> ToolResult<Response> {
    validate_config(&config)?;
    let guest = &sim.vms[vm].guest;
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
    Ok(sim.start_job(vm, request, Work::Join(config, false), now, Duration::from_millis(200)))
}

/// A join polls the API server, or ends. Discovery retries transient errors (refused, no such name, no signature for
/// the token) and fails at once on permanent ones (wrong secret, wrong CA); measured.
pub fn poll_join(sim: &mut SimState, vm: &str, job: &Job) -> Option<Output> {
    let Work::Join(config, found) = &job.work else { return None };
    let Ok(documents) = by_kind(config) else { return Some(kubeadm_error("the configuration changed under a join")) };
    let join = &documents["JoinConfiguration"];
    let limit = duration(text(join, "/timeouts/discovery")).unwrap_or(Duration::from_secs(300));
    let identity = "error execution phase preflight: couldn't validate the identity of the API Server";
    let now = job.next;
    match discover(sim, vm, join, now) {
        Ok(control) if *found => return Some(finish_join(sim, vm, &control, join, now)),
        Ok(_) => requeue_join(sim, vm, job, true, now + timings::JOIN),
        Err(DiscoveryError::Fatal(why)) => return Some(kubeadm_error(&format!("{identity}: {why}"))),
        Err(DiscoveryError::Retry(_)) if *found => {
            if let Some(machine) = sim.vms.get_mut(vm) {
                machine.guest.worker = Worker::Partial;
            }
            return Some(kubeadm_error("error execution phase kubelet-wait-bootstrap: context deadline exceeded"));
        }
        Err(DiscoveryError::Retry(why)) if now >= job.began + limit => {
            return Some(kubeadm_error(&format!("{identity}: {why}")));
        }
        Err(DiscoveryError::Retry(_)) => requeue_join(sim, vm, job, false, now + timings::DISCOVERY),
    }
    None
}

fn requeue_join(sim: &mut SimState, vm: &str, job: &Job, found: bool, next: Duration) {
    let Work::Join(config, _) = &job.work else { return };
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.jobs.push(Job { work: Work::Join(config.clone(), found), next, ..job.clone() });
    }
}

enum DiscoveryError {
    Retry(String),
    Fatal(String),
}

/// The VM of the control plane behind the endpoint.
fn discover(sim: &SimState, vm: &str, join: &Value, now: Duration) -> Result<String, DiscoveryError> {
    let endpoint = text(join, "/discovery/bootstrapToken/apiServerEndpoint");
    let (id, secret) = text(join, "/discovery/bootstrapToken/token").split_once('.').unwrap_or_default();
    let host = endpoint.split(':').next().unwrap_or_default();
    let address = host.parse().ok().or_else(|| sim.vms[vm].guest.hosts.get(host).copied());
    let url = format!("https://{endpoint}/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s");
    let asking = format!("failed to request the cluster-info ConfigMap: Get \"{url}\": dial tcp");
    let address = address.ok_or_else(|| DiscoveryError::Retry(format!("{asking}: lookup {host}: no such host")))?;
    let control = sim.vm_at(address).map(|(name, _)| name.clone()).filter(|name| sim.api_up(name, now));
    let control = control
        .ok_or_else(|| DiscoveryError::Retry(format!("{asking} {address}:6443: connect: connection refused")))?;
    let Some(cluster) = sim.cluster(&control) else { return Err(DiscoveryError::Retry(asking)) };
    // Retrying is assumed, as for all but what discovery compares itself.
    if now < sim.valid_from(cluster, vm) {
        return Err(DiscoveryError::Retry(format!("tls: failed to verify certificate: {NOT_YET}")));
    }
    match cluster.tokens.get(id).filter(|(_, expires)| now < *expires) {
        None => {
            let text = "could not find a JWS signature in the cluster-info ConfigMap for token ID";
            return Err(DiscoveryError::Retry(format!("{text} \"{id}\"")));
        }
        Some((known, _)) if known != secret => {
            let text = "failed to verify JWS signature of received cluster info object, can't trust this API Server";
            return Err(DiscoveryError::Fatal(text.into()));
        }
        Some(_) => {}
    }
    let pins = join["discovery"]["bootstrapToken"]["caCertHashes"].as_array();
    let pin = pki::pin(&cluster.ca);
    if pins.is_some_and(|pins| pins.iter().any(|p| p.as_str() == Some(&pin))) {
        return Ok(control);
    }
    let text = "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys";
    Err(DiscoveryError::Fatal(format!("{text} \"{pin}\" are pinned")))
}

/// A started kubelet polls its cluster until it answers, and creates its Node object if there is none (upstream:
/// `registerWithAPIServer`). With the certificate of another CA it is never admitted.
pub fn register_kubelet(sim: &mut SimState, vm: &str, job: &Job) {
    let Some(machine) = sim.vms.get(vm) else { return };
    let (ip, joined_ca, now) = (machine.ip, machine.guest.joined_ca.clone(), job.next);
    if machine.guest.node_ip != Some(ip) || sim.kubelet_expired(vm, now) {
        // It does not start with an address that the machine does not have; a repair restarts it.
        return;
    }
    let known: Vec<Ipv4Addr> = machine.guest.hosts.values().copied().collect();
    let found = known.iter().filter_map(|ip| sim.vm_at(*ip)).map(|(name, _)| name.clone()).find(|name| {
        let known = |c: &Cluster| Some(&c.ca) == joined_ca.as_ref() && sim.valid_from(c, vm) <= now;
        sim.api_up(name, now) && sim.cluster(name).is_some_and(known)
    });
    match found.and_then(|control| sim.cluster_mut(&control)) {
        Some(cluster) if cluster.nodes.contains_key(vm) => {
            cluster.nodes.values_mut().filter(|node| node.vm == vm).for_each(|node| node.ip = ip);
        }
        Some(cluster) => cluster.register(vm, vm, ip, false, now),
        None => {
            if let Some(machine) = sim.vms.get_mut(vm) {
                machine.guest.jobs.push(Job { next: now + timings::DISCOVERY, ..job.clone() });
            }
        }
    }
}

fn finish_join(sim: &mut SimState, vm: &str, control: &str, join: &Value, now: Duration) -> Output {
    let name = text(join, "/nodeRegistration/name").to_lowercase();
    let name = if name.is_empty() { vm.to_owned() } else { name };
    let machine = sim.vms.get(vm).filter(|vm| vm.power == Power::Running);
    let Some(ip) = machine.map(|vm| vm.ip) else { return failure(255, "") };
    let Some(cluster) = sim.cluster_mut(control) else { return kubeadm_error("the control plane is gone") };
    cluster.register(&name, vm, ip, false, now);
    let ca = cluster.ca.clone();
    let clock = sim.clock_of(vm, now);
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.worker = Worker::Joined;
        machine.guest.kubelet_issued = clock;
        machine.guest.node_ip = Some(node_ip(join, ip));
        machine.guest.joined_ca = Some(ca);
    }
    success("\nThis node has joined the cluster:\n* Certificate signing request was sent to apiserver.\n")
}
