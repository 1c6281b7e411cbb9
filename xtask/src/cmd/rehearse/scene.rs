//! A run of a plan in a world of its own, all of it in memory: it can be stopped between two turns and copied.
//! Knows nothing of what goes wrong in it, nor of what is made of its end.

use super::super::drive::{self, Course};
use super::super::embedded::{self, Life, Mortal};
use super::referee::Referee;
use exec::workspace::Workspace;
use plan::Plan;
use plan::engine::{Engine, Outcome};
use plan::journal;
use sim::{Faults, Rehearsal};
use tool::World;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// What is run first, without any fault.
    pub before: &'a [Plan],
    /// Whether VMs have other addresses then: all of them, or those that a seed has bits for.
    pub moved: bool,
    /// What the faults strike.
    pub plan: &'a Plan,
    /// What a person runs after a disaster, before the same command again.
    pub mend: Option<&'a Plan>,
    /// What a person runs where even the calm run stops, as its hint says, before the same command once more.
    pub hinted: Option<&'a Plan>,
    /// What is run at the end, before ends are compared.
    pub after: Option<&'a Plan>,
    /// Steps at once.
    pub jobs: usize,
}

/// A machine and its files, between two runs.
pub struct Place {
    /// The machine.
    pub world: Rehearsal,
    /// The files.
    pub space: Workspace,
    /// What contradicted itself in a run.
    pub wrong: Vec<String>,
}

impl Place {
    /// A machine with every tool and nothing else.
    pub fn new(piece: Piece<'_>) -> Place {
        let space = Workspace::in_memory();
        let mut world = embedded::begin(&space, Faults::none(), piece.plan);
        piece.before.iter().for_each(|before| embedded::publish(world.stage_mut(), before));
        Place { world, space, wrong: Vec::new() }
    }

    fn copy(&self) -> Place {
        let space = self.space.copy();
        Place { world: embedded::copy(&space, &self.world), space, wrong: self.wrong.clone() }
    }

    /// The next process finds what the last one left; what that had started goes on alone.
    pub fn again(&mut self) {
        self.world.outlive();
        self.space = self.space.beside();
    }
}

/// A plan, and what it takes to run it often.
pub struct Script<'a> {
    plan: &'a Plan,
    digest: String,
    engine: Engine<'a>,
}

impl<'a> Script<'a> {
    /// Of a plan.
    pub fn new(plan: &'a Plan, jobs: usize) -> Self {
        let engine = Engine::new(plan, plan.ids(), Default::default(), jobs);
        Script { plan, digest: drive::digest(plan), engine }
    }

    /// The name of the plan.
    pub fn name(&self) -> &'a str {
        self.plan.name
    }

    /// Runs all of it once in that place, as one process would.
    pub fn run(&self, place: Place) -> (Place, Outcome) {
        Scene::begin(self, place).finish()
    }
}

/// A run that is under way, between two turns.
pub struct Scene<'a> {
    place: Place,
    life: Life,
    course: Course<'a>,
    referee: Referee<'a>,
}

impl<'a> Scene<'a> {
    /// A run that begins in that place.
    pub fn begin(script: &Script<'a>, mut place: Place) -> Self {
        let facts = place.space.journal().map(|text| journal::facts(&text)).unwrap_or_default();
        let course = Course::begin(script.plan, script.engine.knowing(facts), &script.digest, &mut place.space);
        Scene { place, life: Life::default(), course, referee: Referee::new(script.plan) }
    }

    /// Commands that a fault could have struck so far.
    pub fn points(&self) -> u64 {
        self.place.world.points()
    }

    /// VMs come back with other addresses: those whose bits are set, in the order of their names.
    pub fn readdress(&mut self, which: u64) {
        let now = self.place.world.now();
        self.place.world.stage_mut().readdress_all(which, now);
    }

    /// Other faults from here on; points are counted on.
    pub fn strike(&mut self, faults: Faults) {
        let points = self.points();
        self.place.world.with_faults(faults.after(points));
    }

    /// One turn. How the run ended, if it did.
    pub fn turn(&mut self) -> Option<Outcome> {
        let Scene { place: Place { world, space, .. }, life, course, referee } = self;
        let mut mortal = Mortal { world, life: std::mem::take(life) };
        let outcome = course.turn(&mut mortal, space, &mut |_, note| referee.see(note));
        *life = mortal.life;
        outcome
    }

    /// All turns that are left.
    pub fn finish(mut self) -> (Place, Outcome) {
        let outcome = loop {
            if let Some(outcome) = self.turn() {
                break outcome;
            }
        };
        (self.end(&outcome), outcome)
    }

    /// What is left when it is over. A run that was killed says nothing.
    pub fn end(mut self, outcome: &Outcome) -> Place {
        if !self.place.world.crashed() {
            self.referee.end(outcome);
        }
        self.place.wrong.append(&mut self.referee.contradictions);
        self.place
    }

    /// The same run once more, to go on differently.
    pub fn copy(&self) -> Self {
        let Scene { place, life, course, referee } = self;
        Scene { place: place.copy(), life: life.clone(), course: course.clone(), referee: referee.clone() }
    }
}
