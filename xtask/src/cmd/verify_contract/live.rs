//! The live tier: running clusters are asked, of this machine or of the embedded world, and their answers judged.
//! Knows nothing of what is asked and of what an answer is worth.

use std::collections::BTreeMap;

use super::super::exit::{CmdError, CmdResult, DONE, PRECONDITION};
use super::super::load::Inputs;
use super::super::{Session, load, place, plan, query};
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::{Plan, Scope, StepKey, live as questions};
use contract::Evidence;
use contract::live::{self, Answers, Live, hush};
use model::fleet::Fleet;
use model::problem::Problem;
use tool::World;
use tool::helm::Helm;
use tool::reading::pattern;

/// What was asked, what was answered, and what that comes to.
pub struct Looked {
    /// The questions.
    pub plan: Plan,
    /// The answers, without what must not be seen.
    pub answers: Answers,
    /// The verdicts.
    pub live: Live,
}

/// Prints what would be asked.
///
/// # Errors
/// An unknown cluster.
pub fn printed(session: &mut Session, inputs: &Inputs, evidence: &Evidence) -> CmdResult {
    let clusters = load::clusters(session, &inputs.fleet)?;
    plan::print(session, questions::plan(&inputs.fleet, &clusters, &live::targets(evidence)))
}

/// Opens the world that the flags say, asks there, and judges.
///
/// # Errors
/// No cluster was ever brought up from here, or the user said stop.
pub fn look(session: &mut Session, inputs: &Inputs, evidence: &Evidence) -> Result<Looked, CmdError> {
    let clusters = load::clusters(session, &inputs.fleet)?;
    reachable(session, &clusters)?;
    let mut looked = None;
    place::within(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        looked = Some(within(session, world, &inputs.fleet, evidence, &clusters)?);
        Ok(DONE)
    })?;
    looked.ok_or_else(|| CmdError::new(PRECONDITION, Problem::new("the clusters were not asked")))
}

/// The same in a world that is open already: a drill looks before and after.
///
/// # Errors
/// The user said stop.
pub fn within(
    session: &mut Session,
    world: &mut dyn World,
    fleet: &Fleet,
    evidence: &Evidence,
    clusters: &[String],
) -> Result<Looked, CmdError> {
    let plan = questions::plan(fleet, clusters, &live::targets(evidence));
    let asking = format!("{} of {}", format::count(plan.steps.len(), "question"), clusters.join(", "));
    session.shell.status(Severity::Dim, "Asking", &asking);
    let (answers, _) = query::outputs(session, world, &plan)?;
    let answers: Answers = answers
        .into_iter()
        .map(|(id, output)| (id, hush::output(&output, &|text| session.workspace.redact(text).into_owned())))
        .collect();
    let live = live::judge(evidence, clusters, &answers);
    Ok(Looked { plan, answers, live })
}

/// Somebody must have brought a cluster up: without any kubeconfig there is nothing to be asked.
fn reachable(session: &Session, clusters: &[String]) -> Result<(), CmdError> {
    let file = |name: &String| session.workspace.out().join(format!("kube/{name}.yaml"));
    if clusters.iter().any(|name| session.workspace.exists(file(name).as_str())) {
        return Ok(());
    }
    let problem = Problem::new(format!("there are no running clusters to ask: {}", clusters.join(", ")))
        .why(format!("no kubeconfig of theirs is in {}/kube", session.out()))
        .hint("cargo xtask bootstrap && cargo xtask mesh-connect");
    Err(CmdError::new(PRECONDITION, problem))
}

/// Versions of the tools of this machine and of the API servers, by name; what did not answer is `not there`.
pub fn versions(answers: &Answers) -> BTreeMap<String, String> {
    let named = |id: &StepKey| match (id.scope(), id.action()) {
        (Scope::Host, tool) => Some(tool.to_owned()),
        (Scope::Cluster(cluster), "live/version") => Some(format!("API server of {cluster}")),
        _ => None,
    };
    let version = |text: &str| {
        let found =
            pattern(r"(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)").ok()?.captures(text.as_bytes())?.get(1)?.as_bytes().to_vec();
        String::from_utf8(found).ok()
    };
    let known = answers.iter().filter_map(|(id, output)| Some((named(id)?, output)));
    known
        .map(|(name, output)| {
            let said = version(&output.stdout).filter(|_| output.ok());
            (name, said.unwrap_or_else(|| "not there".to_owned()))
        })
        .collect()
}
