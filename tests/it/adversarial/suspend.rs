//! The machine is suspended for six hours during long steps. `Instant` stands still meanwhile, as std documents.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use exec::driver::drive;
use exec::workspace::Workspace;
use plan::Plan;
use plan::choose::{Choice, choose};
use plan::engine::{Engine, Outcome, StepEvent};
use serde_json::Value;
use sim::{Faults, InjectedFault, Kind, Machine, SimState, SimWorld};
use tool::Event;
use tool::helm::Helm;
use tool::{Call, World};
use tool::{Exit, Tool};

use crate::golden;
use crate::workdir::WorkDir;

const FLEET: &str = "tests/fleets/one.toml";

struct Ran {
    outcome: Outcome,
    took: Duration,
    injected: Vec<InjectedFault>,
    end: Value,
    late: usize,
}

fn stage(plan: &Plan) -> SimState {
    let mut stage = SimState::new(Machine::default());
    for step in &plan.steps {
        if let (ask, plan::Expect::Stdout(digest)) = (&step.done_when.ask, &step.done_when.want)
            && ask.args.first().is_some_and(|arg| arg == "sha256")
        {
            stage = stage.publishing(ask.args[1].rsplit('/').next().unwrap_or_default(), digest);
        }
    }
    stage
}

fn run(plan: &Plan, faults: Faults) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let open = || Workspace::open(Utf8Path::from_path(folder.path()).unwrap(), "out".into()).without_fsync();
    let mut world = SimWorld::new(stage(plan), faults, Box::new(WorkDir(open())));
    let engine = Engine::new(plan, plan.ids(), BTreeMap::new(), 8);
    let mut late = 0;
    let mut watch = |_: Duration, note: &StepEvent| {
        let failure = match note {
            StepEvent::Retrying { failure, .. } | StepEvent::Failed(failure) => failure,
            _ => return,
        };
        late += usize::from(failure.output.exit == Exit::TimedOut);
    };
    let outcome = drive(plan, engine, &mut world, &mut open(), &mut watch);
    let (took, injected) = (world.now(), world.faults().injected().to_vec());
    Ran { outcome, took, injected, end: world.summary(), late }
}

fn kinds(injected: &[InjectedFault]) -> Vec<&InjectedFault> {
    let mut seen = std::collections::BTreeSet::new();
    let word = |s: &InjectedFault| {
        let words = ["launch", "cloud-init", "node-prep", "kubeadm init", "kubeadm join", "helm pull", "helm upgrade"];
        words.into_iter().find(|word| s.command.contains(word)).map(str::to_owned)
    };
    let slept = injected.iter().filter(|s| s.kind == Kind::Slept);
    slept.filter(|s| word(s).is_some_and(|word| seen.insert(word))).collect()
}

#[test]
fn suspend_during_a_long_step_counts_as_no_time() {
    let plan = golden::plan(FLEET, Helm::V4);
    let calm = run(&plan, Faults::recording());
    assert!(calm.outcome.failed.is_empty(), "{:?}", calm.outcome.failed.first());
    let points = kinds(&calm.injected);
    assert!(points.len() >= 5, "{points:?}");
    for point in points {
        let ran = run(&plan, Faults::single(point.point, Kind::Slept));
        let what = &point.command;
        assert_eq!(ran.injected.len(), 1, "{what}");
        assert!(ran.outcome.failed.is_empty(), "{what}: {:?}", ran.outcome.failed.first());
        assert_eq!(ran.late, 0, "{what}: no time is over");
        assert_eq!(ran.end, calm.end, "{what}");
        assert!(ran.took < calm.took + Duration::from_secs(600), "{what}: {:?} and {:?}", ran.took, calm.took);
    }
}

/// Runs what is chosen, sleeps while the VMs run, reboots the control plane in that way, and runs all of it: the
/// clock of the control plane is then right, the worker's is not.
fn apart(plan: &Plan, first: &str, boots: fn(&mut SimWorld)) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let open = || Workspace::open(Utf8Path::from_path(folder.path()).unwrap(), "out".into()).without_fsync();
    let mut world = SimWorld::new(stage(plan), Faults::none(), Box::new(WorkDir(open())));
    let first = Choice { only: vec![first.to_owned()], ..Choice::default() };
    let run = |world: &mut SimWorld, chosen| {
        let engine = Engine::new(plan, chosen, BTreeMap::new(), 8);
        drive(plan, engine, world, &mut open(), &mut |_, _| {})
    };
    let outcome = run(&mut world, choose(plan, &first).unwrap());
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed.first());
    world.state_mut().sleep(6 * 3600);
    boots(&mut world);
    run(&mut world, plan.ids())
}

