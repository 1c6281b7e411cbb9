//! Multipass 1.16 as it is seen from its command line: exit codes, texts and JSON shapes of its sources.
//! Knows nothing of what runs inside a VM.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{Answer, Ask, Go, refused, said};
use super::clockwork;
use super::flags::{Bad, Known, Parsed, parse};
use super::guest;
use super::packages;
use super::stage::Stage;
use super::vms::{Guest, Job, Power, Vm, Work};
use super::yaml;
use tool::{Exit, Output};

const GLOBAL: Known = Known { takes: &[], bare: &["help", "verbose"], short: &[('h', "help"), ('v', "verbose")] };

/// Flags by subcommand (upstream help of 1.16).
fn known(subcommand: &str) -> Option<Known> {
    Some(match subcommand {
        "launch" => Known {
            takes: &["name", "cpus", "disk", "memory", "cloud-init", "network", "mount", "timeout"],
            bare: &["bridged"],
            short: &[('n', "name"), ('c', "cpus"), ('d', "disk"), ('m', "memory")],
        },
        "info" | "list" => Known { takes: &["format"], bare: &["snapshots"], short: &[] },
        "version" => Known { takes: &["format"], bare: &[], short: &[] },
        "start" => Known { takes: &["timeout"], bare: &["all"], short: &[] },
        "stop" => {
            Known { takes: &["time"], bare: &["all", "cancel", "force"], short: &[('t', "time"), ('c', "cancel")] }
        }
        "delete" => Known { takes: &[], bare: &["all", "purge"], short: &[('p', "purge")] },
        "recover" => Known { takes: &[], bare: &["all"], short: &[] },
        "exec" => Known {
            takes: &["working-directory"],
            bare: &["no-map-working-directory"],
            short: &[('d', "working-directory"), ('n', "no-map-working-directory")],
        },
        _ => return None,
    })
}

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration) -> Answer {
    let subcommand = ask.args.first().map_or("", String::as_str);
    let Some(table) = known(subcommand) else {
        let text = format!("Error: Unknown command '{subcommand}' (try \"multipass help\")");
        return Answer::Done(stage.strange(ask, refused(1, text)));
    };
    let parsed = match parse(&ask.args[1..], &[table, GLOBAL]) {
        Ok(parsed) => parsed,
        Err(Bad::Unknown(flag)) => {
            let text = format!("Unknown option '{}'.", flag.trim_start_matches('-'));
            return Answer::Done(stage.strange(ask, refused(1, text)));
        }
        Err(Bad::NoValue(flag)) => {
            return Answer::Done(stage.strange(ask, refused(1, format!("Missing value after '{flag}'."))));
        }
    };
    match subcommand {
        "launch" => launch(stage, ask, &parsed, now).unwrap_or_else(Answer::Done),
        "exec" => exec(stage, ask, &parsed, now).unwrap_or_else(Answer::Done),
        "start" => start(stage, &parsed, now).unwrap_or_else(Answer::Done),
        "stop" if now < ask.since + clockwork::HALT => Answer::Again(ask.since + clockwork::HALT - now),
        _ => Answer::Done(at_once(stage, ask, subcommand, &parsed, now).unwrap_or_else(|output| output)),
    }
}

fn at_once(stage: &mut Stage, ask: &Ask, subcommand: &str, parsed: &Parsed, now: Duration) -> Go<Output> {
    if ["info", "list", "version"].contains(&subcommand) && parsed.get("format") != Some("json") {
        return Err(stage.strange(ask, refused(1, "the embedded world prints JSON only: --format json")));
    }
    match subcommand {
        "version" => {
            let version = format!("{}+mac", stage.machine.tools["multipass"]);
            Ok(said(format!("{}\n", json!({ "multipass": version, "multipassd": version }))))
        }
        "info" => info(stage, &parsed.words, now),
        "list" => {
            let rows: Vec<Value> = stage.vms.iter().map(|(name, vm)| row(name, vm, now)).collect();
            Ok(said(format!("{}\n", json!({ "list": rows }))))
        }
        _ => each(stage, subcommand, parsed, now),
    }
}

