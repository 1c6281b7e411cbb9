//! One trial in two acts: with faults, where the engine may fail but must not contradict itself; then calm, where the
//! same command must arrive at the same end as an undisturbed run. Knows nothing of how it is told.
//!
//! Until its first fault strikes a trial is the undisturbed run. So that run is played once, and each trial goes on
//! from a copy of it, made before the turn in which its fault strikes.

use std::panic::{self, AssertUnwindSafe};

use serde_json::Value;

use super::super::exit::{CONTRADICTION, CRASH, NO_CONVERGENCE};
use super::scene::{Piece, Place, Scene, Script};
use super::trial::Trial;
use plan::engine::Outcome;
use sim::{Faults, Struck};

/// A killed process is started again this often before the calm.
const LIVES: usize = 20;
/// Every VM.
const ALL: u64 = u64::MAX;

/// What one trial came to.
#[derive(Debug, Default)]
pub struct Played {
    /// Commands that a fault could have struck.
    pub points: u64,
    /// Faults that struck.
    pub struck: Vec<Struck>,
    /// Runs of the engine that the first act took: one, and one more for each time it was killed.
    pub lives: usize,
    /// How the first act ended.
    pub first: Outcome,
    /// How the second act ended.
    pub second: Outcome,
    /// What is wrong: an exit code and the reason.
    pub verdict: Option<(u8, String)>,
}

/// A run that nothing disturbed.
pub struct Undisturbed {
    /// Where the fleet stands afterwards, the measure of all others.
    pub end: Value,
    /// Every single fault that could have struck it.
    pub possible: Vec<Struck>,
    /// The turn in which each command was started, by its point.
    turns: Vec<u64>,
}

/// What is played, by whom: scripts are made once and run thousands of times.
struct Theatre<'a> {
    before: Vec<Script<'a>>,
    script: Script<'a>,
    mend: Option<Script<'a>>,
    hinted: Option<Script<'a>>,
    after: Option<Script<'a>>,
}

impl<'a> Theatre<'a> {
    fn new(piece: Piece<'a>) -> Self {
        let script = |plan| Script::new(plan, piece.jobs);
        Theatre {
            before: piece.before.iter().map(script).collect(),
            script: script(piece.plan),
            mend: piece.mend.map(script),
            hinted: piece.hinted.map(script),
            after: piece.after.map(script),
        }
    }

    /// The run that faults shall strike, about to begin.
    fn open(&self, piece: Piece<'a>) -> Scene<'a> {
        let mut place = beside(&self.before, Place::new(piece));
        // Points are counted from here.
        place.world.with_faults(Faults::none());
        Scene::begin(&self.script, place)
    }
}

/// Runs plans that nothing disturbs.
fn beside<'s, 'p: 's>(scripts: impl IntoIterator<Item = &'s Script<'p>>, mut place: Place) -> Place {
    for script in scripts {
        let outcome;
        (place, outcome) = script.run(place);
        let unfinished = unfinished(&outcome);
        place.wrong.extend(unfinished.map(|why| format!("{} beside it does not finish: {why}", script.name())));
    }
    place
}

/// Plays the run that nothing disturbs.
///
/// # Errors
/// Even that run fails, or does not rest; the reason.
pub fn undisturbed(piece: Piece<'_>) -> Result<Undisturbed, String> {
    let theatre = Theatre::new(piece);
    let mut scene = theatre.open(piece);
    scene.readdress(if piece.moved { ALL } else { 0 });
    scene.strike(Faults::scouting());
    let mut turns = Vec::new();
    let mut turn = 0;
    let outcome = loop {
        let outcome = scene.turn();
        turns.resize(usize::try_from(scene.points()).unwrap_or(usize::MAX), turn);
        turn += 1;
        if let Some(outcome) = outcome {
            break outcome;
        }
    };
    let mut place = scene.end(&outcome);
    place.wrong.extend(unfinished(&outcome).map(|why| format!("an undisturbed run does not finish: {why}")));
    let possible = place.world.faults().struck().to_vec();
    place.world.calm();
    let Place { mut world, mut wrong, .. } = beside(&theatre.after, place);
    wrong.extend(world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
    if wrong.is_empty() { Ok(Undisturbed { end: world.summary(), possible, turns }) } else { Err(wrong.join("\n")) }
}

/// Plays trials, each alone. They come in the order of their points, so that one undisturbed run serves them all.
pub struct Player<'a> {
    theatre: Theatre<'a>,
    undisturbed: &'a Undisturbed,
    leader: Scene<'a>,
    /// Turns of the leader so far.
    turn: u64,
    /// Whether VMs are yet to get other addresses.
    moves: bool,
}

