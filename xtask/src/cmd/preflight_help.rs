//! Explains a failed check of the machine by the fleet: which line to change, and to what.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde_json::Value;

use super::exit::{CmdError, PRECONDITION};
use super::{Session, query};
use model::fleet::{self, Bytes, Fleet};
use model::problem::Problem;
use plan::bootstrap::host as bootstrap;
use plan::engine::Failure;
use plan::survey::{Answers, ProbeState, words};
use plan::{Plan, Step, StepKey};
use tool::{Exit, Output, World};

/// The problems behind a failed `host/machine` `host/network` or the network of a VM; none for other steps.
pub fn explain_failure(fleet: &Fleet, failure: &Failure) -> Vec<Problem> {
    explain(fleet, &failure.step, &failure.output.stdout)
}

/// The problems of this machine that probes of a plan show: the line of the fleet to change, and tools that are not ready.
pub fn problems(fleet: &Fleet, plan: &Plan, answers: &Answers) -> Vec<Problem> {
    let answer = |step| answers.get(&step).filter(|answer| answer.state != ProbeState::Matches);
    let nothing = Output::of(Exit::TimedOut);
    let steps = plan.steps.iter().filter(|step| step.is_precondition());
    let open = steps.filter_map(|step| Some((step, answer(step.id.clone())?)));
    let open = open.map(|(step, answer)| (step, answer.output.as_ref().unwrap_or(&nothing)));
    let (tools, others): (Vec<_>, Vec<_>) = open.partition(|(step, _)| words::is_tool(step));
    let other = |(step, output): (&Step, &Output)| match explain(fleet, &step.id, &output.stdout) {
        meant if meant.is_empty() => {
            let what = words::sentence(&step.id, &answers[&step.id]).unwrap_or_else(|| step.title.clone());
            vec![Problem { hint: step.hint.clone(), ..Problem::new(what) }]
        }
        meant => meant,
    };
    others.into_iter().flat_map(other).chain(words::not_ready(&tools)).collect()
}

/// Refuses to go on without these tools, and without the driver of the machines if it is asked for.
///
/// # Errors
/// Tools that are not ready, in one problem; the user interrupted.
pub fn require(
    session: &mut Session,
    world: &mut dyn World,
    fleet: &Fleet,
    tools: &[&str],
    driver: bool,
) -> Result<(), CmdError> {
    let steps = bootstrap::machine_tools(fleet, tools).into_iter();
    let steps = steps.filter(|step| driver || tools.contains(&step.id.action())).collect();
    let plan = Plan { name: "tools", steps, files: BTreeMap::new(), pools: BTreeMap::new() };
    let answers = query::check(session, world, &plan)?.answers;
    let problems = problems(fleet, &plan, &answers);
    if problems.is_empty() { Ok(()) } else { Err(CmdError { code: PRECONDITION, problems }) }
}

/// The largest shipped fleet that fits a machine with this much memory, its system included.
fn shipped_fleet(memory: Bytes) -> Option<&'static str> {
    match memory.0 >> 30 {
        27.. => Some("32g.toml"),
        15..27 => Some("16g.toml"),
        _ => None,
    }
}

/// The problems behind an unexpected output of such a step's probe; none for other steps.
pub fn explain(fleet: &Fleet, step: &StepKey, stdout: &str) -> Vec<Problem> {
    let Ok(machine) = serde_json::from_str::<Value>(stdout) else { return vec![] };
    if let Some(fault) = fleet.versions.faults.iter().find(|fault| bootstrap::fault_key(fault) == *step) {
        let version = machine["tool"].as_str().unwrap_or_default();
        let what = format!("{} {version} does not work on {} {}", fault.tool, fault.os, fault.arch);
        return vec![Problem::new(what).why(&fault.why).hint(&fault.fix)];
    }
    match step.action() {
        "machine" if step.is_host() => {
            let bytes = |key: &str| machine[key].as_u64().map(Bytes);
            let mut problems = fleet::capacity_problems(fleet, bytes("memory_bytes"), bytes("free_disk_bytes"));
            let smaller = bytes("memory_bytes").and_then(shipped_fleet).filter(|name| !fleet.file.ends_with(name));
            // That of disk has no hint.
            if let (Some(name), Some(hint)) = (smaller, problems.iter_mut().find_map(|p| p.hint.as_mut())) {
                *hint = format!("cargo xtask up --fleet infra/fleets/{name}   # fits this machine");
            }
            problems
        }
        "network" => {
            let ranges = bootstrap::ranges(fleet);
            let clash = |n: &Ipv4Net| ranges.iter().any(|r| r.contains(n) || n.contains(r));
            let all = machine["networks"].as_array().into_iter().flatten().filter_map(Value::as_str);
            // A VM's network is a /24 with every driver of Multipass.
            let vms = machine["info"].as_object().into_iter().flat_map(|vms| vms.values());
            let vms =
                vms.filter_map(|vm| Ipv4Net::new(vm["ipv4"][0].as_str()?.parse().ok()?, 24).ok()).map(|n| n.trunc());
            let all = all.filter_map(|n| n.parse().ok()).chain(vms);
            fleet::network_conflicts(fleet, &all.filter(clash).collect::<Vec<_>>())
        }
        _ => vec![],
    }
}