/// `stop`, `delete` and `recover` take several names and check all of them first.
fn each(stage: &mut Stage, subcommand: &str, parsed: &Parsed, now: Duration) -> Go<Output> {
    if parsed.words.is_empty() {
        return Err(refused(1, "Name argument or --all is required"));
    }
    for &name in &parsed.words {
        let vm = there(stage, subcommand, name)?;
        if subcommand == "stop" && vm.power == Power::Unknown && !parsed.on("force") {
            // assumed: upstream refuses it, and names the flag; the words were not looked up
            return Err(refused(2, format!("stop failed: {name} is in an unknown state; use --force to override")));
        }
    }
    for &name in &parsed.words {
        match subcommand {
            "delete" => {
                stage.halt(name, now);
                if parsed.on("purge") {
                    stage.vms.remove(name);
                } else if let Some(vm) = stage.vms.get_mut(name) {
                    vm.power = Power::Deleted;
                }
            }
            "recover" => {
                if let Some(vm) = stage.vms.get_mut(name).filter(|vm| vm.power == Power::Deleted) {
                    vm.power = Power::Stopped;
                }
            }
            _ => {
                stage.halt(name, now);
                let unknown = stage.vms.get_mut(name).filter(|vm| vm.power == Power::Unknown);
                unknown.into_iter().for_each(|vm| vm.power = Power::Stopped);
            }
        }
    }
    Ok(said(""))
}

fn there<'a>(stage: &'a Stage, subcommand: &str, name: &str) -> Go<&'a Vm> {
    stage.vms.get(name).ok_or_else(|| {
        let text = "The following errors occurred:";
        refused(2, format!("{subcommand} failed: {text}\ninstance \"{name}\" does not exist"))
    })
}

fn info(stage: &Stage, names: &[&str], now: Duration) -> Go<Output> {
    let mut all = serde_json::Map::new();
    for &name in names {
        all.insert(name.to_owned(), entry(there(stage, "info", name)?, now));
    }
    if names.is_empty() {
        all.extend(stage.vms.iter().map(|(name, vm)| (name.clone(), entry(vm, now))));
    }
    Ok(said(format!("{}\n", json!({ "errors": [], "info": all }))))
}

fn state(vm: &Vm, now: Duration) -> &'static str {
    match vm.power {
        Power::Running if now < vm.turned => "Starting",
        Power::Running => "Running",
        Power::Stopped => "Stopped",
        Power::Deleted => "Deleted",
        Power::Unknown => "Unknown",
    }
}

/// The pod network adds addresses behind the first (canonical/multipass#2440).
fn addresses(vm: &Vm, now: Duration) -> Vec<String> {
    if vm.reachable(now) { vec![vm.ip.to_string()] } else { vec![] }
}

