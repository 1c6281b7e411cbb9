//! Parses the command line and runs a command, one module for each; returns the exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use self::exit::{CmdResult, FAILED, USAGE};
use self::power::Power;
use crate::cli::{self, Command, Flags, Format};
use crate::ui::progress::Screen;
use crate::ui::shell::{Severity, Shell, Volume};
use crate::ui::{events, problem};
use exec::host::Host;
use exec::workspace::{Workspace, clock};
use model::problem::{At, Problem};
use tool::World;

mod access;
mod add_cluster;
mod adr;
mod apply;
mod bootstrap;
mod charts;
mod ci;
mod completions;
mod doctor;
mod download_help;
mod drift;
mod drill_marker;
mod dry_run;
pub mod exit;
mod explain;
mod fleet;
mod git;
mod inputs;
mod kubeconfig;
mod logs;
mod mesh;
mod next;
mod plan;
mod power;
mod preflight_help;
mod query;
mod recorder;
mod render;
mod report;
mod run_plan;
mod sim_world;
mod simulate;
mod status;
mod tools;
mod up;
mod upgrade;
mod verify_contract;
mod version;
mod world_factory;

/// Makes the world of a command from this machine's. `main` returns the host itself; a test may wrap it.
pub type WorldFactory = fn(Host) -> Box<dyn World>;

/// Starts to read one line from the keyboard.
pub type Keyboard = fn() -> Receiver<String>;

/// Surroundings of a command: `main` takes them from the process.
pub struct Env {
    /// Root of the repository.
    pub root: Utf8PathBuf,
    /// Base of relative paths on the command line.
    pub cwd: Utf8PathBuf,
    pub vars: BTreeMap<String, String>,
    /// Results (stdout).
    pub out: Box<dyn Write>,
    /// Progress output (stderr).
    pub err: Box<dyn Write>,
    /// The terminal behind `err`, if it is one.
    pub screen: fn() -> Option<Screen>,
    /// Width of the terminal behind `out`; `COLUMNS` goes before it.
    pub columns: Option<usize>,
    /// For answers to prompts, if stdin is a terminal.
    pub keyboard: Option<Keyboard>,
    pub world_factory: WorldFactory,
}

impl Env {
    /// Without a terminal, in the repository at `root`, in the world of this machine.
    pub fn new(root: Utf8PathBuf, vars: BTreeMap<String, String>, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Env {
            cwd: root.clone(),
            root,
            vars,
            out,
            err,
            screen: || None,
            columns: None,
            keyboard: None,
            world_factory: |host| Box::new(host),
        }
    }
}

/// State of one command.
pub struct Session {
    pub shell: Shell,
    pub flags: Flags,
    /// Files below `out/`, or `out/simulation/` in a simulation.
    pub workspace: Workspace,
    pub cwd: Utf8PathBuf,
    pub vars: BTreeMap<String, String>,
    /// The terminal behind stderr, if it is one.
    pub screen: fn() -> Option<Screen>,
    pub keyboard: Option<Keyboard>,
    pub world_factory: WorldFactory,
    /// The command line as it was typed, for hints.
    pub invocation: String,
    /// When it began, by the clock of its world.
    pub began: Duration,
}

impl Session {
    /// The output folder, relative to the repository.
    pub fn out(&self) -> String {
        self.workspace.shown(self.workspace.out()).to_owned()
    }
}

/// Runs one command line, the program's own name first. Returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut shell = Shell::new(env.out, env.err);
    let terminal = (env.screen)().is_some();
    let program = cli::program(&args, &env.vars);
    let (command, flags) = match cli::parse(&args, terminal, program) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = usage(&mut shell, &error, program);
            return check_stdout(&mut shell, code);
        }
    };
    let colour = flags.color.decide(terminal, env.vars.get("NO_COLOR").map(String::as_str));
    shell.set(colour, volume(&flags));
    let columns = env.vars.get("COLUMNS").and_then(|text| text.parse().ok()).or(env.columns);
    shell.describe(columns, format!("{}-{:03}", clock::now(), clock::now_ms() % 1000));
    let own = flags.clone();
    shell.localize(move |text| own.localized(text));
    let out = Utf8Path::new(if flags.simulate { "out/simulation" } else { "out" });
    let workspace = Workspace::open(&env.root, out);
    let workspace = if flags.simulate { workspace.without_fsync() } else { workspace };
    let invocation = invocation(&args, program);
    let Env { cwd, vars, screen, keyboard, world_factory, .. } = env;
    let began = Duration::ZERO;
    let mut session =
        Session { shell, flags, workspace, cwd, vars, screen, keyboard, world_factory, invocation, began };
    drill_marker::warn(&mut session, &command);
    let mut ended = dispatch(&mut session, &command);
    if matches!(ended, Ok(exit::DONE)) && next::has_end_screen(&command, &session) {
        ended = access::end_screen(&mut session).map(|()| exit::DONE);
    }
    let code = ended.unwrap_or_else(|error| {
        show(&mut session, &error.problems);
        error.code
    });
    warn_deferred(&mut session);
    if let Some(next) = next::next(&command, &session.flags).filter(|_| code == exit::DONE) {
        session.shell.status(Severity::Hint, "Next", next);
    }
    check_stdout(&mut session.shell, code)
}

