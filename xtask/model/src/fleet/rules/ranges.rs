//! Address ranges: overlap, and search for free ones.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::problem::Problem;

/// Ranges reserved on every machine, and by what.
const RESERVED: [(Ipv4Net, &str); 5] = [
    (net(172, 17, 16), "Docker's bridge"),
    (net(127, 0, 8), "the loopback interface"),
    (net(169, 254, 16), "link-local addresses"),
    (net(0, 0, 8), "addresses reserved by RFC 1122"),
    (net(224, 0, 3), "multicast and reserved addresses"),
];
/// Where free ranges are searched, in this order: next to those of the default fleet first.
const POOLS: [(Ipv4Net, u8); 8] = [
    (net(10, 96, 11), 16),
    (net(10, 128, 9), 16),
    (net(10, 0, 9), 16),
    (net(172, 16, 12), 16),
    (net(10, 0, 8), 20),
    (net(10, 0, 8), 24),
    (net(192, 168, 16), 24),
    (net(100, 64, 10), 24),
];
/// The last resort of `free`: a network for benchmarks, which nothing routes (RFC 2544).
const LAST_RESORT: Ipv4Net = net(198, 18, 16);

pub(super) const fn net(a: u8, b: u8, mask: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), mask)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Pods,
    Services,
    Vms,
    Taken,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) what: Use,
    /// In messages: "`pod_cidr` of `app1`", "Docker's bridge".
    pub(super) title: String,
    /// The cluster's title; empty for none.
    pub(super) owner: String,
    pub(super) line: Option<usize>,
    pub(super) net: Ipv4Net,
    /// For a pod range: nodes that need a /24 of it.
    pub(super) nodes: usize,
    /// The tool whose default this is, where the key is absent.
    pub(super) default_of: Option<&'static str>,
}

impl Use {
    pub(super) fn key(self) -> &'static str {
        match self {
            Use::Pods => "pod_cidr",
            Use::Services => "service_cidr",
            Use::Vms | Use::Taken => "network",
        }
    }

    pub(super) fn movable(self) -> bool {
        matches!(self, Use::Pods | Use::Services)
    }
}

pub(super) fn taken() -> impl Iterator<Item = Range> {
    let range = |(net, by): (Ipv4Net, &str)| (Use::Taken, by.to_owned(), net);
    RESERVED.map(range).into_iter().map(|(what, title, net)| Range {
        what,
        title,
        owner: String::new(),
        line: None,
        net,
        nodes: 0,
        default_of: None,
    })
}

/// Of two overlapping ranges, whether the first is the one to change: the larger one, of equals the later one.
pub(super) fn moves(first: &Range, second: &Range) -> bool {
    match (first.what.movable(), second.what.movable()) {
        (true, true) => first.net.prefix_len() < second.net.prefix_len(),
        (movable, other) => movable || (!other && first.what == Use::Vms),
    }
}

/// An address in both: the first usable one of the smaller range.
pub(super) fn shared_address(a: Ipv4Net, b: Ipv4Net) -> Option<Ipv4Addr> {
    let (a, b) = (a.trunc(), b.trunc());
    let (outer, inner) = if a.prefix_len() <= b.prefix_len() { (a, b) } else { (b, a) };
    outer.contains(&inner).then(|| inner.hosts().next().unwrap_or(inner.network()))
}

pub(super) fn overlap(range: &Range, other: &Range) -> Problem {
    let address = shared_address(range.net, other.net).unwrap_or(other.net.network());
    let place = other.line.map_or_else(String::new, |line| format!(" (line {line})"));
    let what = format!("{} overlaps {}: {} and {}", range.title, other.title, range.net, other.net);
    Problem::new(what).why(format!("{address} is in both{place}; {}", consequence(range, other)))
}

fn consequence(a: &Range, b: &Range) -> &'static str {
    match (a.what, b.what) {
        (Use::Pods, Use::Services) | (Use::Services, Use::Pods) => {
            let services = if a.what == Use::Services { a } else { b };
            let (smaller, larger) = if a.net.prefix_len() > b.net.prefix_len() { (a, b) } else { (b, a) };
            // Measured, and kubernetes/kubernetes#103898; the only sign is an event that is not even a warning.
            if smaller.owner == larger.owner && larger.what == services.what {
                "kube-controller-manager then gives no node a pod range, without a warning (ADR-0007)"
            } else {
                "one address would be a pod and a Service (ADR-0007)"
            }
        }
        (Use::Pods, Use::Pods) => "the mesh routes by pod address, so each cluster needs its own (ADR-0005)",
        (Use::Services, Use::Services) => "one address would be two Services (ADR-0007)",
        (Use::Vms, _) | (_, Use::Vms) => "the nodes themselves have addresses there",
        (Use::Taken, _) | (_, Use::Taken) => "it is reserved on every machine",
    }
}

/// The range of that size at `address` if it is free, otherwise any free one.
pub(super) fn free_near(address: Ipv4Addr, mask: u8, settled: &[Ipv4Net]) -> Ipv4Net {
    let same = Ipv4Net::new_assert(address, mask).trunc();
    let taken = settled.iter().copied().chain(RESERVED.map(|(net, _)| net));
    if taken.map(|t| shared_address(t, same)).all(|w| w.is_none()) { same } else { free(settled) }
}

/// The first range of the pools that overlaps neither `used` nor a reserved one.
pub(super) fn free(used: &[Ipv4Net]) -> Ipv4Net {
    let used: Vec<Ipv4Net> = used.iter().copied().chain(RESERVED.map(|(net, _)| net)).collect();
    POOLS.iter().find_map(|(pool, mask)| first_free(*pool, *mask, &used)).unwrap_or(LAST_RESORT)
}

/// The first free range of that size in a pool. Skips past each overlap: a pool has tens of thousands of small ranges.
fn first_free(pool: Ipv4Net, mask: u8, used: &[Ipv4Net]) -> Option<Ipv4Net> {
    let size = 1u64 << (32 - u32::from(mask));
    let (mut at, end) = (u64::from(u32::from(pool.network())), u64::from(u32::from(pool.broadcast())));
    while at <= end {
        let range = Ipv4Net::new_assert(Ipv4Addr::from(u32::try_from(at).ok()?), mask);
        match used.iter().find(|u| shared_address(**u, range).is_some()) {
            None => return Some(range),
            Some(used) => at = (u64::from(u32::from(used.broadcast())) + 1).max(at + size).next_multiple_of(size),
        }
    }
    None
}
