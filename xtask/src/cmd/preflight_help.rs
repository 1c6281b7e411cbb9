//! Explains a failed check of the machine by the fleet: which line to change, and to what.

use ipnet::Ipv4Net;
use serde_json::Value;

use model::fleet::{self, Bytes, Fleet};
use model::problem::Problem;
use plan::engine::Failure;
use plan::survey::{Answers, ProbeState};
use plan::{Plan, StepKey};

/// The problems behind a failed `host/machine` or `host/network`; none for other steps.
pub fn explain_failure(fleet: &Fleet, failure: &Failure) -> Vec<Problem> {
    explain(fleet, &failure.step, &failure.output.stdout)
}

/// The problems of this machine that probes of a plan show.
pub fn problems(fleet: &Fleet, plan: &Plan, answers: &Answers) -> Vec<Problem> {
    let mut problems = Vec::new();
    for step in plan.steps.iter().filter(|step| step.id.is_host()) {
        let Some(answer) = answers.get(&step.id).filter(|answer| answer.state != ProbeState::Matches) else {
            continue;
        };
        let stdout = answer.output.as_ref().map_or("", |output| output.stdout.as_str());
        let meant = explain(fleet, &step.id, stdout);
        if meant.is_empty() {
            let why = match &answer.state {
                ProbeState::Differs { why, .. } | ProbeState::NoAnswer(why) => why.clone(),
                ProbeState::Matches | ProbeState::NotAsked(_) => "it was not checked".into(),
            };
            let problem = Problem::new(format!("not satisfied: {} (step {})", step.title, step.id)).why(why);
            problems.push(Problem { hint: step.hint.clone(), ..problem });
        }
        problems.extend(meant);
    }
    problems
}

/// The problems behind an unexpected output of such a step's probe; none for other steps.
pub fn explain(fleet: &Fleet, step: &StepKey, stdout: &str) -> Vec<Problem> {
    let Ok(machine) = serde_json::from_str::<Value>(stdout) else { return vec![] };
    match step.action() {
        _ if !step.is_host() => vec![],
        "machine" => {
            let bytes = |key: &str| machine[key].as_u64().map(Bytes);
            fleet::capacity_problems(fleet, bytes("memory_bytes"), bytes("free_disk_bytes"))
        }
        "network" => {
            let all = machine["networks"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let ranges: Vec<Ipv4Net> = fleet.clusters.iter().flat_map(|c| [c.pod_cidr, c.service_cidr]).collect();
            let clash = |n: &Ipv4Net| ranges.iter().any(|r| r.contains(n) || n.contains(r));
            fleet::network_conflicts(fleet, &all.filter_map(|n| n.parse().ok()).filter(clash).collect::<Vec<_>>())
        }
        _ => vec![],
    }
}
