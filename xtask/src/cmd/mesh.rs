//! `mesh-connect`: looks, says what is in the way, connects, proves it; or with `--diagnose` only looks.
//! Knows nothing of the questions and the steps.

use std::time::Duration;

use camino::Utf8Path;

use super::embedded::{self, Mortal};
use super::exit::{DONE, Ended, NOT_READY, REFUSED, Stop, WRONG};
use super::load::Inputs;
use super::survey::{Answers, ask};
use super::{Session, conduct, detect, load, plan, show};
use crate::cli::Format;
use crate::engine::Event;
use crate::fleet::{Cluster, Fleet};
use crate::mesh::{CHECKS, Finding, Grade, Survey, judge};
use crate::plan::mesh::{Scope, figures, pairs, survey};
use crate::plan::{Plan, Step, Want, bootstrap};
use crate::problem::{Problem, nearest};
use crate::tools::cilium::Cilium;
use crate::tools::helm::Helm;
use crate::tools::{Command, Limits};
use crate::ui::shell::Tone;
use crate::ui::words;
use crate::world::World;
use crate::world::host::Host;

/// Tools that were installed for this repository alone.
const BIN: &str = "out/bin";
/// How long to wait for what may pass by itself (a mesh server that starts anew), and how often to look.
const PATIENCE: (Duration, usize) = (Duration::from_secs(20), 9);

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Only look.
    pub diagnose: bool,
    /// And the long test for each pair.
    pub full: bool,
}

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session, wishes: Wishes) -> Ended {
    let inputs = load::inputs(session)?;
    let scope = wanted(session, &inputs.fleet)?;
    if session.flags.dry_run {
        return printed(session, &inputs, &scope, wishes);
    }
    let _lock = match wishes.diagnose {
        true => None,
        false => Some(session.space.lock("mesh-connect").map_err(Stop::with(NOT_READY))?),
    };
    if session.flags.rehearse {
        rehearsed(session, &inputs, scope, wishes)
    } else {
        real(session, &inputs, scope, wishes)
    }
}

/// Everything that it would ask and do, for a fleet where every cluster answers.
pub fn printed(session: &mut Session, inputs: &Inputs, scope: &Scope, wishes: Wishes) -> Ended {
    let plan = match wishes.diagnose {
        true => survey::plan(&inputs.fleet, scope),
        false => inputs.mesh_whole(Helm::V4, scope)?,
    };
    plan::print(session, plan)
}

/// The clusters that `--only` names, or all. The flag is taken: it names no steps here.
///
/// # Errors
/// A name that the fleet does not have, or fewer than two clusters.
pub fn wanted(session: &mut Session, fleet: &Fleet) -> Result<Scope, Stop> {
    let given: Vec<String> =
        std::mem::take(&mut session.flags.only).iter().flat_map(|o| o.split(',')).map(str::to_owned).collect();
    let all = Scope::all(fleet);
    let unknown = given.iter().filter(|name| !all.clusters.contains(name));
    let problem = |name: &String| {
        let problem = Problem::new(format!("the fleet has no cluster `{name}`"));
        match nearest(name, all.clusters.iter().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `--only {near}`?")),
            None => problem.hint(format!("it has {}", all.clusters.join(", "))),
        }
    };
    let mut problems: Vec<Problem> = unknown.map(problem).collect();
    let clusters: Vec<String> =
        all.clusters.iter().filter(|c| given.is_empty() || given.contains(c)).cloned().collect();
    if problems.is_empty() && clusters.len() < 2 {
        problems.push(Problem::new("a mesh needs two clusters").at(&fleet.file, None));
    }
    if problems.is_empty() { Ok(Scope { clusters, ..Scope::default() }) } else { Err(Stop { code: WRONG, problems }) }
}

fn real(session: &mut Session, inputs: &Inputs, scope: Scope, wishes: Wishes) -> Ended {
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut world = Host::new(session.space.root(), Utf8Path::new(BIN), &path);
    world.heed_signals().map_err(Stop::with(NOT_READY))?;
    within(session, &mut world, inputs, scope, wishes)
}

fn rehearsed(session: &mut Session, inputs: &Inputs, scope: Scope, wishes: Wishes) -> Ended {
    let mut world = embedded::open(session, &inputs.bootstrap(Helm::V4))?;
    let code = within(session, &mut Mortal::new(&mut world), inputs, scope, wishes);
    if world.crashed() {
        let problem = Problem::new("a fault of this seed killed the process itself");
        session.space.complain(problem.hint(format!("{}        (goes on from here)", session.typed)));
    }
    embedded::close(session, &world)?;
    code
}

