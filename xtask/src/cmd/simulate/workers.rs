//! Runs trials on all cores; results are in the order of the trials.
#![expect(clippy::disallowed_methods, reason = "trials share nothing, so each core runs its own")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::sim_run::Scenario;
use super::trial::Trial;
use super::trial_runner::{Baseline, TrialResult, Worker};

/// Trials taken at once: those of one command are neighbours and start from one copy.
const CHUNK: usize = 8;

pub fn run(scenario: Scenario<'_>, baseline: &Baseline, trials: Vec<Trial>) -> Vec<(Trial, TrialResult)> {
    let chunks: Vec<&[Trial]> = trials.chunks(CHUNK).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = Worker::new(scenario, baseline);
        let mut results = Vec::new();
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            results.extend(chunk.iter().map(|trial| (*trial, worker.run(*trial))));
        }
        results
    };
    let cores = thread::available_parallelism().map_or(1, usize::from).min(chunks.len().max(1));
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().expect("bug: a worker panicked outside of a trial"));
        }
        all
    });
    all.sort_by_key(|(trial, _)| *trial);
    all
}
