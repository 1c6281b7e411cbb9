//! `stop`, `start` and `destroy`. The last one shows what would go, and goes on only if it is told to.
//! Knows nothing of the steps.

use std::collections::BTreeMap;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use super::conduct::facts;
use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, USAGE};
use super::inputs::Inputs;
use super::{Session, apply, conduct, drill_marker, inputs, mesh, plan, query, world_factory};
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::mesh::MeshScope;
use ::plan::survey::{Answers, ProbeState, links};
use ::plan::{Plan, StepKey, power};
use machines::{Machine, MachineState};
use model::fleet::Fleet;
use model::problem::Problem;
use tool::Event;
use tool::World;
use tool::helm::Helm;

/// What is to become of the VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// They stop.
    Stop,
    /// They start, and all that is in them.
    Start,
    /// They go away.
    Destroy,
}

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine; or nobody said yes.
pub fn run(session: &mut Session, power: Power) -> CmdResult {
    let inputs = inputs::load(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    let (fleet, name) = (&inputs.fleet, name(power));
    let all = session.flags.selects_all();
    let code = world_factory::with_world(session, Some(name), &offered, &mut |session, world| {
        let plan = match power {
            Power::Stop => power::stop(fleet),
            Power::Start => power::start(fleet, inputs.bootstrap(query::helm(world)?)),
            Power::Destroy => power::destroy(fleet),
        };
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        if power == Power::Destroy && !session.flags.simulate {
            consent(session, world, fleet, &plan)?;
        }
        let code = conduct::run(session, world, &plan, &|failure| apply::explain_failure(&inputs, failure))?;
        if power == Power::Start && code == DONE && all { linked(session, world, &inputs, &plan) } else { Ok(code) }
    })?;
    if power == Power::Start && code == DONE && all && !session.flags.dry_run {
        drill_marker::back(session)?;
    }
    if power == Power::Destroy && code == DONE && all && !session.flags.dry_run {
        session.workspace.reset_state().map_err(CmdError::with(FAILED))?;
    }
    Ok(code)
}

/// Clusters that were connected are so again: peers have each other's addresses, and those may have changed.
fn linked(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    let asked = links::told_questions(&inputs.fleet, plan);
    let seen = query::check(session, world, &asked)?;
    let clusters = links::told_clusters(&inputs.fleet, &seen.answers);
    match clusters.len() {
        0 | 1 => Ok(DONE),
        _ => mesh::within(
            session,
            world,
            inputs,
            MeshScope { clusters, ..MeshScope::default() },
            mesh::Wishes::default(),
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

/// Shows what is there and would go. Where nothing is, nobody needs to be asked.
fn consent(session: &mut Session, world: &mut dyn World, fleet: &Fleet, plan: &Plan) -> Result<(), CmdError> {
    let chosen = conduct::chosen(session, plan)?;
    let steps = plan.steps.iter().filter(|step| chosen.contains(&step.id) && step.id.action() == "destroy");
    let asked = Plan { steps: steps.cloned().collect(), ..plan.clone() };
    let known = known(fleet, &facts(session));
    let seen = query::check(session, world, &asked)?;
    let there = doomed(fleet, &seen.answers);
    if there.is_empty() {
        return Ok(());
    }
    let strangers: Vec<&str> =
        there.iter().map(|(vm, _)| vm.as_str()).filter(|vm| !known.iter().any(|name| name == vm)).collect();
    for (vm, state) in &there {
        let strange = if strangers.contains(&vm.as_str()) { "; no run from here has seen it" } else { "" };
        let line = format!("{vm}, {state}{strange}");
        session.shell.message(&crate::ui::shell::status_line(
            session.shell.style(),
            Severity::Warning,
            "Deletes",
            &line,
        ));
    }
    let secrets = "with their disks, their kubeconfigs and secrets below out/";
    let what = format!("{}, {secrets}", format::count(there.len(), "VM"));
    if session.flags.yes && !strangers.is_empty() {
        let problem = Problem::new(format!("not in the journal: {}", strangers.join(", ")));
        let why = "a VM of that name may be somebody else's; `--yes` is for those that a run from here has seen";
        return Err(CmdError::new(
            USAGE,
            problem.why(why).hint("cargo xtask start   # sees them; or answer the question"),
        ));
    }
    if session.flags.yes || is_yes(session, world, &format!("Delete {what}?"))? {
        return Ok(());
    }
    let problem = Problem::new("nothing was deleted: nobody said yes").why(what);
    Err(CmdError::new(USAGE, problem.hint(format!("{} --yes", session.invocation))))
}

/// VMs that the journal knows: a run from here has read their address.
fn known(fleet: &Fleet, facts: &BTreeMap<String, String>) -> Vec<String> {
    let nodes = fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |node| (c, node)));
    nodes.filter(|(c, node)| facts.contains_key(&c.ip_fact(node))).map(|(c, node)| c.vm(node)).collect()
}

/// VMs that are there, or may be, and their state and address.
fn doomed(fleet: &Fleet, answers: &Answers) -> Vec<(String, String)> {
    let nodes = fleet.clusters.iter().flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)));
    let there = nodes.filter_map(|(cluster, node)| {
        let answer = answers.get(&StepKey::node(cluster, node, "destroy"))?;
        let vm = Machine::of(cluster, node);
        let info = answer.output.as_ref().map(|output| vm.read(output)).unwrap_or_default();
        let state = match info.state {
            MachineState::NoAnswer => "in an unknown state".to_owned(),
            state => state.to_string().to_lowercase(),
        };
        let address = info.address.map(|ip| format!(" at {ip}")).unwrap_or_default();
        (answer.state != ProbeState::Matches).then(|| (vm.to_string(), format!("{state}{address}")))
    });
    there.collect()
}

/// How often somebody looks whether a question is answered.
const GLANCE: Duration = Duration::from_millis(50);

/// Asks on the terminal, if there is one. The world hears a Ctrl-C meanwhile.
///
/// # Errors
/// It was answered by Ctrl-C, or the window was closed.
pub(super) fn is_yes(session: &mut Session, world: &mut dyn World, question: &str) -> Result<bool, CmdError> {
    let Some(keyboard) = session.keyboard else { return Ok(false) };
    session.shell.message(&format!("{question} Type yes:"));
    let line = keyboard();
    loop {
        match line.try_recv() {
            Ok(line) => return Ok(line.trim() == "yes"),
            Err(TryRecvError::Disconnected) => return Ok(false),
            Err(TryRecvError::Empty) => {}
        }
        let soon = world.now() + GLANCE;
        if world.wait(Some(soon)) == Event::Interrupt {
            return Err(CmdError::new(INTERRUPTED, Problem::new("stopped at the question: nothing was done")));
        }
    }
}
