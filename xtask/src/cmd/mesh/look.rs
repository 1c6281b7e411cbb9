//! Asks a survey's questions and judges the answers, and again while what is in the way may pass by itself.
//! Knows nothing of what is done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::exit::{INTERRUPTED, Stop};
use super::super::load::Inputs;
use super::super::survey::{Answers, ask};
use super::super::{Session, conduct};
use crate::ui::shell::Tone;
use crate::ui::words;
use mesh::{Finding, Grade, Survey, judge};
use plan::mesh::{Scope, survey};
use plan::{Plan, Step, Want};
use tool::Event;
use tool::World;
use tool::{Command, Limits, Output};

/// How long to wait for what may pass by itself (a mesh server that starts anew), and how often to look.
const PATIENCE: (Duration, usize) = (Duration::from_secs(20), 9);

/// What was seen.
pub(super) struct Seen {
    /// Everything that is wrong, likeliest cause first.
    pub(super) found: Vec<Finding>,
    /// What it was judged by.
    pub(super) answers: Answers,
    /// Facts of earlier runs, and those that the answers taught.
    pub(super) facts: BTreeMap<String, String>,
}

impl Seen {
    /// Findings of a grade.
    pub(super) fn of(&self, grade: Grade) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(move |f| f.grade == grade)
    }

    /// What keeps clusters from being connected.
    pub(super) fn in_the_way(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(|f| matches!(f.grade, Grade::Blocks | Grade::Passing))
    }
}

/// Asks everything once, and judges it. `whole` asks also what only a diagnosis wants to know.
pub(super) fn look(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &Scope,
    whole: bool,
) -> Result<Seen, Stop> {
    let fleet = &inputs.fleet;
    let mut facts = conduct::facts(session);
    let plan = match whole {
        true => survey::whole(fleet, &inputs.releases, scope),
        false => survey::plan(fleet, scope),
    };
    let asking = format!("{} about {}", words::count(plan.steps.len(), "question"), super::names(&scope.clusters));
    session.shell.status(Tone::Dim, "Asking", &asking);
    if scope.clusters.len() > survey::TRIED_FROM + 1 {
        let text = format!("each cluster from {} peers, of all links their ends are asked", survey::TRIED_FROM);
        session.shell.status(Tone::Dim, "Trying", &text);
    }
    let answers = asked(session, world, &plan, &mut facts)?;
    let found = judge(&Survey { fleet, scope, answers: &answers, facts: &facts });
    Ok(Seen { found, answers, facts })
}

fn asked(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    facts: &mut BTreeMap<String, String>,
) -> Result<Answers, Stop> {
    let jobs = conduct::jobs(session);
    ask(&mut session.space, world, plan, facts, jobs)
}

/// Looks again while all that is in the way may pass by itself.
pub(super) fn patient(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &Scope,
) -> Result<Seen, Stop> {
    let (pause, times) = PATIENCE;
    let mut seen = look(session, world, inputs, scope, false)?;
    for _ in 0..times {
        // Nothing passes by itself where a node has moved: that is mended first.
        let waits = |grade| seen.of(grade).next().is_some();
        if waits(Grade::Blocks) || waits(Grade::Moved) || !waits(Grade::Passing) {
            break;
        }
        sleep(world, pause)?;
        seen = look(session, world, inputs, scope, false)?;
    }
    Ok(seen)
}

fn sleep(world: &mut dyn World, time: Duration) -> Result<(), Stop> {
    let end = world.now() + time;
    while world.now() < end {
        if world.wait(Some(end)) == Event::Interrupt {
            return Err(Stop { code: INTERRUPTED, problems: vec![] });
        }
    }
    Ok(())
}

/// Runs one command that belongs to no step.
pub(super) fn one(
    session: &mut Session,
    world: &mut dyn World,
    command: Command,
    limit: Duration,
) -> Result<Option<Output>, Stop> {
    let limits = Limits { ask: limit, ..Limits::QUICK };
    let step = Step::new("one".into(), "one command", command, Want::Exit(0)).limits(limits);
    let plan = Plan { name: "one", steps: vec![step], files: BTreeMap::new(), lanes: BTreeMap::new() };
    let mut answers = asked(session, world, &plan, &mut BTreeMap::new())?;
    Ok(answers.remove("one"))
}
