//! `stop`, `start` and `destroy`. `destroy` lists what it would delete and asks for confirmation.

use std::collections::BTreeMap;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, USAGE};
use super::inputs::Inputs;
use super::run_plan::facts;
use super::{
    Session, apply, drill_marker, dry_run, inputs, kubeconfig, mesh, preflight_help, query, run_plan, world_factory,
};
use crate::ui::format;
use crate::ui::shell::{self, Severity};
use ::plan::mesh::MeshScope;
use ::plan::survey::{Answers, ProbeState, links};
use ::plan::{Plan, StepKey, power};
use machines::{Machine, MachineState};
use model::fleet::{Cluster, Fleet, Role};
use model::problem::Problem;
use render::mesh::peers;
use tool::Event;
use tool::World;
use tool::helm::Helm;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Stop,
    Start,
    Destroy,
}

/// # Errors
/// Problems of the input, the choice or the machine; or not confirmed.
pub fn run(session: &mut Session, power: Power) -> CmdResult {
    let inputs = inputs::load(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    let (fleet, name) = (&inputs.fleet, name(power));
    let all = session.flags.selects_all();
    let code = world_factory::with_world(session, Some(name), &offered, &mut |session, world| {
        let plan = match power {
            Power::Stop => power::stop(fleet),
            Power::Start => power::start(fleet, inputs.bootstrap(query::helm(world)?)),
            Power::Destroy => destroy_plan(session, &inputs)?,
        };
        if session.flags.dry_run {
            return dry_run::run(session, world, &inputs, &plan);
        }
        if power == Power::Destroy && !confirm_destroy(session, world, fleet, &plan)? {
            let none = "no VM of the fleet exists; local files alone are removed";
            session.shell.status(Severity::Dim, "Checked", none);
        }
        let code = run_plan::run(session, world, &plan, &|failure| apply::explain_failure(&inputs, failure))?;
        if power == Power::Destroy && code == DONE {
            name_peers(session, fleet, &plan)?;
        }
        if power == Power::Start && code == DONE && all { reconnect(session, world, &inputs, &plan) } else { Ok(code) }
    })?;
    if power == Power::Start && code == DONE && all && !session.flags.dry_run {
        drill_marker::remove(session)?;
    }
    if power == Power::Destroy && code == DONE && !session.flags.dry_run {
        kubeconfig::forget_destroyed(session)?;
    }
    if power == Power::Destroy && code == DONE && all && !session.flags.dry_run {
        session.workspace.reset_state().map_err(CmdError::with(FAILED))?;
    }
    Ok(code)
}

/// Of clusters that are destroyed beside their platform, what it holds of them goes too.
fn destroy_plan(session: &Session, inputs: &Inputs) -> Result<Plan, CmdError> {
    let plan = power::destroy_beside_platform(&inputs.fleet, &inputs.releases);
    let chosen = run_plan::chosen(session, &plan)?;
    let platform = inputs.fleet.clusters.iter().find(|c| c.role == Role::Platform);
    let goes = platform.is_some_and(|platform| chosen.iter().any(|id| id.is_in(platform)));
    Ok(if goes { power::destroy(&inputs.fleet) } else { plan })
}

/// Says where destroyed clusters are still peers: who comes back under the same name is one at once.
fn name_peers(session: &mut Session, fleet: &Fleet, plan: &Plan) -> Result<(), CmdError> {
    let chosen = run_plan::chosen(session, plan)?;
    let gone = |c: &&Cluster| chosen.iter().any(|id| id.is_in(c));
    for cluster in fleet.clusters.iter().filter(gone) {
        let left = peers(fleet, cluster).into_iter().filter(|peer| !gone(peer));
        let names: Vec<String> = left.map(|peer| peer.name.clone()).collect();
        if !names.is_empty() {
            let what = format!(
                "{} is still a mesh peer of {}; for good: remove it from {}, then cargo xtask mesh-connect",
                cluster.name,
                format::list(&names),
                fleet.file
            );
            session.shell.status(Severity::Hint, "Note", &what);
        }
    }
    Ok(())
}

/// Reconnects clusters that were connected: peers hold each other's addresses, which may have changed.
fn reconnect(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    session.began = world.now();
    let queries = links::peer_questions(&inputs.fleet, plan);
    let survey = query::check(session, world, &queries)?;
    let clusters = links::clusters_with_peers(&inputs.fleet, &survey.answers);
    match clusters.len() {
        0 | 1 => Ok(DONE),
        _ => mesh::connect(
            session,
            world,
            inputs,
            MeshScope { clusters, ..MeshScope::default() },
            mesh::Options::default(),
        ),
    }
}

fn name(power: Power) -> &'static str {
    match power {
        Power::Stop => "stop",
        Power::Start => "start",
        Power::Destroy => "destroy",
    }
}

