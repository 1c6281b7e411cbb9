//! What runs inside a VM: node scripts, file delivery, kubeadm, and jobs that continue without their caller.

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::kubeadm;
use crate::packages;
use crate::prelude::*;
use crate::vms::{Control, Job, Work, Worker};
use tool::awk;

mod readdress;

use readdress::{finish_readdress, readdress};

const SBIN: &str = "/usr/local/sbin/";

pub fn run(sim: &mut SimState, vm: &str, args: &[String], request: &Request, now: Duration) -> ToolResult<Response> {
    let root = args.first().is_some_and(|a| a == "sudo");
    let words: Vec<&str> = args.iter().skip(usize::from(root)).map(String::as_str).collect();
    // `multipass exec` only waits: a job in the guest runs on by itself and keeps its output.
    let waiting = sim.vms[vm].guest.jobs.iter().find(|job| job.run == request.run).map(|job| job.next);
    if let Some(next) = waiting {
        return Ok(Response::pending_until(next, now));
    }
    let output = match words.as_slice() {
        ["/usr/local/sbin/node-run", "--end"] if root => end_service(sim, vm),
        ["/usr/local/sbin/node-run", ..] if root => {
            let mine = |job: &&Job| job.run != 0;
            if let Some(job) = sim.vms[vm].guest.jobs.iter().find(mine) {
                return Ok(Response::pending_until(job.next, now));
            }
            let command: Vec<String> = [&args[..1], &args[2..]].concat();
            return run(sim, vm, &command, request, now);
        }
        [script, rest @ ..] if script.starts_with(SBIN) => {
            return run_node_script(sim, vm, script, rest, root, request, now);
        }
        ["kubeadm", rest @ ..] => return kubeadm::answer(sim, vm, rest, root, request, now),
        ["sh", "-c", script] if script.starts_with("exit ") => {
            Output::of(tool::Exit::Code(script["exit ".len()..].parse().unwrap_or(2)))
        }
        ["sh", "-c", script] => return kubeadm_and_touch(sim, vm, script, root, request, now),
        ["timeout", _, "bash", "-c", script] => return tcp_connect(sim, script, request, now),
        ["cloud-init", "status", rest @ ..] => return Ok(cloud_init(sim, vm, rest, now)),
        ["awk", program] if *program == awk::REPLACE_SCRIPTS => packages::replace_scripts(sim, vm, &request.text()),
        ["kubectl", rest @ ..] => kubectl_config_view(sim, vm, rest, root, request),
        ["systemctl", "restart", "kubelet"] => restart_kubelet(sim, vm, root, now),
        ["systemctl", "try-restart", "systemd-timesyncd", "chrony"] => sync_clock(sim, vm, root),
        ["xargs", "-d", ":", "-r", rest @ ..] => volume_folders(sim, vm, rest, root, request),
        ["systemctl", "restart", "systemd-networkd"] | ["netplan", "apply"] if root => restart_networkd(sim, vm),
        ["touch", path] => touch(sim, vm, path, root),
        ["cat", path] => cat(sim, vm, path),
        // Its kubelets have no errors to tell.
        ["journalctl", "-u", "kubelet", ..] if root => success("-- No entries --\n"),
        ["true"] => success(""),
        _ => {
            let name = words.first().copied().unwrap_or_default();
            sim.unsupported(request, failure(127, format!("bash: line 1: {name}: command not found")))
        }
    };
    Ok(Response::Done(output))
}

/// `node-run --end`: what was begun by a command that may be gone is killed with it, halfway.
fn end_service(sim: &mut SimState, vm: &str) -> Output {
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(255, "") };
    let ended: Vec<Job> = machine.guest.jobs.extract_if(.., |job| job.run != 0).collect();
    let printed = ended.iter().map(|job| format!("node-run: ending {}\n", job.work.command())).collect::<String>();
    ended.into_iter().for_each(|job| machine.guest.left_halfway(&job.work));
    success(printed)
}

/// `kubeadm … && touch FILE` in one process of the node: the file is touched even if the caller is gone.
fn kubeadm_and_touch(
    sim: &mut SimState,
    vm: &str,
    script: &str,
    root: bool,
    request: &Request,
    now: Duration,
) -> ToolResult<Response> {
    let parts = script.split_once(" && touch ").filter(|(first, _)| first.starts_with("kubeadm "));
    let Some((first, path)) = parts else {
        return Err(sim.unsupported(request, failure(127, format!("sh: 1: {script}: not found"))));
    };
    let words: Vec<&str> = first.split(' ').skip(1).collect();
    let response = kubeadm::answer(sim, vm, &words, root, request, now)?;
    match &response {
        Response::Done(output) if output.ok() => drop(touch(sim, vm, path, root)),
        Response::Done(_) => {}
        Response::Pending(_) => {
            let jobs = sim.vms.get_mut(vm).into_iter().flat_map(|vm| &mut vm.guest.jobs);
            jobs.filter(|job| job.run == request.run).for_each(|job| job.then_touch = Some(path.to_owned()));
        }
    }
    Ok(response)
}

