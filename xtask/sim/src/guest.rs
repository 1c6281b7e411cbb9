//! What runs inside a VM: the node scripts, file delivery, kubeadm, and the jobs that outlive whoever asked for them.
//! Knows nothing of how the command got there.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::ask::{Answer, Ask, refused, said};
use super::clockwork;
use super::kubeadm;
use super::packages;
use super::pki;
use super::stage::Stage;
use super::vms::{Control, Job, Work, Worker};
use tool::{Output, guest as tools};

mod readdress;

use readdress::{readdress, readdressed};

const SBIN: &str = "/usr/local/sbin/";

/// Runs one command in a VM that is up.
pub fn run(stage: &mut Stage, vm: &str, args: &[String], ask: &Ask, now: Duration) -> Answer {
    let root = args.first().is_some_and(|a| a == "sudo");
    let words: Vec<&str> = args.iter().skip(usize::from(root)).map(String::as_str).collect();
    // `multipass exec` only waits: a job in the guest goes on by itself and keeps its answer.
    let waiting = stage.vms[vm].guest.jobs.iter().find(|job| job.run == ask.run).map(|job| job.next);
    if let Some(next) = waiting {
        return Answer::Again(next.saturating_sub(now).max(Duration::from_millis(1)));
    }
    match words.as_slice() {
        [script, rest @ ..] if script.starts_with(SBIN) => scripted(stage, vm, script, rest, root, ask, now),
        ["kubeadm", rest @ ..] => kubeadm::answer(stage, vm, rest, root, ask, now),
        ["awk", program] if *program == tools::REPLACE => {
            Answer::Done(packages::replace_scripts(stage, vm, &ask.text()))
        }
        ["sh", "-c", script] => chained(stage, vm, script, root, ask, now),
        ["kubectl", rest @ ..] => Answer::Done(kubectl(stage, vm, rest, root, ask)),
        ["systemctl", "restart", "kubelet"] => Answer::Done(restart(stage, vm, root, now)),
        ["systemctl", "try-restart", "systemd-timesyncd", "chrony"] => Answer::Done(synchronise(stage, vm, root)),
        ["xargs", "-d", ":", "-r", rest @ ..] => Answer::Done(folders(stage, vm, rest, root, ask)),
        ["touch", path] => Answer::Done(touch(stage, vm, path, root)),
        ["cat", path] => Answer::Done(cat(stage, vm, path)),
        ["true"] => Answer::Done(said("")),
        ["timeout", _, "bash", "-c", script] => connect(stage, script, ask, now),
        ["cloud-init", "status", rest @ ..] => cloud_init(stage, vm, rest, now),
        _ => {
            let name = words.first().copied().unwrap_or_default();
            Answer::Done(stage.strange(ask, refused(127, format!("bash: line 1: {name}: command not found"))))
        }
    }
}

/// `kubeadm … && touch FILE`, one process of the node's: the second half happens whoever waits for it.
fn chained(stage: &mut Stage, vm: &str, script: &str, root: bool, ask: &Ask, now: Duration) -> Answer {
    let parts = script.split_once(" && touch ").filter(|(first, _)| first.starts_with("kubeadm "));
    let Some((first, path)) = parts else {
        return Answer::Done(stage.strange(ask, refused(127, format!("sh: 1: {script}: not found"))));
    };
    let words: Vec<&str> = first.split(' ').skip(1).collect();
    let answer = kubeadm::answer(stage, vm, &words, root, ask, now);
    match &answer {
        Answer::Done(output) if output.ok() => drop(touch(stage, vm, path, root)),
        Answer::Done(_) => {}
        Answer::Again(_) => {
            let jobs = stage.vms.get_mut(vm).into_iter().flat_map(|vm| &mut vm.guest.jobs);
            jobs.filter(|job| job.run == ask.run).for_each(|job| job.then = Some(path.to_owned()));
        }
    }
    answer
}

/// `exec 3<>/dev/tcp/ADDRESS/PORT` of bash, under `timeout 5`.
fn connect(stage: &mut Stage, script: &str, ask: &Ask, now: Duration) -> Answer {
    let target = script.strip_prefix("exec 3<>/dev/tcp/").and_then(|t| t.split_once('/'));
    let target = target.and_then(|(ip, port)| Some((ip.parse().ok()?, port.parse::<u16>().ok()?)));
    let Some((ip, port)) = target else {
        return Answer::Done(stage.strange(ask, refused(2, "bash: -c: line 1: syntax error")));
    };
    if stage.at(ip).is_none_or(|(_, vm)| !vm.reachable(now)) {
        let end = ask.since + Duration::from_secs(5);
        return if now < end { Answer::Again(end - now) } else { Answer::Done(refused(124, "")) };
    }
    let why = format!("bash: connect: Connection refused\nbash: line 1: /dev/tcp/{ip}/{port}: Connection refused");
    Answer::Done(if stage.mesh_listens(ip, port, now) { said("") } else { refused(1, why) })
}

