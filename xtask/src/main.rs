//! Runs `cmd::run` with the process's arguments, environment, streams and terminal.
#![expect(clippy::disallowed_methods, reason = "main hands the process's surroundings down")]

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use camino::Utf8PathBuf;
use exec::host::keyboard;
use exec::workspace;
use xtask::cmd::{self, Env};
use xtask::ui;

fn main() -> ExitCode {
    let cwd = std::env::current_dir().ok().and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok()).unwrap_or_default();
    let built = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = match workspace::find_root(&[&cwd, &built]) {
        Ok(root) => root,
        Err(problem) => return no_repository(&problem),
    };
    let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    let screen = ui::progress::screen::stderr;
    let keyboard = io::stdin().is_terminal().then_some(keyboard::read_line as cmd::Keyboard);
    let (out, err) = (Box::new(io::stdout()), Box::new(io::stderr()));
    let columns = ui::progress::screen::columns();
    let env = Env { cwd, screen, columns, keyboard, ..Env::new(root, vars, out, err) };
    ExitCode::from(cmd::run(std::env::args_os(), env))
}

fn no_repository(problem: &model::problem::Problem) -> ExitCode {
    let mut shell = ui::shell::Shell::new(Box::new(io::stdout()), Box::new(io::stderr()));
    shell.message(&ui::problem::one(problem, ui::shell::Style::default()));
    ExitCode::from(cmd::exit::USAGE)
}
