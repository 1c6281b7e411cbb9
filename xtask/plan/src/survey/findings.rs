//! Problems that a survey shows, each with a fix, and the part of the plan with the safe fixes.

use std::collections::{BTreeMap, BTreeSet};

use super::overview::{ClusterView, NodeView, Overview};
use super::{Answer, Answers, ProbeState, clock_at_start, words};
use crate::bootstrap::host::driver_key;
use crate::bootstrap::kube_path;
use crate::bootstrap::node::{EXPIRING, RENEW_DAYS};
use crate::{Expect, Plan, Scope, Step, StepKey};
use machines::{Driver, Machine, MachineState, guest};
use model::fleet::{Cluster, Fleet, Node};
use model::problem::Problem;
use render::mesh::CERTIFICATES as CERTIFICATES_OF_MESH;
use tool::Limits;

/// Seconds that a clock may differ. TLS and tokens bear minutes; the leases of a control plane last fifteen seconds.
const SKEW: i64 = 5;
/// Per cent of a VM's disk. The kubelet begins to evict at 92 (`nodefs.available` in infra/kubeadm/init.yaml).
const FULL: u64 = 85;

/// States of a step whose remedies create and replace nothing.
const SAFE: [&str; 4] = ["moved", "unsealed", "unreachable", EXPIRING[0]];

const CERTIFICATES: &str = "certificates of ";

/// Certificates of a node, or of a cluster's mesh, that have expired or will soon.
fn expiring(id: &StepKey, answer: &Answer) -> Problem {
    let of = id.machine().map_or_else(|| format!("the mesh on `{}`", id.scope().name()), |vm| format!("`{vm}`"));
    let end = match words::certificate_days(answer).unwrap_or_default() {
        0 => "have expired".to_owned(),
        days => format!("expire in {days} days"),
    };
    Problem::new(format!("{CERTIFICATES}{of} {end}"))
        .why(format!("they are made for a year, and renewed from {RENEW_DAYS} days on"))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub problem: Problem,
    /// The step that fixes it, if that is safe without asking.
    pub fix: Option<StepKey>,
    /// What the probe expected and found.
    pub detail: Option<String>,
}

/// The one finding before the first bootstrap.
pub const NOTHING: &str = "nothing has been created yet";

impl Finding {
    fn new(problem: Problem, fix: Option<StepKey>) -> Self {
        let hint = problem.hint.clone().filter(|_| fix.is_none());
        let hint = hint.or_else(|| fix.as_ref().map(|_| "cargo xtask doctor --fix".to_owned()));
        Finding { problem: Problem { hint, ..problem }, fix, detail: None }
    }
}

pub struct SurveyResult<'a> {
    pub fleet: &'a Fleet,
    pub plan: &'a Plan,
    pub answers: &'a Answers,
    /// The same in rows.
    pub overview: &'a Overview,
    /// Facts of earlier runs.
    pub before: &'a BTreeMap<String, String>,
}

/// Problems of VMs, addresses, clocks, disks and steps of the clusters. Consequences of a reported problem are left out.
pub fn findings(seen: &SurveyResult<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if seen.overview.is_empty(seen.fleet, seen.before) {
        return vec![Finding::new(Problem::new(NOTHING).hint("cargo xtask up"), None)];
    }
    let driver = seen.answers.get(&driver_key(Driver::of(seen.fleet)));
    let blind = driver.is_some_and(|answer| answer.state != ProbeState::Matches);
    for (cluster, view) in seen.fleet.clusters.iter().zip(&seen.overview.clusters) {
        if view.nodes.iter().all(|node| node.state == MachineState::Absent) {
            let only = format!("cargo xtask bootstrap --only '{}/*'", cluster.name);
            found.push(Finding::new(Problem::new(format!("{}: not created yet", cluster.name)).hint(only), None));
            continue;
        }
        // Without the machines' driver, which is a finding itself, nothing is known of any VM.
        for (node, row) in cluster.nodes.iter().zip(&view.nodes).filter(|_| !blind) {
            found.extend(vm_findings(seen, cluster, node, row));
        }
        match has_control_plane(seen, cluster) {
            true => found.extend(step_findings(seen, cluster, view)),
            false => found.push(Finding::new(uninitialised(cluster), None)),
        }
    }
    let shared = seen.answers.iter().filter(|(id, _)| *id.scope() == Scope::Fleet);
    found.extend(shared.filter_map(|(id, answer)| step_finding(seen, id, answer)));
    // Much of the rest may follow from it.
    found.sort_by_key(|finding| !finding.problem.what.starts_with(CERTIFICATES));
    found
}