/// `exec 3<>/dev/tcp/ADDRESS/PORT` of bash, under `timeout 5`.
fn tcp_connect(sim: &mut SimState, script: &str, request: &Request, now: Duration) -> ToolResult<Response> {
    let target = script.strip_prefix("exec 3<>/dev/tcp/").and_then(|t| t.split_once('/'));
    let target = target.and_then(|(ip, port)| Some((ip.parse().ok()?, port.parse::<u16>().ok()?)));
    let Some((ip, port)) = target else {
        return Err(sim.unsupported(request, failure(2, "bash: -c: line 1: syntax error")));
    };
    if sim.vm_at(ip).is_none_or(|(_, vm)| !vm.reachable(now)) {
        let end = request.since + Duration::from_secs(5);
        return if now < end { Ok(Response::Pending(end - now)) } else { Err(failure(124, "")) };
    }
    if sim.mesh_listens(ip, port, now) {
        return Ok(Response::Done(success("")));
    }
    let refused = "Connection refused";
    Err(failure(1, format!("bash: connect: {refused}\nbash: line 1: /dev/tcp/{ip}/{port}: {refused}")))
}

fn run_node_script(
    sim: &mut SimState,
    vm: &str,
    script: &str,
    rest: &[&str],
    root: bool,
    request: &Request,
    now: Duration,
) -> ToolResult<Response> {
    if !sim.vms[vm].guest.files.contains_key(script) {
        return Err(failure(1, format!("sudo: {script}: command not found")));
    }
    if !root {
        return Err(failure(1, format!("{script}: must run as root")));
    }
    let output = match (&script[SBIN.len()..], rest) {
        ("node-prep", []) => return Ok(packages::start_prep(sim, vm, false, request, now)),
        ("node-prep", ["kubeadm"]) => return Ok(packages::start_prep(sim, vm, true, request, now)),
        ("node-upgrade", [version]) => return packages::node_upgrade(sim, vm, version, request, now),
        ("node-readdress", [ip]) => return readdress(sim, vm, ip, request, now),
        ("node-renew", []) => {
            if sim.cluster(vm).is_none() {
                return Err(failure(1, "node-renew: there is no control plane on this node"));
            }
            return Ok(sim.start_job(vm, request, Work::Renew, now, timings::READDRESS));
        }
        ("node-reset", []) => return Ok(reset(sim, vm, request, now)),
        ("node-state", [api]) => node_state(sim, vm, api, now),
        ("node-hosts", [ip, name]) => node_hosts(sim, vm, ip, name),
        ("node-token", [id]) => node_token(sim, vm, id, &request.text(), now),
        ("node-keep", [path]) => node_keep(sim, vm, path, request.text().into_owned()),
        _ => sim.unsupported(request, failure(2, format!("{script}: wrong arguments"))),
    };
    Ok(Response::Done(output))
}

/// Also expired certificates are renewed; the kubelet's only where it has expired.
fn finish_renew(sim: &mut SimState, vm: &str, now: Duration) -> Output {
    let clock = sim.clock_of(vm, now);
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(255, "") };
    if days_left(machine.guest.kubelet_issued, clock) == Some(0) {
        machine.guest.kubelet_issued = clock;
    }
    if let Control::Made(cluster) = &mut machine.guest.control {
        (cluster.certs_issued_at, cluster.api_from) = (clock, now);
    }
    restart_kubelet(sim, vm, true, now);
    success("node-renew: done\n")
}

/// Of certificates for a year (upstream: `CertificateValidityPeriod`; kubelets get as much from the controller manager).
pub(super) fn days_left(issued: u64, clock: u64) -> Option<u64> {
    (issued > 0).then(|| (issued + 365 * 86400).saturating_sub(clock) / 86400)
}

