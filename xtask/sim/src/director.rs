//! Hands each question to the tool that it is for, and lets happen what is due inside VMs before it answers.
//! Knows nothing of what the tools say.

use std::time::Duration;

use super::ask::{Answer, Ask, Disk};
use super::stage::Stage;
use super::vms::Power;
use super::{cilium, curl, docker, guest, helm, kubectl, multipass, openssl, own, tar};
use tool::{Exit, Output, Tool};

impl Stage {
    /// What the tool says at this moment. Ask again with the same `ask` until it is done.
    pub fn answer(&mut self, ask: &Ask, now: Duration, disk: &mut dyn Disk) -> Answer {
        self.advance(now);
        if ask.tool != Tool::Own && !self.machine.tools.contains_key(ask.tool.program()) {
            return Answer::Done(Output::of(Exit::Missing));
        }
        let ready = ask.since + ask.latency();
        if now < ready {
            return Answer::Again(ready - now);
        }
        let answer = match ask.tool {
            Tool::Multipass => multipass::answer(self, ask, now),
            Tool::Helm => helm::answer(self, ask, now, disk),
            Tool::Kubectl => kubectl::answer(self, ask, now, disk),
            Tool::Cilium => cilium::answer(self, ask, now, disk),
            Tool::Openssl => Answer::Done(openssl::answer(self, ask)),
            Tool::Curl => Answer::Done(curl::answer(self, ask, disk)),
            Tool::Tar => Answer::Done(tar::answer(self, ask, disk)),
            Tool::Own => own::answer(self, ask, now, disk),
            Tool::Docker => docker::answer(self, ask, now),
        };
        self.watch(now);
        answer
    }

    /// A command is ended from outside, politely or at once: what it leaves behind, and what it still says.
    pub fn killed(&mut self, ask: &Ask, hard: bool, now: Duration) -> Output {
        self.advance(now);
        match ask.tool {
            Tool::Helm => helm::killed(self, ask, hard),
            _ => Output::of(Exit::Signal(if hard { 9 } else { 15 })),
        }
    }

    /// Lets everything inside VMs happen that is due, in the order in which it is due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some((name, index)) = self.due(now) {
            guest::work(self, &name, index);
        }
    }

    fn due(&self, now: Duration) -> Option<(String, usize)> {
        let busy = self.vms.iter().filter(|(_, vm)| !vm.guest.jobs.is_empty() && vm.power == Power::Running);
        let jobs =
            busy.flat_map(|(name, vm)| vm.guest.jobs.iter().enumerate().map(move |(i, job)| (job.next, name, i)));
        jobs.filter(|(next, ..)| *next <= now).min().map(|(_, name, i)| (name.clone(), i))
    }
}
