//! `mesh-connect`: diagnoses, connects the clusters and verifies traffic; with `--diagnose` it changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, USAGE};
use super::inputs::Inputs;
use super::{Session, inputs, plan, preflight_help, query, run_plan, show, verify_contract, world_factory};
use crate::ui::format;
use crate::ui::shell::{Severity, Volume};
use ::plan::mesh::{MeshScope, pairs, survey};
use look::{Seen, look, look_until_settled};
use mesh::{Finding, Grade, Survey, configured_peers};
use model::fleet::Fleet;
use model::problem::Problem;
use render::mesh::addresses;
use tool::World;
use tool::cilium::Cilium;
use tool::helm::Helm;

mod look;
mod report;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub diagnose: bool,
    /// Also run cilium's connectivity test for each pair.
    pub full: bool,
}

/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session, options: Options) -> CmdResult {
    let inputs = inputs::load(session)?;
    let scope = wanted(session, &inputs.fleet)?;
    if session.flags.dry_run {
        return print_plan(session, &inputs, &scope, options);
    }
    if !options.diagnose {
        verify_contract::before_building(session, &inputs)?;
    }
    let lock = (!options.diagnose).then_some("mesh-connect");
    world_factory::with_world(session, lock, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        preflight_help::require(session, world, &inputs.fleet, &["helm", "kubectl", "cilium"], true)?;
        connect(session, world, &inputs, scope.clone(), options)
    })
}

