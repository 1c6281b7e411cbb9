//! SIGKILL at random moments, and the same command again.
#![expect(clippy::disallowed_methods, reason = "cuts the journal of a dead process")]
#![expect(clippy::disallowed_macros, reason = "the moments of the kills belong into the report of a failure")]

use std::time::Duration;

use super::bootstrap::check_secrets;
use super::machine::{FakeMachine, baseline};

/// Kills per place. Each run goes on where the last was cut off, so together they cross the whole bootstrap.
const KILLS: u32 = 10;
/// A run lives this part of an undisturbed one at most.
const PART: u32 = 3;

/// splitmix64 (public domain, Sebastiano Vigna), as in the simulation.
fn roll(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

fn check(seed: u64) {
    let (machine, mut random) = (FakeMachine::new(), seed);
    let mut dead = Vec::new();
    let longest = (baseline().took / PART).as_micros() as u64;
    for kill in 0..KILLS {
        let moment = Duration::from_micros(roll(&mut random, longest));
        let run = machine.start("bootstrap -v", 2000);
        dead.push(format!("pid {}", run.pid()));
        let killed = run.kill_after(moment);
        eprintln!("seed {seed}: kill {kill} after {moment:?}: alive {killed}");
        // One that died young had not yet signed it.
        let holder = machine.text("out/lock").lines().next().unwrap_or_default().to_owned();
        assert!(holder.is_empty() || dead.contains(&holder), "a stale lock names the dead: {holder}, {dead:?}");
        if kill == KILLS / 2 {
            cut_journal(&machine);
        }
    }
    let ran = machine.run("bootstrap --format json --explain");
    assert_eq!(ran.code, Some(0), "seed {seed}: {}", ran.err);
    assert_eq!(machine.end(), baseline().end, "seed {seed}");
    let page = machine.page();
    let launches: Vec<u32> = page.stage.launches().values().copied().collect();
    assert_eq!(launches, [1; 6], "seed {seed}: {:?}", page.stage.launches());
    check_secrets(&machine, KILLS as usize + 1);
}

/// As a power cut would: the last line is half there.
fn cut_journal(machine: &FakeMachine) {
    let text = machine.text("out/journal.jsonl");
    if text.len() > 20 {
        std::fs::write(machine.root().join("out/journal.jsonl"), &text[..text.len() - 12]).unwrap();
    }
}

#[test]
fn killed_bootstrap_converges_on_retry() {
    check(11);
}

#[test]
fn next_run_waits_for_the_commands_of_a_killed_one() {
    let machine = FakeMachine::new();
    machine.must("bootstrap --until */kubeconfig --until charts/*");
    let run = machine.start("bootstrap --until */cilium", 2);
    machine.until_asked("upgrade");
    assert!(run.kill_after(Duration::from_millis(100)));
    let left = machine.running();
    assert!(!left.is_empty(), "helm is still at work");
    let ran = machine.run("bootstrap --until */cilium");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let waits = ran.err.lines().find(|line| line.trim_start().starts_with("Waiting up to ")).unwrap_or(&ran.err);
    assert!(
        waits.contains("killed: ") && waits.contains("helm upgrade --install cilium") && waits.contains("(pid "),
        "{}",
        ran.err
    );
    assert!(left.iter().any(|pid| waits.contains(&pid.to_string())), "{left:?} {waits}");
    let asked: Vec<String> = machine.asked().iter().map(ToString::to_string).collect();
    assert!(!asked.iter().any(|line| line.contains("\"rollback\"")), "what was at work is not taken for half done");
}