/// Counts are strings, memory is numbers, and a stopped VM has neither (formatter sources of 1.16.3).
fn entry(vm: &Vm, now: Duration) -> Value {
    let on = vm.reachable(now);
    let disks = json!({ "total": vm.disk.to_string(), "used": "3221225472" });
    json!({
        "state": state(vm, now),
        "image_hash": super::pki::sha256(b"ubuntu 24.04"),
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

fn row(name: &str, vm: &Vm, now: Duration) -> Value {
    let release = if vm.reachable(now) { "Ubuntu 24.04 LTS" } else { "Not Available" };
    json!({ "name": name, "state": state(vm, now), "ipv4": addresses(vm, now), "release": release })
}

/// `3G` and `512M` in bytes.
fn size(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let scale = match &text[unit..] {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    Some(text[..unit].parse::<u64>().ok()? << scale)
}

fn launch(stage: &mut Stage, ask: &Ask, parsed: &Parsed, now: Duration) -> Go<Answer> {
    let name = parsed.get("name").unwrap_or_default().to_owned();
    match stage.vms.get(&name) {
        Some(vm) if vm.made_by == ask.run => return Ok(launching(vm, &name, ask, parsed, now)),
        Some(vm) if vm.power == Power::Running && now < vm.turned => {
            return Err(refused(2, format!("launch failed: instance \"{name}\" is being prepared")));
        }
        Some(_) => return Err(refused(2, format!("launch failed: instance \"{name}\" already exists"))),
        // Ours was there once: somebody deleted it under our hands.
        None if stage.launched.contains(&ask.run) => {
            let text = "launch failed: The following errors occurred:";
            return Err(refused(2, format!("{text}\n{name}: timed out waiting for response")));
        }
        None => {}
    }
    let vm = fresh(stage, ask, parsed, now)?;
    let after = vm.turned - now;
    *stage.launches.entry(name.clone()).or_default() += 1;
    stage.launched.insert(ask.run);
    stage.vms.insert(name, vm);
    Ok(Answer::Again(after))
}

/// A VM that begins to boot, or what is wrong with the command line.
fn fresh(stage: &mut Stage, ask: &Ask, parsed: &Parsed, now: Duration) -> Go<Vm> {
    let name = parsed.get("name").unwrap_or_default();
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !first || name.ends_with('-') || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let text = "launch failed: Invalid arguments supplied";
        return Err(refused(2, format!("{text}\nInvalid instance name supplied: {name}")));
    }
    if parsed.words != ["24.04"] {
        let image = parsed.words.join(" ");
        return Err(refused(2, format!("launch failed: Unable to find an image matching \"{image}\" in remote \"\".")));
    }
    let measure = |flag: &str, least: u64, default: u64| match parsed.get(flag).map_or(Some(default), size) {
        Some(bytes) if bytes >= least => Ok(bytes),
        _ => {
            let given = parsed.get(flag).unwrap_or_default();
            let text = format!("Invalid {flag} size value supplied: {given}.");
            Err(refused(2, format!("launch failed: Invalid arguments supplied\n{text}")))
        }
    };
    let (memory, disk) = (measure("memory", 512 << 20, 1 << 30)?, measure("disk", 1 << 30, 5 << 30)?);
    let cpus = parsed.get("cpus").unwrap_or("1").parse().ok().filter(|c| *c > 0);
    let cpus = cpus.ok_or_else(|| refused(1, "error: Invalid CPU count, need a positive integer value."))?;
    let text = match parsed.get("cloud-init") {
        Some("-") => ask.text(),
        None => Cow::Borrowed(""),
        Some(path) => return Err(stage.strange(ask, refused(1, format!("no cloud-init files here but `-`: {path}")))),
    };
    let (guest, preparing) = seeded(&text)?;
    stage.image_cached |= stage.vms.values().any(|vm| vm.turned <= now);
    let boot = if stage.image_cached { clockwork::FIRST_BOOT } else { clockwork::FIRST_BOOT_WITH_IMAGE };
    let (turned, ip) = (now + boot, stage.lease());
    let initialised = turned + clockwork::CLOUD_INIT;
    let mut vm = Vm {
        power: Power::Running,
        ip,
        cpus,
        memory,
        disk,
        turned,
        initialised,
        waits_for_prep: preparing == Preparing::Waits,
        boots: 1,
        lag: 0,
        made_by: ask.run,
        touched: 0,
        guest,
    };
    if preparing != Preparing::No {
        let next = initialised + clockwork::PREP;
        vm.guest.jobs.push(Job { run: 0, work: Work::Prep, began: initialised, next, then: None });
    }
    Ok(vm)
}

#[derive(PartialEq, Eq)]
enum Preparing {
    No,
    Behind,
    Waits,
}

/// What a user-data text makes of a new VM.
fn seeded(text: &str) -> Go<(Guest, Preparing)> {
    // The client parses user-data itself and refuses what is not YAML (client sources: yaml-cpp).
    let bad = |why: String| refused(1, format!("error loading cloud-init config: yaml-cpp: {why}"));
    let documents = yaml::documents(text).map_err(bad)?;
    let data = documents.first().map_or(&Value::Null, |data| data);
    let mut guest = Guest::default();
    for file in data["write_files"].as_array().into_iter().flatten() {
        guest.files_mut().insert(yaml::text(file, "/path").into(), yaml::text(file, "/content").into());
    }
    guest.scripts = packages::scripts(&guest);
    let lines = data["runcmd"].as_array().into_iter().flatten().map(|line| match line {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.as_str().unwrap_or_default().to_owned(),
    });
    let preparing = match lines.into_iter().find(|line| line.contains("node-prep")) {
        None => Preparing::No,
        Some(line) if line.contains("--no-block") || line.trim_end().ends_with('&') => Preparing::Behind,
        Some(_) => Preparing::Waits,
    };
    Ok((guest, preparing))
}

/// A launch that waits: for SSH, then for cloud-init's end, whatever its result (daemon sources).
fn launching(vm: &Vm, name: &str, ask: &Ask, parsed: &Parsed, now: Duration) -> Answer {
    let timeout =
        parsed.get("timeout").and_then(|t| t.parse().ok()).map_or(Duration::from_secs(600), Duration::from_secs);
    let over = ask.since + timeout;
    let preparing = vm.guest.jobs.iter().find(|job| job.run == 0 && job.work == Work::Prep).map(|job| job.next);
    let end = preparing.filter(|_| vm.waits_for_prep).unwrap_or_default().max(vm.initialised);
    if vm.power != Power::Running {
        let text = "launch failed: The following errors occurred:";
        Answer::Done(refused(2, format!("{text}\n{name}: timed out waiting for response")))
    } else if end <= now {
        Answer::Done(said(format!("Launched: {name}\n")))
    } else if over <= now {
        Answer::Done(refused(5, "Timed out waiting for instance launch."))
    } else {
        Answer::Again(end.min(over) - now)
    }
}

fn start(stage: &mut Stage, parsed: &Parsed, now: Duration) -> Go<Answer> {
    for &name in &parsed.words {
        let missing = "start failed: instance(s) missing";
        match stage.vms.get(name).map(|vm| vm.power) {
            None => return Err(refused(2, format!("{missing}\nInstance '{name}' does not exist."))),
            Some(Power::Deleted) => {
                let hint = "Use 'recover' to recover it or 'purge' to permanently delete it.";
                return Err(refused(2, format!("{missing}\nInstance '{name}' is deleted. {hint}")));
            }
            Some(Power::Unknown) => {
                let text = format!("Instance '{name}' is already running, but in an unknown state.");
                return Err(refused(2, format!("start failed: {text}\nTry to stop it first.")));
            }
            Some(Power::Stopped) => stage.boot(name, now),
            Some(Power::Running) => {}
        }
    }
    let last = parsed.words.iter().map(|name| stage.vms[*name].turned).max().unwrap_or_default();
    Ok(if last <= now { Answer::Done(said("")) } else { Answer::Again(last - now) })
}

fn exec(stage: &mut Stage, ask: &Ask, parsed: &Parsed, now: Duration) -> Go<Answer> {
    let name = parsed.word(0).to_owned();
    let inner: Vec<String> = parsed.words.iter().skip(1).chain(&parsed.rest).map(|word| (*word).to_owned()).collect();
    if name.is_empty() || inner.is_empty() {
        return Err(stage.strange(ask, refused(1, "Wrong number of arguments")));
    }
    // A job of ours that ended, or died with its VM, has its answer waiting.
    if let Some(output) = stage.results.remove(&ask.run) {
        return Ok(Answer::Done(output));
    }
    match there(stage, "exec", &name)?.power {
        Power::Deleted => return Err(refused(2, format!("exec failed: instance \"{name}\" is deleted"))),
        Power::Unknown => return Err(refused(2, "exec failed: Cannot retrieve credentials in unknown state")),
        // A stopped instance is started without a word (daemon sources: ABORTED, then start).
        Power::Stopped => stage.boot(&name, now),
        Power::Running => {}
    }
    let vm = &stage.vms[&name];
    if now < vm.turned {
        if vm.boots > 1 {
            return Ok(Answer::Again(vm.turned - now));
        }
        return Err(refused(2, format!("exec failed: ssh connection failed: 'Timeout connecting to {}'", vm.ip)));
    }
    Ok(guest::run(stage, &name, &inner, ask, now))
}

/// Whether an output is a launch that ended by the client's own timer.
pub fn timed_out() -> Output {
    Output { stderr: "Timed out waiting for instance launch.\n".into(), ..Output::of(Exit::Code(5)) }
}
