//! A small plan run by real processes: values, secrets, records, time limits, a second run.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use exec::driver::drive;
use exec::workspace::Workspace;
use plan::engine::{Engine, Outcome, StepEvent};
use plan::journal;
use plan::{Expect, Plan, Pool, Probe, Step};
use tool::{Command, Exit, Extractor, Limits, Tool, builtin};

use crate::host::{Bench, root_of_parent, say};

pub fn sh(script: &str) -> Command {
    Command::act(Tool::Curl, ["-c", script])
}

pub fn ask(script: &str) -> Command {
    Command::ask(Tool::Curl, ["-c", script])
}

pub fn step(id: &str, needs: &[&str], ask: Command, act: Vec<Command>) -> Step {
    Step {
        id: id.into(),
        title: format!("bring about {id}"),
        needs: needs.iter().map(|n| (*n).into()).collect(),
        after: vec![],
        pool: Pool::Free,
        binds_to: vec![],
        done_when: Probe { ask, want: Expect::Exit(0), fallback: None, lasts: Duration::ZERO },
        remedies: vec![],
        act,
        undo: vec![],
        limits: Limits {
            ask: Duration::from_secs(30),
            act: Duration::from_secs(30),
            attempts: 1,
            pause: Duration::from_millis(100),
            settle: Duration::ZERO,
        },
        hint: None,
        observer: None,
    }
}

pub fn plan(steps: Vec<Step>) -> Plan {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [file("join.yaml", "token: arc002.<secret:join>\nserver: <fact:ip>:6443\n")].into();
    Plan { name: "bootstrap", steps, files, pools: BTreeMap::from([(Pool::Free, 4)]) }
}

pub struct Ran {
    pub outcome: Outcome,
    notes: Vec<StepEvent>,
    space: Workspace,
}

pub fn run(bench: &mut Bench, plan: &Plan) -> Ran {
    let mut space = Workspace::open(&bench.root, Utf8Path::new("out"));
    let facts = journal::read(&space.journal().unwrap()).facts;
    let engine = Engine::new(plan, plan.ids(), facts, 4);
    let mut notes = Vec::new();
    let mut watch = |_: Duration, note: &StepEvent| notes.push(note.clone());
    let outcome = drive(plan, engine, &mut bench.host, &mut space, &mut watch);
    assert_eq!(space.deferred_warnings(), []);
    Ran { outcome, notes, space }
}

/// Learns an address, makes two secrets, hands all to another "node", and keeps a file.
fn small_plan() -> Plan {
    let address = ask("test -e vm && echo 10.0.0.7").capture("ip", Extractor::Stdout);
    let key =
        Command::act(Tool::Curl, ["-c", "printf secret-%s key | base64"]).capture_secret("key", Extractor::Stdout);
    plan(vec![
        step("vm", &[], address, vec![sh("echo starting; touch vm")]),
        step("secrets", &[], builtin::has_secrets(&["join", "key"]), vec![builtin::generate_secret("join"), key]),
        step(
            "join",
            &["vm", "secrets"],
            ask("test -e joined"),
            vec![sh("cat > joined; cat joined").stdin_file("join.yaml")],
        ),
        step(
            "kept",
            &["join"],
            builtin::file_matches("kube/join.yaml", "join.yaml"),
            vec![builtin::keep("kube/join.yaml", "join.yaml")],
        ),
    ])
}

#[test]
fn second_run_of_a_plan_changes_nothing() {
    let mut bench = Bench::new();
    let plan = small_plan();
    let first = run(&mut bench, &plan);
    assert_eq!(first.outcome.failed, []);
    assert_eq!(first.outcome.done, ["vm", "secrets", "join", "kept"]);
    let joined = bench.run("cat joined").stdout;
    let secret = joined.lines().next().unwrap().strip_prefix("token: arc002.").unwrap().to_owned();
    assert!(secret.len() == 16 && joined.ends_with("server: 10.0.0.7:6443\n"), "{joined}");

    let second = run(&mut bench, &plan);
    assert_eq!(second.outcome.unchanged, first.outcome.done);
    assert!(!second.notes.iter().any(|note| matches!(note, StepEvent::Running { .. })), "nothing is run twice");
}

