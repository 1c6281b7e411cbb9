//! Whether the machine has the RAM and disk that the fleet needs.

use crate::fleet::{Bytes, Fleet};
use crate::problem::Problem;

impl Fleet {
    pub fn memory(&self) -> Bytes {
        Bytes(self.clusters.iter().map(|c| c.memory.0).sum::<u64>() + self.host.docker.0)
    }
}

/// Missing RAM and disk. Unknown figures are not reported.
pub fn capacity_problems(fleet: &Fleet, memory: Option<Bytes>, free_disk: Option<Bytes>) -> Vec<Problem> {
    let at = |problem: Problem, key: &str| problem.at(fleet.file.clone(), fleet.lines.get(key).copied());
    let less = |have: Option<Bytes>, need: Bytes| have.filter(|have| *have < need).map(|have| (gib(have), gib(need)));
    let ram = less(memory, fleet.memory()).map(|(have, need)| {
        let what = format!("the clusters and Docker need {need} of RAM, this machine has {have}");
        let hint = "reduce the memory of the clusters, or remove one";
        at(Problem::new(what).why("VM memory is not shared: the machine would swap").hint(hint), "host.memory")
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
