//! Ctrl-C and SIGTERM, once and twice, and a concurrent run.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::machine::FakeMachine;

/// A launch then takes longer than any test.
const LIFELIKE: u32 = 4;

/// A step is printed before its process exists. Ten seconds are plenty.
fn comes_up(machine: &FakeMachine) -> bool {
    (0..400).any(|_| {
        let up = !machine.running().is_empty();
        if !up {
            std::thread::sleep(Duration::from_millis(25));
        }
        up
    })
}

fn journal(machine: &FakeMachine) -> Vec<Value> {
    let text = machine.text("out/journal.jsonl");
    assert!(text.ends_with('\n'), "its last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

fn check_once(signal: &str) {
    let machine = FakeMachine::new();
    let mut run = machine.start("bootstrap", 2000);
    run.until("/init: ");
    run.signal(signal);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.trim_end().ends_with("to continue: cargo xtask bootstrap"), "{}", ran.err);
    let counted = |what: &str| {
        let before = ran.err.lines().last().and_then(|line| line.split_once(what)).expect("a count").0.trim_end();
        before.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a number")
    };
    let done = machine.text("out/journal.jsonl").matches("step-done").count();
    assert_eq!(counted(" changed"), done);
    let steps = machine.must("plan bootstrap --list").out.lines().count();
    assert_eq!(counted(" changed") + counted(" unchanged") + counted(" not finished"), steps, "{}", ran.err);
    let last = journal(&machine).pop().expect("a line");
    assert_eq!((&last["event"], &last["interrupted"]), (&"run-ended".into(), &true.into()));
    assert_eq!(machine.below("out/tmp"), [""; 0], "nothing is half written");
    assert!(machine.running().is_empty(), "what runs may end");
    machine.must("bootstrap --until */init");
}

#[test]
fn ctrl_c_lets_running_commands_end() {
    check_once("INT");
}

#[test]
fn sigterm_lets_running_commands_end() {
    check_once("TERM");
}

fn check_twice(signal: &str, then: impl FnOnce(&FakeMachine, u64)) {
    let machine = FakeMachine::fetched();
    let mut run = machine.start("bootstrap", LIFELIKE);
    run.until("Started mgmt/cp/launch");
    assert!(comes_up(&machine), "the launch runs");
    then(&machine, run.pid());
    run.signal(signal);
    run.until("Ctrl-C again kills");
    let before = Instant::now();
    run.signal(signal);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(before.elapsed() < Duration::from_secs(5), "at once: {:?}", before.elapsed());
    assert!(ran.err.trim_end().ends_with("to continue: cargo xtask bootstrap"), "{}", ran.err);
    journal(&machine);
    let left = machine.running();
    assert!(left.is_empty(), "nothing outlives it: {left:?}");
}

#[test]
fn second_ctrl_c_kills_all_and_a_concurrent_run_is_refused() {
    check_twice("INT", |machine, holder| {
        let second = machine.run("bootstrap");
        assert_eq!(second.code, Some(3), "{}", second.err);
        let who = format!("another run holds the lock: pid {holder}, `bootstrap` since 20");
        assert!(second.err.contains(&who), "{}", second.err);
    });
}

#[test]
fn second_sigterm_kills_all() {
    check_twice("TERM", |_, _| {});
}
