//! Finds which values of a release were changed by hand, with one more query for each such release.

use super::Session;
use super::exit::CmdError;
use super::inputs::Inputs;
use super::run_plan::jobs;
use exec::query::{self, Survey};
use model::token::{self, Token};
use model::yaml;
use plan::StepKey;
use plan::survey::{ProbeState, drift};
use tool::World;
use tool::extract::json;

/// Adds the keys that differ to the states of such releases, as far as they can be read.
///
/// # Errors
/// The user interrupted.
pub fn explain(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    survey: &mut Survey,
) -> Result<(), CmdError> {
    let plan = drift::questions(&inputs.fleet, &inputs.releases, &survey.answers);
    if plan.steps.is_empty() {
        return Ok(());
    }
    let (facts, jobs) = (survey.facts.clone(), jobs(session));
    let asked = query::check(&plan, facts, world, &mut session.workspace, jobs)?;
    for (id, answer) in asked.answers {
        let theirs = answer.output.filter(|output| output.ok()).and_then(|output| json(&output.stdout).ok());
        let ours = wanted(inputs, survey, &id);
        let state = survey.answers.get_mut(&id).map(|known| &mut known.state);
        if let (Some(theirs), Some(ours), Some(ProbeState::Differs { why, .. })) = (theirs, ours, state) {
            *why = format!("{why}; {}", drift::describe(&drift::differing(&ours, &theirs)));
        }
    }
    Ok(())
}

/// The values of this repository. Secrets stay names on both sides: answers are redacted.
fn wanted(inputs: &Inputs, survey: &Survey, id: &StepKey) -> Option<serde_json::Value> {
    let text = inputs.files.get(&format!("{id}/values.yaml"))?;
    let text = token::complete(text, |token| match token {
        Token::Fact(name) => survey.facts.get(name).cloned(),
        Token::Secret(name) => Some(token::secret(name)),
        Token::Digest(_) => None,
    });
    yaml::foreign(id.as_str(), &text.ok()?).ok()?.into_iter().next().map(|document| document.value)
}