impl<'a> Player<'a> {
    /// Who has played nothing yet.
    pub fn new(piece: Piece<'a>, undisturbed: &'a Undisturbed) -> Self {
        let theatre = Theatre::new(piece);
        let mut leader = theatre.open(piece);
        leader.strike(Faults::none());
        Player { theatre, undisturbed, leader, turn: 0, moves: piece.moved }
    }

    /// Plays one trial. A panic of ours is caught and is a crash.
    pub fn play(&mut self, trial: Trial) -> Played {
        let scene = self.before(trial);
        let played = panic::catch_unwind(AssertUnwindSafe(|| self.both(scene, trial.faults())));
        played.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
            let reason = text.unwrap_or("it panicked").to_owned();
            Played { verdict: Some((CRASH, reason)), ..Played::default() }
        })
    }

    /// The undisturbed run as it stands before the trial's first fault can strike.
    fn before(&mut self, trial: Trial) -> Scene<'a> {
        let point = match trial {
            Trial::Seed(seed) => return self.seeded(seed),
            Trial::Fault(point, _) => point,
        };
        if std::mem::take(&mut self.moves) {
            self.leader.readdress(ALL);
        }
        let wanted = usize::try_from(point).ok().and_then(|point| self.undisturbed.turns.get(point)).copied();
        let wanted = wanted.unwrap_or_default();
        assert!(self.turn <= wanted, "bug: the trials are not in order");
        while self.turn < wanted {
            let ended = self.leader.turn();
            assert!(ended.is_none(), "bug: an undisturbed run ends before point {point}");
            self.turn += 1;
        }
        self.leader.copy()
    }

    /// The run as it stands before its first command. A seed decides by its bits which VMs have other addresses.
    fn seeded(&self, seed: u64) -> Scene<'a> {
        let mut scene = self.leader.copy();
        scene.readdress(if self.moves { seed } else { 0 });
        scene
    }

    fn both(&self, mut scene: Scene<'a>, faults: Faults) -> Played {
        let mut played = Played::default();
        scene.strike(faults);
        let mut place;
        loop {
            (place, played.first) = scene.finish();
            played.lives += 1;
            if !place.world.crashed() || played.lives == LIVES {
                break;
            }
            place.again();
            scene = Scene::begin(&self.theatre.script, place);
        }
        played.struck = place.world.faults().struck().to_vec();
        played.points = place.world.points();
        place.again();
        place.world.calm();
        (place, played.second) = self.theatre.script.run(beside(&self.theatre.mend, place));
        if self.theatre.hinted.is_some() && unfinished(&played.second).is_some() {
            (place, played.second) = self.theatre.script.run(beside(&self.theatre.hinted, place));
        }
        played.verdict = self.verdict(place, &played.second);
        played
    }

    fn verdict(&self, mut place: Place, second: &Outcome) -> Option<(u8, String)> {
        place.wrong.extend(place.world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
        if !place.wrong.is_empty() {
            return Some((CONTRADICTION, place.wrong.join("\n")));
        }
        if let Some(why) = unfinished(second) {
            return Some((NO_CONVERGENCE, format!("the calm run does not finish: {why}")));
        }
        // After a run that found nothing to do, one more would be the same once more.
        if !second.done.is_empty() {
            let third;
            (place, third) = self.theatre.script.run(place);
            let restless = third.done.first().map(|step| format!("a third run finds something to do: {step}"));
            if let Some(why) = restless.or(unfinished(&third)) {
                return Some((NO_CONVERGENCE, why));
            }
        }
        let mut place = beside(&self.theatre.after, place);
        if !place.wrong.is_empty() {
            return Some((NO_CONVERGENCE, place.wrong.join("\n")));
        }
        let (want, got) = (&self.undisturbed.end, place.world.summary());
        (&got != want).then(|| (NO_CONVERGENCE, format!("it arrives elsewhere: {}", difference("", want, &got))))
    }
}

/// Why an outcome is not the end of it.
fn unfinished(outcome: &Outcome) -> Option<String> {
    if let Some(failure) = outcome.failed.first() {
        let stderr = failure.output.stderr.lines().last().unwrap_or_default();
        return Some(format!("{}: {} ($ {}) {stderr}", failure.step, failure.why, failure.command));
    }
    let blocked = outcome.blocked.first().map(|(step, by)| format!("{step} is blocked by {by}"));
    blocked.or(outcome.interrupted.then(|| "it was interrupted".to_owned()))
}

/// The first place where two ends differ.
fn difference(path: &str, want: &Value, got: &Value) -> String {
    if let (Value::Object(want), Value::Object(got)) = (want, got) {
        let keys: std::collections::BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        let differing = keys.into_iter().find(|key| want.get(*key) != got.get(*key));
        if let Some(key) = differing {
            let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            return difference(&format!("{path}/{key}"), &side(want), &side(got));
        }
    }
    format!("{path}: want {want}, got {got}")
}
