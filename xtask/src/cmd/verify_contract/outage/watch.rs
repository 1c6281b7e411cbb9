//! A world that counts interrupts: one ends the outage, two end the drill.

use std::time::Duration;

use tool::{Call, World};
use tool::{Event, TaskId};

/// Around the world of a drill.
pub struct Watch<'w> {
    world: &'w mut dyn World,
    interrupts: u32,
}

impl<'w> Watch<'w> {
    pub fn new(world: &'w mut dyn World) -> Self {
        Watch { world, interrupts: 0 }
    }

    /// How often the run was interrupted.
    pub fn interrupts(&self) -> u32 {
        self.interrupts
    }

    /// Lets time go by until then; whether it was not interrupted.
    pub fn hold(&mut self, end: Duration) -> bool {
        while self.now() < end {
            if self.wait(Some(end)) == Event::Interrupt {
                return false;
            }
        }
        true
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
        self.interrupts += u32::from(event == Event::Interrupt);
        event
    }
}
