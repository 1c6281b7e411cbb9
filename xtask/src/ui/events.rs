//! The event stream of `--format json`: one object per line on stdout, for scripts.
//!
//! Every object has `event` (its kind), `schema` (1), `run` (the same for all events of a command line) and, while a run
//! goes on, `at_ms` (milliseconds of the run's own clock) and `step`. Objects and fields may be added; none is removed or changes its meaning.. [`EVENTS`] lists
//! them.

use std::time::Duration;

use serde_json::{Value, json};

use super::format;
use super::problem::{self, Tally};
use model::problem::Problem;
use plan::engine::{Failure, StepEvent};
use plan::{Plan, Pool, Step, StepKey};
use tool::{Command, Stdin};

/// The kinds of events with their fields: docs/json.md is made of it.
pub const EVENTS: &str = "\
| event | further fields |
|---|---|
| `access` | `name`, `cluster`, `url`, `address` (or null), `user`, `forward` (the command without a Gateway) |
| `blocked` | `by` |
| `cause` | `text`: what keeps a slow step from its end |
| `changes` | of `upgrade`: `changes` (`what`, `from`, `to`) |
| `chart` | of `charts outdated`: `release`, `pinned`, `newest`, `behind`, `note` |
| `checking` `unchanged` `skipped` | |
| `contract` | of `verify-contract`, for each tier: `tier`, `holds`, `clauses`, `dependencies` |
| `diagnosed` | `remedy` of the state, `why` |
| `diff` | of `charts diff` and `apply`: `cluster`, `release`, `lines` (`+`, `-` or `~` and an object, fields below it) |
| `done` | `took_ms`, `already_satisfied` (a command failed, but the check passed) |
| `dry-run` | `command`, `would_run` and `missing` (ids of steps), `unchanged` (a number) |
| `examined` | of `doctor`: `checks`, `findings` (numbers) |
| `failed` | `failure`: `attempt`, `attempts`, `command`, `exit`, `why`, `took_ms`, `stderr` (last lines) |
| `finding` | of `doctor`: `what`, `why`, `hint`, `fix` (a step that `--fix` runs), `detail` |
| `finished` | `changed`, `unchanged`, `failed`, `blocked`, `skipped`, `stopped` (numbers), `interrupted`, `took_ms`, `path` (`step`, `took_ms`) |
| `host-path` | of `charts verify`: `release`, `workload`, `path` |
| `injection-points` | `faults`: by kind and tool, how many were `injected` and how many `converged` |
| `line` | `text` |
| `memory` | of `charts verify`, bytes: `node`, `memory`, `allocatable`, `fixed`, `floating`, `free` |
| `mesh` | `clusters`, `links`, `figures` |
| `part` | of `up`: `name`, `number`, `of`, `exit` (null at its start) |
| `problem` | `what`, `file`, `line`, `why`, `hint` (or null) |
| `retrying` | `attempt` that failed, `pause_ms`, `failure` |
| `running` | `attempt`, `remedy` (or null), `command`, `mutates` |
| `simulated` | `seed` or `fault`, `injection_points`, `injected`, `runs`, `exit`, `why` (or null): one scenario |
| `started` | `command`, `steps` (chosen), `simulated` |
| `status` | `clusters`, `memory` (per VM: what it has, `requests` at most, `left`), `mesh`, `contract`, `others`, `passed`, `checks` |
| `stopping` | |
| `version` | `version`, `commit`, `kubernetes`, `charts` |
";

/// An event of the engine. `now` counts from the start of the run.
pub fn step_event(now: Duration, event: &StepEvent) -> Value {
    let step = |kind: &str, step: &StepKey| json!({"event": kind, "step": step});
    let mut event = match event {
        StepEvent::Checking(id) => step("checking", id),
        StepEvent::Unchanged(id) => step("unchanged", id),
        StepEvent::Skipped(id) => step("skipped", id),
        StepEvent::Diagnosed { step, remedy, why } => {
            json!({"event": "diagnosed", "step": step, "remedy": remedy, "why": why})
        }
        StepEvent::Running { step, attempt, remedy, command, mutates } => json!({
            "event": "running", "step": step, "attempt": attempt, "remedy": remedy, "command": command, "mutates": mutates,
        }),
        StepEvent::Line(id, text) => json!({"event": "line", "step": id, "text": format::strip_controls(text)}),
        StepEvent::Cause(id, text) => json!({"event": "cause", "step": id, "text": format::strip_controls(text)}),
        StepEvent::Done { step, took, already_satisfied } => {
            json!({"event": "done", "step": step, "took_ms": ms(*took), "already_satisfied": already_satisfied})
        }
        StepEvent::Retrying { step, attempt, pause, failure } => json!({
            "event": "retrying", "step": step, "attempt": attempt, "pause_ms": ms(*pause), "failure": failed(failure),
        }),
        StepEvent::Failed(failure) => json!({"event": "failed", "step": failure.step, "failure": failed(failure)}),
        StepEvent::Blocked(id, by) => json!({"event": "blocked", "step": id, "by": by}),
        StepEvent::Stopping => json!({"event": "stopping"}),
    };
    event["at_ms"] = ms(now).into();
    event
}

