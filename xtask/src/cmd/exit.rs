//! How a command ends: its exit code, and the problems that ended it.
//! Knows nothing of how they are shown.

use model::problem::Problem;

/// Done, or nothing to do, or printed.
pub const DONE: u8 = 0;
/// The world said no: a step failed, files differ.
pub const REFUSED: u8 = 1;
/// What was given is wrong: flags, the fleet, data files.
pub const WRONG: u8 = 2;
/// This machine is not ready: a tool is missing, the lock is held.
pub const NOT_READY: u8 = 3;
/// A rehearsal found that the engine stopped where it should not.
pub const CRASH: u8 = 61;
/// A rehearsal found that the engine contradicted itself.
pub const CONTRADICTION: u8 = 62;
/// A rehearsal found that the same command again did not arrive.
pub const NO_CONVERGENCE: u8 = 63;
/// The user said stop: 128 and SIGINT.
pub const INTERRUPTED: u8 = 130;

/// A command that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The exit code.
    pub code: u8,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

impl Stop {
    /// Stops because of one problem.
    pub fn one(code: u8, problem: Problem) -> Self {
        Stop { code, problems: vec![problem] }
    }

    /// Stops because of all these, for `map_err`.
    pub fn all(code: u8) -> impl Fn(Vec<Problem>) -> Stop {
        move |problems| Stop { code, problems }
    }

    /// Stops because of this, for `map_err`.
    pub fn with(code: u8) -> impl Fn(Problem) -> Stop {
        move |problem| Stop::one(code, problem)
    }
}

/// What a command returns: its exit code, or why it cannot go on.
pub type Ended = Result<u8, Stop>;
