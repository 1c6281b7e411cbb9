//! Multipass 1.16: exit codes, texts and JSON shapes of its sources.

use std::borrow::Cow;

use crate::argv;
use crate::guest;
use crate::packages;
use crate::prelude::*;
use crate::vms::{Guest, Job, Power, Vm, Work};
use crate::yaml;
use tool::Exit;

pub fn answer(sim: &mut SimState, request: &Request, now: Duration) -> ToolResult<Response> {
    let subcommand = request.args.first().map_or("", String::as_str);
    if !argv::is_subcommand("multipass", subcommand) {
        let text = format!("Error: Unknown command '{subcommand}' (try \"multipass help\")");
        return Err(sim.unsupported(request, failure(1, text)));
    }
    let args = sim.parse_args(request, "multipass", &[subcommand], &request.args[1..])?;
    match subcommand {
        "launch" => launch(sim, request, &args, now),
        "exec" => exec(sim, request, &args, now),
        "start" => start(sim, &args, now),
        "stop" if now < request.since + timings::HALT => Ok(Response::Pending(request.since + timings::HALT - now)),
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
            Ok(success(format!("{}\n", json!({ "multipass": version, "multipassd": version }))))
        }
        "info" => info(sim, &args.words, now),
        "list" => {
            let rows: Vec<Value> = sim.vms.iter().map(|(name, vm)| list_row(name, vm, now)).collect();
            Ok(success(format!("{}\n", json!({ "list": rows }))))
        }
        _ => for_each_vm(sim, subcommand, args, now),
    }
}

/// `stop`, `delete` and `recover` take several names and check all of them first.
fn for_each_vm(sim: &mut SimState, subcommand: &str, args: &Args, now: Duration) -> ToolResult<Output> {
    if args.words.is_empty() {
        return Err(failure(1, "Name argument or --all is required"));
    }
    for &name in &args.words {
        let vm = find_vm(sim, subcommand, name)?;
        if subcommand == "stop" && vm.power == Power::Unknown && !args.on("force") {
            // Assumption: upstream refuses it, and names the flag; the text was not looked up.
            return Err(failure(2, format!("stop failed: {name} is in an unknown state; use --force to override")));
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
            "recover" => {
                if let Some(vm) = sim.vms.get_mut(name).filter(|vm| vm.power == Power::Deleted) {
                    vm.power = Power::Stopped;
                }
            }
            _ => {
                sim.power_off(name, now);
                let unknown = sim.vms.get_mut(name).filter(|vm| vm.power == Power::Unknown);
                unknown.into_iter().for_each(|vm| vm.power = Power::Stopped);
            }
        }
    }
    Ok(success(""))
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
        all.insert(name.to_owned(), info_entry(find_vm(sim, "info", name)?, now));
    }
    if names.is_empty() {
        all.extend(sim.vms.iter().map(|(name, vm)| (name.clone(), info_entry(vm, now))));
    }
    Ok(success(format!("{}\n", json!({ "errors": [], "info": all }))))
}

