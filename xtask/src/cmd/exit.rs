//! How a command ends: its exit code, and the problems that ended it.
//! Knows nothing of how they are shown.

use exec::query::Interrupted;
use model::problem::Problem;

/// Done, or nothing to do, or printed.
pub const DONE: u8 = 0;
/// The operation failed: a step failed, files differ.
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
/// The user said stop: 128 and SIGINT.
pub const INTERRUPTED: u8 = 130;

/// A command that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CmdError {
    /// The exit code.
    pub code: u8,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

impl CmdError {
    /// Stops because of one problem.
    pub fn new(code: u8, problem: Problem) -> Self {
        CmdError { code, problems: vec![problem] }
    }

    /// Stops because of all these, for `map_err`.
    pub fn all(code: u8) -> impl Fn(Vec<Problem>) -> CmdError {
        move |problems| CmdError { code, problems }
    }

    /// Stops because of this, for `map_err`.
    pub fn with(code: u8) -> impl Fn(Problem) -> CmdError {
        move |problem| CmdError::new(code, problem)
    }
}

impl From<Interrupted> for CmdError {
    fn from(_: Interrupted) -> Self {
        CmdError { code: INTERRUPTED, problems: vec![] }
    }
}

/// What a command returns: its exit code, or why it cannot go on.
pub type CmdResult = Result<u8, CmdError>;