/// `stat` and `mkdir` of volume folders, whose paths are read with colons between them (tried with GNU findutils).
fn volume_folders(sim: &mut SimState, vm: &str, words: &[&str], root: bool, request: &Request) -> Output {
    let text = request.text();
    let paths = || text.split(':').filter(|path| !path.is_empty());
    let volumes = sim.vms.get_mut(vm).map(|vm| &mut vm.guest.volumes);
    match (words, volumes) {
        (["stat", "--format", "%n", "--"], Some(volumes)) => {
            let exists = |path: &&str| *path == "/" || volumes.contains(*path);
            let (found, missing): (Vec<&str>, Vec<&str>) = paths().partition(exists);
            let stdout = found.iter().map(|path| format!("{path}\n")).collect();
            let errors = missing.iter().map(|path| format!("stat: cannot statx '{path}': No such file or directory"));
            let errors = errors.collect::<Vec<_>>().join("\n");
            Output { stdout, ..if missing.is_empty() { success("") } else { failure(123, errors) } }
        }
        (["mkdir", "-m", "0777", "-p", "--"], Some(volumes)) if root => {
            volumes.extend(paths().filter(|path| *path != "/").map(str::to_owned));
            success("")
        }
        _ => sim.unsupported(request, failure(127, "xargs: unsupported command")),
    }
}

pub fn finish_job(sim: &mut SimState, vm: &str, index: usize) {
    let Some(machine) = sim.vms.get_mut(vm) else { return };
    let job = machine.guest.jobs.remove(index);
    let output = match &job.work {
        Work::Prep => Some(match packages::without_egress(&machine.guest, &sim.machine.unreachable) {
            lines if lines.is_empty() => {
                packages::finish_prep(&mut machine.guest);
                success("node-prep: done\n")
            }
            lines => failure(1, lines),
        }),
        Work::Kubeadm => {
            packages::finish_kubeadm(&mut machine.guest);
            Some(success("node-prep: done: kubeadm\n"))
        }
        Work::Apply(version) => Some(packages::finish_upgrade(sim, vm, &version.clone(), job.next)),
        Work::Reset => {
            machine.guest.control = Control::None;
            machine.guest.worker = Worker::None;
            machine.guest.joined_ca = None;
            machine.guest.kubelet_issued = 0;
            machine.guest.node_ip = None;
            machine.guest.sealed = false;
            Some(success("[reset] Deleting contents of directories\n"))
        }
        Work::Renew => Some(finish_renew(sim, vm, job.next)),
        Work::Readdress(ip) => Some(finish_readdress(sim, vm, *ip, job.next)),
        Work::Init(config) => Some(kubeadm::finish_init(sim, vm, &config.clone(), job.next)),
        Work::Join(..) => kubeadm::poll_join(sim, vm, &job),
        Work::Register => {
            kubeadm::register_kubelet(sim, vm, &job);
            None
        }
    };
    if let (Some(path), Some(true)) = (&job.then_touch, output.as_ref().map(Output::ok)) {
        touch(sim, vm, path, true);
    }
    // cloud-init's own run has no caller.
    if let Some(output) = output.filter(|_| job.run != 0) {
        sim.results.insert(job.run, output);
        // Output for killed callers is never fetched.
        while sim.results.len() > 64 {
            sim.results.pop_first();
        }
    }
}

fn reset(sim: &mut SimState, vm: &str, request: &Request, now: Duration) -> Response {
    // `kubeadm reset` stops other runs; an init under it ends with its own error.
    if let Some(machine) = sim.vms.get_mut(vm) {
        let dead: Vec<Job> = machine.guest.jobs.drain(..).collect();
        for job in dead {
            match job.work {
                Work::Prep | Work::Kubeadm => machine.guest.jobs.push(job),
                _ => drop(sim.results.insert(job.run, failure(1, "error: interrupted by kubeadm reset"))),
            }
        }
    }
    sim.start_job(vm, request, Work::Reset, now, timings::RESET)
}