fn reboots(world: &mut SimWorld) {
    for (task, verb) in [(1 << 40, "stop"), ((1 << 40) + 1, "start")] {
        let args = vec![verb.to_owned(), "mgmt-cp".to_owned()];
        world.start(Call { task, tool: Tool::Multipass, args, stdin: vec![], env: vec![], acts: None });
        while !matches!(world.wait(None), Event::Ended(ended, _) if ended == task) {}
    }
}

fn moves(world: &mut SimWorld) {
    let now = world.now();
    world.state_mut().readdress("mgmt-cp", now);
}

/// As with real kubeadm, the join is refused by a certificate that is not valid yet.
#[test]
fn worker_with_a_late_clock_joins() {
    let plan = golden::plan(FLEET, Helm::V4);
    let arrived = apart(&plan, "*/prep", reboots);
    assert!(arrived.failed.is_empty(), "{:?}", arrived.failed.first());
    let failed = apart(&without_clocks(plan), "*/prep", reboots).failed;
    assert_eq!(failed[0].step, "mgmt/w1/join");
    let printed = &failed[0].output.stderr;
    assert!(printed.contains("x509: certificate has expired or is not yet valid"), "{printed}");
}

/// A readdressed control plane has a certificate of today, which is not valid yet by the clock of the worker.
#[test]
fn worker_with_a_late_clock_accepts_a_readdressed_server() {
    let plan = golden::plan(FLEET, Helm::V4);
    let arrived = apart(&plan, "*/nodes", moves);
    assert!(arrived.failed.is_empty(), "{:?}", arrived.failed.first());
    let failed = apart(&without_clocks(plan), "*/nodes", moves).failed;
    assert_eq!(failed[0].step, "mgmt/nodes");
}

/// What makes certificates in a VM, and what is the first to judge them.
const TLS: [&str; 7] = [
    "init phase certs",
    "kubeadm init",
    "kubeadm join",
    "kubeadm upgrade",
    "node-upgrade",
    "node-readdress",
    "node-hosts",
];

#[test]
fn clock_is_set_before_every_use_of_certificates() {
    let mut seen = std::collections::BTreeSet::new();
    for fleet in ["infra/fleet.toml", FLEET, "tests/fleets/pairs.toml", "tests/fleets/wide.toml"] {
        let (of, releases) = golden::load(fleet);
        let bootstrap = || golden::plan(fleet, Helm::V4);
        let clusters: Vec<String> = of.clusters.iter().map(|c| c.name.clone()).collect();
        let home = plan::mesh::readdress::plan(&of, bootstrap(), &clusters);
        let start = plan::power::start(&of, bootstrap());
        let upgrade = plan::upgrade::plan(&of, &releases, bootstrap());
        for plan in [bootstrap(), start, upgrade, home] {
            let steps = plan.steps.iter();
            let acts =
                steps.flat_map(|s| s.remedies.iter().map(|remedy| &remedy.act).chain([&s.act]).map(move |a| (s, a)));
            for (step, act) in acts {
                for (at, command) in act.iter().enumerate() {
                    let line = command.to_string();
                    let Some(tls) = TLS.iter().find(|tls| line.contains(**tls)) else { continue };
                    seen.insert(*tls);
                    let vm = &command.args[2];
                    let set = at.checked_sub(1).map(|before| act[before].to_string()).unwrap_or_default();
                    assert!(set.contains(&format!("{vm} -- sudo systemctl try-restart")), "{}: {line}", step.id);
                }
            }
        }
    }
    assert_eq!(seen.len(), TLS.len(), "{seen:?}");
}

fn without_clocks(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        let careless = |command: &tool::Command| !command.args.iter().any(|arg| arg == "try-restart");
        step.act.retain(careless);
        step.remedies.iter_mut().for_each(|remedy| remedy.act.retain(careless));
    }
    plan
}