fn scripted(stage: &mut Stage, vm: &str, script: &str, rest: &[&str], root: bool, ask: &Ask, now: Duration) -> Answer {
    if !stage.vms[vm].guest.files.contains_key(script) {
        return Answer::Done(refused(1, format!("sudo: {script}: command not found")));
    }
    if !root {
        return Answer::Done(refused(1, format!("{script}: must run as root")));
    }
    match (&script[SBIN.len()..], rest) {
        ("node-prep", []) => packages::prep(stage, vm, false, ask, now),
        ("node-prep", ["kubeadm"]) => packages::prep(stage, vm, true, ask, now),
        ("node-upgrade", [version]) => packages::node_upgrade(stage, vm, version, ask, now),
        ("node-state", [api]) => Answer::Done(state(stage, vm, api, now)),
        ("node-hosts", [ip, name]) => Answer::Done(hosts(stage, vm, ip, name)),
        ("node-token", [id]) => Answer::Done(token(stage, vm, id, &ask.text(), now)),
        ("node-keep", [path]) => Answer::Done(keep(stage, vm, path, ask.text().into_owned())),
        ("node-readdress", [ip]) => readdress(stage, vm, ip, ask, now),
        ("node-reset", []) => reset(stage, vm, ask, now),
        _ => Answer::Done(stage.strange(ask, refused(2, format!("{script}: wrong arguments")))),
    }
}

/// `stat` and `mkdir` of folders of volumes, whose paths are fed with colons between them (tried with GNU findutils).
fn folders(stage: &mut Stage, vm: &str, words: &[&str], root: bool, ask: &Ask) -> Output {
    let text = ask.text();
    let paths = || text.split(':').filter(|path| !path.is_empty());
    let volumes = stage.vms.get_mut(vm).map(|vm| &mut vm.guest.volumes);
    match (words, volumes) {
        (["stat", "--format", "%n", "--"], Some(volumes)) => {
            let there = |path: &&str| *path == "/" || volumes.contains(*path);
            let (found, missing): (Vec<&str>, Vec<&str>) = paths().partition(there);
            let stdout = found.iter().map(|path| format!("{path}\n")).collect();
            let said = missing.iter().map(|path| format!("stat: cannot statx '{path}': No such file or directory"));
            let stderr = said.collect::<Vec<_>>().join("\n");
            let ended = if missing.is_empty() { said_nothing() } else { refused(123, stderr) };
            Output { stdout, ..ended }
        }
        (["mkdir", "-m", "0777", "-p", "--"], Some(volumes)) if root => {
            volumes.extend(paths().filter(|path| *path != "/").map(str::to_owned));
            said_nothing()
        }
        _ => stage.strange(ask, refused(127, "xargs: such a command is not known here")),
    }
}

fn said_nothing() -> Output {
    said("")
}

/// A job is due: it ends, or looks again later. Called by the stage in the order of time.
pub fn work(stage: &mut Stage, vm: &str, index: usize) {
    let Some(machine) = stage.vms.get_mut(vm) else { return };
    let job = machine.guest.jobs.remove(index);
    let output = match &job.work {
        Work::Prep => {
            packages::prepared(&mut machine.guest);
            Some(said("node-prep: done\n"))
        }
        Work::Kubeadm => {
            packages::with_kubeadm(&mut machine.guest);
            Some(said("node-prep: done: kubeadm\n"))
        }
        Work::Apply(version) => Some(packages::applied(stage, vm, &version.clone(), job.next)),
        Work::Reset => {
            machine.guest.control = Control::None;
            machine.guest.worker = Worker::None;
            machine.guest.trusts = None;
            machine.guest.node_ip = None;
            machine.guest.sealed = false;
            Some(said("[reset] Deleting contents of directories\n"))
        }
        Work::Readdress(ip) => Some(readdressed(stage, vm, *ip, job.next)),
        Work::Init(config) => Some(kubeadm::inited(stage, vm, &config.clone(), job.next)),
        Work::Join(..) => kubeadm::joining(stage, vm, &job),
        Work::Register => {
            kubeadm::registering(stage, vm, &job);
            None
        }
    };
    if let (Some(path), Some(true)) = (&job.then, output.as_ref().map(Output::ok)) {
        touch(stage, vm, path, true);
    }
    // Nobody ever asks for the answer of cloud-init's own run.
    if let Some(output) = output.filter(|_| job.run != 0) {
        stage.results.insert(job.run, output);
        // Answers whose askers were killed are never fetched.
        while stage.results.len() > 64 {
            stage.results.pop_first();
        }
    }
}

