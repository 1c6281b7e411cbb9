//! Multipass 1.16.3: states, exit codes, texts and JSON shapes as its client and daemon were seen to have them.

use std::borrow::Cow;

use crate::argv;
use crate::guest;
use crate::packages;
use crate::prelude::*;
use crate::state::Daemon;
use crate::vms::{Guest, Job, Power, Vm, Work};
use crate::yaml;
use tool::{Exit, guest_exit};

pub fn answer(sim: &mut SimState, request: &Request, now: Duration) -> ToolResult<Response> {
    let subcommand = request.args.first().map_or("", String::as_str);
    if !argv::is_subcommand("multipass", subcommand) {
        // On stdout.
        let text = format!("Error: Unknown command '{subcommand}' (try \"multipass help\")\n");
        return Err(sim.unsupported(request, Output { stdout: text, ..Output::of(Exit::Code(1)) }));
    }
    let text = match sim.machine.multipassd {
        Daemon::Up => "",
        Daemon::Down => "cannot connect to the multipass socket",
        Daemon::NotAuthenticated => {
            "The client is not authenticated with the Multipass service.\n\
             Please use 'multipass authenticate' before proceeding."
        }
    };
    if !text.is_empty() && subcommand != "version" {
        return Err(failure(2, format!("{subcommand} failed: {text}")));
    }
    // One request at a time while it stops a VM.
    if let Some((_, until)) = sim.daemon_busy.filter(|(run, until)| *run != request.run && now < *until) {
        return Ok(Response::Pending(until - now));
    }
    let args = sim.parse_args(request, "multipass", &[subcommand], &request.args[1..])?;
    match subcommand {
        "launch" => launch(sim, request, &args, now),
        "exec" => exec(sim, request, &args, now),
        "start" => start(sim, request, &args, now),
        "stop" => stop(sim, request, &args, now),
        "info" if args.words.iter().any(|name| is_slow(sim, name, now)) => slow_info(sim, request, &args, now),
        _ => immediate(sim, request, subcommand, &args, now).map(Response::Done),
    }
}

fn immediate(
    sim: &mut SimState,
    request: &Request,
    subcommand: &str,
    args: &Args,
    now: Duration,
) -> ToolResult<Output> {
    if ["info", "list", "version"].contains(&subcommand) && args.get("format") != Some("json") {
        return Err(sim.unsupported(request, failure(1, "the simulator prints JSON only: --format json")));
    }
    match subcommand {
        "version" => {
            let version = format!("{}+mac", sim.machine.tools["multipass"]);
            let mut versions = json!({ "multipass": version });
            // Exit 0 and no word about it where the daemon is down or the client is not authenticated.
            if sim.machine.multipassd == Daemon::Up {
                versions["multipassd"] = json!(version);
            }
            Ok(success(format!("{versions}\n")))
        }
        "info" => info(sim, &args.words, now),
        "list" => {
            let addresses = !args.on("no-ipv4");
            let rows: Vec<Value> = sim.vms.iter().map(|(name, vm)| list_row(sim, name, vm, addresses, now)).collect();
            Ok(success(format!("{}\n", json!({ "list": rows }))))
        }
        _ => for_each_vm(sim, subcommand, args, now),
    }
}

/// `delete` and `recover` take several names and check all of them first.
fn for_each_vm(sim: &mut SimState, subcommand: &str, args: &Args, now: Duration) -> ToolResult<Output> {
    if args.words.is_empty() {
        return Err(failure(1, "Name argument or --all is required"));
    }
    for &name in &args.words {
        let vm = find_vm(sim, subcommand, name)?;
        if subcommand == "delete" && !args.on("purge") && state(sim, vm, now) == "Starting" {
            let text = format!("delete failed: Cannot shut down instance {name} while starting.");
            return Err(failure(2, text + "\nUse --purge to forcefully delete it."));
        }
    }
    for &name in &args.words {
        match subcommand {
            "delete" => {
                sim.power_off(name, now);
                if args.on("purge") {
                    sim.vms.remove(name);
                } else if let Some(vm) = sim.vms.get_mut(name) {
                    vm.power = Power::Deleted;
                }
            }
            _ => {
                if let Some(vm) = sim.vms.get_mut(name).filter(|vm| vm.power == Power::Deleted) {
                    vm.power = Power::Stopped;
                }
            }
        }
    }
    Ok(success(""))
}