fn dispatch(session: &mut Session, command: &Command) -> CmdResult {
    match command {
        Command::Up { .. } => up::run(session),
        Command::Bootstrap { .. } => bootstrap::run(session),
        Command::MeshConnect(asked) => mesh::run(session, mesh::Options { diagnose: asked.diagnose, full: asked.full }),
        Command::Apply { names, watch, .. } => apply::releases(session, names, *watch),
        Command::Plan { of, diff: Some(commit), .. } => plan::changes(session, *of, commit),
        Command::Plan { of, graph: Some(_), .. } => plan::graph(session, *of),
        Command::Plan { of, full: true, .. } => plan::run(session, *of, plan::print),
        Command::Plan { of, list: true, .. } => plan::run(session, *of, plan::list),
        Command::Plan { of, .. } => plan::run(session, *of, plan::table),
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
        Command::AddCluster { name, write } => add_cluster::run(session, name, *write),
        Command::Status { .. } => status::run(session),
        Command::Doctor { fix, .. } => doctor::run(session, *fix),
        Command::Kubeconfig { merge, context, .. } => kubeconfig::run(session, *merge, context.as_deref()),
        Command::Logs { step: Some(step), follow, .. } => logs::run(session, step, *follow),
        Command::Logs { failed: true, .. } => logs::failed(session),
        Command::Logs { .. } => logs::list(session),
        Command::Version => version::run(session),
        Command::Access { name, open, password, .. } => {
            access::run(session, &access::Asked { name: name.as_deref(), open: *open, password: *password })
        }
        Command::Ci => ci::run(session),
        Command::Completions { shell, words } if words.is_empty() => completions::run(session, *shell),
        Command::Completions { words, .. } => completions::complete(session, words),
    }
}

/// Prints help or a usage error; clap's own exit code for the latter is 2 as well.
fn usage(shell: &mut Shell, error: &clap::Error, program: &str) -> u8 {
    let text = error.to_string().replace(cli::CARGO, program);
    if error.use_stderr() {
        shell.message(&text);
        return USAGE;
    }
    shell.result(&text);
    exit::DONE
}

/// With a stream of events, stderr shows failures only, unless `--verbose`.
fn volume(flags: &Flags) -> Volume {
    match flags {
        Flags { verbose: true, .. } => Volume::Verbose,
        Flags { quiet: true, .. } | Flags { format: Format::Json, .. } => Volume::Quiet,
        _ => Volume::Normal,
    }
}

fn invocation(args: &[OsString], program: &str) -> String {
    let args = args.iter().skip(1).map(|arg| tool::quoted(&arg.to_string_lossy()).into_owned());
    std::iter::once(program.to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// Prints problems to stderr, and as events with `--format json`.
pub(crate) fn show(session: &mut Session, problems: &[Problem]) {
    if session.flags.format == Format::Json {
        problems.iter().for_each(|problem| session.shell.event(events::problem(problem)));
    }
    if session.flags.format == Format::Github {
        problems.iter().for_each(|problem| session.shell.result(&events::annotation(problem)));
    }
    let Session { workspace, .. } = session;
    let source = |at: &At| {
        let index = at.line?.checked_sub(1)?;
        let text = (!at.file.starts_with("out/")).then(|| workspace.read_input(Utf8Path::new(&at.file)).ok())??;
        text.lines().nth(index).map(str::to_owned)
    };
    let text = problem::all(problems, &source, session.shell.style());
    session.shell.message(&text);
}

/// Prints problems that did not stop the command.
fn warn_deferred(session: &mut Session) {
    let problems = session.workspace.deferred_warnings();
    if !problems.is_empty() {
        show(session, &problems);
    }
}

/// Results that could not be written are a failure.
fn check_stdout(shell: &mut Shell, code: u8) -> u8 {
    let Some(error) = shell.take_error() else { return code };
    let problem = Problem::new("cannot write to stdout").why(error.to_string());
    shell.message(&problem::one(&problem, shell.style()));
    if code == exit::DONE { FAILED } else { code }
}
