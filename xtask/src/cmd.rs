//! From what was typed to an exit code: one file per command, each a few calls into the rooms that do the work.
//! Knows nothing of how arguments are parsed beyond handing them to `cli`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::sync::mpsc::Receiver;

use camino::{Utf8Path, Utf8PathBuf};

use self::exit::{CmdError, CmdResult, FAILED, USAGE};
use self::power::Power;
use crate::cli::{self, Command, Flags, Format};
use crate::ui::progress::Screen;
use crate::ui::shell::{Shell, Volume};
use crate::ui::{events, problem};
use exec::host::Host;
use exec::workspace::Workspace;
use model::problem::Problem;
use tool::World;

mod add_cluster;
mod adr;
mod apply;
mod bootstrap;
mod charts;
mod ci;
mod completions;
mod conduct;
mod doctor;
mod download_help;
mod drift;
mod drill_marker;
pub mod exit;
mod explain;
mod fleet;
mod git;
mod inputs;
mod kubeconfig;
mod logs;
mod mesh;
mod plan;
mod power;
mod preflight_help;
mod query;
mod render;
mod report;
mod sim_world;
mod simulate;
mod status;
mod tools;
mod upgrade;
mod verify_contract;
mod world_factory;

/// What commands work with in place of the real world. `main` gives back what it gets; a test may put something around
/// it, and everything else about a run is then still the real thing.
pub type WorldFactory = fn(Host) -> Box<dyn World>;

/// Begins to read one line, which comes when it has been typed.
pub type Keyboard = fn() -> Receiver<String>;

/// What surrounds a command: `main` takes it from the process, tests make their own.
pub struct Env {
    /// The repository.
    pub root: Utf8PathBuf,
    /// Where the user stands: relative paths on the command line begin here.
    pub cwd: Utf8PathBuf,
    /// The environment.
    pub vars: BTreeMap<String, String>,
    /// Gets the data.
    pub out: Box<dyn Write>,
    /// Gets the story.
    pub err: Box<dyn Write>,
    /// The terminal that the story is shown on, if it is one.
    pub screen: Option<Screen>,
    /// Begins to read a line from the keyboard that questions are answered on, if there is one.
    pub keyboard: Option<Keyboard>,
    /// The way to the real world.
    pub world_factory: WorldFactory,
}

/// What every command works with.
pub struct Session {
    /// The writer.
    pub shell: Shell,
    /// The flags.
    pub flags: Flags,
    /// The disk: `out/`, or `out/simulation/` in a simulation.
    pub workspace: Workspace,
    /// Where the user stands.
    pub cwd: Utf8PathBuf,
    /// The environment.
    pub vars: BTreeMap<String, String>,
    /// The terminal, until a command takes it.
    pub screen: Option<Screen>,
    /// The keyboard, if there is one.
    pub keyboard: Option<Keyboard>,
    /// The way to the real world.
    pub world_factory: WorldFactory,
    /// The command as it was typed, to be shown where one can go on with it.
    pub invocation: String,
}

impl Session {
    /// The folder that is written to, as a person names it.
    pub fn out(&self) -> String {
        self.workspace.shown(self.workspace.out()).to_owned()
    }
}

/// Runs one command line, the program's own name first. Returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut shell = Shell::new(env.out, env.err);
    let (command, flags) = match cli::parse(&args, env.screen.is_some()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = usage(&mut shell, &error);
            return last(&mut shell, code);
        }
    };
    let colour = flags.color.decide(env.screen.is_some(), env.vars.get("NO_COLOR").map(String::as_str));
    shell.set(colour, volume(&flags));
    let out = Utf8Path::new(if flags.simulate { "out/simulation" } else { "out" });
    let workspace = Workspace::open(&env.root, out);
    let workspace = if flags.simulate { workspace.without_fsync() } else { workspace };
    let invocation = invocation(&args);
    let Env { cwd, vars, screen, keyboard, world_factory, .. } = env;
    let mut session = Session { shell, flags, workspace, cwd, vars, screen, keyboard, world_factory, invocation };
    drill_marker::warn(&mut session, &command);
    let code = dispatch(&mut session, &command).unwrap_or_else(|stop| stopped(&mut session, &stop));
    warn_deferred(&mut session);
    last(&mut session.shell, code)
}