fn reset(stage: &mut Stage, vm: &str, ask: &Ask, now: Duration) -> Answer {
    // `kubeadm reset` stops what it finds; an init under it ends with an error of its own.
    if let Some(machine) = stage.vms.get_mut(vm) {
        let dead: Vec<Job> = machine.guest.jobs.drain(..).collect();
        for job in dead {
            match job.work {
                Work::Prep | Work::Kubeadm => machine.guest.jobs.push(job),
                _ => drop(stage.results.insert(job.run, refused(1, "error: interrupted by kubeadm reset"))),
            }
        }
    }
    stage.begin(vm, ask, Work::Reset, now, clockwork::RESET)
}

/// `node-state`: what the guest can see of itself, without a question to anyone else.
fn state(stage: &Stage, vm: &str, api: &str, now: Duration) -> Output {
    let machine = &stage.vms[vm];
    let guest = &machine.guest;
    let ca = guest.ca.as_ref().or(guest.trusts.as_ref());
    // The script asks on the loopback address, so a stale hosts file does not matter here.
    let control = match &guest.control {
        Control::None if guest.sealed => "partial",
        Control::None => "none",
        Control::Partial => "partial",
        Control::Made(_) if stage.api_up(vm, now) => "up",
        Control::Made(_) if guest.sealed => "booting",
        Control::Made(_) => "partial",
    };
    // The script looks for a process named `kubeadm`.
    let kubeadm = |work: &Work| matches!(work, Work::Init(_) | Work::Reset | Work::Join(..) | Work::Apply(_));
    let busy = guest.jobs.iter().any(|job| kubeadm(&job.work));
    // A control plane has a kubelet.conf and a CA too, and the script looks at nothing else.
    let worker = match (guest.worker, &guest.control) {
        (Worker::Joined, _) | (_, Control::Made(_)) => "joined",
        (Worker::None, _) if ca.is_none() => "none",
        _ => "partial",
    };
    let kubelet = guest.installed();
    let tagged = |version: &str| if kubelet.is_empty() { String::new() } else { format!("v{version}") };
    let address = |ip: Option<Ipv4Addr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let (advertised, version) = match &guest.control {
        Control::Made(cluster) => (Some(cluster.advertise), cluster.version.as_str()),
        _ => (None, ""),
    };
    let state = State {
        advertised: address(advertised),
        api_address: address(guest.hosts.get(api).copied()),
        ca_hash: ca.map(|ca| pki::pin(ca)).unwrap_or_default(),
        clock: stage.clock_of(vm, now),
        control_plane: if busy { "busy" } else { control },
        free_mib: (machine.disk >> 20).saturating_sub(3 << 10),
        kubeadm: tagged(guest.kubeadm()),
        kubelet: tagged(kubelet),
        node_ip: address(guest.node_ip),
        prep: &guest.prep,
        scripts: &guest.scripts,
        sealed: guest.sealed,
        version: if guest.upgrading { "" } else { version },
        worker: if busy { "busy" } else { worker },
    };
    said(serde_json::to_string(&state).unwrap_or_default() + "\n")
}

/// What `node-state` prints.
#[derive(Serialize)]
struct State<'a> {
    advertised: String,
    api_address: String,
    ca_hash: String,
    clock: u64,
    control_plane: &'a str,
    free_mib: u64,
    kubeadm: String,
    kubelet: String,
    node_ip: String,
    prep: &'a str,
    scripts: &'a str,
    sealed: bool,
    version: &'a str,
    worker: &'a str,
}

fn hosts(stage: &mut Stage, vm: &str, ip: &str, name: &str) -> Output {
    let Ok(ip) = ip.parse() else { return refused(2, format!("node-hosts: not an address: {ip}")) };
    if let Some(machine) = stage.vms.get_mut(vm) {
        machine.guest.hosts.insert(name.to_owned(), ip);
    }
    said("")
}

fn token(stage: &mut Stage, vm: &str, id: &str, secret: &str, now: Duration) -> Output {
    let secret = secret.trim();
    if secret.len() != 16 || !secret.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return refused(2, "node-token: not a token secret on standard input");
    }
    if stage.api_up(vm, now) {
        let expires = now + Duration::from_secs(2 * 3600);
        if let Some(cluster) = stage.cluster_mut(vm) {
            cluster.tokens.insert(id.to_owned(), (secret.to_owned(), expires));
        }
    }
    said("")
}