/// Prints all queries and steps, for a fleet where every cluster answers.
///
/// # Errors
/// A data file names peers.
pub fn print_plan(session: &mut Session, inputs: &Inputs, scope: &MeshScope, options: Options) -> CmdResult {
    let plan = match options.diagnose {
        true => survey::whole(&inputs.fleet, &inputs.releases, scope),
        false => inputs.mesh_whole(Helm::V4, scope)?,
    };
    if session.shell.volume() == Volume::Verbose { plan::print(session, plan) } else { plan::table(session, plan) }
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

/// Names of clusters; the number of more than 8.
fn names(clusters: &[String]) -> String {
    if clusters.len() > 8 { format::count(clusters.len(), "cluster") } else { clusters.join(", ") }
}

/// Diagnoses, connects and verifies. The caller holds the lock.
///
/// # Errors
/// Problems of the input, or the user interrupted.
pub fn connect(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: MeshScope,
    options: Options,
) -> CmdResult {
    if options.diagnose {
        let seen = look(session, world, inputs, &scope, true)?;
        return Ok(report::diagnosed(session, &seen.found));
    }
    let mut seen = look_until_settled(session, world, inputs, &scope)?;
    let moved = seen.of(Grade::Moved).next().is_some() && seen.of(Grade::Blocks).next().is_none();
    if moved {
        let code = readdress(session, world, inputs, &seen)?;
        if code == INTERRUPTED {
            return Ok(code);
        }
        seen = look_until_settled(session, world, inputs, &scope)?;
    }
    if seen.blocking().next().is_some() {
        let blocking = seen.found.iter().filter(|f| f.grade < Grade::Open && f.grade != Grade::Unreachable);
        show(session, &blocking.map(|f| f.problem.clone()).collect::<Vec<_>>());
        let what = if moved { "nothing but addresses was changed" } else { "nothing was changed" };
        session.shell.status(Severity::Error, "Refused", what);
        return Ok(FAILED);
    }
    let unreachable: Vec<&Finding> = seen.found.iter().filter(|f| is_unreachable(f)).collect();
    let scope = reachable_scope(session, inputs, scope, &seen, &unreachable);
    for finding in &unreachable {
        session.shell.status(Severity::Warning, "Skipping", &finding.problem.what);
    }
    if scope.clusters.len() < 2 {
        show(session, &unreachable.iter().map(|f| f.problem.clone()).collect::<Vec<_>>());
        return Ok(FAILED);
    }
    apply(session, world, inputs, &scope, options)
}

/// The API server does not answer, or not at its address.
fn is_unreachable(finding: &Finding) -> bool {
    finding.grade == Grade::Unreachable || finding.grade == Grade::Moved && finding.check == "API servers"
}

fn apply(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
    options: Options,
) -> CmdResult {
    let plan = inputs.mesh(query::helm(world)?, scope)?;
    let code = run_plan::run(session, world, &plan, &|_| vec![])?;
    if code == FAILED {
        diagnose_failure(session, world, inputs, scope)?;
    }
    if code != DONE {
        return Ok(code);
    }
    report::connected(session, &inputs.fleet, scope);
    if options.full { test_connectivity(session, world, &inputs.fleet, scope) } else { Ok(DONE) }
}

/// Readdresses moved nodes. A cluster where that fails counts as unreachable afterwards.
fn readdress(session: &mut Session, world: &mut dyn World, inputs: &Inputs, seen: &Seen) -> CmdResult {
    let mut clusters: Vec<String> = Vec::new();
    for finding in seen.of(Grade::Moved) {
        session.shell.status(Severity::Warning, "Readdress", &finding.problem.what);
        if !clusters.contains(&finding.cluster) {
            clusters.push(finding.cluster.clone());
        }
    }
    let plan = inputs.home(query::helm(world)?, &clusters);
    let code = run_plan::run(session, world, &plan, &|_| vec![])?;
    let next = "cargo xtask start   # lists other places that still use the old address: Argo CD's list of clusters";
    session.shell.status(Severity::Hint, "Next", next);
    Ok(code)
}

/// The scope without unreachable clusters. A cluster that is a peer stays one, at its last known address; others do not
/// become peers, because a link that is configured on one side only never comes up (ADR-0008).
fn reachable_scope(
    session: &mut Session,
    inputs: &Inputs,
    mut scope: MeshScope,
    seen: &Seen,
    unreachable: &[&Finding],
) -> MeshScope {
    let fleet = &inputs.fleet;
    scope.clusters.retain(|name| unreachable.iter().all(|f| f.cluster != *name));
    let known = configured_peers(&Survey {
        fleet,
        scope: &scope,
        answers: &seen.answers,
        facts: &seen.facts,
        times: &BTreeMap::new(),
    });
    let facts = run_plan::facts(session);
    for cluster in fleet.clusters.iter().filter(|c| !scope.has(c)).collect::<Vec<_>>() {
        let Some(last_known) = known.get(&cluster.name) else { continue };
        // Tokens give the text that is deployed now, so that an outage changes nothing on the others.
        let all = cluster.nodes.iter().all(|node| facts.contains_key(&cluster.ip_fact(node)));
        let addresses = if all { addresses(cluster) } else { last_known.clone() };
        if !addresses.is_empty() {
            scope.elsewhere.insert(cluster.name.clone(), addresses);
            session.shell.status(Severity::Dim, "Keeping", &format!("{} as an existing peer", cluster.name));
        }
    }
    scope
}

/// After a failure: shows the most likely cause, and saves a sysdump.
fn diagnose_failure(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
) -> Result<(), CmdError> {
    let found = look(session, world, inputs, scope, true)?.found;
    report::cause(session, &found);
    let of_finding = found.first().map(|f| f.cluster.clone()).filter(|c| !c.is_empty());
    let Some(cluster) = of_finding.or(scope.clusters.first().cloned()) else { return Ok(()) };
    let name = format!("sysdump-{cluster}");
    let command = cilium().sysdump(&cluster, &format!("out/{name}"));
    let file = format!("{}/{name}", session.out());
    let output = query::command(world, command, Duration::from_secs(600))?;
    match Some(output).filter(|o| !o.ok()) {
        None => session.shell.status(Severity::Hint, "Saved", &format!("sysdump {file}.zip")),
        Some(output) => {
            let why = output.reason_or_end();
            session.shell.status(Severity::Warning, "Failed", &format!("to save sysdump {file}.zip: {why}"));
        }
    }
    Ok(())
}

fn cilium() -> Cilium {
    Cilium::with(&format!("out/{}", ::plan::bootstrap::KUBECONFIG))
}

/// Pairs are tested one after another, since each test makes its namespaces in both clusters.
fn test_connectivity(session: &mut Session, world: &mut dyn World, fleet: &Fleet, scope: &MeshScope) -> CmdResult {
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
                let why = output.reason_or_end();
                let what = format!("the connectivity test between {pair} fails");
                problems.push(Problem::new(what).why(format!("{why}; more is in {file}.zip")).hint(hint));
            }
        }
    }
    show(session, &problems);
    Ok(if problems.is_empty() { DONE } else { FAILED })
}
