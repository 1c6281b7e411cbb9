//! Real processes in `Host`: streams, large output, signals.
#![expect(clippy::disallowed_methods, reason = "tests build their own small worlds on disk")]

use std::os::unix::fs::symlink;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use exec::host::Host;
use tool::{Call, World};
use tool::{Event, TaskId};
use tool::{Exit, Output, Tool, builtin};

mod files;

/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tells a process that it was started by a test, and where.
const ROOT: &str = "XTASK_TEST_ROOT";
/// Ends a command that a test means to kill, should the test fail to.
const SLEEP: &str = "sleep 300";

/// A world whose `curl` is `/bin/sh` and whose `helm` is this test binary.
pub struct Bench {
    /// Dropped before the folder: it may still be used by what runs.
    pub host: Host,
    pub root: Utf8PathBuf,
    _dir: tempfile::TempDir,
    tasks: TaskId,
    lines: Vec<String>,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let bin = root.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        // Links, not scripts: a script that was just written is "busy" while another test forks.
        symlink("/bin/sh", bin.join("curl")).unwrap();
        symlink(std::env::current_exe().unwrap(), bin.join("helm")).unwrap();
        Bench { host: Self::new_host(&root), root, _dir: dir, tasks: 0, lines: Vec::new() }
    }

    pub fn new_host(root: &Utf8Path) -> Host {
        Host::new(root, "out/bin".into(), &format!("{root}/bin:/usr/bin:/bin"))
    }

    fn start(&mut self, tool: Tool, args: &[&str], stdin: &[u8]) -> TaskId {
        self.tasks += 1;
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let env = vec![(ROOT.to_owned(), self.root.to_string())];
        self.host.start(Call { task: self.tasks, tool, args, stdin: stdin.to_vec(), env, acts: None });
        self.tasks
    }

    fn sh(&mut self, script: &str) -> TaskId {
        self.start(Tool::Curl, &["-c", script], b"")
    }

    /// Runs one test in a process of its own, with [`ROOT`] in its environment.
    pub fn in_process(&mut self, test: &str) -> TaskId {
        self.start(Tool::Helm, &["--exact", test, "--nocapture", "--quiet"], b"")
    }

    /// The end of a task, within a time. Lines of all tasks are collected.
    fn end_within(&mut self, task: TaskId, time: Duration) -> Option<Output> {
        let until = self.host.now() + time;
        while self.host.now() < until {
            match self.host.wait(Some(until)) {
                Event::Line(_, line) => self.lines.push(line),
                Event::Ended(ended, output) if ended == task => return Some(output),
                _ => {}
            }
        }
        None
    }

    pub fn end(&mut self, task: TaskId) -> Output {
        self.end_within(task, PATIENCE).expect("it ends in time")
    }

    pub fn run(&mut self, script: &str) -> Output {
        let task = self.sh(script);
        self.end(task)
    }

    /// The next line that no test has looked at; waits for it.
    pub fn next_line(&mut self) -> String {
        if !self.lines.is_empty() {
            return self.lines.remove(0);
        }
        match self.host.wait(Some(self.host.now() + PATIENCE)) {
            Event::Line(_, line) => line,
            other => panic!("a line was expected: {other:?}"),
        }
    }

    /// Whether a process runs. One that is dead but not yet buried does not.
    pub fn lives(&mut self, pid: &str) -> bool {
        let state = self.run(&format!("ps -o stat= -p {pid}")).stdout;
        !state.trim().is_empty() && !state.trim().starts_with('Z')
    }

    pub fn dies(&mut self, pid: &str) -> bool {
        (0..100).any(|_| {
            self.run("sleep 0.05");
            !self.lives(pid)
        })
    }
}

/// The repository of the test that started this process; nothing in the test run itself.
pub fn root_of_parent() -> Option<Utf8PathBuf> {
    std::env::var(ROOT).ok().map(Utf8PathBuf::from)
}

/// Past the harness, which keeps what `print` says.
pub fn say(text: &str) {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

fn text(output: &Output) -> (&Exit, &str, &str) {
    (&output.exit, &output.stdout, &output.stderr)
}

#[test]
fn both_streams_are_reported_and_kept() {
    let mut bench = Bench::new();
    let output = bench.run("echo out; echo err >&2; printf half; pwd >&2; exit 3");
    let err = format!("err\n{}\n", bench.root);
    assert_eq!(text(&output), (&Exit::Code(3), "out\nhalf", err.as_str()));
    bench.lines.sort();
    let mut want = vec![bench.root.to_string(), "err".into(), "half".into(), "out".into()];
    want.sort();
    assert_eq!(bench.lines, want);
    assert!(!output.cut);
}

#[test]
fn invalid_utf8_is_replaced() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(r"printf 'a\377b\n'").stdout, "a\u{fffd}b\n");
    assert_eq!(bench.lines, ["a\u{fffd}b"]);
}