/// `install -D -m MODE /dev/stdin PATH` (coreutils).
fn keep(stage: &mut Stage, vm: &str, path: &str, text: String) -> Output {
    if !path.starts_with("/etc/archipelago/") || text.is_empty() {
        return refused(2, "node-keep: nothing came on stdin");
    }
    if let Some(machine) = stage.vms.get_mut(vm) {
        machine.guest.files_mut().insert(path.to_owned(), text);
    }
    said("")
}

/// The kubelet of a joined node registers again; one that has nothing to do fails and is started again by systemd.
fn restart(stage: &mut Stage, vm: &str, root: bool, now: Duration) -> Output {
    if !root {
        return refused(1, "Failed to restart kubelet.service: Interactive authentication required.");
    }
    if let Some(machine) = stage.vms.get_mut(vm) {
        machine.guest.running.clear();
    }
    if let Some(machine) = stage.vms.get_mut(vm).filter(|vm| vm.guest.worker == Worker::Joined) {
        let next = now + clockwork::KUBELET;
        machine.guest.jobs.push(Job { run: 0, work: Work::Register, began: now, next, then: None });
    }
    said("")
}

/// One of the two units is there: the exit code is that of the other, which is not (systemd: 5).
fn synchronise(stage: &mut Stage, vm: &str, root: bool) -> Output {
    if !root {
        return refused(1, "Failed to try-restart systemd-timesyncd.service: Interactive authentication required.");
    }
    if let Some(machine) = stage.vms.get_mut(vm) {
        // What lives until some time of that clock has so much less of it left.
        let jump = Duration::from_secs(std::mem::take(&mut machine.lag));
        if let Some(cluster) = stage.cluster_mut(vm) {
            cluster.tokens.values_mut().for_each(|(_, expires)| *expires = expires.saturating_sub(jump));
        }
    }
    refused(5, "Failed to try-restart chrony.service: Unit chrony.service not found.")
}

fn touch(stage: &mut Stage, vm: &str, path: &str, root: bool) -> Output {
    let Some(machine) = stage.vms.get_mut(vm) else { return refused(1, "") };
    if !root {
        return refused(1, format!("touch: cannot touch '{path}': Permission denied"));
    }
    machine.guest.sealed |= path == "/etc/archipelago/init.done";
    machine.guest.files_mut().entry(path.to_owned()).or_default();
    said("")
}

fn cat(stage: &Stage, vm: &str, path: &str) -> Output {
    match stage.vms[vm].guest.files.get(path) {
        Some(text) => said(text.clone()),
        None => refused(1, format!("cat: {path}: No such file or directory")),
    }
}

/// `cloud-init status --wait`: 0 done, and the VM's own vendor-data may fail without any fault of ours.
fn cloud_init(stage: &Stage, vm: &str, rest: &[&str], now: Duration) -> Answer {
    let machine = &stage.vms[vm];
    let preparing = machine.guest.jobs.iter().find(|job| job.run == 0 && job.work == Work::Prep).map(|job| job.next);
    let end = preparing.filter(|_| machine.waits_for_prep).unwrap_or_default().max(machine.initialised);
    let status = if end <= now { "done" } else { "running" };
    if end > now && rest.contains(&"--wait") {
        return Answer::Again(end - now);
    }
    let text = if rest.contains(&"json") {
        json!({ "status": status, "errors": [], "recoverable_errors": {} }).to_string()
    } else {
        format!("status: {status}")
    };
    Answer::Done(said(format!("{text}\n")))
}

/// `kubectl config view --raw` over admin.conf. Without the file it prints an empty configuration and exits 0
/// (measured with kubectl 1.32 and 1.35).
fn kubectl(stage: &mut Stage, vm: &str, rest: &[&str], root: bool, ask: &Ask) -> Output {
    let wanted = ["config", "view", "--kubeconfig", "/etc/kubernetes/admin.conf", "--raw", "--output", "json"];
    if rest != wanted {
        return stage.strange(ask, refused(1, "error: unknown command for the kubectl in this VM"));
    }
    if stage.vms[vm].guest.installed().is_empty() {
        return refused(1, "sudo: kubectl: command not found");
    }
    if !root {
        return refused(1, "error: open /etc/kubernetes/admin.conf: permission denied");
    }
    let mut config = json!({ "kind": "Config", "apiVersion": "v1", "preferences": {}, "clusters": null,
        "users": null, "contexts": null, "current-context": "" });
    if let Some(cluster) = stage.cluster(vm) {
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
    said(text + "\n")
}