/// All names are checked first. The VMs are off from the start, whatever becomes of the client, and nothing is answered
/// before the end.
fn stop(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    if let Some((_, until)) = sim.daemon_busy.filter(|(run, _)| *run == request.run) {
        let acpi = until - request.since >= timings::ACPI;
        let text = "stop failed: The QEMU process did not finish within 300000 milliseconds after being shutdown";
        return match now < until {
            true => Ok(Response::Pending(until - now)),
            false if acpi => Err(failure(2, text)),
            false => Ok(Response::Done(success(""))),
        };
    }
    if args.words.is_empty() {
        return Err(failure(1, "Name argument or --all is required"));
    }
    let mut takes = Duration::ZERO;
    for &name in &args.words {
        let vm = find_vm(sim, "stop", name)?;
        if vm.power == Power::Deleted {
            let text = "stop failed: The following errors occurred:";
            return Err(failure(2, format!("{text}\ninstance \"{name}\" is deleted")));
        }
        takes = takes.max(match (vm.power, state(sim, vm, now)) {
            _ if args.on("force") => Duration::ZERO,
            (Power::Running, "Starting") => {
                let text = format!("stop failed: Cannot shut down instance {name} while starting.");
                return Err(failure(2, text + "\nUse --force to power it off."));
            }
            (_, "Unknown") => timings::ACPI,
            (Power::Running, _) => timings::HALT,
            _ => Duration::ZERO,
        });
    }
    for &name in &args.words {
        let booting = sim.vms[name].power == Power::Running && !sim.vms[name].reachable(now);
        match sim.vms.get_mut(name) {
            Some(vm) if args.on("force") && booting => vm.power = Power::Stuck,
            Some(vm) if args.on("force") && vm.power == Power::Unknown => vm.power = Power::Stopped,
            _ if takes < timings::ACPI => sim.power_off(name, now),
            _ => {}
        }
    }
    sim.daemon_busy = Some((request.run, now + takes));
    if takes.is_zero() { Ok(Response::Done(success(""))) } else { Ok(Response::Pending(takes)) }
}

/// Whether a guest takes longer than ssh waits for it, or is not there at all.
fn is_slow(sim: &SimState, name: &str, now: Duration) -> bool {
    let stuck = sim.vms.get(name).is_some_and(|vm| vm.power == Power::Stuck);
    stuck
        || sim.slow.get(name).is_some_and(|until| now < *until) && sim.vms.get(name).is_some_and(|vm| vm.reachable(now))
}

fn slow_info(sim: &SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    let end = request.since + request.latency() + timings::SLOW_GUEST;
    if now < end {
        return Ok(Response::Pending(end - now));
    }
    let stuck = args.words.iter().any(|name| sim.vms.get(*name).is_some_and(|vm| vm.power == Power::Stuck));
    Err(failure(
        2,
        match stuck {
            true => "info failed: ssh connection failed: 'No route to host'",
            false => {
                "info failed: failed to obtain exit status for remote process 'cat /proc/loadavg': timed out after 5000 ms"
            }
        },
    ))
}

fn find_vm<'a>(sim: &'a SimState, subcommand: &str, name: &str) -> ToolResult<&'a Vm> {
    sim.vms.get(name).ok_or_else(|| {
        let text = "The following errors occurred:";
        failure(2, format!("{subcommand} failed: {text}\ninstance \"{name}\" does not exist"))
    })
}

