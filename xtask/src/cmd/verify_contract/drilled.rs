//! The drill `mgmt-outage` as a model.
//! Knows nothing of how it is played.

use std::time::Duration;

use super::super::exit::{CmdError, USAGE};
use crate::ui::verdict::drill::Drill;
use contract::c2_buffer::NEED;
use contract::drill::{self, Setting};
use contract::{Evidence, Report};
use model::problem::Problem;

/// Plays it: the outage that is promised, then all others.
///
/// # Errors
/// There is nothing to play: no agent on any app cluster.
pub fn play(evidence: &Evidence, report: &Report) -> Result<Drill, CmdError> {
    let Some(setting) = Setting::of(evidence, &report.references) else {
        let problem = Problem::new("nothing to drill: no app cluster has an agent with a truncate period")
            .hint("cargo xtask verify-contract C2");
        return Err(CmdError::new(USAGE, problem));
    };
    let need = drill::play(&setting, NEED, Duration::ZERO);
    let sweep = drill::sweep(&setting);
    let failings = drill::failings(&need, &sweep);
    Ok(Drill { need, sweep, failings, measured: None })
}
