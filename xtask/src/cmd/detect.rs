//! Asks which Helm there is, before there can be a plan in its words.
//! Knows nothing of plans, and writes nothing: a dry run asks too.

use std::time::Duration;

use semver::Version;

use super::exit::{INTERRUPTED, Stop};
use tool::Event;
use tool::helm::{self, Helm};
use tool::{Call, World};
use tool::{Output, Stdin};

/// `helm version` answers within a second; a cold disk may need more.
const LIMIT: Duration = Duration::from_secs(60);

/// Which Helm. Without one the plan is made for the newest: its first steps then say that there is none.
///
/// # Errors
/// The user said stop.
pub fn helm(world: &mut dyn World) -> Result<Helm, Stop> {
    let ask = helm::version();
    debug_assert!(ask.stdin == Stdin::Closed && ask.env.is_empty(), "bug: the question needs more than its words");
    let call = Call { task: 0, tool: ask.tool, args: ask.args, stdin: vec![], env: vec![] };
    Ok(answer(world, call)?.as_ref().and_then(read).unwrap_or(Helm::V4))
}

fn answer(world: &mut dyn World, call: Call) -> Result<Option<Output>, Stop> {
    let (task, end) = (call.task, world.now() + LIMIT);
    world.start(call);
    loop {
        match world.wait(Some(end)) {
            Event::Ended(ended, output) if ended == task => return Ok(Some(output)),
            Event::Interrupt => {
                world.kill(task, true);
                return Err(Stop { code: INTERRUPTED, problems: vec![] });
            }
            // Whatever came last: one that never stops talking leaves no quiet moment.
            _ if world.now() >= end => {
                world.kill(task, true);
                return Ok(None);
            }
            _ => {}
        }
    }
}

fn read(output: &Output) -> Option<Helm> {
    let version = Version::parse(output.stdout.trim().trim_start_matches('v')).ok().filter(|_| output.ok())?;
    Some(if version.major < 4 { Helm::V3 } else { Helm::V4 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Exit;

    /// Says something a second, for ever.
    struct Talker(Duration, bool);

    impl World for Talker {
        fn now(&self) -> Duration {
            self.0
        }

        fn start(&mut self, _: Call) {}

        fn kill(&mut self, _: u64, hard: bool) {
            self.1 = hard;
        }

        fn wait(&mut self, _: Option<Duration>) -> Event {
            self.0 += Duration::from_secs(1);
            Event::Line(0, "v4".into())
        }
    }

    #[test]
    fn who_never_stops_talking_has_no_more_time_than_others() {
        let mut world = Talker(Duration::ZERO, false);
        assert_eq!(helm(&mut world).unwrap(), Helm::V4);
        assert_eq!((world.0, world.1), (LIMIT, true), "killed at the end of its time");
    }

    #[test]
    fn helm_is_told_by_its_major() {
        let said = |stdout: &str, code| read(&Output { stdout: stdout.into(), ..Output::of(Exit::Code(code)) });
        assert_eq!([said("v3.18.0", 0), said("v4.1.4\n", 0)], [Some(Helm::V3), Some(Helm::V4)]);
        assert_eq!([said("v3.18.0", 1), said("helm: what?", 0)], [None, None]);
    }
}