/// `node-state`: what the guest can tell without asking another machine.
fn node_state(sim: &SimState, vm: &str, api: &str, now: Duration) -> Output {
    let machine = &sim.vms[vm];
    let guest = &machine.guest;
    let ca = guest.ca.as_ref().or(guest.joined_ca.as_ref());
    // The script uses the loopback address, so a stale hosts file does not matter here.
    let control = match &guest.control {
        Control::None if guest.sealed => "partial",
        Control::None => "none",
        Control::Partial => "partial",
        Control::Made(_) if sim.api_up(vm, now) => "up",
        Control::Made(_) if guest.sealed => "booting",
        Control::Made(_) => "partial",
    };
    // The script looks for a process named `kubeadm`.
    let kubeadm = |work: &Work| matches!(work, Work::Init(_) | Work::Reset | Work::Join(..) | Work::Apply(_));
    let busy = guest.jobs.iter().any(|job| kubeadm(&job.work));
    // A control plane has a kubelet.conf and a CA too, and the script checks nothing else.
    let worker = match (guest.worker, &guest.control) {
        (Worker::Joined, _) | (_, Control::Made(_)) => "joined",
        (Worker::None, _) if ca.is_none() => "none",
        _ => "partial",
    };
    let kubelet = guest.installed();
    let tagged = |version: &str| if kubelet.is_empty() { String::new() } else { format!("v{version}") };
    let address = |ip: Option<Ipv4Addr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let (advertised, version, issued) = match &guest.control {
        Control::Made(cluster) => (Some(cluster.advertise), cluster.version.as_str(), cluster.certs_issued_at),
        _ => (None, "", 0),
    };
    let clock = sim.clock_of(vm, now);
    let state = State {
        advertised: address(advertised),
        api_address: address(guest.hosts.get(api).copied()),
        ca_hash: ca.map(|ca| pki::pin(ca)).unwrap_or_default(),
        certificates_days: days_left(issued, clock),
        clock,
        control_plane: if busy { "busy" } else { control },
        free_mib: (machine.disk >> 20).saturating_sub(3 << 10),
        kubeadm: tagged(guest.kubeadm()),
        kubelet: tagged(kubelet),
        kubelet_days: days_left(guest.kubelet_issued, clock),
        node_ip: address(guest.node_ip),
        prep: &guest.prep,
        running: guest.jobs.iter().find(|job| job.run != 0).map_or("", |job| job.work.command()),
        scripts: &guest.scripts,
        sealed: guest.sealed,
        upgrade: &guest.upgrading,
        version,
        worker: if busy { "busy" } else { worker },
    };
    success(serde_json::to_string(&state).unwrap_or_default() + "\n")
}

/// Output of `node-state`.
#[derive(Serialize)]
struct State<'a> {
    advertised: String,
    api_address: String,
    ca_hash: String,
    certificates_days: Option<u64>,
    clock: u64,
    control_plane: &'a str,
    free_mib: u64,
    kubeadm: String,
    kubelet: String,
    kubelet_days: Option<u64>,
    node_ip: String,
    prep: &'a str,
    running: &'a str,
    scripts: &'a str,
    sealed: bool,
    upgrade: &'a str,
    version: &'a str,
    worker: &'a str,
}

fn node_hosts(sim: &mut SimState, vm: &str, ip: &str, name: &str) -> Output {
    let Ok(ip) = ip.parse() else { return failure(2, format!("node-hosts: not an address: {ip}")) };
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.hosts.insert(name.to_owned(), ip);
    }
    success("")
}

fn node_token(sim: &mut SimState, vm: &str, id: &str, secret: &str, now: Duration) -> Output {
    let secret = secret.trim();
    if secret.len() != 16 || !secret.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return failure(2, "node-token: not a token secret on standard input");
    }
    if sim.api_up(vm, now) {
        let expires = now + Duration::from_secs(2 * 3600);
        if let Some(cluster) = sim.cluster_mut(vm) {
            cluster.tokens.insert(id.to_owned(), (secret.to_owned(), expires));
        }
    }
    success("")
}

/// `install -D -m MODE /dev/stdin PATH` (coreutils).
fn node_keep(sim: &mut SimState, vm: &str, path: &str, text: String) -> Output {
    if !path.starts_with("/etc/archipelago/") || text.is_empty() {
        return failure(2, "node-keep: nothing came on stdin");
    }
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.files_mut().insert(path.to_owned(), text);
    }
    success("")
}

/// The kubelet of a joined node registers again; one without configuration fails and is restarted by systemd.
fn restart_kubelet(sim: &mut SimState, vm: &str, root: bool, now: Duration) -> Output {
    if !root {
        return failure(1, "Failed to restart kubelet.service: Interactive authentication required.");
    }
    if let Some(machine) = sim.vms.get_mut(vm) {
        machine.guest.running.clear();
    }
    if let Some(machine) = sim.vms.get_mut(vm).filter(|vm| vm.guest.worker == Worker::Joined) {
        let next = now + timings::KUBELET;
        machine.guest.jobs.push(Job { run: 0, work: Work::Register, began: now, next, then_touch: None });
    }
    success("")
}

/// One of the two units exists; the exit code is that of the other, which does not (systemd: 5).
fn sync_clock(sim: &mut SimState, vm: &str, root: bool) -> Output {
    if !root {
        return failure(1, "Failed to try-restart systemd-timesyncd.service: Interactive authentication required.");
    }
    if let Some(machine) = sim.vms.get_mut(vm) {
        // What expires by that clock has so much less time left.
        let jump = Duration::from_secs(std::mem::take(&mut machine.lag));
        if let Some(cluster) = sim.cluster_mut(vm) {
            cluster.tokens.values_mut().for_each(|(_, expires)| *expires = expires.saturating_sub(jump));
        }
    }
    failure(5, "Failed to try-restart chrony.service: Unit chrony.service not found.")
}

