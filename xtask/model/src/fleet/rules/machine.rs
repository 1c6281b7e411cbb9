//! A valid fleet on a machine that may be too small for it.
//! Knows nothing of how the machine was measured.

use crate::fleet::{Bytes, Fleet};
use crate::problem::Problem;

impl Fleet {
    /// RAM of all VMs and of Docker, which the machine must have.
    pub fn memory(&self) -> Bytes {
        Bytes(self.clusters.iter().map(|c| c.memory.0).sum::<u64>() + self.host.docker.0)
    }
}

/// What the machine lacks: RAM for every cluster and Docker, disk to begin with. What is not known is no problem.
pub fn machine_short(fleet: &Fleet, memory: Option<Bytes>, free_disk: Option<Bytes>) -> Vec<Problem> {
    let at = |problem: Problem, key: &str| problem.at(fleet.file.clone(), fleet.lines.get(key).copied());
    let less = |have: Option<Bytes>, need: Bytes| have.filter(|have| *have < need).map(|have| (gib(have), gib(need)));
    let ram = less(memory, fleet.memory()).map(|(have, need)| {
        let what = format!("the clusters and Docker take {need} of RAM, this machine has {have}");
        let hint = "give the clusters less memory, or take one out";
        at(Problem::new(what).why("a VM's memory is not shared: the machine would swap").hint(hint), "host.memory")
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
