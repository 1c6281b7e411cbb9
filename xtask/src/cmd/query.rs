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

/// Outputs by step, and all facts.
pub type Outputs = (BTreeMap<StepKey, Output>, BTreeMap<String, String>);

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
    Ok((outputs, facts))
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

/// Lines that are shown of what an error lists.
const LISTED: usize = 6;

/// Why an answer is none, in a sentence: the last line that calls itself an error, since advice may follow it (`Use
/// --debug flag to render out invalid YAML`, as Helm says after a template that fails), else the last line.
pub fn reason(output: &Output) -> String {
    let lines: Vec<&str> = output.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(last) = lines.len().checked_sub(1) else { return tool::expect::ending(&output.exit) };
    let at = lines.iter().rposition(|line| line.starts_with("Error: ")).unwrap_or(last);
    let line = lines[at].strip_prefix("Error: ").unwrap_or(lines[at]);
    // Helm lists below the error which values a schema does not take (measured on 3.18 and 4.1).
    let listed = if line.ends_with(':') { &lines[at + 1..] } else { &[] };
    [&[line], &listed[..listed.len().min(LISTED)]].concat().join("\n")
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

    #[test]
    fn the_reason_is_the_error_and_not_the_advice_after_it() {
        let said = |stderr: &str| reason(&Output { stderr: stderr.into(), ..Output::of(Exit::Code(1)) });
        let helm = "Error: template: a: unable to decode certificate\n\nUse --debug flag to render out invalid YAML\n";
        assert_eq!(said(helm), "template: a: unable to decode certificate");
        let schema = "Error: values don't fit:\nvelero:\n- at '/x': got object, want boolean\n\n";
        assert_eq!(said(schema), "values don't fit:\nvelero:\n- at '/x': got object, want boolean");
        assert_eq!([said("first\nlast\n"), said("")], ["last".to_owned(), tool::expect::ending(&Exit::Code(1))]);
    }
}
