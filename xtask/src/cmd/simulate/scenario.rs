//! The scenario of each command: what runs before it, and what after, so that final states can be compared.

use super::super::exit::{CmdError, USAGE};
use super::super::inputs::Inputs;
use super::sim_run::Scenario;
use crate::cli::Planned;
use model::fleet::Fleet;
use model::problem::Problem;
use model::release::{Chart, Releases};
use plan::mesh::{MeshScope, whole};
use plan::{Plan, StepKey, power};
use tool::helm::Helm;

/// The plans of a [`Scenario`].
pub struct ScenarioPlans {
    before: Vec<Plan>,
    readdressed: bool,
    plan: Plan,
    repair: Option<Plan>,
    hinted: Option<Plan>,
    after: Option<Plan>,
}

impl ScenarioPlans {
    pub fn scenario(&self, jobs: usize) -> Scenario<'_> {
        let ScenarioPlans { before, readdressed, plan, repair, hinted, after } = self;
        let (repair, hinted, after) = (repair.as_ref(), hinted.as_ref(), after.as_ref());
        Scenario { before, readdressed: *readdressed, plan, repair, hinted, after, jobs }
    }
}

/// # Errors
/// Problems of the input; or no older version to upgrade from is known.
pub fn of(command: Planned, inputs: &Inputs) -> Result<ScenarioPlans, CmdError> {
    let bootstrap = || inputs.bootstrap(Helm::V4);
    let start = || power::start(&inputs.fleet, bootstrap());
    let stop = || power::stop(&inputs.fleet);
    let plans =
        |before, plan| ScenarioPlans { before, readdressed: false, plan, repair: None, hinted: None, after: None };
    Ok(match command {
        Planned::Bootstrap => plans(vec![], bootstrap()),
        Planned::MeshConnect => {
            let mesh = inputs.mesh(Helm::V4, &MeshScope::all(&inputs.fleet))?;
            ScenarioPlans { repair: Some(bootstrap()), ..plans(vec![bootstrap()], mesh) }
        }
        // What else was stopped shows when it is started again.
        Planned::Stop => ScenarioPlans { after: Some(start()), ..plans(vec![bootstrap()], stop()) },
        Planned::Start => plans(vec![bootstrap(), stop()], start()),
        Planned::Destroy => plans(vec![bootstrap()], power::destroy(&inputs.fleet)),
        Planned::Apply => {
            let mut releases = inputs.releases.clone();
            releases.charts.iter_mut().for_each(age);
            let old = with(inputs, inputs.fleet.clone(), releases)?;
            ScenarioPlans {
                repair: Some(bootstrap()),
                ..plans(vec![old.bootstrap(Helm::V4)], inputs.apply_all(Helm::V4))
            }
        }
        Planned::Upgrade => {
            let old = older(inputs)?;
            let before = vec![old.bootstrap(Helm::V4), old.mesh(Helm::V4, &MeshScope::all(&old.fleet))?];
            // Only this configures the peers of a machine that got another address.
            let hinted = Some(inputs.mesh(Helm::V4, &MeshScope::all(&inputs.fleet))?);
            ScenarioPlans { hinted, ..plans(before, inputs.upgrade(Helm::V4)) }
        }
    })
}

/// The scenario that starts with changed VM addresses, of a command that repairs them.
///
/// # Errors
/// Problems of the input; or the command does not repair addresses.
pub fn readdressed(command: Planned, inputs: &Inputs) -> Result<ScenarioPlans, CmdError> {
    let mesh = || inputs.mesh(Helm::V4, &MeshScope::all(&inputs.fleet));
    let bootstrap = || inputs.bootstrap(Helm::V4);
    let plans = ScenarioPlans { readdressed: true, ..of(command, inputs)? };
    Ok(match command {
        Planned::Bootstrap => ScenarioPlans { before: vec![bootstrap()], ..plans },
        Planned::MeshConnect => {
            let clusters: Vec<String> = inputs.fleet.clusters.iter().map(|c| c.name.clone()).collect();
            let plan = readdress_first(inputs.home(Helm::V4, &clusters), mesh()?);
            ScenarioPlans { before: vec![bootstrap(), mesh()?], plan, ..plans }
        }
        // `start` goes on to reconnect what was connected.
        Planned::Start => {
            let before = vec![bootstrap(), mesh()?, power::stop(&inputs.fleet)];
            ScenarioPlans { before, after: Some(mesh()?), ..plans }
        }
        Planned::Stop | Planned::Destroy | Planned::Upgrade | Planned::Apply => {
            let problem = Problem::new(format!("`--readdressed` does not apply to `{}`", plans.plan.name));
            return Err(CmdError::new(
                USAGE,
                problem.why("bootstrap, mesh-connect and start repair changed addresses"),
            ));
        }
    })
}

/// `mesh-connect` after addresses changed, its two runs as one plan: a cluster's peers are configured once its own
/// nodes are readdressed.
fn readdress_first(home: Plan, mesh: Plan) -> Plan {
    let mut plan = whole(home, mesh);
    for step in &mut plan.steps {
        let cluster =
            (step.id.action() == "mesh/peers").then(|| StepKey::cluster(step.id.scope().name(), "mesh/registered"));
        step.needs.extend(cluster);
    }
    plan
}

/// The fleet one patch earlier: Kubernetes, and every chart with a patch.
fn older(inputs: &Inputs) -> Result<Inputs, CmdError> {
    let (mut fleet, mut releases) = (inputs.fleet.clone(), inputs.releases.clone());
    let versions = &mut fleet.versions;
    let Some(patch) = versions.kubernetes.patch.checked_sub(1) else {
        let why = format!("there is no patch before Kubernetes {}", versions.kubernetes);
        return Err(CmdError::new(USAGE, Problem::new("no upgrade scenario: no older version is known").why(why)));
    };
    versions.kubernetes.patch = patch;
    versions.kubeadm = versions.kubernetes.clone();
    releases.charts.iter_mut().for_each(age);
    with(inputs, fleet, releases)
}

fn with(inputs: &Inputs, fleet: Fleet, releases: Releases) -> Result<Inputs, CmdError> {
    let files = render::files(&fleet, &releases, &inputs.data).map_err(CmdError::all(USAGE))?;
    let (data, tools) = (inputs.data.clone(), inputs.tools.clone());
    Ok(Inputs { fleet, releases, files, data, tools })
}

/// The chart one patch earlier. Its archive has another digest; which one does not matter.
fn age(chart: &mut Chart) {
    let Some((minor, patch)) = chart.version.rsplit_once('.') else { return };
    let Some(patch) = patch.parse::<u64>().ok().and_then(|patch| patch.checked_sub(1)) else { return };
    chart.version = format!("{minor}.{patch}");
    chart.sha256 = chart.sha256.take().map(|digest| digest.chars().rev().collect());
}
