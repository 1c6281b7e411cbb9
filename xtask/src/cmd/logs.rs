//! `logs <step>`: what the commands of a step printed, as the last run left it.
//! Knows nothing of the plan: a step without a log ran no command.

use camino::Utf8Path;

use super::Session;
use super::exit::{DONE, Ended, REFUSED, Stop};
use crate::problem::Problem;
use crate::ui::shell::Tone;

/// More attempts than any step has.
const ATTEMPTS: u32 = 100;

/// Prints the logs, the last attempt last.
///
/// # Errors
/// There is no log of that step.
pub fn run(session: &mut Session, step: &str) -> Ended {
    let mut any = false;
    for attempt in 1..=ATTEMPTS {
        let path = session.space.log_path(step, attempt);
        let Ok(text) = session.space.read(Utf8Path::new(&path)) else { break };
        session.shell.status(Tone::Dim, "Log", &path);
        session.shell.data(&text);
        any = true;
    }
    if any { Ok(DONE) } else { Err(Stop::one(REFUSED, missing(session, step))) }
}

fn missing(session: &Session, step: &str) -> Problem {
    let path = session.space.log_path(step, 1);
    let folder = Utf8Path::new(&path).parent().map_or("out/logs", Utf8Path::as_str);
    Problem::new(format!("no log of step `{step}`"))
        .at(path.clone(), None)
        .why("it ran no command, or there is no step of that name")
        .hint(format!("ls {folder}"))
}