/// Whether there is a control plane, as far as is known. Without one, every step that depends on it would be reported.
fn has_control_plane(seen: &SurveyResult<'_>, cluster: &Cluster) -> bool {
    let prep = StepKey::node(cluster, cluster.control_plane(), "prep");
    let guest = seen.answers.get(&prep).filter(|answer| answer.state == ProbeState::Matches).map(Answer::json);
    guest.is_none_or(|guest| guest["control_plane"] != "none")
}

fn uninitialised(cluster: &Cluster) -> Problem {
    let vm = cluster.vm(cluster.control_plane());
    Problem::new(format!("cluster `{}` has not been initialised", cluster.name))
        .why(format!("its VMs exist, but {vm} has no control plane"))
        .hint(format!("cargo xtask bootstrap --only '{}/*'", cluster.name))
}

fn vm_findings(seen: &SurveyResult<'_>, cluster: &Cluster, node: &Node, row: &NodeView) -> Vec<Finding> {
    let vm = &Machine::of(cluster, node);
    let mut found = Vec::new();
    match &row.state {
        MachineState::Running => {}
        MachineState::Absent => {
            let problem = Problem::new(format!("VM `{vm}` does not exist")).why("other VMs of its cluster do");
            found.push(Finding::new(problem.hint("cargo xtask bootstrap"), None));
        }
        MachineState::Stopped | MachineState::Suspended | MachineState::Unknown => {
            let problem = Problem::new(format!("VM `{vm}` is {}", row.state.to_string().to_lowercase()));
            found.push(Finding::new(problem, Some(StepKey::node(cluster, node, "launch"))));
        }
        MachineState::Deleted => {
            let problem = Problem::new(format!("VM `{vm}` is deleted but not purged"));
            found.push(Finding::new(problem.hint(vm.recover().to_string()), None));
        }
        other => {
            let problem = Problem::new(format!("VM `{vm}` is in unknown state `{other}`"));
            found.push(Finding::new(problem.hint(vm.info().to_string()), None));
        }
    }
    found.extend(moved(seen, cluster, node, row));
    found.extend(clock(seen, cluster, node, vm));
    found.extend(disk_pressure(vm, row));
    found.extend(row.cordoned.as_ref().map(|since| {
        let problem = Problem::new(format!("node `{vm}` is cordoned since {since}")).why("no new pod is placed on it");
        let hint = format!("kubectl --kubeconfig {} uncordon {vm}", kube_path(cluster));
        Finding::new(problem.hint(hint), None)
    }));
    found
}

/// The address differs from the journal. Steps that this breaks are findings of their own.
fn moved(seen: &SurveyResult<'_>, cluster: &Cluster, node: &Node, row: &NodeView) -> Option<Finding> {
    let before = seen.before.get(&cluster.ip_fact(node))?;
    let differs = !row.address.is_empty() && before != &row.address;
    let problem = Problem::new(format!("VM `{}` has another address: {}", row.vm, row.address));
    let problem = problem.why(format!("it was {before} when it was last seen")).hint("cargo xtask start");
    differs.then(|| Finding::new(problem, None))
}

fn clock(seen: &SurveyResult<'_>, cluster: &Cluster, node: &Node, vm: &Machine) -> Option<Finding> {
    let behind = behind(seen.answers, &StepKey::node(cluster, node, "prep"))?;
    let (amount, way) = if behind > 0 { (behind, "behind") } else { (-behind, "ahead") };
    let problem = Problem::new(format!("the clock of `{vm}` is {amount} s {way}"))
        .why("a guest's clock stands still while the machine sleeps (canonical/multipass#982)");
    let problem = problem.hint(guest::sync_clock(vm).to_string());
    (amount > SKEW).then(|| Finding::new(problem, (behind > 0).then(|| clock_step(cluster, node))))
}

fn clock_step(cluster: &Cluster, node: &Node) -> StepKey {
    StepKey::node(cluster, node, "clock")
}