#[test]
fn exit_kinds_are_distinguished() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("exit 0").exit, Exit::Code(0));
    assert_eq!(bench.run("exit 255").exit, Exit::Code(255));
    assert_eq!(bench.run("kill -s KILL $$").exit, Exit::Signal(9));
    let missing = bench.start(Tool::Multipass, &["version"], b"");
    assert_eq!(bench.end(missing).exit, Exit::Missing);
    let too_long = "x".repeat(8 << 20);
    let refused = bench.start(Tool::Curl, &["-c", "true", &too_long], b"");
    let Exit::NotStarted(reason) = bench.end(refused).exit else { panic!("no system takes such an argument") };
    assert!(reason.contains("/bin/curl: "), "{reason}");
}

#[test]
fn stdin_is_written_and_closed() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("cat").stdout, "", "closed stdin ends at once");
    let fed = "0123456789abcde\n".repeat(1 << 16);
    let task = bench.start(Tool::Curl, &["-c", "cat"], fed.as_bytes());
    let output = bench.end(task);
    assert!(output.ok() && output.stdout == fed, "{} bytes", output.stdout.len());
}

#[test]
fn unread_stdin_is_no_error() {
    let mut bench = Bench::new();
    let fed = vec![b'x'; 8 << 20];
    for script in ["exit 0", "exec <&-; sleep 0.2; exit 0", "head -c 10 >/dev/null; exit 0"] {
        let task = bench.start(Tool::Curl, &["-c", script], &fed);
        assert_eq!(bench.end(task).exit, Exit::Code(0), "{script}");
    }
}

#[test]
fn large_output_is_read_in_little_memory() {
    let mut bench = Bench::new();
    let line = "x".repeat(499);
    let task = bench.sh(&format!("yes {line} | head -c 50000000; echo last"));
    let mut received = 0;
    let output = loop {
        match bench.host.wait(Some(bench.host.now() + PATIENCE)) {
            Event::Line(_, line) => received += line.len() + 1,
            Event::Ended(ended, output) if ended == task => break output,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(received, 50_000_005);
    assert!(output.cut && output.stdout.len() < 3 << 20, "{} bytes kept", output.stdout.len());
    assert!(output.stdout.starts_with(&line) && output.stdout.ends_with("\nlast\n"));
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 400 << 10, "peak memory of all tests: {peak}");
    }
}

#[test]
fn unread_output_blocks_the_tool() {
    let mut bench = Bench::new();
    let flood = bench.sh("yes");
    std::thread::sleep(Duration::from_millis(300));
    bench.host.kill(flood, true);
    assert_eq!(bench.end(flood).exit, Exit::Signal(9));
    assert!(bench.lines.len() < 1 << 17, "no more than pipe and channel hold: {}", bench.lines.len());
}

#[test]
fn json_output_is_kept_whole() {
    let mut bench = Bench::new();
    let output = bench.run("head -c 12000000 /dev/zero | tr '\\0' j");
    assert_eq!((output.stdout.len(), output.cut), (12_000_000, false));
}

#[test]
fn slow_reader_loses_no_output() {
    let mut bench = Bench::new();
    let task = bench.sh("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done");
    std::thread::sleep(Duration::from_secs(2));
    let output = bench.end(task);
    assert!(output.stdout.ends_with("\n2999\n") && !output.cut);
    assert_eq!(bench.lines.len(), 3000);
}

/// Scripts that print a process, whether SIGTERM is enough, and the signal that ends them.
#[test]
fn signals_end_every_process_of_a_command() {
    let stubborn = "trap '' TERM; echo $$; while :; do sleep 1; done";
    let grandchild = format!("/bin/sh -c \"{}\" & wait", stubborn.replace('$', "\\$"));
    for (script, hard, signal) in [
        (format!("{SLEEP} & echo $!; {SLEEP}"), false, 15),
        (stubborn.to_owned(), true, 9),
        (grandchild, false, 15),
        ("echo $$; kill -s STOP $$; exit 7".to_owned(), false, 15),
    ] {
        let mut bench = Bench::new();
        let task = bench.sh(&script);
        let process = bench.next_line();
        assert_eq!(bench.end_within(task, Duration::from_millis(200)), None, "{script}");
        bench.host.kill(task, false);
        if hard {
            assert_eq!(bench.end_within(task, Duration::from_millis(1500)), None, "{script}");
            bench.host.kill(task, true);
        }
        assert_eq!(bench.end(task).exit, Exit::Signal(signal), "{script}");
        assert!(bench.dies(&process), "{script}");
    }
}

