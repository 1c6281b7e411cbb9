//! Ctrl-C and SIGTERM, once and twice, and a second run beside the first.
//! Knows nothing of clusters.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::{Place, undisturbed};

/// In life's own time: a launch then takes longer than any test.
const LIFELIKE: u32 = 1;

/// A step is told before its process is there. Ten seconds are plenty.
fn comes_up(place: &Place) -> bool {
    (0..400).any(|_| {
        let up = !place.running().is_empty();
        if !up {
            std::thread::sleep(Duration::from_millis(25));
        }
        up
    })
}

fn journal(place: &Place) -> Vec<Value> {
    let text = place.text("out/journal.jsonl");
    assert!(text.ends_with('\n'), "its last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

fn check_once(signal: &str) {
    let place = Place::new();
    let mut run = place.start("bootstrap", 2000);
    run.until("/init: ");
    run.signal(signal);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.trim_end().ends_with("to go on: cargo xtask bootstrap"), "{}", ran.err);
    let last = journal(&place).pop().expect("a line");
    assert_eq!((&last["event"], &last["interrupted"]), (&"run-ended".into(), &true.into()));
    assert_eq!(place.below("out/tmp"), [""; 0], "nothing is half written");
    assert!(place.running().is_empty(), "what runs may end");
    let again = place.run("bootstrap");
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(place.end(), undisturbed().end);
}

#[test]
fn ctrl_c_lets_running_commands_end() {
    check_once("INT");
}

#[test]
fn sigterm_is_as_polite_as_ctrl_c() {
    check_once("TERM");
}

fn check_twice(signal: &str, then: impl FnOnce(&Place, u64)) {
    let place = Place::new();
    let mut run = place.start("bootstrap", LIFELIKE);
    run.until("Started mgmt/cp/launch");
    assert!(comes_up(&place), "the launch runs");
    then(&place, run.pid());
    run.signal(signal);
    run.until("Ctrl-C again kills");
    let before = Instant::now();
    run.signal(signal);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(before.elapsed() < Duration::from_secs(5), "at once: {:?}", before.elapsed());
    assert!(ran.err.trim_end().ends_with("to go on: cargo xtask bootstrap"), "{}", ran.err);
    journal(&place);
    let left = place.running();
    assert!(left.is_empty(), "nothing outlives it: {left:?}");
}

#[test]
fn ctrl_c_twice_ends_all_and_a_second_run_is_refused_meanwhile() {
    check_twice("INT", |place, holder| {
        let second = place.run("bootstrap");
        assert_eq!(second.code, Some(3), "{}", second.err);
        let who = format!("another run holds the lock: pid {holder}, `bootstrap` since 20");
        assert!(second.err.contains(&who), "{}", second.err);
    });
}

#[test]
fn sigterm_twice_ends_all() {
    check_twice("TERM", |_, _| {});
}
