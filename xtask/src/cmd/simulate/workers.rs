//! Plays many trials on all cores; what comes of them is in their order, whoever was first.
//! Knows nothing of what a trial is about.
#![expect(clippy::disallowed_methods, reason = "trials share nothing, so each core plays its own")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::sim_run::Scenario;
use super::trial::Trial;
use super::trial_runner::{Baseline, TrialResult, Worker};

/// Trials that are taken at once: those of one command stand side by side and begin from one copy.
const HANDFUL: usize = 8;

/// Plays all of them.
pub fn play(scenario: Scenario<'_>, baseline: &Baseline, trials: Vec<Trial>) -> Vec<(Trial, TrialResult)> {
    let handfuls: Vec<&[Trial]> = trials.chunks(HANDFUL).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut player = Worker::new(scenario, baseline);
        let mut played = Vec::new();
        while let Some(handful) = handfuls.get(next.fetch_add(1, Ordering::Relaxed)) {
            played.extend(handful.iter().map(|trial| (*trial, player.play(*trial))));
        }
        played
    };
    let cores = thread::available_parallelism().map_or(1, usize::from).min(handfuls.len().max(1));
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().expect("bug: a player panicked outside of a trial"));
        }
        all
    });
    all.sort_by_key(|(trial, _)| *trial);
    all
}
