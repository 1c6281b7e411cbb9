//! xtask with one change: the built-in `machine`, `dial` and `sha256` go to the fake tool, and time is faster.
#![expect(clippy::disallowed_methods, reason = "a process of its own, in a test: it is `main` and a little more")]

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use exec::host::{Host, keyboard};
use tool::{Call, World};
use tool::{Event, TaskId};
use tool::{Exit, Output, Tool};
use xtask::cmd::{self, Env};
use xtask::ui;

/// How much faster than real time pauses and time limits are, if `XTASK_PACE` says nothing else.
const PACE: u32 = 20;

/// The real world, but for what it says of the machine that the tests run on.
struct Around {
    host: Host,
    ready: VecDeque<Event>,
    pace: u32,
    /// Spent in built-in commands, which here are processes that are waited for: no time limit may count it.
    waited: Duration,
}

impl World for Around {
    fn now(&self) -> Duration {
        (self.host.now() - self.waited) * self.pace
    }

    fn start(&mut self, call: Call) {
        match call.tool {
            Tool::Builtin => {
                let before = self.host.now();
                self.ready.push_back(Event::Ended(call.task, own(&call.args)));
                self.waited += self.host.now() - before;
            }
            _ => self.host.start(call),
        }
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.host.kill(task, hard);
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        self.ready.pop_front().unwrap_or_else(|| self.host.wait(until.map(|until| until / self.pace + self.waited)))
    }
}

/// `machine`, `dial` and `sha256`, by the fake tool. Paths below `out/` are relative to the working directory there.
fn own(args: &[String]) -> Output {
    let mut command = Command::new("xtask");
    match args {
        [act, path, rest @ ..] if ["sha256", "check"].contains(&act.as_str()) => {
            command.args([act, &format!("out/{path}")]).args(rest)
        }
        _ => command.args(args),
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    // In life these are threads of ours: what a terminal tells its processes does not reach them.
    match command.process_group(0).stdin(Stdio::null()).output() {
        Ok(ended) => {
            let exit = ended.status.code().map_or(Exit::Signal(9), Exit::Code);
            Output { stdout: text(ended.stdout), stderr: text(ended.stderr), ..Output::of(exit) }
        }
        Err(error) => Output::of(Exit::NotStarted(error.to_string())),
    }
}

fn pace() -> u32 {
    std::env::var("XTASK_PACE").ok().and_then(|pace| pace.parse().ok()).unwrap_or(PACE)
}

fn main() -> ExitCode {
    let cwd = std::env::current_dir().ok().and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok()).unwrap_or_default();
    let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    let (out, err): (Box<dyn Write>, Box<dyn Write>) = (Box::new(io::stdout()), Box::new(io::stderr()));
    let world_factory = |host| -> Box<dyn World> {
        Box::new(Around { host, ready: VecDeque::new(), pace: pace(), waited: Duration::ZERO })
    };
    let screen = ui::progress::screen::stderr;
    let keyboard = io::stdin().is_terminal().then_some(keyboard::read_line as cmd::Keyboard);
    let columns = ui::progress::screen::columns();
    let env = Env { screen, columns, keyboard, world_factory, ..Env::new(cwd, vars, out, err) };
    ExitCode::from(cmd::run(std::env::args_os(), env))
}
