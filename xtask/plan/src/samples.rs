//! Small plans for tests: steps that ask `kubectl ask ID` and act by `kubectl act ID`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Expect, Plan, Pool, Probe, Step};
use render::Files;
use tool::{Command, Limits, Tool};

/// A step with an act and the answer `yes` wanted.
pub fn step(id: &str, needs: &[&str]) -> Step {
    Step {
        id: id.into(),
        title: format!("bring about {id}"),
        needs: needs.iter().map(|n| (*n).into()).collect(),
        after: vec![],
        binds_to: vec![],
        pool: Pool::Free,
        done_when: Probe {
            ask: Command::ask(Tool::Kubectl, ["ask", id]),
            want: Expect::Stdout("yes".into()),
            fallback: None,
            lasts: Duration::ZERO,
        },
        remedies: vec![],
        act: vec![Command::act(Tool::Kubectl, ["act", id])],
        undo: vec![],
        limits: Limits {
            ask: Duration::from_secs(10),
            act: Duration::from_secs(60),
            attempts: 2,
            pause: Duration::from_secs(2),
            settle: Duration::from_secs(5),
        },
        hint: None,
        observer: None,
    }
}

/// A plan of these steps, without files or pools.
pub fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    Plan { name: "sample", steps: steps.into_iter().collect(), files: Files::new(), pools: BTreeMap::new() }
}
