//! One trial in two acts: with faults, where the engine may fail but must not contradict itself; then calm, where the
//! same command must arrive at the same end as an undisturbed run. Knows nothing of how it is told.

use std::panic::{self, AssertUnwindSafe};

use camino::Utf8Path;
use serde_json::Value;

use super::super::drive;
use super::super::embedded::{self, Mortal};
use super::super::exit::{CONTRADICTION, CRASH, NO_CONVERGENCE};
use super::referee::Referee;
use crate::engine::{Engine, Outcome};
use crate::journal;
use crate::plan::Plan;
use crate::workspace::Workspace;
use crate::world::rehearsal::{Faults, Rehearsal, Struck};

/// A killed process is started again this often before the calm.
const LIVES: usize = 20;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// What is run first, without any fault.
    pub before: &'a [Plan],
    /// What the faults strike.
    pub plan: &'a Plan,
    /// What a person runs after a disaster, before the same command again.
    pub mend: Option<&'a Plan>,
    /// What is run at the end, before ends are compared.
    pub after: Option<&'a Plan>,
    /// Steps at once.
    pub jobs: usize,
}

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
}

/// Plays the run that nothing disturbs.
///
/// # Errors
/// Even that run fails, or does not rest; the reason.
pub fn undisturbed(piece: Piece<'_>) -> Result<Undisturbed, String> {
    let stage = Theatre::new(piece)?;
    let mut wrong = Vec::new();
    let mut world = stage.open(&mut wrong);
    world.with_faults(Faults::scouting());
    let outcome = stage.run(&mut world, &mut wrong);
    wrong.extend(unfinished(&outcome).map(|why| format!("an undisturbed run does not finish: {why}")));
    let possible = world.faults().struck().to_vec();
    world.calm();
    stage.run_all(stage.piece.after, &mut world, &mut wrong);
    wrong.extend(world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
    if wrong.is_empty() { Ok(Undisturbed { end: world.summary(), possible }) } else { Err(wrong.join("\n")) }
}

/// Plays one trial. A panic of ours is caught and is a crash.
pub fn play(piece: Piece<'_>, faults: Faults, want: &Value) -> Played {
    let played = panic::catch_unwind(AssertUnwindSafe(|| both(piece, faults, want)));
    played.unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("it panicked").to_owned();
        Played { verdict: Some((CRASH, reason)), ..Played::default() }
    })
}

fn both(piece: Piece<'_>, faults: Faults, want: &Value) -> Played {
    let stage = match Theatre::new(piece) {
        Ok(stage) => stage,
        Err(reason) => return Played { verdict: Some((CRASH, reason)), ..Played::default() },
    };
    let mut played = Played::default();
    let mut wrong = Vec::new();
    let mut world = stage.open(&mut wrong);
    world.with_faults(faults);
    loop {
        played.first = stage.run(&mut world, &mut wrong);
        played.lives += 1;
        if !world.crashed() || played.lives == LIVES {
            break;
        }
        world = stage.again(&world);
    }
    played.struck = world.faults().struck().to_vec();
    played.points = world.points();
    world = stage.again(&world);
    world.calm();
    stage.run_all(piece.mend, &mut world, &mut wrong);
    played.second = stage.run(&mut world, &mut wrong);
    played.verdict = verdict(&stage, &mut world, &played.second, wrong, want);
    played
}

fn verdict(
    stage: &Theatre<'_>,
    world: &mut Rehearsal,
    second: &Outcome,
    mut wrong: Vec<String>,
    want: &Value,
) -> Option<(u8, String)> {
    wrong.extend(world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
    if !wrong.is_empty() {
        return Some((CONTRADICTION, wrong.join("\n")));
    }
    if let Some(why) = unfinished(second) {
        return Some((NO_CONVERGENCE, format!("the calm run does not finish: {why}")));
    }
    let third = stage.run(world, &mut wrong);
    let restless = third.done.first().map(|step| format!("a third run finds something to do: {step}"));
    if let Some(why) = restless.or(unfinished(&third)) {
        return Some((NO_CONVERGENCE, why));
    }
    stage.run_all(stage.piece.after, world, &mut wrong);
    if !wrong.is_empty() {
        return Some((NO_CONVERGENCE, wrong.join("\n")));
    }
    let got = world.summary();
    (&got != want).then(|| (NO_CONVERGENCE, format!("it arrives elsewhere: {}", difference("", want, &got))))
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

/// A place for one trial: an empty repository folder that goes away with it.
struct Theatre<'a> {
    piece: Piece<'a>,
    folder: tempfile::TempDir,
}

impl<'a> Theatre<'a> {
    fn new(piece: Piece<'a>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no folder for the rehearsal: {e}"))?;
        match Utf8Path::from_path(folder.path()) {
            Some(_) => Ok(Theatre { piece, folder }),
            None => Err("the temporary folder's name is not UTF-8".to_owned()),
        }
    }

    fn space(&self) -> Workspace {
        let root = Utf8Path::from_path(self.folder.path()).expect("bug: checked when it was made");
        Workspace::open(root, Utf8Path::new("out")).fleeting()
    }

    /// A new world, with what the piece begins from.
    fn open(&self, wrong: &mut Vec<String>) -> Rehearsal {
        let mut world = embedded::begin(&self.space(), Faults::none(), self.piece.plan);
        for before in self.piece.before {
            embedded::publish(world.stage_mut(), before);
        }
        self.run_all(self.piece.before, &mut world, wrong);
        world
    }

    /// Runs plans that nothing disturbs.
    fn run_all<'p>(&self, plans: impl IntoIterator<Item = &'p Plan>, world: &mut Rehearsal, wrong: &mut Vec<String>) {
        for plan in plans {
            let outcome = self.run_plan(plan, world, wrong);
            wrong.extend(unfinished(&outcome).map(|why| format!("{} beside it does not finish: {why}", plan.name)));
        }
    }

    /// Runs the whole plan once, as one process would.
    fn run(&self, world: &mut Rehearsal, wrong: &mut Vec<String>) -> Outcome {
        self.run_plan(self.piece.plan, world, wrong)
    }

    fn run_plan(&self, plan: &Plan, world: &mut Rehearsal, wrong: &mut Vec<String>) -> Outcome {
        let mut space = self.space();
        let facts = space.journal().map(|text| journal::read(&text).facts).unwrap_or_default();
        let engine = Engine::new(plan, plan.ids(), facts, self.piece.jobs);
        let mut referee = Referee::new(plan);
        let mut mortal = Mortal::new(world);
        let outcome = drive::drive(plan, engine, &mut mortal, &mut space, &mut |_, note| referee.see(note));
        if !world.crashed() {
            referee.end(&outcome);
        }
        wrong.append(&mut referee.contradictions);
        outcome
    }

    /// The same world for the next process; what the last one had started goes on alone.
    fn again(&self, world: &Rehearsal) -> Rehearsal {
        embedded::resume(&self.space(), &world.save()).expect("bug: a story of ours cannot be read")
    }
}