/// Seconds that a node's clock is behind this machine's, each at the time of its answer.
fn behind(answers: &Answers, state: &StepKey) -> Option<i64> {
    let (machine, node) = (answers.get("host/machine")?, answers.get(state)?);
    let clock = |answer: &Answer| Some(clock_at_start(answer.json()["clock"].as_u64()?, answer.at));
    Some(clock(machine)? - clock(node)?)
}

fn disk_pressure(vm: &Machine, row: &NodeView) -> Option<Finding> {
    let (used, all) = row.disk.filter(|(_, all)| *all > 0)?;
    let percent = u64::try_from(u128::from(used) * 100 / u128::from(all)).unwrap_or(100);
    let problem = Problem::new(format!("the disk of `{}` is {percent} % full", row.vm))
        .why("from 92 % on the kubelet evicts pods")
        .hint(guest::prune_images(vm).to_string());
    (percent >= FULL).then(|| Finding::new(problem, None))
}

/// Steps that are not satisfied, without those that only wait for something that is reported.
fn step_findings(seen: &SurveyResult<'_>, cluster: &Cluster, view: &ClusterView) -> Vec<Finding> {
    let down = |row: &NodeView| row.state != MachineState::Running;
    let some_down = view.nodes.iter().any(down);
    let steps = seen.answers.iter().filter(|(id, _)| id.is_in(cluster) && !is_launch(id));
    // While a VM is down, the API's view of the cluster is out of date.
    let steps = steps.filter(|(id, _)| !some_down || id.machine().is_some());
    steps.filter_map(|(id, answer)| step_finding(seen, id, answer)).collect()
}

fn step_finding(seen: &SurveyResult<'_>, id: &StepKey, answer: &Answer) -> Option<Finding> {
    let step = seen.plan.step(id)?;
    let (detail, fix) = match &answer.state {
        ProbeState::Matches | ProbeState::NotAsked(_) => return None,
        ProbeState::Differs { remedy, why } => (why.clone(), is_safe_to_retry(step, *remedy)),
        ProbeState::NoAnswer(why) => (why.clone(), false),
    };
    let unblocked = is_unblocked(seen, step);
    let problem = match &answer.state {
        ProbeState::Differs { remedy: Some(remedy), .. } if EXPIRING.contains(remedy) => expiring(id, answer),
        _ => Problem::new(words::sentence(id, answer)?),
    };
    let hint = match &answer.state {
        ProbeState::Differs { remedy: Some("another version"), .. } => "cargo xtask upgrade".to_owned(),
        _ if unblocked => format!("cargo xtask bootstrap --only {id}"),
        _ => format!("cargo xtask bootstrap --until {id}"),
    };
    let finding = Finding::new(problem.hint(hint), (fix && unblocked).then(|| id.clone()));
    Some(Finding { detail: Some(detail), ..finding })
}

fn is_launch(id: &StepKey) -> bool {
    id.machine().is_some() && id.action() == "launch"
}

/// Whether everything that a step depends on is satisfied or fixed too. VMs that are down are reported separately.
fn is_unblocked(seen: &SurveyResult<'_>, step: &Step) -> bool {
    let (mut left, mut visited) = (vec![step], BTreeSet::new());
    while let Some(step) = left.pop() {
        for need in step.needs.iter().filter_map(|id| seen.plan.step(id)).filter(|need| visited.insert(&need.id)) {
            let launch = is_launch(&need.id);
            match seen.answers.get(&need.id).map(|answer| &answer.state) {
                Some(ProbeState::Differs { remedy, .. }) if !launch && !is_safe_to_retry(need, *remedy) => {
                    return false;
                }
                Some(ProbeState::NoAnswer(_)) if !launch => return false,
                _ => left.push(need),
            }
        }
    }
    true
}

/// A step that only checks, or creates and replaces nothing.
fn is_safe_to_retry(step: &Step, remedy: Option<&str>) -> bool {
    step.only_checks() || is_safe(&step.id, remedy)
}

/// Steps that only record addresses, or complete an interrupted change. They create and replace nothing.
fn is_safe(id: &StepKey, remedy: Option<&str>) -> bool {
    match id.action() {
        "hosts" | "kubeconfig" | "nodes" | CERTIFICATES_OF_MESH => true,
        "init" | "join" => remedy.is_some_and(|remedy| SAFE.contains(&remedy) || EXPIRING.contains(&remedy)),
        _ => false,
    }
}

