//! The drill `mgmt-outage` as a model in virtual time.

use std::time::Duration;

use super::super::exit::{CmdError, USAGE};
use crate::ui::contract::drill::Drill;
use contract::clauses::c2_buffer::NEED;
use contract::outage_model::{self, Setting};
use contract::{RenderedState, Report};
use model::problem::Problem;

/// Simulates the outage that is promised, then all others.
///
/// # Errors
/// No app cluster has an agent.
pub fn simulate(state: &RenderedState, report: &Report) -> Result<Drill, CmdError> {
    let Some(setting) = Setting::of(state, &report.dependencies) else {
        let problem = Problem::new("nothing to drill: no app cluster has an agent with a truncate period")
            .hint("cargo xtask verify-contract C2");
        return Err(CmdError::new(USAGE, problem));
    };
    let need = outage_model::simulate(&setting, NEED, Duration::ZERO);
    let sweep = outage_model::sweep(&setting);
    let failures = outage_model::failures(&need, &sweep);
    Ok(Drill { need, sweep, failures, measured: None })
}
