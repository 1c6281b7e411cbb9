//! A world that remembers how often the user said stop: once ends the outage, twice ends the drill.
//! Knows nothing of what is done in it.

use std::time::Duration;

use tool::{Call, World};
use tool::{Event, TaskId};

/// Around the world of a drill.
pub struct Watch<'w> {
    world: &'w mut dyn World,
    heard: u32,
}

impl<'w> Watch<'w> {
    /// Nothing heard yet.
    pub fn new(world: &'w mut dyn World) -> Self {
        Watch { world, heard: 0 }
    }

    /// How often the user said stop.
    pub fn heard(&self) -> u32 {
        self.heard
    }
}

impl World for Watch<'_> {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn start(&mut self, call: Call) {
        self.world.start(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.world.kill(task, hard);
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        let event = self.world.wait(until);
        self.heard += u32::from(event == Event::Interrupt);
        event
    }
}