/// The plan with the chosen fixes, and the safe commands of their dependencies; other steps are only checked. `clock` is
/// this machine's, in seconds since 1970.
pub fn repair(plan: &Plan, fleet: &Fleet, fixes: &BTreeSet<StepKey>, clock: Option<u64>) -> Plan {
    let mut steps: Vec<Step> = plan.steps.iter().cloned().map(|step| only_check(step, fixes)).collect();
    for (cluster, node) in fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| (c, n))) {
        let (id, vm) = (clock_step(cluster, node), Machine::of(cluster, node));
        if let Some(clock) = clock.filter(|_| fixes.contains(&id)) {
            let want = Expect::JsonAtLeast("/clock".into(), clock.saturating_sub(1));
            let step = Step::new(id, format!("set the clock of {vm}"), guest::state(&vm, &cluster.api_name()), want)
                .needs([StepKey::node(cluster, node, "reach")])
                .act([guest::sync_clock(&vm)])
                .limits(Limits::QUICK.settle(90));
            steps.push(step);
        }
    }
    Plan { name: "doctor", steps, ..plan.clone() }
}

/// The step with only those commands that create and replace nothing.
pub fn safe_subset(step: Step) -> Step {
    only_check(step, &BTreeSet::new())
}

fn only_check(step: Step, fixes: &BTreeSet<StepKey>) -> Step {
    if fixes.contains(&step.id) {
        return step;
    }
    // What a fix of a dependency reveals may be fixed too, if that is as safe.
    let act = if is_safe(&step.id, None) { step.act } else { vec![] };
    let remedies =
        step.remedies.into_iter().filter(|remedy| remedy.act.is_empty() || SAFE.contains(&remedy.name)).collect();
    Step { act, undo: vec![], remedies, ..step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{plan, step};
    use std::time::Duration;

    fn answer(at: u64, stdout: &str) -> Answer {
        let output = tool::Output { stdout: stdout.into(), ..tool::Output::of(tool::Exit::Code(0)) };
        Answer { at: Duration::from_secs(at), output: Some(output), state: ProbeState::Matches }
    }

    #[test]
    fn clocks_are_compared_at_the_time_of_their_answers() {
        let machine = (StepKey::host("machine"), answer(10, r#"{"clock":1000}"#));
        let answers = |at, text| Answers::from([machine.clone(), ("a".into(), answer(at, text))]);
        assert_eq!(behind(&answers(14, r#"{"clock":1004}"#), &"a".into()), Some(0));
        assert_eq!(behind(&answers(14, r#"{"clock":404}"#), &"a".into()), Some(600));
        assert_eq!(behind(&answers(10, r#"{"clock":1007}"#), &"a".into()), Some(-7));
        assert_eq!(behind(&answers(10, "no"), &"a".into()), None);
    }

    #[test]
    fn a_nearly_full_disk_is_reported() {
        let row = |used, all| NodeView { vm: "a".into(), disk: Some((used, all)), ..NodeView::default() };
        let fleet = model::samples::fleet();
        let vm = Machine::of(&fleet.clusters[0], fleet.clusters[0].control_plane());
        let finding = |row: &NodeView| disk_pressure(&vm, row);
        assert_eq!([finding(&row(84, 100)), finding(&row(1, 0))], [None, None]);
        assert!(finding(&row(91, 100)).unwrap().problem.what.ends_with("91 % full"));
        assert!(finding(&row(u64::MAX, 2)).is_some());
    }

    #[test]
    fn a_repair_acts_only_in_the_chosen_steps() {
        let all = plan([step("a/cp/launch", &[]), step("a/cp/hosts", &["a/cp/launch"])]);
        let fixes = BTreeSet::from(["a/cp/hosts".into()]);
        let acts: Vec<usize> = all.steps.into_iter().map(|s| only_check(s, &fixes).act.len()).collect();
        assert_eq!(acts, [0, 1]);
    }

    #[test]
    fn steps_that_record_or_complete_are_safe() {
        let fleet = model::samples::fleet();
        let cluster = &fleet.clusters[0];
        let is_safe = |action, remedy| is_safe(&StepKey::node(cluster, cluster.control_plane(), action), remedy);
        assert!(is_safe("hosts", None) && super::is_safe(&StepKey::fleet("kubeconfig"), None));
        assert!(is_safe("init", Some("moved")) && !is_safe("init", Some("half done")));
        assert!(!is_safe("join", None) && !super::is_safe(&StepKey::cluster("a", "cilium"), None));
    }
}
