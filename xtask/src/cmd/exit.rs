//! Exit codes, and the error of a command.

use exec::query::Interrupted;
use model::problem::Problem;

pub const DONE: u8 = 0;
/// A step failed, files differ.
pub const FAILED: u8 = 1;
/// Invalid flags or input files.
pub const USAGE: u8 = 2;
/// A prerequisite is missing on this machine: a tool, the lock.
pub const PRECONDITION: u8 = 3;
/// Of `simulate`: the engine is stuck.
pub const STUCK: u8 = 61;
/// Of `simulate`: an invariant is violated.
pub const INVARIANT_VIOLATED: u8 = 62;
/// Of `simulate`: the retry did not converge.
pub const DIVERGED: u8 = 63;
/// 128 and SIGINT.
pub const INTERRUPTED: u8 = 130;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CmdError {
    pub code: u8,
    pub problems: Vec<Problem>,
}

impl CmdError {
    pub fn new(code: u8, problem: Problem) -> Self {
        CmdError { code, problems: vec![problem] }
    }

    /// For `map_err`.
    pub fn all(code: u8) -> impl Fn(Vec<Problem>) -> CmdError {
        move |problems| CmdError { code, problems }
    }

    /// For `map_err`.
    pub fn with(code: u8) -> impl Fn(Problem) -> CmdError {
        move |problem| CmdError::new(code, problem)
    }
}

impl From<Interrupted> for CmdError {
    fn from(_: Interrupted) -> Self {
        CmdError { code: INTERRUPTED, problems: vec![] }
    }
}

/// The exit code, or an error with another one.
pub type CmdResult = Result<u8, CmdError>;