fn state(vm: &Vm, now: Duration) -> &'static str {
    match vm.power {
        Power::Running if now < vm.power_changed_at => "Starting",
        Power::Running => "Running",
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
fn info_entry(vm: &Vm, now: Duration) -> Value {
    let on = vm.reachable(now);
    let disks = json!({ "total": vm.disk.to_string(), "used": "3221225472" });
    json!({
        "state": state(vm, now),
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

fn list_row(name: &str, vm: &Vm, now: Duration) -> Value {
    let release = if vm.reachable(now) { "Ubuntu 24.04 LTS" } else { "Not Available" };
    json!({ "name": name, "state": state(vm, now), "ipv4": addresses(vm, now), "release": release })
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
    match sim.vms.get(&name) {
        Some(vm) if vm.made_by == request.run => return Ok(poll_launch(vm, &name, request, args, now)),
        Some(vm) if vm.power == Power::Running && now < vm.power_changed_at => {
            return Err(failure(2, format!("launch failed: instance \"{name}\" is being prepared")));
        }
        Some(_) => return Err(failure(2, format!("launch failed: instance \"{name}\" already exists"))),
        // It was created, and deleted by someone else.
        None if sim.launched.contains(&request.run) => {
            let text = "launch failed: The following errors occurred:";
            return Err(failure(2, format!("{text}\n{name}: timed out waiting for response")));
        }
        None => {}
    }
    let vm = new_vm(sim, request, args, now)?;
    let after = vm.power_changed_at - now;
    *sim.launches.entry(name.clone()).or_default() += 1;
    sim.launched.insert(request.run);
    sim.vms.insert(name, vm);
    Ok(Response::Pending(after))
}

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
    let size_flag = |flag: &str, least: u64, default: u64| match args.get(flag).map_or(Some(default), parse_size) {
        Some(bytes) if bytes >= least => Ok(bytes),
        _ => {
            let given = args.get(flag).unwrap_or_default();
            let text = format!("Invalid {flag} size value supplied: {given}.");
            Err(failure(2, format!("launch failed: Invalid arguments supplied\n{text}")))
        }
    };
    let (memory, disk) = (size_flag("memory", 512 << 20, 1 << 30)?, size_flag("disk", 1 << 30, 5 << 30)?);
    let cpus = args.get("cpus").unwrap_or("1").parse().ok().filter(|c| *c > 0);
    let cpus = cpus.ok_or_else(|| failure(1, "error: Invalid CPU count, need a positive integer value."))?;
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
    let bad = |why: String| failure(1, format!("error loading cloud-init config: yaml-cpp: {why}"));
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
    let timeout =
        args.get("timeout").and_then(|t| t.parse().ok()).map_or(Duration::from_secs(600), Duration::from_secs);
    let over = request.since + timeout;
    let preparing = vm.guest.jobs.iter().find(|job| job.run == 0 && job.work == Work::Prep).map(|job| job.next);
    let end = preparing.filter(|_| vm.waits_for_prep).unwrap_or_default().max(vm.initialised);
    if vm.power != Power::Running {
        let text = "launch failed: The following errors occurred:";
        Response::Done(failure(2, format!("{text}\n{name}: timed out waiting for response")))
    } else if end <= now {
        Response::Done(success(format!("Launched: {name}\n")))
    } else if over <= now {
        Response::Done(failure(5, "Timed out waiting for instance launch."))
    } else {
        Response::Pending(end.min(over) - now)
    }
}

fn start(sim: &mut SimState, args: &Args, now: Duration) -> ToolResult<Response> {
    for &name in &args.words {
        let missing = "start failed: instance(s) missing";
        match sim.vms.get(name).map(|vm| vm.power) {
            None => return Err(failure(2, format!("{missing}\nInstance '{name}' does not exist."))),
            Some(Power::Deleted) => {
                let hint = "Use 'recover' to recover it or 'purge' to permanently delete it.";
                return Err(failure(2, format!("{missing}\nInstance '{name}' is deleted. {hint}")));
            }
            Some(Power::Unknown) => {
                let text = format!("Instance '{name}' is already running, but in an unknown state.");
                return Err(failure(2, format!("start failed: {text}\nTry to stop it first.")));
            }
            Some(Power::Stopped) => sim.power_on(name, now),
            Some(Power::Running) => {}
        }
    }
    let last = args.words.iter().map(|name| sim.vms[*name].power_changed_at).max().unwrap_or_default();
    Ok(if last <= now { Response::Done(success("")) } else { Response::Pending(last - now) })
}

fn exec(sim: &mut SimState, request: &Request, args: &Args, now: Duration) -> ToolResult<Response> {
    let name = args.word(0).to_owned();
    let inner: Vec<String> = args.words.iter().skip(1).chain(&args.rest).map(|word| (*word).to_owned()).collect();
    if name.is_empty() || inner.is_empty() {
        return Err(sim.unsupported(request, failure(1, "Wrong number of arguments")));
    }
    // The output of a job that ended, or died with its VM.
    if let Some(output) = sim.results.remove(&request.run) {
        return Ok(Response::Done(output));
    }
    match find_vm(sim, "exec", &name)?.power {
        Power::Deleted => return Err(failure(2, format!("exec failed: instance \"{name}\" is deleted"))),
        Power::Unknown => return Err(failure(2, "exec failed: Cannot retrieve credentials in unknown state")),
        // A stopped instance is started implicitly (daemon sources: ABORTED, then start).
        Power::Stopped => sim.power_on(&name, now),
        Power::Running => {}
    }
    let vm = &sim.vms[&name];
    if now < vm.power_changed_at {
        if vm.boots > 1 {
            return Ok(Response::Pending(vm.power_changed_at - now));
        }
        return Err(failure(2, format!("exec failed: ssh connection failed: 'Timeout connecting to {}'", vm.ip)));
    }
    guest::run(sim, &name, &inner, request, now)
}

pub fn launch_timed_out() -> Output {
    Output { stderr: "Timed out waiting for instance launch.\n".into(), ..Output::of(Exit::Code(5)) }
}