fn dispatch(session: &mut Session, command: &Command) -> CmdResult {
    match command {
        Command::Bootstrap(_) => bootstrap::run(session),
        Command::MeshConnect(asked) => mesh::run(session, mesh::Wishes { diagnose: asked.diagnose, full: asked.full }),
        Command::Plan { of, diff, graph, .. } => plan::run(session, *of, diff.as_deref(), *graph),
        Command::Render { check, .. } => render::run(session, *check),
        Command::Fleet(command) => fleet::run(session, command),
        Command::Charts(command) => charts::run(session, command),
        Command::Tools(cli::Tools::Install(_)) => tools::install(session),
        Command::Simulate(asked) => simulate::run(session, asked),
        Command::VerifyContract(asked) => verify_contract::run(session, asked),
        Command::Report(cli::Report::Verify { folder, .. }) => report::verify(session, folder.as_deref()),
        Command::Explain { query } => explain::run(session, query),
        Command::Adr(command) => adr::run(session, command),
        Command::Stop(_) => power::run(session, Power::Stop),
        Command::Start(_) => power::run(session, Power::Start),
        Command::Upgrade(_) => upgrade::run(session),
        Command::Destroy { .. } => power::run(session, Power::Destroy),
        Command::AddCluster { name } => add_cluster::run(session, name),
        Command::Status { .. } => status::run(session),
        Command::Doctor { fix, .. } => doctor::run(session, *fix),
        Command::Kubeconfig(_) => kubeconfig::run(session),
        Command::Logs { step, .. } => logs::run(session, step),
        Command::Ci => ci::run(session),
        Command::Completions { shell } => completions::run(session, *shell),
    }
}

/// Help was asked for, or what was typed is wrong. clap's own code for the latter is 2 as well.
fn usage(shell: &mut Shell, error: &clap::Error) -> u8 {
    let text = error.to_string();
    if error.use_stderr() {
        shell.message(&text);
        return USAGE;
    }
    shell.result(&text);
    exit::DONE
}

/// A stream of events leaves stderr to failures, unless more is asked for.
fn volume(flags: &Flags) -> Volume {
    match flags {
        Flags { verbose: true, .. } => Volume::Verbose,
        Flags { quiet: true, .. } | Flags { format: Format::Json, .. } => Volume::Quiet,
        _ => Volume::Normal,
    }
}

fn invocation(args: &[OsString]) -> String {
    let words = args.iter().skip(1).map(|arg| tool::quoted(&arg.to_string_lossy()).into_owned());
    std::iter::once("cargo xtask".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn stopped(session: &mut Session, stop: &CmdError) -> u8 {
    show(session, &stop.problems);
    stop.code
}

/// Shows problems to people, and to scripts where those listen.
pub(crate) fn show(session: &mut Session, problems: &[Problem]) {
    let problems: Vec<Problem> = problems.iter().map(|problem| session.flags.problem(problem.clone())).collect();
    if session.flags.format == Format::Json {
        problems.iter().for_each(|problem| session.shell.result(&events::problem(problem)));
    }
    let text = problem::all(&problems, session.shell.style());
    session.shell.message(&text);
}

/// Troubles that did not stop the command are told at its end.
fn warn_deferred(session: &mut Session) {
    let complaints = session.workspace.deferred_warnings();
    if !complaints.is_empty() {
        show(session, &complaints);
    }
}

/// Data that could not be written is a failure, however well the command went.
fn last(shell: &mut Shell, code: u8) -> u8 {
    let Some(error) = shell.lost() else { return code };
    let problem = Problem::new("cannot write to stdout").why(error.to_string());
    shell.message(&problem::one(&problem, shell.style()));
    if code == exit::DONE { FAILED } else { code }
}
