//! What the driver lets through and what it keeps, shown on a world that answers from a list.

use super::*;
use plan::Plan;
use tool::Call;
use tool::{Extractor, builtin};

/// Records what was started and returns scripted events.
#[derive(Default)]
struct Script {
    started: Vec<Call>,
    killed: Vec<(TaskId, bool)>,
    says: VecDeque<Event>,
}

impl World for Script {
    fn now(&self) -> Duration {
        Duration::from_secs(self.started.len() as u64)
    }

    fn start(&mut self, call: Call) {
        self.started.push(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.killed.push((task, hard));
    }

    fn wait(&mut self, _until: Option<Duration>) -> Event {
        self.says.pop_front().unwrap_or(Event::Tick)
    }
}

struct Seen {
    world: Script,
    space: Workspace,
    notes: Vec<StepEvent>,
    _dir: tempfile::TempDir,
}

/// Performs actions, then asks for as many events as the world and the driver itself have.
fn check(says: Vec<Event>, actions: Vec<Action<'_>>) -> (Vec<Event>, Seen) {
    let dir = tempfile::tempdir().unwrap();
    let root = camino::Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    let mut space = Workspace::open(&root, "out".into());
    space.store_secrets(&[("kept", "topsecretvalue")]).unwrap();
    let files = [("f.yaml".to_owned(), "key: <secret:kept>".to_owned())].into();
    let plan = Plan { name: "bootstrap", steps: vec![], files, pools: BTreeMap::new() };
    let mut world = Script { says: says.into(), ..Script::default() };
    let mut notes = Vec::new();
    let mut watch = |_: Duration, note: &StepEvent| notes.push(note.clone());
    Execution::begin(&plan, Engine::new(&plan, plan.ids(), BTreeMap::new(), 1), &digest(&plan), &mut space);
    let state = ExecutionState::default();
    let mut driver = Driver { plan: &plan, world: &mut world, space: &mut space, watch: &mut watch, state };
    driver.perform(actions, &BTreeMap::from([("a.ip".to_owned(), "10.0.0.1".to_owned())]));
    let mut events = Vec::new();
    loop {
        match driver.next(Some(Duration::MAX), &BTreeMap::new()) {
            Event::Tick => break,
            event => events.push(event),
        }
    }
    driver.finish(Outcome::default());
    (events, Seen { world, space, notes, _dir: dir })
}

fn start(task: TaskId, command: &Command) -> Action<'_> {
    Action::Start { task, step: "a/b".into(), command, digests: vec![] }
}

fn answer(stdout: &str, stderr: &str, exit: Exit) -> Output {
    Output { stdout: stdout.into(), stderr: stderr.into(), ..Output::of(exit) }
}

impl Seen {
    fn log(&self) -> String {
        self.space.read(self.space.log_path("a/b", 1).as_str().into()).unwrap()
    }
}

#[test]
fn killed_command_is_ended_where_it_runs() {
    let end = Command::act(Tool::Multipass, ["exec", "a", "--", "end"]);
    let command = Command::act(Tool::Multipass, ["exec", "a", "--", "join"]);
    let command = Command { end: Some(Box::new(end)), ..command };
    let killed = answer("", "", Exit::Signal(9));
    let says = |first: &Output| vec![Event::Ended(1, first.clone()), Event::Ended(1, answer("", "", Exit::Code(0)))];
    let kill = Action::Kill { task: 1, hard: true };
    let (events, seen) = check(says(&killed), vec![start(1, &command), kill]);
    assert_eq!(events, [Event::Ended(1, killed)], "the end of the command is its own");
    assert_eq!((seen.world.started.len(), seen.world.started[1].args.last().map(String::as_str)), (2, Some("end")));
    let (_, seen) = check(says(&answer("", "", Exit::Code(1))), vec![start(1, &command)]);
    assert_eq!(seen.world.started.len(), 1, "it ended by itself");
}

#[test]
fn a_command_runs_with_its_values_and_is_logged_without_secrets() {
    let output = answer("topsecretvalue\n", "", Exit::Code(0));
    let says = vec![Event::Line(1, "key topsecretvalue here".into()), Event::Ended(1, output.clone())];
    let command = Command::act(Tool::Helm, ["--ip", "<fact:a.ip>"]).stdin_file("f.yaml");
    let (events, seen) = check(says, vec![start(1, &command)]);
    assert_eq!(events, [Event::Line(1, "key <secret:kept> here".into()), Event::Ended(1, output)]);
    assert_eq!(seen.world.started[0].args, ["--ip", "10.0.0.1"]);
    assert_eq!(seen.world.started[0].stdin, b"key: topsecretvalue");
    let log = seen.log();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].ends_with("Z $ helm --ip <fact:a.ip>"), "{log}");
    assert_eq!(lines[1], "key <secret:kept> here");
    assert!(lines[2].ends_with("Z exit 0 after 0.0s") || lines[2].ends_with("Z exit 0 after 1.0s"), "{log}");
}

#[test]
fn final_output_is_in_the_log() {
    let says = vec![Event::Ended(1, answer("key topsecretvalue\n", "no such file\n", Exit::Code(1)))];
    let (_, seen) = check(says, vec![start(1, &Command::ask(Tool::Helm, ["version"]))]);
    let log = seen.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[1..3], ["key <secret:kept>", "no such file"], "{log}");
    assert_eq!(lines.len(), 4, "{log}");
}

