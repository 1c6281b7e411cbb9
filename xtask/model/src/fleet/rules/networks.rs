//! A valid fleet beside the networks that a machine really has, and room for one range more.
//! Knows nothing of how the networks were found.

use ipnet::Ipv4Net;

use super::ranges::{Range, Use, free, overlap, witness};
use crate::fleet::Fleet;
use crate::problem::Problem;

/// The next free range for pods or Services: a /16 of 10.0.0.0/8 if there is one, otherwise smaller or elsewhere.
/// `taken` are ranges that the fleet does not know of, such as the networks of the machine.
pub fn free_range(fleet: &Fleet, taken: &[Ipv4Net]) -> Ipv4Net {
    let used: Vec<Ipv4Net> = of_fleet(fleet).into_iter().map(|r| r.net).chain(taken.iter().copied()).collect();
    free(&used)
}

/// What clashes with the networks that this machine's VMs really have: the one line to change for each, and how.
/// Multipass 1.17 on a fresh Linux has 10.97.0.0/24, 10.97.1.0/24 and 10.97.2.0/24 (canonical/multipass#4969).
pub fn network_clash(fleet: &Fleet, networks: &[Ipv4Net]) -> Vec<Problem> {
    let mut taken = networks.to_vec();
    let mut problems = Vec::new();
    for range in of_fleet(fleet) {
        let hit: Vec<Ipv4Net> = networks.iter().copied().filter(|n| witness(*n, range.net).is_some()).collect();
        let problem = match (range.what, hit.first()) {
            (Use::Vms, _) if !networks.iter().all(|n| range.net.contains(n)) => pinned(&range, networks),
            (Use::Vms, _) | (_, None) => continue,
            (_, Some(network)) => {
                let vms = Range {
                    what: Use::Vms,
                    title: "the VM network".into(),
                    net: *network,
                    line: None,
                    ..range.clone()
                };
                let free = free_range(fleet, &taken);
                taken.push(free);
                overlap(&range, &vms).hint(format!("{} = \"{free}\"", range.what.key()))
            }
        };
        problems.push(problem.at(fleet.file.clone(), range.line));
    }
    problems
}

fn pinned(range: &Range, networks: &[Ipv4Net]) -> Problem {
    let real: Vec<String> = networks.iter().map(Ipv4Net::to_string).collect();
    Problem::new(format!("`network` is not where the VMs are: {} and {}", range.net, real.join(", ")))
        .why("it was pinned so that a moved network is noticed before it breaks a cluster")
        .hint(format!("network = \"{}\"", networks[0]))
}

/// All ranges of a valid fleet.
fn of_fleet(fleet: &Fleet) -> Vec<Range> {
    let range = |what, title, owner: &str, path: &str, net| {
        let line = fleet.lines.get(path).copied();
        Range { what, title, owner: owner.to_owned(), line, net, nodes: 0, default_of: None }
    };
    let network = fleet.vm.network.map(|net| range(Use::Vms, "the VM network".into(), "", "vm.network", net));
    let of_cluster = fleet.clusters.iter().flat_map(|c| {
        [(Use::Pods, c.pod_cidr), (Use::Services, c.service_cidr)].map(|(what, net)| {
            let (title, path) = (format!("`{}` of `{}`", what.key(), c.name), format!("{}.{}", c.name, what.key()));
            range(what, title, &c.name, &path, net)
        })
    });
    network.into_iter().chain(of_cluster).collect()
}
