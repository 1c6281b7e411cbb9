//! SIGKILL at random moments, and the same command again: nothing is lost, nothing is made twice.
//! Knows nothing of what xtask was at when it died.
#![expect(clippy::disallowed_methods, reason = "cuts the journal of a dead process")]
#![expect(clippy::disallowed_macros, reason = "the moments of the kills belong into the report of a failure")]

use std::time::Duration;

use super::place::{Place, undisturbed};

/// Kills per place. Each run goes on where the last was cut off, so together they cross the whole bootstrap.
const KILLS: u32 = 8;
/// A run lives this part of an undisturbed one at most.
const PART: u32 = 3;

/// splitmix64 (public domain, Sebastiano Vigna), as in the rehearsal.
fn roll(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

fn check(seed: u64) {
    let (place, mut random) = (Place::new(), seed);
    let mut dead = Vec::new();
    let longest = (undisturbed().took / PART).as_micros() as u64;
    for kill in 0..KILLS {
        let moment = Duration::from_micros(roll(&mut random, longest));
        let run = place.start("bootstrap", 2000);
        dead.push(format!("pid {}", run.pid()));
        let killed = run.kill_after(moment);
        eprintln!("seed {seed}: kill {kill} after {moment:?}: alive {killed}");
        // One that died young had not yet signed it.
        let holder = place.text("out/lock").lines().next().unwrap_or_default().to_owned();
        assert!(holder.is_empty() || dead.contains(&holder), "a stale lock names the dead: {holder}, {dead:?}");
        if kill == KILLS / 2 {
            cut_journal(&place);
        }
    }
    let ran = place.run("bootstrap");
    assert_eq!(ran.code, Some(0), "seed {seed}: {}", ran.err);
    assert_eq!(place.end(), undisturbed().end, "seed {seed}");
    let page = place.page();
    let launches: Vec<u32> = page.stage.launches().values().copied().collect();
    assert_eq!(launches, [1; 6], "seed {seed}: {:?}", page.stage.launches());
}

/// As a power cut would: the last line is half there.
fn cut_journal(place: &Place) {
    let text = place.text("out/journal.jsonl");
    if text.len() > 20 {
        std::fs::write(place.root().join("out/journal.jsonl"), &text[..text.len() - 12]).unwrap();
    }
}

#[test]
fn killed_at_random_moments_it_arrives_all_the_same() {
    check(11);
}

#[test]
fn killed_at_other_moments_it_arrives_all_the_same() {
    check(4242);
}