#[test]
fn inherited_pipes_delay_the_end_only_briefly() {
    let mut bench = Bench::new();
    let before = bench.host.now();
    let output = bench.run(&format!("{SLEEP} & echo $!"));
    assert!(output.ok() && !output.cut);
    assert!(bench.host.now() - before < Duration::from_secs(20));
    let grandchild = output.stdout.trim().to_owned();
    assert!(bench.lives(&grandchild), "a command that succeeded may leave something behind");
    bench.host = Bench::new_host(&bench.root);
    assert!(bench.dies(&grandchild), "but not beyond the end of its world");
}

#[test]
fn no_process_outlives_its_world() {
    let mut bench = Bench::new();
    bench.sh(&format!("trap '' TERM; echo $$; {SLEEP} & echo $!; yes > /dev/null; wait"));
    let (child, grandchild) = (bench.next_line(), bench.next_line());
    bench.host = Bench::new_host(&bench.root);
    assert!(bench.dies(&child) && bench.dies(&grandchild));
}

#[test]
fn command_leads_its_process_group() {
    let mut bench = Bench::new();
    let output = bench.run("echo $$; ps -o pgid= -p $$");
    let mut words = output.stdout.split_whitespace();
    let (pid, group) = (words.next(), words.next());
    assert!(group.is_none() || pid == group, "Ctrl-C must reach us alone");
}

#[test]
fn killing_a_finished_command_does_nothing() {
    let mut bench = Bench::new();
    let task = bench.sh("exit 4");
    assert_eq!(bench.end_within(task, PATIENCE).unwrap().exit, Exit::Code(4));
    bench.host.kill(task, true);
    bench.host.kill(99, false);
    assert_eq!(bench.run("exit 5").exit, Exit::Code(5));
}

#[test]
fn many_commands_run_concurrently() {
    let mut bench = Bench::new();
    let tasks: Vec<TaskId> = (0..40).map(|n| bench.sh(&format!("sleep 0.1; exit {n}"))).collect();
    let mut ends = std::collections::BTreeMap::new();
    while ends.len() < tasks.len() {
        match bench.host.wait(Some(bench.host.now() + PATIENCE)) {
            Event::Ended(task, output) => drop(ends.insert(task, output.exit)),
            other => panic!("{other:?}"),
        }
    }
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(ends[&task], Exit::Code(n));
    }
}

#[test]
fn time_advances_without_events() {
    let mut bench = Bench::new();
    let until = bench.host.now() + Duration::from_millis(30);
    assert_eq!(bench.host.wait(Some(until)), Event::Tick);
    assert!(bench.host.now() >= until);
    assert_eq!(bench.host.wait(Some(Duration::ZERO)), Event::Tick, "a time that is over is no wait");
}

#[test]
fn tools_below_out_bin_come_first() {
    let bench = Bench::new();
    assert_eq!(bench.host.find(Tool::Curl).unwrap(), bench.root.join("bin/curl"));
    let own = bench.root.join("out/bin");
    std::fs::create_dir_all(&own).unwrap();
    symlink("/bin/sh", own.join("curl")).unwrap();
    let host = Bench::new_host(&bench.root);
    assert_eq!(host.find(Tool::Curl).unwrap(), own.join("curl"));
    assert_eq!(host.find(Tool::Multipass), None);
}

#[test]
fn builtins_end_like_commands() {
    let mut bench = Bench::new();
    let mut act = |command: tool::Command| {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let task = bench.start(Tool::Builtin, &args, b"");
        bench.end(task)
    };
    let machine: serde_json::Value = serde_json::from_str(&act(builtin::machine()).stdout).unwrap();
    assert!(machine["os"].is_string());
    assert_eq!(act(builtin::tcp_connect("127.0.0.1", 1)).exit, Exit::Code(1));
    assert!(matches!(act(builtin::generate_secret("x")).exit, Exit::NotStarted(_)), "that one is the driver's");
}