fn info(sim: &SimState, names: &[&str], now: Duration) -> ToolResult<Output> {
    let mut all = serde_json::Map::new();
    for &name in names {
        all.insert(name.to_owned(), info_entry(sim, find_vm(sim, "info", name)?, now));
    }
    if names.is_empty() {
        all.extend(sim.vms.iter().map(|(name, vm)| (name.clone(), info_entry(sim, vm, now))));
    }
    Ok(success(format!("{}\n", json!({ "errors": [], "info": all }))))
}

/// A boot is `Unknown` until the daemon knows an address; on Linux only the first one, since a lease stays.
fn state(sim: &SimState, vm: &Vm, now: Duration) -> &'static str {
    let leased = vm.boots > 1 && sim.machine.os == "linux";
    match vm.power {
        Power::Running if now + timings::ADDRESS_KNOWN < vm.power_changed_at && !leased => "Unknown",
        Power::Running if now < vm.power_changed_at => "Starting",
        Power::Running | Power::Stuck => "Running",
        Power::Stopped => "Stopped",
        Power::Deleted => "Deleted",
        Power::Unknown => "Unknown",
    }
}

/// The pod network adds addresses after the first (canonical/multipass#2440).
fn addresses(vm: &Vm, now: Duration) -> Vec<String> {
    if vm.reachable(now) { vec![vm.ip.to_string()] } else { vec![] }
}

/// Counts are strings, memory is numbers, and a stopped VM has neither (formatter sources of 1.16.3).
fn info_entry(sim: &SimState, vm: &Vm, now: Duration) -> Value {
    let on = vm.reachable(now);
    let disks = json!({ "total": vm.disk.to_string(), "used": "3221225472" });
    json!({
        "state": state(sim, vm, now),
        "image_hash": crate::pki::sha256(b"ubuntu 24.04"),
        "image_release": "24.04 LTS",
        "release": if on { "Ubuntu 24.04.3 LTS" } else { "" },
        "cpu_count": if on { vm.cpus.to_string() } else { String::new() },
        "snapshot_count": "0",
        "load": if on { json!([0.31, 0.22, 0.10]) } else { json!([]) },
        "disks": { "sda1": if on { disks } else { json!({}) } },
        "memory": if on { json!({ "total": vm.memory, "used": 812_646_400 }) } else { json!({}) },
        "ipv4": addresses(vm, now),
        "mounts": {},
    })
}

fn list_row(sim: &SimState, name: &str, vm: &Vm, ips: bool, now: Duration) -> Value {
    let release = if vm.reachable(now) { "Ubuntu 24.04 LTS" } else { "Not Available" };
    let ips = if ips { addresses(vm, now) } else { vec![] };
    json!({ "name": name, "state": state(sim, vm, now), "ipv4": ips, "release": release })
}

