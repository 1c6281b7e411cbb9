//! A folder with the repository's data and fake tools, in which xtask runs as a process.
#![expect(clippy::disallowed_methods, reason = "tests start real processes and look at what they leave on disk")]

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use sim::SimState;
use tests::Page;

use crate::fixtures::{self, Snapshot};
use crate::golden;
use crate::terminal::Terminal;

const TOOLS: [&str; 7] = ["multipass", "kubectl", "helm", "cilium", "openssl", "curl", "xtask"];
/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// In which everything that was under way in the simulator is over.
const REST: Duration = Duration::from_secs(1200);

pub struct FakeMachine {
    folder: tempfile::TempDir,
    runs: AtomicUsize,
    /// How much faster time goes by while no tool is at anything.
    idle: u32,
    /// How much faster than real time pauses and time limits of the run itself are.
    limits: u32,
}

/// A run that has begun. Killed with everything it started, should a test fail.
pub struct Run<'a> {
    machine: &'a FakeMachine,
    child: Child,
    number: usize,
}

/// How a run ended. `code` is nothing if a signal ended it.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// What a whole bootstrap leaves.
pub struct Baseline {
    pub end: Value,
    pub took: Duration,
    left: Left,
}

/// The files of a machine after some run, made once and copied.
struct Left {
    out: Snapshot,
    files: Vec<(&'static str, String)>,
}

pub fn baseline() -> &'static Baseline {
    static ONCE: OnceLock<Baseline> = OnceLock::new();
    ONCE.get_or_init(|| {
        let machine = FakeMachine::new();
        let began = Instant::now();
        let ran = machine.run("bootstrap");
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
        Baseline { took: began.elapsed(), end: machine.end(), left: machine.left() }
    })
}

