//! The live tier: asks running clusters, real or simulated, and judges their answers.

use std::collections::BTreeMap;

use super::super::exit::{CmdError, CmdResult, DONE, PRECONDITION};
use super::super::inputs::Inputs;
use super::super::{Session, inputs, plan, query, world_factory};
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::{Plan, Scope, StepKey};
use contract::RenderedState;
use contract::live::{self, Answers, Live, Times, redact};
use model::fleet::Fleet;
use model::problem::Problem;
use tool::World;
use tool::extract::pattern;
use tool::helm::Helm;

/// What was asked, what was answered, and what that comes to.
pub struct Looked {
    /// The questions.
    pub plan: Plan,
    /// The redacted answers.
    pub answers: Answers,
    /// When they came.
    pub times: Times,
    /// The verdicts.
    pub live: Live,
}

/// Prints the questions.
///
/// # Errors
/// An unknown cluster.
pub fn printed(session: &mut Session, inputs: &Inputs, state: &RenderedState) -> CmdResult {
    let clusters = inputs::selected_clusters(session, &inputs.fleet)?;
    plan::print(session, live::plan(&inputs.fleet, &clusters, state))
}

/// Opens the world that the flags say, asks there, and judges.
///
/// # Errors
/// No cluster was brought up from here, or the run was interrupted.
pub fn look(session: &mut Session, inputs: &Inputs, state: &RenderedState) -> Result<Looked, CmdError> {
    let clusters = inputs::selected_clusters(session, &inputs.fleet)?;
    reachable(session, &clusters)?;
    let mut looked = None;
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        looked = Some(within(session, world, &inputs.fleet, state, &clusters)?);
        Ok(DONE)
    })?;
    looked.ok_or_else(|| CmdError::new(PRECONDITION, Problem::new("the clusters were not asked")))
}

/// The same in a world that is open already: a drill asks before it stops anything.
///
/// # Errors
/// The run was interrupted.
pub fn within(
    session: &mut Session,
    world: &mut dyn World,
    fleet: &Fleet,
    state: &RenderedState,
    clusters: &[String],
) -> Result<Looked, CmdError> {
    let plan = live::plan(fleet, clusters, state);
    let checks = format!("{} on {}", format::count(plan.steps.len(), "check"), clusters.join(", "));
    session.shell.status(Severity::Dim, "Running", &checks);
    let (answers, _, times) = query::outputs(session, world, &plan)?;
    let answers: Answers = answers
        .into_iter()
        .map(|(id, output)| (id, redact::output(&output, &|text| session.workspace.redact(text).into_owned())))
        .collect();
    let live = live::judge(state, clusters, &answers, &times);
    Ok(Looked { plan, answers, times, live })
}

/// A cluster must have been brought up: without any kubeconfig there is nothing to ask.
fn reachable(session: &Session, clusters: &[String]) -> Result<(), CmdError> {
    let file = |name: &String| session.workspace.out().join(format!("kube/{name}.yaml"));
    if clusters.iter().any(|name| session.workspace.exists(file(name).as_str())) {
        return Ok(());
    }
    let problem = Problem::new(format!("no running clusters to ask: {}", clusters.join(", ")))
        .why(format!("none has a kubeconfig in {}/kube", session.out()))
        .hint("cargo xtask bootstrap && cargo xtask mesh-connect");
    Err(CmdError::new(PRECONDITION, problem))
}

/// Versions of the tools of this machine and of the API servers, by name; what did not answer is `not found`.
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
            let text = version(&output.stdout).filter(|_| output.ok());
            (name, text.unwrap_or_else(|| "not found".to_owned()))
        })
        .collect()
}
