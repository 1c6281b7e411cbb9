//! Queries with the facts and the number of jobs of a session.

use std::collections::BTreeMap;
use std::time::Duration;

use semver::Version;

use super::exit::CmdError;
use super::{Session, run_plan};
use exec::query::{self, Survey};
pub use exec::query::{command, commands};
use plan::{Plan, StepKey};
use tool::helm::{self, Helm};
use tool::{Output, World};

/// `helm version` answers within a second; a cold disk may need more.
const LIMIT: Duration = Duration::from_secs(60);

/// Outputs by step, all facts, and when each output came.
pub type Outputs = (BTreeMap<StepKey, Output>, BTreeMap<String, String>, BTreeMap<StepKey, Duration>);

/// Asks every probe of a plan, and judges it by the step's expectations.
///
/// # Errors
/// The user interrupted.
pub fn check(session: &mut Session, world: &mut dyn World, plan: &Plan) -> Result<Survey, CmdError> {
    let (facts, jobs) = (run_plan::facts(session), run_plan::jobs(session));
    Ok(query::check(plan, facts, world, &mut session.workspace, jobs)?)
}

/// Asks every probe of a plan for its output.
///
/// # Errors
/// The user interrupted.
pub fn outputs(session: &mut Session, world: &mut dyn World, plan: &Plan) -> Result<Outputs, CmdError> {
    let (mut facts, jobs) = (run_plan::facts(session), run_plan::jobs(session));
    let outputs = query::outputs(plan, &mut facts, world, &mut session.workspace, jobs)?;
    let times = outputs.iter().map(|(key, (_, at))| (key.clone(), *at)).collect();
    Ok((outputs.into_iter().map(|(key, (output, _))| (key, output)).collect(), facts, times))
}

/// Which Helm there is. Without one the plan is made for the newest: its first steps then report that there is none.
///
/// # Errors
/// The user interrupted.
pub fn helm(world: &mut dyn World) -> Result<Helm, CmdError> {
    Ok(major(&query::command(world, helm::version(), LIMIT)?).unwrap_or(Helm::V4))
}

fn major(output: &Output) -> Option<Helm> {
    let version = Version::parse(output.stdout.trim().trim_start_matches('v')).ok().filter(|_| output.ok())?;
    Some(if version.major < 4 { Helm::V3 } else { Helm::V4 })
}

/// Why an answer is none: the reason, and what stands below it.
pub fn reason(output: &Output) -> String {
    let (reason, advice) = output.reason_and_advice().unwrap_or_else(|| (output.reason_or_end(), vec![]));
    [vec![reason], advice].concat().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Exit;

    #[test]
    fn helm_is_detected_by_its_major() {
        let said = |stdout: &str, code| major(&Output { stdout: stdout.into(), ..Output::of(Exit::Code(code)) });
        assert_eq!([said("v3.18.0", 0), said("v4.1.4\n", 0)], [Some(Helm::V3), Some(Helm::V4)]);
        assert_eq!([said("v3.18.0", 1), said("helm: what?", 0)], [None, None]);
    }
}
