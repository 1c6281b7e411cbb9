//! The binary on a broken machine: closed streams, a full disk, broken and endless tools.
#![expect(clippy::disallowed_methods, reason = "breaks machines that are only folders, and looks at what is left")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use tool::World;
use tool::{Command, Exit, Extractor, Limits, Tool};

use crate::drive;
use crate::fake_tools::machine::FakeMachine;
use crate::host::Bench;

fn replace(machine: &FakeMachine, tool: &str, with: &str) {
    let path = machine.root().join("bin").join(tool);
    fs::remove_file(&path).unwrap();
    match with {
        "a folder" => fs::create_dir(&path).unwrap(),
        "no program" => fs::write(&path, "x").unwrap(),
        script => {
            // Another name first: what was just written is "busy" while another test forks.
            let fresh = path.with_extension("sh");
            fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
            symlink("/bin/sh", path.with_extension("link")).unwrap();
            fs::rename(&fresh, &path).unwrap();
        }
    }
}

#[test]
fn sighup_with_closed_streams_ends_like_ctrl_c() {
    let machine = FakeMachine::new();
    let mut command = machine.script(r#"exec "$0" "$@""#, "bootstrap");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = child.stderr.take().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("/init: ") {
        let read = progress.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend(&buffer[..read]);
    }
    drop((child.stdout.take(), progress));
    let run = machine.adopt(child);
    run.signal("HUP");
    assert_eq!(run.end().code, Some(130));
    assert!(machine.running().is_empty());
    let last = machine.text("out/journal.jsonl");
    assert!(last.trim_end().ends_with(r#""event":"run-ended","ok":false,"interrupted":true}"#), "{last}");
    machine.must("bootstrap --until */init");
}

#[test]
fn closed_or_full_streams_cause_no_panic() {
    for (streams, data) in
        [(">&- 2>&-", 0), ("> /dev/full 2> /dev/full", 1), ("2>&-", 0), ("| head -c 1 > /dev/null", 0)]
    {
        let machine = FakeMachine::new();
        let script = format!(r#""$0" "$@" {streams}"#);
        let ran = machine.run_script(&script, "plan bootstrap --full");
        assert_eq!(ran.code, Some(data), "{streams}: {}", ran.err);
    }
}

#[test]
fn full_disk_is_reported() {
    let machine = FakeMachine::new();
    // In blocks of 512 bytes (POSIX). The limit is a signal unless it is ignored, and then an error like any other.
    let ran = machine.run_script(r#"trap '' XFSZ; ulimit -f 4; exec "$0" "$@""#, "render");
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("error: cannot write `out/"), "{}", ran.err);
    assert!(ran.err.contains("why: file too large"), "{}", ran.err);
    assert_eq!(machine.below("out/tmp"), [""; 0], "nothing is half written");
    machine.must("render");
}

#[test]
fn broken_tools_are_reported() {
    for (with, printed) in [
        ("a folder", "not found on PATH"),
        ("no program", "not found on PATH"),
        ("kill -s SEGV $$", "signal 11"),
        ("printf '\\377\\376\\000\\n'; exit 0", "stdout is not JSON"),
        ("exec >&-; exec 2>&-; exit 3", "exit 3"),
    ] {
        let machine = FakeMachine::new();
        replace(&machine, "kubectl", with);
        // Without other folders: the machine of the tests may have the real one.
        let ran = machine.run_script(r#"PATH=$PWD/bin exec "$0" "$@""#, "bootstrap");
        assert_eq!(ran.code, Some(3), "{with}: {}", ran.err);
        assert!(ran.err.contains("kubectl") && ran.err.contains(printed), "{with}: {}", ran.err);
        assert!(!ran.err.contains('\0') && ran.out.is_empty(), "{with}: {}", ran.err);
        assert!(!machine.asked().iter().any(|asked| asked["args"][0] == "launch"), "{with}: nothing was done");
    }
}

fn late(step: &mut plan::Step) {
    step.limits = Limits { ask: Duration::from_secs(1), act: Duration::from_secs(1), ..step.limits };
}

#[test]
fn endless_output_does_not_extend_the_time_limit() {
    let talk = Command::act(Tool::Curl, ["-c", "yes"]);
    for command in [talk.clone(), talk.capture_secret("s", Extractor::Stdout)] {
        let mut bench = Bench::new();
        let mut step = drive::step("talk", &[], drive::ask("false"), vec![command.clone()]);
        late(&mut step);
        let ran = drive::run(&mut bench, &drive::plan(vec![step]));
        assert_eq!(ran.outcome.failed[0].output.exit, Exit::TimedOut, "{command}");
        let kept = ran.outcome.failed[0].output.stdout.len();
        assert!(kept < 32 << 20, "{kept} bytes of it are kept");
        let log = fs::metadata(bench.root.join("out/logs/talk.1.log")).unwrap().len();
        assert!(log <= (64 << 20) + 100, "its log has an end: {log}");
    }
}

#[test]
fn probes_that_ignore_signals_are_killed() {
    for script in [
        "exec 1>&- 2>&-; exec sleep 300",
        "trap '' TERM; while :; do sleep 1; done",
        "sleep 300 & exit 0",
        "(trap '' TERM HUP INT; sleep 300) & sleep 300",
    ] {
        let mut bench = Bench::new();
        let mut step = drive::step("ask", &[], drive::ask(script), vec![drive::sh("true")]);
        late(&mut step);
        if script.ends_with("exit 0") {
            step.limits.ask = Duration::from_secs(20);
        }
        let before = bench.host.now();
        let ran = drive::run(&mut bench, &drive::plan(vec![step]));
        let kept = ran.outcome.unchanged == ["ask"];
        assert_eq!(kept, script.ends_with("exit 0"), "{script}: {:?}", ran.outcome.failed);
        assert!(bench.host.now() - before < Duration::from_secs(60), "{script}");
    }
}

#[test]
fn read_only_out_is_reported() {
    let machine = FakeMachine::new();
    let out = machine.root().join("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).unwrap();
    let may = fs::write(out.join("probe"), "").is_ok();
    if may {
        // Root may write anywhere; a file in the place of the folder is as good.
        fs::remove_dir_all(&out).unwrap();
        fs::File::create(&out).unwrap().write_all(b"x").unwrap();
    }
    let ran = machine.run("bootstrap");
    if !may {
        fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(matches!(ran.code, Some(1..=3)), "{:?} {}", ran.code, ran.err);
    assert!(ran.err.contains("error: cannot ") && ran.err.contains("`out"), "{}", ran.err);
    assert!(!machine.asked().iter().any(|asked| asked["args"][0] == "launch"), "nothing was done");
}