/// Routes and rules of others go, as systemd documents in networkd.conf(5), and with Cilium's its node is cut off
/// (cilium/cilium#18706).
fn restart_networkd(sim: &mut SimState, vm: &str) -> Output {
    let files = &sim.vms[vm].guest.files;
    let file = files.get("/etc/systemd/networkd.conf.d/90-archipelago.conf").map_or("", String::as_str);
    let keeps = |key: &str| file.lines().any(|line| line == format!("{key}=no"));
    let cut_off = !(keeps("ManageForeignRoutes") && keeps("ManageForeignRoutingPolicyRules"));
    let clusters = sim.vms.keys().filter_map(|name| sim.cluster(name));
    let mut mine = clusters.filter(|cluster| cluster.nodes.values().any(|node| node.vm == vm));
    if let Some(name) = mine.next().map(|cluster| cluster.name.clone()).filter(|_| cut_off) {
        sim.inject(&name, crate::conditions::Condition::PacketsLost);
    }
    success("")
}

fn touch(sim: &mut SimState, vm: &str, path: &str, root: bool) -> Output {
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(1, "") };
    if !root {
        return failure(1, format!("touch: cannot touch '{path}': Permission denied"));
    }
    machine.guest.sealed |= path == "/etc/archipelago/init.done";
    machine.guest.files_mut().entry(path.to_owned()).or_default();
    success("")
}

fn cat(sim: &SimState, vm: &str, path: &str) -> Output {
    match sim.vms[vm].guest.files.get(path) {
        Some(text) => success(text.clone()),
        None => failure(1, format!("cat: {path}: No such file or directory")),
    }
}

/// `cloud-init status --wait` exits 0 when done; the VM's own vendor-data may fail through no fault of ours.
fn cloud_init(sim: &SimState, vm: &str, rest: &[&str], now: Duration) -> Response {
    let machine = &sim.vms[vm];
    let preparing = machine.guest.jobs.iter().find(|job| job.run == 0 && job.work == Work::Prep).map(|job| job.next);
    let end = preparing.filter(|_| machine.waits_for_prep).unwrap_or_default().max(machine.initialised);
    let status = if end <= now { "done" } else { "running" };
    if end > now && rest.contains(&"--wait") {
        return Response::Pending(end - now);
    }
    let text = if rest.contains(&"json") {
        json!({ "status": status, "errors": [], "recoverable_errors": {} }).to_string()
    } else {
        format!("status: {status}")
    };
    Response::Done(success(format!("{text}\n")))
}

/// `kubectl config view --raw` of admin.conf. Without the file it prints an empty configuration and exits 0 (measured
/// with kubectl 1.32 and 1.35).
fn kubectl_config_view(sim: &mut SimState, vm: &str, rest: &[&str], root: bool, request: &Request) -> Output {
    let wanted = ["config", "view", "--kubeconfig", "/etc/kubernetes/admin.conf", "--raw", "--output", "json"];
    if rest != wanted {
        return sim.unsupported(request, failure(1, "error: unknown command for the kubectl in this VM"));
    }
    if sim.vms[vm].guest.installed().is_empty() {
        return failure(1, "sudo: kubectl: command not found");
    }
    if !root {
        return failure(1, "error: open /etc/kubernetes/admin.conf: permission denied");
    }
    let mut config = json!({ "kind": "Config", "apiVersion": "v1", "preferences": {}, "clusters": null,
        "users": null, "contexts": null, "current-context": "" });
    if let Some(cluster) = sim.cluster(vm) {
        let (name, user) = (&cluster.name, "kubernetes-admin");
        let coded = |pem: String| pki::base64(pem.as_bytes());
        let key = pki::pem("RSA PRIVATE KEY", &format!("key of kubernetes-admin by {}", cluster.ca));
        config["clusters"] = json!([{ "name": name, "cluster": {
            "certificate-authority-data": coded(pki::authority(&cluster.ca)),
            "server": format!("https://{}", cluster.endpoint) } }]);
        config["users"] = json!([{ "name": user, "user": {
            "client-certificate-data": coded(pki::admin(&cluster.ca)), "client-key-data": coded(key) } }]);
        let context = format!("{user}@{name}");
        config["contexts"] = json!([{ "name": context, "context": { "cluster": name, "user": user } }]);
        config["current-context"] = json!(context);
    }
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    success(text + "\n")
}
