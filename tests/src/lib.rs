//! What tests and the fake tools that they start share: the file with the state of the simulated world.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sim::{Machine, SimState};

/// The time in the world, and ours since 1970 when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    pub now: Duration,
    pub at: Duration,
}

/// The state file: a line with the times, and the state, which is large.
pub struct Page {
    pub times: Times,
    pub stage: SimState,
}

impl Page {
    /// One that was never written.
    pub fn new(stage: SimState) -> Page {
        Page::at(Duration::ZERO, stage)
    }

    pub fn at(now: Duration, stage: SimState) -> Page {
        Page { times: Times { now, at: Duration::MAX }, stage }
    }

    /// # Errors
    /// What is wrong with the file.
    pub fn read(file: &[u8]) -> Result<Page> {
        if file.is_empty() {
            return Ok(Page::new(SimState::new(Machine::default())));
        }
        let end = file.iter().position(|b| *b == b'\n').context("the state file has no second line")?;
        let (head, stage) = file.split_at(end);
        let times = serde_json::from_slice(head).context("the head of the state file")?;
        Ok(Page { times, stage: SimState::from_json(stage).map_err(anyhow::Error::msg)? })
    }

    /// # Errors
    /// None of the values fails to become JSON.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        Ok([&serde_json::to_vec(&self.times)?, &b"\n"[..], &self.stage.to_json()].concat())
    }
}
