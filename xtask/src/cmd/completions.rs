//! `completions <shell>`: prints a completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Session;
use super::exit::{CmdResult, DONE};
use crate::cli::Cli;

/// # Errors
/// None.
pub fn run(session: &mut Session, shell: Shell) -> CmdResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
    session.shell.result(&String::from_utf8_lossy(&script));
    Ok(DONE)
}
