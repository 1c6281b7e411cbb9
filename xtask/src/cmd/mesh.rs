//! `mesh-connect`: looks, says what is in the way, connects, proves it; or with `--diagnose` only looks.
//! Knows nothing of the questions and the steps.

use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, USAGE};
use super::inputs::Inputs;
use super::{Session, conduct, inputs, plan, query, show, world_factory};
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::mesh::{MeshScope, pairs, survey};
use look::{Seen, look, patient};
use mesh::{Finding, Grade, Survey, told};
use model::fleet::Fleet;
use model::problem::Problem;
use render::mesh::addresses;
use tool::World;
use tool::cilium::Cilium;
use tool::helm::Helm;

mod look;
mod report;

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
pub fn run(session: &mut Session, wishes: Wishes) -> CmdResult {
    let inputs = inputs::load(session)?;
    let scope = wanted(session, &inputs.fleet)?;
    if session.flags.dry_run {
        return printed(session, &inputs, &scope, wishes);
    }
    let lock = (!wishes.diagnose).then_some("mesh-connect");
    world_factory::with_world(session, lock, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        within(session, world, &inputs, scope.clone(), wishes)
    })
}

/// Everything that it would ask and do, for a fleet where every cluster answers.
///
/// # Errors
/// A data file names peers.
pub fn printed(session: &mut Session, inputs: &Inputs, scope: &MeshScope, wishes: Wishes) -> CmdResult {
    let plan = match wishes.diagnose {
        true => survey::whole(&inputs.fleet, &inputs.releases, scope),
        false => inputs.mesh_whole(Helm::V4, scope)?,
    };
    plan::print(session, plan)
}

/// The clusters to connect.
///
/// # Errors
/// An unknown cluster, fewer than two clusters, or no link between them.
pub fn wanted(session: &Session, fleet: &Fleet) -> Result<MeshScope, CmdError> {
    let scope = MeshScope { clusters: inputs::selected_clusters(session, fleet)?, ..MeshScope::default() };
    if scope.clusters.len() < 2 {
        return Err(CmdError::new(USAGE, Problem::new("a mesh needs two clusters").at(&fleet.file, None)));
    }
    if pairs(fleet, &scope).is_empty() {
        let what = format!("the fleet links none of {} with another one of them", format::list(&scope.clusters));
        return Err(CmdError::new(USAGE, Problem::new(what).at(&fleet.file, None).hint("[mesh] links")));
    }
    Ok(scope)
}

/// Names of clusters, or how many there are where nobody would read them.
fn names(clusters: &[String]) -> String {
    if clusters.len() > 8 { format::count(clusters.len(), "cluster") } else { clusters.join(", ") }
}

/// Looks, connects and proves, in a world that somebody else has opened and locked.
///
/// # Errors
/// Problems of the input, or the user said stop.
pub fn within(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: MeshScope,
    wishes: Wishes,
) -> CmdResult {
    if wishes.diagnose {
        let seen = look(session, world, inputs, &scope, true)?;
        return Ok(report::diagnosed(session, &seen.found));
    }
    let mut seen = patient(session, world, inputs, &scope)?;
    let moved = seen.of(Grade::Moved).next().is_some() && seen.of(Grade::Blocks).next().is_none();
    if moved {
        let code = bring_home(session, world, inputs, &seen)?;
        if code == INTERRUPTED {
            return Ok(code);
        }
        seen = patient(session, world, inputs, &scope)?;
    }
    if seen.in_the_way().next().is_some() {
        let told = seen.found.iter().filter(|f| f.grade < Grade::Open && f.grade != Grade::Away);
        show(session, &told.map(|f| f.problem.clone()).collect::<Vec<_>>());
        let what = if moved { "nothing but addresses was changed" } else { "nothing was changed" };
        session.shell.status(Severity::Error, "Refused", what);
        return Ok(FAILED);
    }
    let away: Vec<&Finding> = seen.found.iter().filter(|f| is_away(f)).collect();
    let scope = without(session, inputs, scope, &seen, &away);
    for finding in &away {
        session.shell.status(Severity::Warning, "Skipping", &finding.problem.what);
    }
    if scope.clusters.len() < 2 {
        show(session, &away.iter().map(|f| f.problem.clone()).collect::<Vec<_>>());
        return Ok(FAILED);
    }
    connect(session, world, inputs, &scope, wishes)
}

/// A cluster without an API server, for whatever reason it has none.
fn is_away(finding: &Finding) -> bool {
    finding.grade == Grade::Away || finding.grade == Grade::Moved && finding.check == "API servers"
}

