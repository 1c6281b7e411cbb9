//! Whether the machine has the RAM and disk that the fleet needs.

use crate::fleet::{Bytes, Fleet};
use crate::problem::Problem;

impl Fleet {
    /// Of the clusters, and of Docker where a service is on.
    pub fn memory(&self) -> Bytes {
        let docker = if self.docker.services { self.host.docker.0 } else { 0 };
        Bytes(self.clusters.iter().map(|c| c.memory.0).sum::<u64>() + docker)
    }

    /// The same and what stays for the system: the part of the planned machine that is not usable.
    pub fn needed_memory(&self) -> Bytes {
        Bytes(self.memory().0 + self.host.memory.0.saturating_sub(self.host.usable.0))
    }
}

/// Missing RAM and disk. Unknown figures are not reported.
pub fn capacity_problems(fleet: &Fleet, memory: Option<Bytes>, free_disk: Option<Bytes>) -> Vec<Problem> {
    let at = |problem: Problem, key: &str| problem.at(fleet.file.clone(), fleet.lines.get(key).copied());
    let less = |have: Option<Bytes>, need: Bytes| have.filter(|have| *have < need).map(|have| (gib(have), gib(need)));
    let ram = less(memory, fleet.needed_memory()).map(|(have, need)| {
        let what = format!("the fleet and the system need {need} of RAM, this machine has {have}");
        let (planned, rest) = (fleet.memory(), Bytes(fleet.needed_memory().0 - fleet.memory().0));
        let why =
            format!("{planned} for VMs and services, {rest} for the system; VM memory is not shared, so it would swap");
        let hint = "reduce the memory of the clusters, or remove one";
        at(Problem::new(what).why(why).hint(hint), "host.memory")
    });
    let disk = less(free_disk, fleet.host.free_disk).map(|(have, need)| {
        let what = format!("{need} of disk must be free, this machine has {have}");
        at(Problem::new(what).why("images, VM disks and volumes grow as the clusters run"), "host.free_disk")
    });
    ram.into_iter().chain(disk).collect()
}

fn gib(bytes: Bytes) -> String {
    format!("{:.1} GiB", bytes.0 as f64 / (1u64 << 30) as f64)
}
