//! Dispatches requests to the simulated tools, after running jobs in VMs that are due.

use crate::prelude::*;
use crate::vms::Power;
use crate::{builtin, cilium, curl, docker, guest, helm, kubectl, multipass, openssl, tar};
use tool::{Exit, Tool};

impl SimState {
    /// The tool's response at this moment. Repeat with the same request until it is done.
    pub fn answer(&mut self, request: &Request, now: Duration, disk: &mut dyn Disk) -> Response {
        self.run_due_jobs(now);
        if request.tool != Tool::Builtin && !self.machine.tools.contains_key(request.tool.program()) {
            return Response::Done(Output::of(Exit::Missing));
        }
        let ready = request.since + request.latency();
        if now < ready {
            return Response::Pending(ready - now);
        }
        let response = match request.tool {
            Tool::Multipass => multipass::answer(self, request, now),
            Tool::Helm => helm::answer(self, request, now, disk),
            Tool::Kubectl => kubectl::answer(self, request, now, disk),
            Tool::Cilium => cilium::answer(self, request, now, disk),
            Tool::Openssl => openssl::answer(self, request).map(Response::Done),
            Tool::Curl => curl::answer(self, request, disk).map(Response::Done),
            Tool::Tar => tar::answer(self, request, disk).map(Response::Done),
            Tool::Builtin => builtin::answer(self, request, now, disk),
            Tool::Docker => docker::answer(self, request, now),
        };
        self.record_reachability(now);
        response.unwrap_or_else(Response::Done)
    }

    /// A command is killed from outside (SIGTERM or, if `hard`, SIGKILL); its last output.
    pub fn terminate(&mut self, request: &Request, hard: bool, now: Duration) -> Output {
        self.run_due_jobs(now);
        match request.tool {
            Tool::Helm => helm::terminate(self, request, hard),
            _ => Output::of(Exit::Signal(if hard { 9 } else { 15 })),
        }
    }

    /// Runs jobs in the order in which they are due.
    pub(super) fn run_due_jobs(&mut self, now: Duration) {
        multipass::finish_preparing(self, now);
        while let Some((name, index)) = self.due(now) {
            guest::finish_job(self, &name, index);
        }
    }

    fn due(&self, now: Duration) -> Option<(String, usize)> {
        let busy = self.vms.iter().filter(|(_, vm)| !vm.guest.jobs.is_empty() && vm.power == Power::Running);
        let jobs =
            busy.flat_map(|(name, vm)| vm.guest.jobs.iter().enumerate().map(move |(i, job)| (job.next, name, i)));
        jobs.filter(|(next, ..)| *next <= now).min().map(|(_, name, i)| (name.clone(), i))
    }
}
