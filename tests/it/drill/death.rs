//! A drill that is killed or interrupted. The simulator stands behind `World`, all else is as on machines.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use camino::Utf8PathBuf;
use exec::host::Host;
use serde_json::Value;
use sim::{Disk, SimWorld};
use tool::{Call, Event, Exit, Output, TaskId, World};

use crate::fixtures::{connected, copy_folder};
use crate::ui::{Ran, Repo};

const DRILL: &str = "verify-contract --drill mgmt-outage --yes -q --outage 3m";
const GONE: &str = "an interrupted drill left mgmt stopped (since";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    Death(usize),
    /// So often the user says stop.
    Stop(usize, u32),
    /// The API server is too busy for the first so many questions with this word.
    Unanswered(&'static str, usize),
}

struct Scene {
    world: SimWorld,
    end: End,
    started: Vec<String>,
    told: u32,
    unanswered: Vec<TaskId>,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fn on<T>(act: impl FnOnce(&mut Scene) -> T) -> T {
    SCENE.with_borrow_mut(|scene| act(scene.as_mut().expect("a scene")))
}

struct Proxy;

impl World for Proxy {
    fn now(&self) -> Duration {
        on(|scene| scene.world.now())
    }

    fn start(&mut self, call: Call) {
        let dies = on(|scene| {
            scene.started.push(format!("{} {}", call.tool.program(), call.args.join(" ")));
            let asks = |word: &str| call.args.iter().any(|arg| arg == word);
            if matches!(scene.end, End::Unanswered(word, times) if asks(word) && scene.unanswered.len() < times) {
                scene.unanswered.push(call.task);
            }
            scene.end == End::Death(scene.started.len())
        });
        assert!(!dies, "the process dies here");
        on(|scene| scene.world.start(call));
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        on(|scene| scene.world.kill(task, hard));
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        on(|scene| match scene.end {
            End::Stop(at, times) if scene.started.len() >= at && scene.told < times => {
                scene.told += 1;
                Event::Interrupt
            }
            _ => match scene.world.wait(until) {
                Event::Ended(task, _) if scene.unanswered.contains(&task) => {
                    let stderr = "Unable to connect to the server: context deadline exceeded\n".to_owned();
                    Event::Ended(task, Output { stderr, ..Output::of(Exit::Code(1)) })
                }
                event => event,
            },
        })
    }
}

struct Files(Utf8PathBuf);

impl Files {
    fn at(&self, path: &str) -> Utf8PathBuf {
        self.0.join("out").join(path.strip_prefix("out/").unwrap_or(path))
    }
}

impl Disk for Files {
    #[expect(clippy::disallowed_methods, reason = "the tools of a scene read kubeconfigs")]
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        std::fs::read(self.at(path)).ok().map(Rc::new)
    }

    #[expect(clippy::disallowed_methods, reason = "the tools of a scene write archives")]
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).map_err(|e| e.to_string())?;
        std::fs::write(path, bytes).map_err(|e| e.to_string())
    }
}

/// Runs a command line in a simulated state; what it did, and the state after it.
fn run(repo: &Repo, state: &str, line: &str, end: End) -> (Option<Ran>, Scene) {
    let disk = Box::new(Files(repo.root().to_owned()));
    let world = SimWorld::load(state, disk).expect("saved state");
    SCENE.set(Some(Scene { world, end, started: vec![], told: 0, unanswered: vec![] }));
    let door = |_: Host| -> Box<dyn World> { Box::new(Proxy) };
    let ran = catch_unwind(AssertUnwindSafe(|| repo.run_through(line, door))).ok();
    (ran, SCENE.take().expect("a scene"))
}

/// Connected clusters, where a run that is no simulation finds them.
fn brought_up() -> (Repo, String) {
    let simulated = connected();
    let repo = Repo::new();
    let (from, to) = (simulated.root().join("out/simulation"), repo.root().join("out"));
    copy_folder(&from, &to);
    (repo, simulated.state())
}

fn platform_runs(scene: &Scene) -> bool {
    let state: Value = serde_json::from_str(&scene.world.save()).expect("JSON");
    ["mgmt-cp", "mgmt-w1"].iter().all(|vm| state["state"]["vms"][*vm]["power"] == "Running")
}

/// Every moment at which something is about to stop or has stopped, three of the outage, one before and one after.
fn moments(started: &[String]) -> Vec<usize> {
    let stops = started.iter().position(|line| line.starts_with("multipass stop")).expect("it stops VMs");
    let starts = started.iter().rposition(|line| line.starts_with("multipass start")).expect("it starts VMs");
    let near = stops.saturating_sub(1)..stops + 5;
    let away = (stops + 8..starts + 2).step_by((starts - stops) / 3);
    let rest = [stops / 2, (starts + started.len()) / 2];
    near.chain(away).chain(rest).map(|n| n + 1).collect()
}