#[test]
fn no_record_holds_a_secret() {
    let mut bench = Bench::new();
    let mut ran = run(&mut bench, &small_plan());
    let secrets = ["join", "key"].map(|name| ran.space.secret(name).unwrap().unwrap());
    let log = ran.space.read(ran.space.log_path("join", 1).as_str().into()).unwrap();
    assert!(log.contains("token: arc002.<secret:join>"), "{log}");
    let logs = bench.run("cat out/logs/* out/journal.jsonl").stdout;
    let printed = format!("{logs}{:?}", ran.notes);
    assert!(logs.contains("10.0.0.7") && !secrets.iter().any(|secret| printed.contains(secret)), "{printed}");
    assert_eq!(bench.run("find out/secrets out/kube -type f ! -perm 600").stdout, "");
}

#[test]
fn timed_out_command_is_killed_with_its_children() {
    let mut bench = Bench::new();
    let mut late = step("late", &[], ask("false"), vec![sh("sleep 300 & echo $! > pid; wait")]);
    late.limits.act = Duration::from_secs(1);
    let ran = run(&mut bench, &plan(vec![late, step("next", &["late"], ask("false"), vec![])]));
    assert_eq!(ran.outcome.failed[0].output.exit, Exit::TimedOut);
    assert_eq!(ran.outcome.blocked, [("next".into(), "late".into())]);
    let pid = bench.run("cat pid").stdout;
    assert!(bench.dies(pid.trim()));
}

#[test]
fn missing_and_failing_tools_differ() {
    let mut bench = Bench::new();
    let missing = step("a", &[], Command::ask(Tool::Multipass, ["version"]), vec![]);
    let failing = step("b", &[], ask("false"), vec![sh("echo no space >&2; exit 7")]);
    let ran = run(&mut bench, &plan(vec![missing, failing]));
    let exits: Vec<&Exit> = ran.outcome.failed.iter().map(|failure| &failure.output.exit).collect();
    assert_eq!(exits, [&Exit::Missing, &Exit::Code(7)]);
    assert_eq!(ran.outcome.failed[1].output.stderr, "no space\n");
}

#[test]
fn second_interrupt_kills_running_commands() {
    let mut bench = Bench::new();
    let child = bench.in_process("drive::child_is_interrupted");
    let next = |bench: &mut Bench, word: &str| {
        let words = std::iter::repeat_with(|| bench.next_line());
        words.map(|line| line.strip_prefix(word).map(str::to_owned)).find_map(|rest| rest).unwrap()
    };
    let (pid, sleeper) = (next(&mut bench, "pid "), next(&mut bench, "sleeper "));
    bench.run(&format!("kill -s INT {pid}"));
    next(&mut bench, "stopping");
    assert!(bench.lives(&sleeper), "the first lets it go on");
    bench.run(&format!("kill -s INT {pid}"));
    next(&mut bench, "interrupted");
    assert!(bench.end(child).ok() && bench.dies(&sleeper));
}

#[test]
fn child_is_interrupted() {
    if root_of_parent().is_none() {
        return;
    }
    let mut bench = Bench::new();
    bench.host.listen_for_signals().unwrap();
    say(&format!("\npid {}\n", std::process::id()));
    let plan = plan(vec![step("long", &[], ask("false"), vec![sh("sleep 300 & echo sleeper $!; wait")])]);
    let mut space = Workspace::open(&bench.root, Utf8Path::new("out"));
    let engine = Engine::new(&plan, plan.ids(), BTreeMap::new(), 1);
    let mut watch = |_: Duration, note: &StepEvent| match note {
        StepEvent::Line(_, line) => say(&format!("{line}\n")),
        StepEvent::Stopping => say("stopping\n"),
        _ => {}
    };
    let outcome = drive(&plan, engine, &mut bench.host, &mut space, &mut watch);
    assert!(outcome.interrupted);
    say("interrupted\n");
}
