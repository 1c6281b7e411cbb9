//! The whole binary against a hostile machine: a terminal that closes, a full disk, tools that are none, that never
//! stop talking or keep their pipes; each names its exit code and what the user reads.
//! Knows nothing of clusters; Ctrl-C, SIGTERM and SIGKILL are in `standin`, streams and groups in `host`.
#![expect(clippy::disallowed_methods, reason = "breaks machines that are only folders, and looks at what is left")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tool::World;
use tool::{Command as Asked, Exit, Limits, Reading, Tool};

use crate::drive;
use crate::host::Bench;
use crate::standin::place::Place;

/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs a shell around the program, which is `$0`: for limits and redirections that only a shell has.
fn shell(place: &Place, script: &str, line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_undertest")]).args(line.split(' '));
    command
        .current_dir(place.root())
        .env("PATH", format!("{}/bin:/usr/bin:/bin", place.root()))
        .env("STANDIN_STATE", place.root().join("state.json"))
        .env("STANDIN_PACE", "2000")
        .stdin(Stdio::null());
    command
}

struct Ended {
    status: ExitStatus,
    out: String,
    err: String,
}

/// Runs it to its end, which must come.
fn end(mut command: Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (out, err) = (read(Box::new(child.stdout.take().unwrap())), read(Box::new(child.stderr.take().unwrap())));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end: {}", err.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Ended { status, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// A tool of a machine becomes something else.
fn replace(place: &Place, tool: &str, with: &str) {
    let path = place.root().join("bin").join(tool);
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

/// A terminal that closes: SIGHUP, and from then on nobody reads. It ends as by Ctrl-C, and the next run goes on.
#[test]
fn a_closed_terminal_is_a_polite_end() {
    let place = Place::new();
    let mut command = shell(&place, r#"exec "$0" "$@""#, "bootstrap");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut story = child.stderr.take().unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains("/init: ") {
        let read = story.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend(&buffer[..read]);
    }
    drop(child.stdout.take());
    drop(story);
    let hup = format!("kill -s HUP {}", child.id());
    assert!(Command::new("/bin/sh").args(["-c", &hup]).status().unwrap().success());
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < until, "it hangs on a terminal that is gone"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(130));
    assert!(place.running().is_empty());
    let last = place.text("out/journal.jsonl");
    assert!(last.trim_end().ends_with(r#""event":"run-ended","ok":false,"interrupted":true}"#), "{last}");
    let again = place.run("bootstrap");
    assert_eq!(again.code, Some(0), "{}", again.err);
}

/// Neither stream is there: closed from the beginning, or a full device. No panic (101), no signal.
#[test]
fn nobody_listens() {
    for (streams, data) in
        [(">&- 2>&-", 0), ("> /dev/full 2> /dev/full", 1), ("2>&-", 0), ("| head -c 1 > /dev/null", 0)]
    {
        let place = Place::new();
        let script = format!(r#""$0" "$@" {streams}"#);
        let ran = end(shell(&place, &script, "plan bootstrap"));
        let code = ran.status.code();
        assert_eq!((code, ran.status.signal()), (Some(data), None), "{streams}: {}", ran.err);
    }
}

/// No file may grow beyond a few kilobytes, as on a full disk: what could not be written is said, with its reason.
#[test]
fn a_disk_that_takes_no_more_is_named() {
    let place = Place::new();
    // In blocks of 512 bytes (POSIX). The limit is a signal unless it is ignored, and then an error like any other.
    let ran = end(shell(&place, r#"trap '' XFSZ; ulimit -f 4; exec "$0" "$@""#, "render"));
    assert_eq!(ran.status.code(), Some(3), "{}", ran.err);
    assert!(ran.err.contains("error: cannot write `out/"), "{}", ran.err);
    assert!(ran.err.contains("why: file too large"), "{}", ran.err);
    assert_eq!(place.below("out/tmp"), [""; 0], "nothing is half written");
    let again = end(shell(&place, r#"exec "$0" "$@""#, "render"));
    assert_eq!(again.status.code(), Some(0), "{}", again.err);
}

/// Tools that are none: each is told apart, before anything was done.
#[test]
fn tools_that_are_none_are_named() {
    for (with, said) in [
        ("a folder", "not found on PATH"),
        ("no program", "not found on PATH"),
        ("kill -s SEGV $$", "signal 11"),
        ("printf '\\377\\376\\000\\n'; exit 0", "stdout is not JSON"),
        ("exec >&-; exec 2>&-; exit 3", "exit 3"),
    ] {
        let place = Place::new();
        replace(&place, "kubectl", with);
        let mut command = shell(&place, r#"exec "$0" "$@""#, "bootstrap");
        // Alone: the machine of the tests may have the real one.
        command.env("PATH", place.root().join("bin"));
        let ran = end(command);
        assert_eq!(ran.status.code(), Some(3), "{with}: {}", ran.err);
        assert!(ran.err.contains("kubectl") && ran.err.contains(said), "{with}: {}", ran.err);
        assert!(!ran.err.contains('\0') && ran.out.is_empty(), "{with}: {}", ran.err);
        assert!(!place.asked().iter().any(|asked| asked["args"][0] == "launch"), "{with}: nothing was done");
    }
}

fn late(step: &mut plan::Step) {
    step.limits = Limits { ask: Duration::from_secs(1), act: Duration::from_secs(1), ..step.limits };
}

/// A tool that never stops talking is ended when its time is over, whether its words may be seen or not.
#[test]
fn who_never_stops_talking_has_no_more_time_than_others() {
    let talk = Asked::act(Tool::Curl, ["-c", "yes"]);
    for command in [talk.clone(), talk.learn_secret("s", Reading::Stdout)] {
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

/// A probe that is ended late by its grandchild, one that closes its streams and lives on, one that ignores SIGTERM.
#[test]
fn stubborn_probes_are_outlived() {
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
        let kept = ran.outcome.kept == ["ask"];
        assert_eq!(kept, script.ends_with("exit 0"), "{script}: {:?}", ran.outcome.failed);
        assert!(bench.host.now() - before < Duration::from_secs(60), "{script}");
    }
}

/// `out/` that cannot be written: said with the way to look, and nothing was started.
#[test]
fn a_read_only_out_is_named() {
    let place = Place::new();
    let out = place.root().join("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).unwrap();
    let may = fs::write(out.join("probe"), "").is_ok();
    if may {
        // Root may write anywhere; a file in the place of the folder is as good.
        fs::remove_dir_all(&out).unwrap();
        fs::File::create(&out).unwrap().write_all(b"x").unwrap();
    }
    let ran = end(shell(&place, r#"exec "$0" "$@""#, "bootstrap"));
    if !may {
        fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(matches!(ran.status.code(), Some(1..=3)), "{:?} {}", ran.status, ran.err);
    assert!(ran.err.contains("error: cannot ") && ran.err.contains("`out"), "{}", ran.err);
    assert!(!place.asked().iter().any(|asked| asked["args"][0] == "launch"), "nothing was done");
}