#[test]
fn unresolved_values_end_a_command_before_it_starts() {
    let (events, seen) = check(vec![], vec![start(1, &Command::ask(Tool::Helm, ["<fact:b.ip>"]))]);
    let reason = Exit::NotStarted("<fact:b.ip> is not known".into());
    assert_eq!(events, [Event::Ended(1, Output::of(reason))]);
    assert!(seen.world.started.is_empty());
    assert!(seen.log().contains("not started: <fact:b.ip> is not known"));
}

#[test]
fn acts_about_files_never_reach_the_world() {
    let (events, mut seen) =
        check(vec![], vec![start(1, &builtin::generate_secret("new")), start(2, &builtin::machine())]);
    assert_eq!(events, [Event::Ended(1, Output::of(Exit::Code(0)))]);
    assert!(seen.space.secret("new").unwrap().is_some());
    assert_eq!(seen.world.started.len(), 1, "the machine is the world's to know");
}

#[test]
fn output_of_a_sensitive_command_is_not_logged() {
    let command = Command::ask(Tool::Openssl, ["req"]).capture_secret("ca.key", Extractor::Stdout);
    let failed = answer("PRIVATE", "unable to load topsecretvalue\n", Exit::Code(1));
    let says = vec![Event::Line(1, "PRIVATE".into()), Event::Ended(1, failed.clone())];
    let failure = Failure {
        step: "a/b".into(),
        precondition: false,
        attempt: 1,
        attempts: 1,
        command: command.clone(),
        output: failed.clone(),
        took: Duration::from_secs(1),
        why: "exit 1".into(),
    };
    let note = Action::Event(StepEvent::Failed(Box::new(failure)));
    let (events, seen) = check(says, vec![start(1, &command), note]);
    assert_eq!(events, [Event::Ended(1, failed)], "the engine alone may see it, to learn from it");
    assert!(!seen.log().contains("PRIVATE") && seen.log().contains("unable to load <secret:kept>"));
    let StepEvent::Failed(shown) = &seen.notes[0] else { panic!("{:?}", seen.notes) };
    assert_eq!(shown.output, answer("", "unable to load <secret:kept>\n", Exit::Code(1)));
}

#[test]
fn captured_values_are_stored_as_fact_or_secret() {
    let learnt = |name: &str, value: &str, secret| Action::Captured { name: name.into(), value: value.into(), secret };
    let actions = vec![
        learnt("ca.cert", "certcertcert", true),
        learnt("ca.key", "keykeykeykey", true),
        learnt("a.ip", "10.0.0.7", false),
    ];
    let (_, mut seen) = check(vec![], actions);
    assert_eq!(seen.space.secret("ca.key").unwrap().as_deref(), Some("keykeykeykey"));
    let journal = seen.space.journal().unwrap();
    assert!(!journal.contains("keykey"), "{journal}");
    assert_eq!(journal::read(&journal).facts, BTreeMap::from([("a.ip".to_owned(), "10.0.0.7".to_owned())]));
}

#[test]
fn the_journal_tells_the_run() {
    let running =
        |mutates| StepEvent::Running { step: "a/b".into(), attempt: 2, remedy: None, command: "helm".into(), mutates };
    let done = StepEvent::Done { step: "a/b".into(), took: Duration::from_secs(3), already_satisfied: false };
    let notes = [StepEvent::Unchanged("x".into()), running(false), running(true), done];
    let (_, seen) = check(vec![], notes.iter().cloned().map(Action::Event).collect());
    assert_eq!(seen.notes, notes);
    let text = seen.space.journal().unwrap();
    let events: Vec<&str> = text.lines().map(|l| l.split('"').nth(5).unwrap()).collect();
    assert_eq!(events, ["run-started", "step-unchanged", "step-started", "step-done", "run-ended"]);
    let read = journal::read(&text);
    assert_eq!(read.took["a/b"], Duration::from_secs(3));
    assert_eq!(read.last.unwrap().ended, Some((true, false)));
}

#[test]
fn only_running_commands_are_killed() {
    let kill = |task, hard| Action::Kill { task, hard };
    let command = Command::act(Tool::Helm, ["x"]);
    let actions = vec![kill(9, true), start(1, &command), kill(1, false), kill(1, true)];
    let (_, seen) = check(vec![Event::Interrupt], actions);
    assert_eq!(seen.world.killed, [(1, false), (1, true)]);
}

#[test]
fn a_digest_is_sent_before_the_output_that_needs_it() {
    let command = Command::ask(Tool::Helm, ["<digest:f.yaml>"]);
    let says = vec![Event::Ended(1, Output::of(Exit::Code(0)))];
    let action = Action::Start { task: 1, step: "a/b".into(), command: &command, digests: vec!["f.yaml".into()] };
    let (events, seen) = check(says, vec![action]);
    let digest = sha256_of(b"key: topsecretvalue")[..32].to_owned();
    assert_eq!(seen.world.started[0].args, std::slice::from_ref(&digest));
    let ended = Event::Ended(1, Output::of(Exit::Code(0)));
    assert_eq!(events, [Event::Digest("f.yaml".into(), digest), ended]);
}