fn within(session: &mut Session, world: &mut dyn World, inputs: &Inputs, scope: Scope, wishes: Wishes) -> Ended {
    let fleet = &inputs.fleet;
    if wishes.diagnose {
        let found = look(session, world, fleet, &scope)?;
        return Ok(diagnosed(session, &found));
    }
    let found = patient(session, world, fleet, &scope)?;
    let blocking: Vec<Problem> =
        found.iter().filter(|f| matches!(f.grade, Grade::Blocks | Grade::Passing)).map(|f| f.problem.clone()).collect();
    let away: Vec<&Finding> = found.iter().filter(|f| f.grade == Grade::Away).collect();
    if !blocking.is_empty() {
        show(session, &blocking);
        session.shell.status(Tone::Bad, "Refused", "nothing was changed");
        return Ok(REFUSED);
    }
    let scope = without(session, fleet, scope, &away);
    for finding in &away {
        session.shell.status(Tone::Warn, "Skipping", &finding.problem.what);
    }
    if scope.clusters.len() < 2 {
        show(session, &away.iter().map(|f| f.problem.clone()).collect::<Vec<_>>());
        return Ok(REFUSED);
    }
    let plan = inputs.mesh(detect::helm(world)?, &scope)?;
    let code = conduct::run(session, world, &plan, &|_| vec![])?;
    if code == REFUSED {
        explain(session, world, fleet, &scope)?;
        return Ok(code);
    }
    if code != DONE {
        return Ok(code);
    }
    told(session, fleet, &scope);
    if wishes.full { tested(session, world, fleet, &scope) } else { Ok(DONE) }
}

/// The scope that is left, with the last known addresses of all that is outside of it.
fn without(session: &Session, fleet: &Fleet, mut scope: Scope, away: &[&Finding]) -> Scope {
    scope.clusters.retain(|name| away.iter().all(|f| f.cluster != *name));
    let facts = conduct::facts(session);
    let known = |c: &Cluster| c.nodes.iter().filter_map(|n| facts.get(&c.ip_fact(n)).cloned()).collect::<Vec<_>>();
    let elsewhere = fleet.clusters.iter().filter(|c| !scope.has(c)).map(|c| (c.name.clone(), known(c)));
    scope.elsewhere = elsewhere.filter(|(_, known)| !known.is_empty()).collect();
    scope
}

/// Asks everything once, and judges it.
fn look(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &Scope) -> Result<Vec<Finding>, Stop> {
    let mut facts = conduct::facts(session);
    let plan = survey::plan(fleet, scope);
    let asking = format!("{} about {}", words::count(plan.steps.len(), "question"), scope.clusters.join(", "));
    session.shell.status(Tone::Dim, "Asking", &asking);
    // What this machine lacks is told before anything that follows from it.
    let answers = asked(session, world, &plan, &mut facts)?;
    Ok(judge(&Survey { fleet, scope, answers: &answers, facts: &facts }))
}

fn asked(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    facts: &mut std::collections::BTreeMap<String, String>,
) -> Result<Answers, Stop> {
    let jobs = conduct::jobs(session);
    ask(&mut session.space, world, plan, facts, jobs)
}

/// Looks again while all that is in the way may pass by itself.
fn patient(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &Scope) -> Result<Vec<Finding>, Stop> {
    let (pause, times) = PATIENCE;
    let mut found = look(session, world, fleet, scope)?;
    for _ in 0..times {
        let in_the_way = |grade| found.iter().any(|f| f.grade == grade);
        if in_the_way(Grade::Blocks) || !in_the_way(Grade::Passing) {
            break;
        }
        sleep(world, pause)?;
        found = look(session, world, fleet, scope)?;
    }
    Ok(found)
}

fn sleep(world: &mut dyn World, time: Duration) -> Result<(), Stop> {
    let end = world.now() + time;
    while world.now() < end {
        if world.wait(Some(end)) == Event::Interrupt {
            return Err(Stop { code: super::exit::INTERRUPTED, problems: vec![] });
        }
    }
    Ok(())
}

/// The checks in their order, and the first cause.
fn diagnosed(session: &mut Session, found: &[Finding]) -> u8 {
    for check in CHECKS {
        let of: Vec<&str> = found.iter().filter(|f| f.check == check).map(|f| f.problem.what.as_str()).collect();
        let (tone, said) =
            if of.is_empty() { (Tone::Good, "nothing found".to_owned()) } else { (Tone::Bad, of.join("; ")) };
        session.shell.status(tone, "Looked", &format!("at {check}: {said}"));
    }
    cause(session, found);
    if found.is_empty() {
        session.shell.status(Tone::Good, "Diagnosed", "the mesh is as the fleet says");
        DONE
    } else {
        REFUSED
    }
}