/// Lists what would be deleted, and asks, except in a simulation. False if nothing is there.
fn confirm_destroy(session: &mut Session, world: &mut dyn World, fleet: &Fleet, plan: &Plan) -> Result<bool, CmdError> {
    preflight_help::require(session, world, fleet, &[], true)?;
    let chosen = run_plan::chosen(session, plan)?;
    let steps = plan.steps.iter().filter(|step| chosen.contains(&step.id) && step.id.action() == "destroy");
    let queries = Plan { steps: steps.cloned().collect(), ..plan.clone() };
    let facts = facts(session);
    let known = known_vms(fleet, &facts);
    let survey = query::check(session, world, &queries)?;
    let there = existing_vms(fleet, &survey.answers, &facts);
    if there.is_empty() || session.flags.simulate {
        return Ok(!there.is_empty());
    }
    let unknown: Vec<&str> =
        there.iter().map(|(vm, _)| vm.as_str()).filter(|vm| !known.iter().any(|name| name == vm)).collect();
    for (vm, state) in &there {
        let note = if unknown.contains(&vm.as_str()) { "; not created by this workspace" } else { "" };
        let line = format!("{vm}, {state}{note}");
        let style = session.shell.style();
        session.shell.message(&shell::status_line(style, Severity::Warning, "Deletes", &line));
    }
    let secrets = "with their disks, their kubeconfigs and secrets below out/";
    let what = format!("{}, {secrets}", format::count(there.len(), "VM"));
    if session.flags.yes && !unknown.is_empty() {
        let problem = Problem::new(format!("not in the journal: {}", unknown.join(", ")));
        let why = "these VMs were not created by this workspace";
        return Err(CmdError::new(
            USAGE,
            problem.why(why).hint("cargo xtask start   # records them; or confirm interactively, without --yes"),
        ));
    }
    if session.flags.yes || confirm(session, world, &format!("Delete {what}?"))? {
        return Ok(true);
    }
    let problem = Problem::new("aborted: not confirmed; nothing was deleted").why(what);
    Err(CmdError::new(USAGE, problem.hint(format!("{} --yes", session.invocation))))
}

/// VMs whose address is in the journal.
fn known_vms(fleet: &Fleet, facts: &BTreeMap<String, String>) -> Vec<String> {
    let nodes = fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |node| (c, node)));
    nodes.filter(|(c, node)| facts.contains_key(&c.ip_fact(node))).map(|(c, node)| c.vm(node)).collect()
}

/// VMs that exist, or may exist, with their state and, if they run, the address that they had last.
fn existing_vms(fleet: &Fleet, answers: &Answers, facts: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let nodes = fleet.clusters.iter().flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)));
    let there = nodes.filter_map(|(cluster, node)| {
        let answer = answers.get(&StepKey::node(cluster, node, "destroy"))?;
        let vm = Machine::of(cluster, node);
        let info = answer.output.as_ref().map(|output| vm.read(output)).unwrap_or_default();
        let known = facts.get(&cluster.ip_fact(node)).filter(|_| info.state == MachineState::Running);
        let state = match info.state {
            MachineState::NoAnswer => "unknown state".to_owned(),
            state => state.to_string().to_lowercase(),
        };
        let address = known.map(|ip| format!(" at {ip}")).unwrap_or_default();
        (answer.state != ProbeState::Matches).then(|| (vm.to_string(), format!("{state}{address}")))
    });
    there.collect()
}

const POLL: Duration = Duration::from_millis(50);

/// Asks on the terminal, if there is one.
///
/// # Errors
/// Ctrl-C, or the terminal was closed.
pub(super) fn confirm(session: &mut Session, world: &mut dyn World, question: &str) -> Result<bool, CmdError> {
    let Some(keyboard) = session.keyboard else { return Ok(false) };
    session.shell.message(&format!("{question} Type yes:"));
    let line = keyboard();
    loop {
        match line.try_recv() {
            Ok(line) => return Ok(line.trim() == "yes"),
            Err(TryRecvError::Disconnected) => return Ok(false),
            Err(TryRecvError::Empty) => {}
        }
        let soon = world.now() + POLL;
        if world.wait(Some(soon)) == Event::Interrupt {
            return Err(CmdError::new(INTERRUPTED, Problem::new("cancelled at the prompt; nothing was changed")));
        }
    }
}
