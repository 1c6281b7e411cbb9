//! `completions <shell>`: a script for the user's shell, made from the definitions.
//! Knows nothing of shells; `clap_complete` does.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Session;
use super::exit::{CmdResult, DONE};
use crate::cli::Cli;

/// Prints the script.
///
/// # Errors
/// None.
pub fn run(session: &mut Session, shell: Shell) -> CmdResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
    session.shell.result(&String::from_utf8_lossy(&script));
    Ok(DONE)
}
