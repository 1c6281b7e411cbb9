//! Compares a valid fleet with the networks of the machine, and finds free ranges.

use ipnet::Ipv4Net;

use super::ranges::{Range, Use, free, overlap, shared_address};
use crate::fleet::Fleet;
use crate::problem::Problem;

/// The next free range for pods or Services: a /16 of 10.0.0.0/8 if there is one, otherwise smaller or elsewhere.
/// `taken` are additional ranges, such as the networks of the machine.
pub fn free_range(fleet: &Fleet, taken: &[Ipv4Net]) -> Ipv4Net {
    let used: Vec<Ipv4Net> = of_fleet(fleet).into_iter().map(|r| r.net).chain(taken.iter().copied()).collect();
    free(&used)
}

/// Overlaps with the networks of this machine's VMs, each with the line to change.
/// Multipass 1.17 on a fresh Linux has 10.97.0.0/24, 10.97.1.0/24 and 10.97.2.0/24 (canonical/multipass#4969).
pub fn network_conflicts(fleet: &Fleet, networks: &[Ipv4Net]) -> Vec<Problem> {
    let mut taken = networks.to_vec();
    let mut problems = Vec::new();
    for range in of_fleet(fleet) {
        let hit: Vec<Ipv4Net> = networks.iter().copied().filter(|n| shared_address(*n, range.net).is_some()).collect();
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
    Problem::new(format!("`network` differs from the network of the VMs: {} and {}", range.net, real.join(", ")))
        .why("it is pinned so that a changed network is detected before it breaks a cluster")
        .hint(format!("network = \"{}\"", networks[0]))
}

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