#[test]
fn killed_drill_is_reported_and_start_restores_the_platform() {
    let (repo, state) = brought_up();
    let whole = repo.copy();
    let (ran, scene) = run(&whole, &state, DRILL, End::Never);
    let ran = ran.expect("it lives");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(platform_runs(&scene) && scene.world.unknown().is_empty(), "{:?}", scene.world.unknown());
    for at in moments(&scene.started) {
        let repo = repo.copy();
        let (ran, scene) = run(&repo, &state, DRILL, End::Death(at));
        assert!(ran.is_none(), "it dies at {at}");
        let (said, after) = run(&repo, &scene.world.save(), "fleet check", End::Never);
        let told = said.expect("it lives").err.contains(GONE);
        assert!(told || platform_runs(&after), "at {at} ({:?}): stopped without a message", scene.started.last());
        let (start, after) = run(&repo, &after.world.save(), "start -q", End::Never);
        let start = start.expect("it lives");
        assert_eq!(start.code, 0, "at {at}: {}", start.err);
        assert!(platform_runs(&after) && !repo.root().join("out/drill.json").exists(), "at {at}");
        let (said, _) = run(&repo, &after.world.save(), "fleet check", End::Never);
        assert!(!said.expect("it lives").err.contains(GONE), "at {at}");
    }
}

#[test]
fn next_drill_finishes_an_interrupted_one() {
    let (repo, state) = brought_up();
    let (_, scene) = run(&repo.copy(), &state, DRILL, End::Never);
    let stop = scene.started.iter().position(|line| line.starts_with("multipass stop")).expect("it stops VMs");
    let (ran, scene) = run(&repo, &state, DRILL, End::Death(stop + 20));
    assert!(ran.is_none() && !platform_runs(&scene));
    let (ran, scene) = run(&repo, &scene.world.save(), DRILL, End::Never);
    let ran = ran.expect("it lives");
    assert!(platform_runs(&scene), "{}", ran.err);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn one_interrupt_ends_the_outage_and_two_keep_the_marker() {
    let (repo, state) = brought_up();
    let (_, scene) = run(&repo.copy(), &state, DRILL, End::Never);
    let stops = scene.started.iter().position(|line| line.starts_with("multipass stop")).expect("it stops VMs");
    for at in [1, stops - 5, stops + 1, stops + 20] {
        let repo = repo.copy();
        let (ran, scene) = run(&repo, &state, DRILL, End::Stop(at, 1));
        let ran = ran.expect("it lives");
        assert_eq!(ran.code, 130, "at {at}: {}", ran.err);
        assert!(platform_runs(&scene) && !repo.root().join("out/drill.json").exists(), "at {at}: {}", ran.err);
        let left = scene.world.save().matches("drill-probe").count();
        assert!(left == 0 || at <= stops - 5, "at {at}: probes are taken away");
    }
    let (ran, scene) = run(&repo, &state, DRILL, End::Stop(stops + 3, 2));
    let ran = ran.expect("it lives");
    assert!(ran.code == 130 && ran.err.contains(GONE) && ran.err.contains("cargo xtask start"), "{}", ran.err);
    assert!(!platform_runs(&scene) && repo.root().join("out/drill.json").exists());
}

#[test]
fn a_live_question_unanswered_once_is_asked_again_and_one_without_an_answer_is_no_breach() {
    let (repo, state) = brought_up();
    let secrets = "externalsecrets.external-secrets.io";
    for (line, refusal) in [
        ("verify-contract --live C3", "? app1 did not answer (c3)"),
        (DRILL, "app1 did not answer for C3: Unable to connect to the server: context deadline exceeded"),
    ] {
        for (times, code) in [(1, 0), (usize::MAX, 1)] {
            let (ran, scene) = run(&repo.copy(), &state, line, End::Unanswered(secrets, times));
            let ran = ran.expect("it lives");
            let printed = format!("{}{}", ran.out, ran.err);
            assert_eq!((ran.code, printed.contains(refusal)), (code, code == 1), "{line}, {times} times: {printed}");
            assert!(!printed.contains("  x "), "{line}: no breach: {printed}");
            assert!(!scene.unanswered.is_empty() && platform_runs(&scene), "{line}");
        }
    }
}

/// From its start to its last line, with what goes before the plan, and behind an interrupt.
#[test]
fn a_run_is_timed_by_the_clock_on_the_wall() {
    let (repo, state) = brought_up();
    let now = |scene: &Scene| scene.world.now();
    let began = now(&run(&repo.copy(), &state, "fleet check", End::Never).1);
    for end in [End::Never, End::Stop(120, 1)] {
        let (ran, scene) = run(&repo.copy(), &state, "bootstrap --format json", end);
        let ran = ran.expect("it lives");
        let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let finished = events.into_iter().find(|event| event["event"] == "finished").expect("an end");
        let took = u128::from(finished["took_ms"].as_u64().expect("a time"));
        assert_eq!((took, finished["interrupted"] == true), ((now(&scene) - began).as_millis(), end != End::Never));
    }
}