fn cause(session: &mut Session, found: &[Finding]) {
    let Some(first) = found.first() else { return };
    let problem = Problem { what: format!("most likely cause: {}", first.problem.what), ..first.problem.clone() };
    show(session, &[problem]);
}

/// After a failure: the most likely cause, and where more is kept.
fn explain(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &Scope) -> Result<(), Stop> {
    let found = look(session, world, fleet, scope)?;
    cause(session, &found);
    let Some(cluster) =
        found.first().map(|f| f.cluster.clone()).filter(|c| !c.is_empty()).or(scope.clusters.first().cloned())
    else {
        return Ok(());
    };
    let file = format!("out/sysdump-{cluster}");
    let command = cilium().sysdump(&cluster, &file);
    let output = one(session, world, command, Duration::from_secs(600))?;
    if output.is_some_and(|o| o.ok()) {
        session.shell.status(Tone::Hint, "Kept", &format!("{file}.zip, for whoever looks further"));
    }
    Ok(())
}

fn cilium() -> Cilium {
    Cilium::with(&format!("out/{}", bootstrap::KUBECONFIG))
}

/// Runs one command that belongs to no step.
fn one(
    session: &mut Session,
    world: &mut dyn World,
    command: Command,
    limit: Duration,
) -> Result<Option<crate::tools::Output>, Stop> {
    let limits = Limits { ask: limit, ..Limits::QUICK };
    let step = Step::new("one", "one command", command, Want::Exit(0)).limits(limits);
    let plan = Plan { name: "one", steps: vec![step], files: Default::default(), lanes: Default::default() };
    let mut answers = asked(session, world, &plan, &mut Default::default())?;
    Ok(answers.remove("one"))
}

/// The long test, one pair after another: each makes its own namespaces in both clusters.
fn tested(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &Scope) -> Ended {
    let mut problems = Vec::new();
    for (a, b) in pairs(fleet, scope) {
        let command = cilium().connectivity(&a.name, &b.name);
        let pair = format!("{} and {}", a.name, b.name);
        session.shell.status(Tone::Dim, "Testing", &format!("connectivity between {pair}"));
        let hint = command.to_string();
        match one(session, world, command, Duration::from_secs(30 * 60))? {
            Some(output) if output.ok() => session.shell.status(Tone::Good, "Passed", &pair),
            output => {
                let why = output.map(|o| words::tail(&o.stderr, 1).join("")).unwrap_or_default();
                let what = format!("the connectivity test between {pair} fails");
                problems.push(Problem::new(what).why(why).hint(hint));
            }
        }
    }
    show(session, &problems);
    Ok(if problems.is_empty() { DONE } else { REFUSED })
}

/// What holds now, with the platform's own figures.
fn told(session: &mut Session, fleet: &Fleet, scope: &Scope) {
    let facts = conduct::facts(session);
    let links = pairs(fleet, scope).len();
    let figures_of = |cluster| {
        let known: Vec<(String, &str)> =
            figures(cluster).into_iter().filter_map(|(fact, of)| Some((facts.get(&fact)?.clone(), of))).collect();
        (!known.is_empty()).then_some((cluster.name.clone(), known))
    };
    let all: Vec<_> = fleet.clusters.iter().filter(|c| scope.has(c)).filter_map(figures_of).collect();
    if session.flags.format == Format::Json {
        let clusters: serde_json::Map<String, serde_json::Value> = all
            .iter()
            .map(|(name, known)| {
                let figures =
                    known.iter().map(|(value, of)| ((*of).to_owned(), value.parse::<u64>().unwrap_or(0).into()));
                (name.clone(), serde_json::Value::Object(figures.collect()))
            })
            .collect();
        let event =
            serde_json::json!({ "event": "mesh", "clusters": scope.clusters, "links": links, "figures": clusters });
        session.shell.data(&format!("{event}\n"));
    }
    for (name, known) in &all {
        let parts: Vec<String> = known.iter().map(|(value, of)| format!("{value} {of}")).collect();
        session.shell.status(Tone::Dim, "Arrived", &format!("from {name}: {}", parts.join(", ")));
    }
    let what = format!("{}: {}", scope.clusters.join(", "), words::count(links, "link"));
    session.shell.status(Tone::Good, "Connected", &what);
}