impl FakeMachine {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for data in ["infra", "charts"] {
            symlink(golden::root().join(data), folder.path().join(data)).unwrap();
        }
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        for tool in TOOLS {
            symlink(env!("CARGO_BIN_EXE_fake_tool"), folder.path().join("bin").join(tool)).unwrap();
        }
        FakeMachine { folder, runs: AtomicUsize::new(0), idle: 100, limits: 20 }
    }

    pub fn bootstrapped() -> Self {
        FakeMachine::new().with(&baseline().left)
    }

    /// One that has all charts and whose limits leave a busy machine enough time: the first launch comes at once.
    pub fn fetched() -> Self {
        static ONCE: OnceLock<Left> = OnceLock::new();
        let left = ONCE.get_or_init(|| {
            let machine = FakeMachine::new();
            machine.must("bootstrap --only charts/*");
            machine.left()
        });
        FakeMachine::patient().with(left)
    }

    fn left(&self) -> Left {
        let files = ["state.json", "state.asked"].map(|file| (file, self.text(file))).into();
        Left { out: Snapshot::read(self.root().join("out").as_std_path()), files }
    }

    fn with(self, left: &Left) -> Self {
        left.out.write(self.root().join("out").as_std_path());
        left.files.iter().for_each(|(file, text)| std::fs::write(self.root().join(file), text).unwrap());
        self
    }

    /// A machine on which what a simulation has left is there for real. Clocks of its guests can be compared: little
    /// time goes by between two questions.
    pub fn from_simulation(folder: &Utf8Path) -> Self {
        let mut machine = FakeMachine::new();
        (machine.idle, machine.limits) = (5, 8);
        fixtures::copy_folder(folder, &machine.root().join("out"));
        let state: Value = serde_json::from_slice(&std::fs::read(folder.join("world.json")).unwrap()).unwrap();
        let part = |name: &str| state[name].clone();
        let (now, stage) =
            (serde_json::from_value(part("now")).unwrap(), serde_json::from_value(part("state")).unwrap());
        machine.write(&Page::at(now, stage));
        machine
    }

    /// One on which time limits leave a busy machine enough time.
    pub fn patient() -> Self {
        let mut machine = FakeMachine::new();
        machine.limits = 4;
        machine
    }

    /// Where the world is like this to begin with.
    pub fn in_world(stage: SimState) -> Self {
        let machine = FakeMachine::new();
        machine.write(&Page::new(stage));
        machine
    }

    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    /// Begins a run. `pace`: how much faster than real time its tools are.
    pub fn start(&self, line: &str, pace: u32) -> Run<'_> {
        let mut command = self.around(Command::new(env!("CARGO_BIN_EXE_xtask_with_fakes")), pace);
        command.args(line.split(' ')).stdin(Stdio::null());
        self.spawn(command)
    }

    /// A shell in which `"$0" "$@"` is xtask with its arguments: for limits and redirections that only a shell has.
    pub fn script(&self, script: &str, line: &str) -> Command {
        let mut command = self.around(Command::new("/bin/sh"), 2000);
        command.args(["-c", script, env!("CARGO_BIN_EXE_xtask_with_fakes")]).args(line.split(' ')).stdin(Stdio::null());
        command
    }

    pub fn spawn(&self, mut command: Command) -> Run<'_> {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        let file = |name: &str| File::create(self.root().join(format!("{name}.{number}"))).unwrap();
        command.stdout(file("stdout")).stderr(file("stderr"));
        Run { machine: self, child: command.spawn().unwrap(), number }
    }

    pub fn run_script(&self, script: &str, line: &str) -> Ran {
        self.spawn(self.script(script, line)).end()
    }

    /// A process that was started by other means; its streams are empty.
    pub fn adopt(&self, child: Child) -> Run<'_> {
        Run { machine: self, child, number: self.runs.fetch_add(1, Ordering::SeqCst) }
    }

    pub fn on_terminal(&self, line: &str, pace: u32, columns: u16, rows: u16) -> Terminal {
        let mut command = self.around(Command::new(env!("CARGO_BIN_EXE_xtask_with_fakes")), pace);
        command.args(line.split(' '));
        Terminal::open(&command, columns, rows)
    }

    /// The same, begun by a shell that gives each of its commands a group of its own, as one does that is typed into.
    pub fn in_shell(&self, line: &str, pace: u32) -> Terminal {
        let mut command = self.around(Command::new("/bin/sh"), pace);
        command.args(["-mc", r#""$0" "$@"; exit $?"#, env!("CARGO_BIN_EXE_xtask_with_fakes")]).args(line.split(' '));
        Terminal::open(&command, 100, 30)
    }

    fn around(&self, mut command: Command, pace: u32) -> Command {
        command
            .current_dir(self.root())
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.root()))
            .env("FAKE_TOOL_STATE", self.root().join("state.json"))
            .env("FAKE_TOOL_PACE", pace.to_string())
            .env("FAKE_TOOL_IDLE", self.idle.to_string())
            .env("XTASK_PACE", self.limits.to_string());
        command
    }

    pub fn run(&self, line: &str) -> Ran {
        self.start(line, 2000).end()
    }

    pub fn must(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.out, ran.err);
        ran
    }

    pub fn page(&self) -> Page {
        Page::read(&std::fs::read(self.root().join("state.json")).unwrap()).unwrap()
    }

    fn write(&self, page: &Page) {
        std::fs::write(self.root().join("state.json"), page.bytes().unwrap()).unwrap();
    }

    /// Where everything stands once it is at rest.
    pub fn end(&self) -> Value {
        let Page { times, mut stage } = self.page();
        assert_eq!(stage.unknown(), [""; 0], "every command line is one that the tools know");
        stage.summary(times.now + REST)
    }

    /// Every command line that a fake tool was asked, in order.
    pub fn asked(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.root().join("state.asked")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a fake tool was started with this argument.
    pub fn until_asked(&self, arg: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.asked().iter().any(|asked| asked.to_string().contains(&format!("{arg:?}"))) {
            assert!(Instant::now() < end, "no tool was started with `{arg}`");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn text(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.root().join(path)).unwrap_or_default()).into_owned()
    }

    pub fn below(&self, folder: &str) -> Vec<Utf8PathBuf> {
        let mut all = Vec::new();
        let mut left = vec![self.root().join(folder)];
        while let Some(folder) = left.pop() {
            for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
                let is_folder = entry.file_type().unwrap().is_dir();
                left.extend(is_folder.then(|| entry.path().to_owned()));
                all.push(entry.into_path());
            }
        }
        all
    }

    /// Stand-ins that still run. A number may be another process's by now: what was started tells.
    pub fn running(&self) -> Vec<u64> {
        let pids = self.asked().into_iter().filter_map(|asked| asked["pid"].as_u64());
        pids.filter(|pid| command_line(*pid).contains(self.root().as_str())).collect()
    }
}

impl Drop for FakeMachine {
    fn drop(&mut self) {
        for pid in self.running() {
            send("KILL", pid);
        }
    }
}

impl Run<'_> {
    pub fn pid(&self) -> u64 {
        self.child.id().into()
    }

    pub fn signal(&self, name: &str) {
        send(name, self.pid());
    }

    /// Lets it live for a while; whether it was still alive then, and was killed.
    pub fn kill_after(mut self, time: Duration) -> bool {
        std::thread::sleep(time);
        let alive = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        alive
    }

    pub fn until(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.said("stderr").contains(text) {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > end;
            assert!(!over, "it never says `{text}`: {}", self.said("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The exit code, if it has ended.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    pub fn end(mut self) -> Ran {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ran { code: status.code(), out: self.said("stdout"), err: self.said("stderr") };
            }
            assert!(Instant::now() < end, "it does not end: {}", self.said("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&self, stream: &str) -> String {
        self.machine.text(&format!("{stream}.{}", self.number))
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // Already gone unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(signal: &str, pid: u64) -> bool {
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -s $0 $1", signal, &pid.to_string()]).stderr(Stdio::null());
    kill.status().unwrap().success()
}

/// What a process was started as; empty if it is gone, or only waits to be buried.
fn command_line(pid: u64) -> String {
    if cfg!(target_os = "linux") {
        return String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
            .into_owned();
    }
    let ps = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8_lossy(&ps.stdout).into_owned()
}