fn connect(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
    wishes: Wishes,
) -> CmdResult {
    let plan = inputs.mesh(query::helm(world)?, scope)?;
    let code = conduct::run(session, world, &plan, &|_| vec![])?;
    if code == FAILED {
        explain(session, world, inputs, scope)?;
    }
    if code != DONE {
        return Ok(code);
    }
    report::told(session, &inputs.fleet, scope);
    if wishes.full { tested(session, world, &inputs.fleet, scope) } else { Ok(DONE) }
}

/// Readdresses the nodes that moved. Where that fails it says so, and their cluster is then one that does not answer.
fn bring_home(session: &mut Session, world: &mut dyn World, inputs: &Inputs, seen: &Seen) -> CmdResult {
    let mut clusters: Vec<String> = Vec::new();
    for finding in seen.of(Grade::Moved) {
        session.shell.status(Severity::Warning, "Moved", &finding.problem.what);
        if !clusters.contains(&finding.cluster) {
            clusters.push(finding.cluster.clone());
        }
    }
    let plan = inputs.home(query::helm(world)?, &clusters);
    let code = conduct::run(session, world, &plan, &|_| vec![])?;
    let rest = "cargo xtask start   # tells what else keeps an address: Argo CD's list of clusters";
    session.shell.status(Severity::Hint, "Later", rest);
    Ok(code)
}

/// The scope that is left. Outside of it everything stays as it is: who is a peer stays one, at its last known address,
/// and who is none does not become one, because a link that one side alone knows of never comes up (ADR-0008).
fn without(session: &mut Session, inputs: &Inputs, mut scope: MeshScope, seen: &Seen, away: &[&Finding]) -> MeshScope {
    let fleet = &inputs.fleet;
    scope.clusters.retain(|name| away.iter().all(|f| f.cluster != *name));
    let known = told(&Survey { fleet, scope: &scope, answers: &seen.answers, facts: &seen.facts });
    let facts = conduct::facts(session);
    for cluster in fleet.clusters.iter().filter(|c| !scope.has(c)).collect::<Vec<_>>() {
        let Some(looked_for) = known.get(&cluster.name) else { continue };
        // As tokens they make the very text that is deployed now: an outage then changes nothing on the others.
        let all = cluster.nodes.iter().all(|node| facts.contains_key(&cluster.ip_fact(node)));
        let addresses = if all { addresses(cluster) } else { looked_for.clone() };
        if !addresses.is_empty() {
            scope.elsewhere.insert(cluster.name.clone(), addresses);
            session.shell.status(Severity::Dim, "Leaving", &format!("{} the peer that it is", cluster.name));
        }
    }
    scope
}

/// After a failure: the most likely cause, and where more is kept.
fn explain(session: &mut Session, world: &mut dyn World, inputs: &Inputs, scope: &MeshScope) -> Result<(), CmdError> {
    let found = look(session, world, inputs, scope, true)?.found;
    report::cause(session, &found);
    let named = found.first().map(|f| f.cluster.clone()).filter(|c| !c.is_empty());
    let Some(cluster) = named.or(scope.clusters.first().cloned()) else { return Ok(()) };
    let name = format!("sysdump-{cluster}");
    let command = cilium().sysdump(&cluster, &format!("out/{name}"));
    let file = format!("{}/{name}", session.out());
    let output = query::command(world, command, Duration::from_secs(600))?;
    match Some(output).filter(|o| !o.ok()) {
        None => session.shell.status(Severity::Hint, "Kept", &format!("{file}.zip, for whoever looks further")),
        Some(output) => {
            let why = format::tail(&output.stderr, 1).join("");
            session.shell.status(Severity::Warning, "Not kept", &format!("{file}.zip: {why}"));
        }
    }
    Ok(())
}

fn cilium() -> Cilium {
    Cilium::with(&format!("out/{}", ::plan::bootstrap::KUBECONFIG))
}

/// The long test, one pair after another: each makes its own namespaces in both clusters.
fn tested(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &MeshScope) -> CmdResult {
    let mut problems = Vec::new();
    for (a, b) in pairs(fleet, scope) {
        let name = format!("sysdump-{}-{}", a.name, b.name);
        let command = cilium().connectivity(&a.name, &b.name, &format!("out/{name}"));
        let file = format!("{}/{name}", session.out());
        let pair = format!("{} and {}", a.name, b.name);
        session.shell.status(Severity::Dim, "Testing", &format!("connectivity between {pair}"));
        let hint = command.to_string();
        match query::command(world, command, Duration::from_secs(30 * 60))? {
            output if output.ok() => session.shell.status(Severity::Success, "Passed", &pair),
            output => {
                let why = format::tail(&output.stderr, 1).join("");
                let what = format!("the connectivity test between {pair} fails");
                problems.push(Problem::new(what).why(format!("{why}; more is in {file}.zip")).hint(hint));
            }
        }
    }
    show(session, &problems);
    Ok(if problems.is_empty() { DONE } else { FAILED })
}
