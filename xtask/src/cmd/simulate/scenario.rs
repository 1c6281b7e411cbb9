//! What is played for each command: what goes before it, and what comes after, so that two ends can be compared.
//! Knows nothing of faults.

use super::super::exit::{Stop, WRONG};
use super::super::load::Inputs;
use super::sim_run::Scenario;
use crate::cli::Planned;
use model::problem::Problem;
use model::release::Chart;
use plan::mesh::{Scope, whole};
use plan::{Plan, StepKey, power};
use tool::helm::Helm;

/// The plans of a piece.
pub struct ScenarioPlans {
    before: Vec<Plan>,
    moved: bool,
    plan: Plan,
    repair: Option<Plan>,
    hinted: Option<Plan>,
    after: Option<Plan>,
}

impl ScenarioPlans {
    /// The piece, for this many steps at once.
    pub fn scenario(&self, jobs: usize) -> Scenario<'_> {
        let ScenarioPlans { before, moved, plan, repair, hinted, after } = self;
        let (repair, hinted, after) = (repair.as_ref(), hinted.as_ref(), after.as_ref());
        Scenario { before, moved: *moved, plan, repair, hinted, after, jobs }
    }
}

/// The play of a command.
///
/// # Errors
/// Problems of the input; or there is no older version to upgrade from.
pub fn of(command: Planned, inputs: &Inputs) -> Result<ScenarioPlans, Stop> {
    let bootstrap = || inputs.bootstrap(Helm::V4);
    let start = || power::start(&inputs.fleet, bootstrap());
    let stop = || power::stop(&inputs.fleet);
    let alone = |plan| ScenarioPlans { before: vec![], moved: false, plan, repair: None, hinted: None, after: None };
    let play = |before, plan| ScenarioPlans { before, ..alone(plan) };
    Ok(match command {
        Planned::Bootstrap => alone(bootstrap()),
        Planned::MeshConnect => {
            let mesh = inputs.mesh(Helm::V4, &Scope::all(&inputs.fleet))?;
            ScenarioPlans { repair: Some(bootstrap()), ..play(vec![bootstrap()], mesh) }
        }
        // What was stopped on the way, and by whom, shows when it is to start again.
        Planned::Stop => ScenarioPlans { after: Some(start()), ..play(vec![bootstrap()], stop()) },
        Planned::Start => play(vec![bootstrap(), stop()], start()),
        Planned::Destroy => play(vec![bootstrap()], power::destroy(&inputs.fleet)),
        Planned::Upgrade => {
            let old = older(inputs)?;
            let mesh = old.mesh(Helm::V4, &Scope::all(&old.fleet))?;
            // A machine that came back with another address is told to its peers by this alone.
            let hinted = inputs.mesh(Helm::V4, &Scope::all(&inputs.fleet))?;
            ScenarioPlans {
                hinted: Some(hinted),
                ..play(vec![old.bootstrap(Helm::V4), mesh], inputs.upgrade(Helm::V4))
            }
        }
    })
}

/// The same where VMs have come back with other addresses, of a command that mends that.
///
/// # Errors
/// Problems of the input; or it is none of that command's business.
pub fn moved(command: Planned, inputs: &Inputs) -> Result<ScenarioPlans, Stop> {
    let mesh = || inputs.mesh(Helm::V4, &Scope::all(&inputs.fleet));
    let stop = || power::stop(&inputs.fleet);
    let play = of(command, inputs)?;
    let bootstrap = || inputs.bootstrap(Helm::V4);
    Ok(match command {
        Planned::Bootstrap => ScenarioPlans { before: vec![bootstrap()], moved: true, ..play },
        Planned::MeshConnect => {
            let clusters: Vec<String> = inputs.fleet.clusters.iter().map(|c| c.name.clone()).collect();
            let plan = once_home(inputs.home(Helm::V4, &clusters), mesh()?);
            ScenarioPlans { before: vec![bootstrap(), mesh()?], moved: true, plan, ..play }
        }
        // What was connected is so again when `start` has gone on to connect it.
        Planned::Start => {
            ScenarioPlans { before: vec![bootstrap(), mesh()?, stop()], moved: true, after: Some(mesh()?), ..play }
        }
        Planned::Stop | Planned::Destroy | Planned::Upgrade => {
            let what = format!("`--readdressed` does not apply to `{}`", play.plan.name);
            let why = "bootstrap, mesh-connect and start repair changed addresses";
            return Err(Stop::one(WRONG, Problem::new(what).why(why)));
        }
    })
}

/// What `mesh-connect` does where nodes have moved, one run after the other as one plan: a cluster is told its peers
/// when its own nodes are home.
fn once_home(home: Plan, mesh: Plan) -> Plan {
    let mut plan = whole(home, mesh);
    for step in &mut plan.steps {
        let cluster =
            (step.id.action() == "mesh/peers").then(|| StepKey::cluster(step.id.scope().name(), "mesh/registered"));
        step.needs.extend(cluster);
    }
    plan
}

/// The same fleet as it was a patch ago: Kubernetes, and every chart that has had a patch.
fn older(inputs: &Inputs) -> Result<Inputs, Stop> {
    let (mut fleet, mut releases) = (inputs.fleet.clone(), inputs.releases.clone());
    let versions = &mut fleet.versions;
    let Some(patch) = versions.kubernetes.patch.checked_sub(1) else {
        let why = format!("there is no patch before Kubernetes {}", versions.kubernetes);
        return Err(Stop::one(WRONG, Problem::new("no upgrade scenario: no older version is known").why(why)));
    };
    versions.kubernetes.patch = patch;
    versions.kubeadm = versions.kubernetes.clone();
    releases.charts.iter_mut().for_each(age);
    let files = render::files(&fleet, &releases, &inputs.data).map_err(Stop::all(WRONG))?;
    let (data, tools) = (inputs.data.clone(), inputs.tools.clone());
    Ok(Inputs { fleet, releases, files, data, tools })
}

/// A chart of the patch before. Its archive has another digest, which one does not matter here.
fn age(chart: &mut Chart) {
    let Some((minor, patch)) = chart.version.rsplit_once('.') else { return };
    let Some(patch) = patch.parse::<u64>().ok().and_then(|patch| patch.checked_sub(1)) else { return };
    chart.version = format!("{minor}.{patch}");
    chart.sha256 = chart.sha256.take().map(|digest| digest.chars().rev().collect());
}