pub fn started(command: &str, steps: usize, simulated: bool) -> Value {
    json!({"event": "started", "at_ms": 0, "command": command, "steps": steps, "simulated": simulated})
}

pub fn finished(tally: Tally, interrupted: bool, took: Duration, path: &[(StepKey, Duration)]) -> Value {
    let Tally { changed, unchanged, failed, blocked, skipped, stopped } = tally;
    let path: Vec<Value> = path.iter().map(|(step, took)| json!({"step": step, "took_ms": ms(*took)})).collect();
    json!({
        "event": "finished", "at_ms": ms(took), "took_ms": ms(took), "interrupted": interrupted,
        "changed": changed, "unchanged": unchanged, "failed": failed, "blocked": blocked, "skipped": skipped, "stopped": stopped,
        "path": path,
    })
}

/// A problem as an annotation of GitHub Actions: `::error file=F,line=N::what`.
pub fn annotation(problem: &Problem) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let at = problem.at.as_ref().map_or(String::new(), |at| {
        let line = at.line.map_or(String::new(), |line| format!(",line={line}"));
        format!(" file={}{line}", property(&at.file))
    });
    let texts = [Some(problem.what.as_str()), problem.why.as_deref(), problem.hint.as_deref()];
    format!("::error{at}::{}\n", data(&texts.into_iter().flatten().collect::<Vec<_>>().join("\n")))
}

pub fn problem(problem: &Problem) -> Value {
    let at = problem.at.as_ref();
    json!({
        "event": "problem", "what": problem.what, "file": at.map(|at| &at.file), "line": at.and_then(|at| at.line),
        "why": problem.why, "hint": problem.hint,
    })
}

/// A plan as one object.
pub fn plan(plan: &Plan) -> Value {
    let steps: Vec<Value> = plan.steps.iter().map(planned).collect();
    json!({"plan": plan.name, "steps": steps})
}

fn planned(step: &Step) -> Value {
    let pool = match step.pool {
        Pool::Free => "free",
        Pool::Launch => "launch",
        Pool::Pull => "pull",
    };
    let remedy = |remedy: &plan::Remedy| json!({"name": remedy.name, "act": commands(&remedy.act)});
    json!({
        "step": step.id, "title": step.title, "needs": step.needs, "after": step.after, "pool": pool,
        "asks": command(&step.done_when.ask), "wants": step.done_when.want.to_string(), "remedies": step.remedies.iter().map(remedy).collect::<Vec<_>>(),
        "act": commands(&step.act), "undo": commands(&step.undo), "attempts": step.limits.attempts,
        "ask_ms": ms(step.limits.ask), "act_ms": ms(step.limits.act),
        "pause_ms": ms(step.limits.pause), "settle_ms": ms(step.limits.settle),
    })
}

fn commands(commands: &[Command]) -> Vec<Value> {
    commands.iter().map(command).collect()
}

fn command(command: &Command) -> Value {
    let stdin = match &command.stdin {
        Stdin::Closed => Value::Null,
        Stdin::File(file) => json!({"file": file}),
        Stdin::Text(text) => json!({"text": text}),
    };
    let env: serde_json::Map<String, Value> = command.env.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    json!({"program": command.tool.program(), "args": command.args, "env": env, "stdin": stdin})
}

fn failed(failure: &Failure) -> Value {
    let Failure { attempt, attempts, command, output, took, why, .. } = failure;
    json!({
        "attempt": attempt, "attempts": attempts, "command": command.to_string(), "exit": output.exit, "why": why,
        "took_ms": ms(*took), "stderr": problem::output_tail(output, command.sensitive()),
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::progress::board::tests as board;
    use super::*;

    #[test]
    fn a_failure_has_time_exit_and_stderr() {
        let event = step_event(Duration::from_secs(9), &StepEvent::Failed(board::failure("app1/cp/init", 1, 2, 9)));
        assert_eq!((&event["event"], &event["at_ms"]), (&json!("failed"), &json!(9000)));
        assert_eq!(event["failure"]["exit"], json!({"code": 1}));
        assert_eq!(event["failure"]["stderr"], json!(["launch failed"]));
    }

    #[test]
    fn annotations_are_one_escaped_line() {
        let problem = Problem::new("50 % of it").at("a,b.toml", Some(3)).why("one\ntwo");
        assert_eq!(annotation(&problem), "::error file=a%2Cb.toml,line=3::50 %25 of it%0Aone%0Atwo\n");
    }

    #[test]
    fn plans_and_problems_are_objects() {
        assert!(plan(&board::plan()).to_string().contains(r#""step":"app1/cp/init""#));
        let event = super::problem(&Problem::new("x").at("f", Some(3)));
        assert_eq!((&event["line"], &event["hint"]), (&json!(3), &Value::Null));
    }
}
