//! `rehearse --seeds A..B`: each seed is another disaster; the way back from each must be the same command again.
//! Knows nothing of the simulated tools.

mod acts;
mod referee;

use super::conduct::jobs;
use super::exit::{CRASH, DONE, Ended, Stop, WRONG};
use super::{Session, load};
use crate::cli::{Format, Planned};
use crate::plan::mesh::Scope;
use crate::problem::Problem;
use crate::tools::helm::Helm;
use crate::ui::shell::{Tone, Volume};
use crate::ui::words;
use acts::{Piece, Played};

/// Sums over all seeds.
#[derive(Default)]
struct Sum {
    seeds: usize,
    points: u64,
    struck: usize,
    failing: Vec<(u64, u8)>,
}

/// Plays the seeds one after another, each alone in its own world.
///
/// # Errors
/// Problems of the input, or seeds that are no range.
pub fn run(session: &mut Session, of: Planned, seeds: Option<&str>) -> Ended {
    let seeds = match (seeds, session.flags.seed) {
        (Some(text), _) => range(text).map_err(Stop::with(WRONG))?,
        (None, Some(seed)) => seed..=seed,
        (None, None) => return Err(Stop::one(WRONG, Problem::new("which seeds?").hint("--seeds 1..200"))),
    };
    let inputs = load::inputs(session)?;
    let bootstrap = inputs.bootstrap(Helm::V4);
    let mesh = inputs.mesh(Helm::V4, &Scope::all(&inputs.fleet))?;
    let jobs = jobs(session);
    let (piece, said) = match of {
        Planned::Bootstrap => (Piece { before: None, plan: &bootstrap, jobs }, ""),
        Planned::MeshConnect => (Piece { before: Some(&bootstrap), plan: &mesh, jobs }, " --command mesh-connect"),
    };
    let want = acts::undisturbed(piece)
        .map_err(|reason| Stop::one(CRASH, Problem::new("a rehearsal without any fault fails").why(reason)))?;
    let mut sum = Sum::default();
    for seed in seeds {
        let played = acts::play(piece, seed, &want);
        tell(session, said, seed, &played);
        sum.seeds += 1;
        sum.points += played.points;
        sum.struck += played.struck.len();
        sum.failing.extend(played.verdict.map(|(code, _)| (seed, code)));
    }
    Ok(answer(session, said, &sum))
}

/// `1..200`, both ends included.
fn range(text: &str) -> Result<std::ops::RangeInclusive<u64>, Problem> {
    let ends = text.split_once("..").map(|(a, b)| (a.parse(), b.trim_start_matches('=').parse()));
    match ends {
        Some((Ok(first), Ok(last))) if first <= last => Ok(first..=last),
        _ => Err(Problem::new(format!("not a range of seeds: `{text}`")).hint("--seeds 1..200")),
    }
}

/// One seed: always if it failed, else when it is the only one or more is asked for.
fn tell(session: &mut Session, of: &str, seed: u64, played: &Played) {
    if session.flags.format == Format::Json {
        session.shell.data(&format!("{}\n", json(seed, played)));
    }
    let alone = session.flags.seed.is_some() || session.shell.volume() == Volume::Verbose;
    if alone || played.verdict.is_some() {
        story(session, seed, played);
    }
    if let Some((_, reason)) = &played.verdict {
        let problem = Problem::new(format!("rehearsal with seed {seed} failed"))
            .why(reason.clone())
            .hint(format!("reproduce: cargo xtask rehearse{of} --seed {seed}"));
        let text = crate::ui::problem::one(&problem, session.shell.paint());
        session.shell.tell(&text);
    }
}

fn story(session: &mut Session, seed: u64, played: &Played) {
    for struck in &played.struck {
        let kind =
            serde_json::to_value(struck.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let line = format!("at point {}: {kind}: $ {}", struck.point, words::cut(&struck.command, 90));
        session.shell.status(Tone::Warn, "Struck", &line);
    }
    let act = |outcome| crate::ui::report::tally(outcome).words();
    let lives = words::count(played.lives, "run");
    let said =
        format!("seed {seed}: in {lives} with faults: {}; then calm: {}", act(&played.first), act(&played.second));
    session.shell.status(Tone::Dim, "Played", &said);
}

fn json(seed: u64, played: &Played) -> serde_json::Value {
    let (code, why) = played.verdict.clone().map_or((DONE, None), |(code, why)| (code, Some(why)));
    serde_json::json!({
        "event": "rehearsed", "seed": seed, "points": played.points, "struck": played.struck, "runs": played.lives,
        "exit": code, "why": why,
    })
}

fn answer(session: &mut Session, of: &str, sum: &Sum) -> u8 {
    let Sum { seeds, points, struck, failing } = sum;
    let what = format!("{}: {points} fault points, {}", words::count(*seeds, "seed"), words::count(*struck, "fault"));
    let Some((first, code)) = failing.first() else {
        session.shell.status(Tone::Good, "Rehearsed", &format!("{what}, all arrived"));
        return DONE;
    };
    let line = format!("{what}, {} failing; reproduce: cargo xtask rehearse{of} --seed {first}", failing.len());
    let line = crate::ui::shell::status(session.shell.paint(), Tone::Bad, "Failed", &line);
    session.shell.tell(&line);
    *code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends() {
        assert_eq!(range("1..200").unwrap().count(), 200);
        assert_eq!(range("7..=7").unwrap().count(), 1);
        for wrong in ["", "7", "9..1", "a..b", "-1..3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
