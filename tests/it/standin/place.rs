//! A machine that is only a folder: the repository's data, the stand-ins as its tools, and xtask as a process.
//! Knows nothing of what is run on it.
#![expect(clippy::disallowed_methods, reason = "tests start real processes and look at what they leave on disk")]

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sim::{Machine, Stage};

use crate::terminal::Terminal;
use crate::{drill, golden};

const TOOLS: [&str; 7] = ["multipass", "kubectl", "helm", "cilium", "openssl", "curl", "xtask"];
/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(300);
/// In which everything that was under way in the embedded world is over.
const REST: Duration = Duration::from_secs(1200);

/// The folder.
pub struct Place {
    folder: tempfile::TempDir,
    runs: AtomicUsize,
    /// How much faster time goes by while no tool is at anything.
    idle: u32,
    /// How much faster than life pauses and time limits of the run itself are.
    limits: u32,
}

/// A run that has begun. Killed with everything it started, should a test fail.
pub struct Run<'a> {
    place: &'a Place,
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

/// What the stand-ins keep.
#[derive(Serialize, Deserialize)]
pub struct Page {
    pub now: Duration,
    at: Duration,
    pub stage: Stage,
}

/// Where a run that nothing disturbs ends, and how long it takes here.
pub struct Undisturbed {
    pub end: Value,
    pub took: Duration,
}

/// Played once for all tests.
pub fn undisturbed() -> &'static Undisturbed {
    static ONCE: OnceLock<Undisturbed> = OnceLock::new();
    ONCE.get_or_init(|| {
        let place = Place::new();
        let began = Instant::now();
        let ran = place.run("bootstrap");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        Undisturbed { took: began.elapsed(), end: place.end() }
    })
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for data in ["infra", "charts"] {
            symlink(golden::root().join(data), folder.path().join(data)).unwrap();
        }
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        for tool in TOOLS {
            symlink(env!("CARGO_BIN_EXE_standin"), folder.path().join("bin").join(tool)).unwrap();
        }
        Place { folder, runs: AtomicUsize::new(0), idle: 100, limits: 20 }
    }

    /// A machine on which what a rehearsal has left is there for real. Clocks of its guests can be compared: little
    /// time goes by between two questions.
    pub fn from_rehearsal(folder: &Utf8Path) -> Self {
        let mut place = Place::new();
        (place.idle, place.limits) = (5, 8);
        drill::copy_folder(folder.as_std_path(), place.root().join("out").as_std_path());
        let story: Value = serde_json::from_slice(&std::fs::read(folder.join("world.json")).unwrap()).unwrap();
        let part = |name: &str| story[name].clone();
        let (now, stage) =
            (serde_json::from_value(part("now")).unwrap(), serde_json::from_value(part("stage")).unwrap());
        let page = Page { now, at: Duration::MAX, stage };
        std::fs::write(place.root().join("state.json"), serde_json::to_vec(&page).unwrap()).unwrap();
        place
    }

    /// One on which time limits leave a busy machine enough time.
    pub fn patient() -> Self {
        let mut place = Place::new();
        place.limits = 4;
        place
    }

    /// A machine with other versions of some tools.
    pub fn with_tools(tools: &[(&str, &str)]) -> Self {
        let mut machine = Machine::default();
        machine.tools.extend(tools.iter().map(|(tool, version)| ((*tool).to_owned(), (*version).to_owned())));
        Place::in_world(Stage::new(machine))
    }

    /// Where the world is like this to begin with.
    pub fn in_world(stage: Stage) -> Self {
        let place = Place::new();
        let page = Page { now: Duration::ZERO, at: Duration::MAX, stage };
        std::fs::write(place.root().join("state.json"), serde_json::to_vec(&page).unwrap()).unwrap();
        place
    }

    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    /// Begins a run. `pace`: how much faster than life its tools are.
    pub fn start(&self, line: &str, pace: u32) -> Run<'_> {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        let file = |name: &str| File::create(self.root().join(format!("{name}.{number}"))).unwrap();
        let mut command = self.around(Command::new(env!("CARGO_BIN_EXE_undertest")), pace);
        command.args(line.split(' ')).stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        Run { place: self, child: command.spawn().unwrap(), number }
    }

    /// Begins a run on a terminal of its own.
    pub fn on_terminal(&self, line: &str, pace: u32, columns: u16, rows: u16) -> Terminal {
        let mut command = self.around(Command::new(env!("CARGO_BIN_EXE_undertest")), pace);
        command.args(line.split(' '));
        Terminal::open(&command, columns, rows)
    }

    /// The same, begun by a shell that gives each of its commands a group of its own, as one does that is typed into.
    pub fn in_shell(&self, line: &str, pace: u32) -> Terminal {
        let mut command = self.around(Command::new("/bin/sh"), pace);
        command.args(["-mc", r#""$0" "$@"; exit $?"#, env!("CARGO_BIN_EXE_undertest")]).args(line.split(' '));
        Terminal::open(&command, 100, 30)
    }

    fn around(&self, mut command: Command, pace: u32) -> Command {
        command
            .current_dir(self.root())
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.root()))
            .env("STANDIN_STATE", self.root().join("state.json"))
            .env("STANDIN_PACE", pace.to_string())
            .env("STANDIN_IDLE", self.idle.to_string())
            .env("UNDERTEST_PACE", self.limits.to_string());
        command
    }

    pub fn run(&self, line: &str) -> Ran {
        self.start(line, 2000).end()
    }

    pub fn page(&self) -> Page {
        serde_json::from_slice(&std::fs::read(self.root().join("state.json")).unwrap()).unwrap()
    }

    /// Where everything stands once it is at rest.
    pub fn end(&self) -> Value {
        let Page { now, mut stage, .. } = self.page();
        assert_eq!(stage.unknown(), [""; 0], "every command line is one that the tools know");
        stage.summary(now + REST)
    }

    /// Every command line that a stand-in was asked, in order.
    pub fn asked(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.root().join("state.asked")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The text of a file; empty if it is not there.
    pub fn text(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.root().join(path)).unwrap_or_default()).into_owned()
    }

    /// Every file and folder below `folder`.
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

impl Drop for Place {
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

    /// Waits until its story has a text.
    pub fn until(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.said("stderr").contains(text) {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > end;
            assert!(!over, "it never says `{text}`: {}", self.said("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        }
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
        self.place.text(&format!("{stream}.{}", self.number))
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // Already gone unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the signal could be sent.
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
