//! `--record DIR`: writes every command of a run with its answer, redacted, for bug reports: a line of JSON each, as
//! tests replay them in the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use serde_json::json;

use super::Session;
use super::exit::{CmdError, CmdResult, FAILED};
use super::world_factory::Work;
use crate::ui::shell::Severity;
use contract::live::redact;
use tool::extract::pattern;
use tool::{Call, Event, Exit, Output, TaskId, World};

const FILE: &str = "commands.jsonl";

/// Certificates and keys, and tokens of service accounts and of Vault, whoever they belong to.
const PRIVATE: [&str; 3] = [
    r"-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----|\bLS0tLS1CRUdJ[A-Za-z0-9+/=]+",
    r"\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+",
    r"\bhvs\.\w+",
];

/// Runs `work` in a world that records. What is learnt to be secret later is redacted in earlier answers too, so the file
/// is written at the end.
///
/// # Errors
/// Those of `work`, or the file cannot be written.
pub fn recorded(session: &mut Session, world: &mut dyn World, work: Work<'_>) -> CmdResult {
    let Some(folder) = session.flags.record.clone() else { return work(session, world) };
    let mut world = Recorder { world, running: BTreeMap::new(), ended: vec![] };
    let code = work(session, &mut world);
    let private = pattern(&PRIVATE.join("|")).expect("bug: a pattern");
    let hide = |text: &str| {
        let text = session.workspace.redact(text);
        let hidden = private.replace_all(text.as_bytes(), &b"<private>"[..]);
        String::from_utf8_lossy(&hidden).into_owned()
    };
    let line = |(call, output, took): &(Call, Output, Duration)| {
        let argv: Vec<String> =
            std::iter::once(call.tool.program()).chain(call.args.iter().map(String::as_str)).map(hide).collect();
        let output = redact::output(output, &hide);
        let exit = match output.exit {
            Exit::Code(code) => json!(code),
            other => json!(tool::expect::ending(&other)),
        };
        let line = json!({ "argv": argv, "exit": exit, "stdout": output.stdout, "stderr": output.stderr,
            "seconds": took.as_secs_f64(), "stdin_bytes": call.stdin.len() });
        format!("{line}\n")
    };
    let text: String = world.ended.iter().map(line).collect();
    let path: &Utf8Path = &session.cwd.join(folder).join(FILE);
    session.workspace.write_to(path, &text).map_err(CmdError::with(FAILED))?;
    let what =
        format!("{} of {}; read it before you share it", path, crate::ui::format::count(world.ended.len(), "command"));
    session.shell.status(Severity::Success, "Recorded", &what);
    code
}

struct Recorder<'a> {
    world: &'a mut dyn World,
    running: BTreeMap<TaskId, (Call, Duration)>,
    ended: Vec<(Call, Output, Duration)>,
}

impl World for Recorder<'_> {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn start(&mut self, call: Call) {
        self.running.insert(call.task, (call.clone(), self.world.now()));
        self.world.start(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.world.kill(task, hard);
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        let event = self.world.wait(until);
        if let Event::Ended(task, output) = &event
            && let Some((call, began)) = self.running.remove(task)
        {
            let took = self.world.now().saturating_sub(began);
            self.ended.push((call, output.clone(), took));
        }
        event
    }
}