/// `3G` and `512M` in bytes.
fn parse_size(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let scale = match &text[unit..] {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    Some(text[..unit].parse::<u64>().ok()? << scale)
}

fn launch(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    let name = args.get("name").unwrap_or_default().to_owned();
    let launched = || Ok(Response::Done(success(format!("Launched: {name}\n"))));
    if let Some((vm, until)) = sim.preparing.get(&name) {
        let own = vm.made_by == request.run;
        let text = format!("launch failed: instance \"{name}\" is being prepared");
        return if own { Ok(Response::Pending(*until - now)) } else { Err(failure(2, text)) };
    }
    match sim.vms.get(&name) {
        Some(vm) if vm.made_by == request.run => return Ok(poll_launch(vm, &name, request, args, now)),
        Some(_) => return Err(failure(2, format!("launch failed: instance \"{name}\" already exists"))),
        // It was created, and deleted by someone else: the wait for it is over.
        None if sim.launched.contains(&request.run) => return launched(),
        None => {}
    }
    if let Some(wait) = no_free_thread(sim, request, args, "launch", now) {
        return wait;
    }
    let vm = new_vm(sim, request, args, now)?;
    let until = vm.power_changed_at - timings::FIRST_BOOT + timings::PREPARE;
    sim.launched.insert(request.run);
    sim.preparing.insert(name, (vm, until));
    Ok(Response::Pending(until - now))
}

/// VMs whose image is there begin to boot, whether or not their client still waits.
pub fn finish_preparing(sim: &mut SimState, now: Duration) {
    let ready: Vec<String> =
        sim.preparing.iter().filter(|(_, (_, until))| *until <= now).map(|(n, _)| n.clone()).collect();
    for name in ready {
        if let Some((vm, _)) = sim.preparing.remove(&name) {
            *sim.launches.entry(name.clone()).or_default() += 1;
            sim.vms.insert(name, vm);
        }
    }
}

/// Boots are waited for in as many threads as the host has cores; a request beyond that does nothing until its time is
/// over (seen on 1.16.3 with two cores).
fn no_free_thread(
    sim: &SimState,
    request: &Request,
    args: &Args,
    subcommand: &str,
    now: Duration,
) -> Option<ToolResult<Response>> {
    let boots = |vm: &&Vm| vm.power == Power::Running && !vm.reachable(now);
    let waited = sim.preparing.len() + sim.vms.values().filter(boots).count();
    let over = request.since + timeout(args, if subcommand == "start" { 300 } else { 600 });
    (waited >= sim.machine.cpus as usize).then(|| match now < over {
        true => Ok(Response::Pending(timings::LOOK.min(over - now))),
        false => Err(timed_out(subcommand)),
    })
}

fn timeout(args: &Args, default: u64) -> Duration {
    Duration::from_secs(args.get("timeout").and_then(|t| t.parse().ok()).unwrap_or(default))
}

fn timed_out(subcommand: &str) -> Output {
    failure(5, format!("Timed out waiting for instance {}.", if subcommand == "start" { "to start" } else { "launch" }))
}

/// Of the disk of an image.
const IMAGE_SIZE: u64 = 2_239_758_336;

fn new_vm(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Vm> {
    let name = args.get("name").unwrap_or_default();
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !first || name.ends_with('-') || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let text = "launch failed: Invalid arguments supplied";
        return Err(failure(2, format!("{text}\nInvalid instance name supplied: {name}")));
    }
    if args.words != ["24.04"] {
        let image = args.words.join(" ");
        return Err(failure(2, format!("launch failed: Unable to find an image matching \"{image}\" in remote \"\".")));
    }
    let size_flag = |flag: &str, least: u64, default: u64| {
        let given = args.get(flag).unwrap_or_default();
        let unparsable =
            format!("{given} is not a valid memory size - need a non-negative integer with an optional unit");
        match args.get(flag).map_or(Some(default), parse_size) {
            Some(bytes) if bytes >= least => Ok(bytes),
            Some(_) => {
                let text = format!("Invalid {flag} size value supplied: {given}.");
                Err(failure(2, format!("launch failed: Invalid arguments supplied\n{text}")))
            }
            None => {
                let log = "[2026-11-29T23:09:26.000] [error] [client] Caught an unhandled exception:";
                Err(failure(1, format!("{log} {unparsable}")))
            }
        }
    };
    let (memory, disk) = (size_flag("memory", 128 << 20, 1 << 30)?, size_flag("disk", 512 << 20, 5 << 30)?);
    let count = args.get("cpus").unwrap_or("1");
    let cpus = count.parse().ok().filter(|c| *c > 0);
    let cpus =
        cpus.ok_or_else(|| failure(1, format!("Error: invalid CPU count '{count}', need a positive integer value.")))?;
    if args.get("timeout").is_some_and(|time| !time.parse::<u64>().is_ok_and(|time| time > 0)) {
        return Err(failure(1, "error: --timeout value has to be a positive integer"));
    }
    if disk < IMAGE_SIZE {
        let text = format!("Requested disk ({disk} bytes) below minimum for this image ({IMAGE_SIZE} bytes)");
        return Err(failure(2, format!("launch failed: {text}")));
    }
    let text = match args.get("cloud-init") {
        Some("-") => request.text(),
        None => Cow::Borrowed(""),
        Some(path) => {
            return Err(sim.unsupported(request, failure(1, format!("no cloud-init files here but `-`: {path}"))));
        }
    };
    let (guest, preparing) = from_user_data(&text)?;
    sim.image_cached |= sim.vms.values().any(|vm| vm.power_changed_at <= now);
    let boot = if sim.image_cached { timings::FIRST_BOOT } else { timings::FIRST_BOOT_WITH_IMAGE };
    let (power_changed_at, ip) = (now + boot, sim.next_address());
    let initialised = power_changed_at + timings::CLOUD_INIT;
    let mut vm = Vm {
        power: Power::Running,
        ip,
        cpus,
        memory,
        disk,
        power_changed_at,
        initialised,
        waits_for_prep: preparing == Preparation::Foreground,
        boots: 1,
        lag: 0,
        made_by: request.run,
        revision: 0,
        guest,
    };
    if preparing != Preparation::None {
        let next = initialised + timings::PREP;
        vm.guest.jobs.push(Job { run: 0, work: Work::Prep, began: initialised, next, then_touch: None });
    }
    Ok(vm)
}

#[derive(PartialEq, Eq)]
enum Preparation {
    None,
    Background,
    Foreground,
}

fn from_user_data(text: &str) -> ToolResult<(Guest, Preparation)> {
    // The client itself refuses user-data that is not YAML (client sources: yaml-cpp).
    let bad = |why: String| failure(1, format!("Could not load cloud-init configuration: yaml-cpp: {why}"));
    let documents = yaml::documents(text).map_err(bad)?;
    let data = documents.first().map_or(&Value::Null, |data| data);
    let mut guest = Guest::default();
    for file in data["write_files"].as_array().into_iter().flatten() {
        guest.files_mut().insert(yaml::text(file, "/path").into(), yaml::text(file, "/content").into());
    }
    guest.scripts = packages::scripts_digest(&guest);
    let lines = data["runcmd"].as_array().into_iter().flatten().map(|line| match line {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.as_str().unwrap_or_default().to_owned(),
    });
    let preparing = match lines.into_iter().find(|line| line.contains("node-prep")) {
        None => Preparation::None,
        Some(line) if line.contains("--no-block") || line.trim_end().ends_with('&') => Preparation::Background,
        Some(_) => Preparation::Foreground,
    };
    Ok((guest, preparing))
}

/// Waits for SSH, then for the end of cloud-init, whatever its result (daemon sources).
fn poll_launch(vm: &Vm, name: &str, request: &Request, args: &Args, now: Duration) -> Response {
    let over = request.since + timeout(args, 600);
    let preparing = vm.guest.jobs.iter().find(|job| job.run == 0 && job.work == Work::Prep).map(|job| job.next);
    let end = preparing.filter(|_| vm.waits_for_prep).unwrap_or_default().max(vm.initialised);
    // Also if it was stopped under it.
    if vm.power != Power::Running || end <= now {
        Response::Done(success(format!("Launched: {name}\n")))
    } else if over <= now {
        Response::Done(timed_out("launch"))
    } else {
        Response::Pending(end.min(over) - now)
    }
}

fn start(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    let over = request.since + timeout(args, 300);
    for &name in &args.words {
        let missing = "start failed: instance(s) missing";
        match sim.vms.get(name).map(|vm| vm.power) {
            None => return Err(failure(2, format!("{missing}\nInstance '{name}' does not exist."))),
            Some(Power::Deleted) => {
                let hint = "Use 'recover' to recover it or 'purge' to permanently delete it.";
                return Err(failure(2, format!("{missing}\nInstance '{name}' is deleted. {hint}")));
            }
            _ if !sim.started_here.contains(&request.run) && state(sim, &sim.vms[name], now) == "Unknown" => {
                let text = format!("Instance '{name}' is already running, but in an unknown state.");
                return Err(failure(2, format!("start failed: {text}\nTry to stop it first.")));
            }
            Some(Power::Stopped) => match no_free_thread(sim, request, args, "start", now) {
                Some(wait) => return wait,
                None => {
                    sim.power_on(name, now);
                    sim.started_here.insert(request.run);
                }
            },
            Some(Power::Stuck) if over <= now => return Err(timed_out("start")),
            Some(Power::Stuck) => return Ok(Response::Pending(over - now)),
            Some(Power::Running | Power::Unknown) => {}
        }
    }
    let last = args.words.iter().map(|name| sim.vms[*name].power_changed_at).max().unwrap_or_default();
    Ok(if last <= now { Response::Done(success("")) } else { Response::Pending(last - now) })
}

/// What the client writes to stdout, before the command does, while it starts a VM.
const SPINNER: &str = "\u{1b}[2K\u{1b}[0A\u{1b}[0EStarting";

fn exec(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    let name = args.word(0).to_owned();
    let inner: Vec<String> = args.words.iter().skip(1).chain(&args.rest).map(|word| (*word).to_owned()).collect();
    if name.is_empty() || inner.is_empty() {
        return Err(sim.unsupported(request, failure(1, "Wrong number of arguments")));
    }
    let spun = sim.started_here.contains(&request.run);
    let done = |output: Output| match spun {
        true => Output { stdout: format!("{SPINNER} {name} |\u{1b}[2K\u{1b}[0A\u{1b}[0E{}", output.stdout), ..output },
        false => output,
    };
    let (inner, wrapped) = guest_exit::unwrap(&inner);
    // The output of a job that ended, or died with its VM.
    if let Some(output) = sim.results.remove(&request.run) {
        return Ok(
            guest_end(output, wrapped).map_or(Response::Pending(timings::RETRY), |output| Response::Done(done(output)))
        );
    }
    match find_vm(sim, "exec", &name)?.power {
        Power::Deleted => {
            let text = "exec failed: The following errors occurred:";
            return Err(failure(2, format!("{text}\ninstance \"{name}\" is deleted")));
        }
        Power::Unknown => return Err(failure(2, "exec failed: Cannot retrieve credentials in unknown state")),
        Power::Stuck => return Err(failure(2, "exec failed: ssh connection failed: 'No route to host'")),
        // A stopped instance is started implicitly.
        Power::Stopped => {
            sim.power_on(&name, now);
            sim.started_here.insert(request.run);
        }
        Power::Running => {}
    }
    let vm = &sim.vms[&name];
    if now < vm.power_changed_at {
        if !sim.started_here.contains(&request.run) && state(sim, vm, now) == "Unknown" {
            return Err(failure(2, "exec failed: Cannot retrieve credentials in unknown state"));
        }
        return Ok(Response::Pending(vm.power_changed_at - now));
    }
    if is_slow(sim, &name, now) && !vm.guest.jobs.iter().any(|job| job.run == request.run) {
        let end = request.since + request.latency() + timings::SLOW_GUEST;
        let text = format!("exec failed: ssh connection failed: 'Timeout connecting to {}'", vm.ip);
        return if now < end { Ok(Response::Pending(end - now)) } else { Err(failure(2, text)) };
    }
    let output = match guest::run(sim, &name, inner, request, now) {
        Ok(Response::Pending(after)) => return Ok(Response::Pending(after)),
        Ok(Response::Done(output)) | Err(output) => output,
    };
    Ok(guest_end(output, wrapped).map_or(Response::Pending(timings::RETRY), |output| Response::Done(done(output))))
}

/// The client takes a guest's 4 for its own word to try again, and never ends.
fn guest_end(output: Output, wrapped: bool) -> Option<Output> {
    match output.exit {
        Exit::Code(4) if wrapped => Some(Output { exit: Exit::Code(104), ..output }),
        Exit::Code(4) => None,
        _ => Some(output),
    }
}

pub fn launch_timed_out() -> Output {
    timed_out("launch")
}
