//! Address ranges: aligned, of a size that kubeadm takes, and apart from each other and from what is there already.
//! Knows nothing of the machine; `networks` compares with that.

use ipnet::Ipv4Net;

use super::ranges::{Range, Use, beside, free, moves, net, overlap, taken, witness};
use crate::fleet::document::Notes;
use crate::fleet::draft::{Draft, DraftCluster};
use crate::problem::Problem;

/// kubeadm `ValidateServiceSubnetSize`: at most 20 bits, at least 10 addresses.
const SERVICE_MASKS: std::ops::RangeInclusive<u8> = 12..=28;
/// kubeadm `ValidatePodSubnetNodeMask`: not smaller than a node's /24, and at most 16 bits above it.
const POD_MASKS: std::ops::RangeInclusive<u8> = 8..=24;
/// Clashes named for one range; beyond that the rest is only counted.
const NAMED: usize = 6;

/// Every rule about ranges. The hints fit each other: all of them together make a fleet without a clash.
pub(super) fn check(notes: &mut Notes, draft: &Draft) {
    let ranges = written(draft);
    let mut wrong: Vec<Option<Problem>> = ranges.iter().map(shape).collect();
    for (range, problem) in ranges.iter().zip(&mut wrong) {
        if problem.is_none() && range.default_of.is_some() {
            *problem = Some(missing(range, &ranges));
        }
    }
    let clashes = clashes(&ranges);
    let moved: Vec<usize> = (0..ranges.len())
        .filter(|i| {
            ranges[*i].what.movable() && (wrong[*i].is_some() || clashes.iter().any(|(culprit, _)| culprit == i))
        })
        .collect();
    let mut settled: Vec<Ipv4Net> =
        ranges.iter().enumerate().filter(|(i, _)| !moved.contains(i)).map(|(_, r)| r.net).collect();
    for (index, range) in ranges.iter().enumerate() {
        let hint = moved.contains(&index).then(|| {
            let free = match (&wrong[index], range.default_of) {
                (_, Some(_)) => free(&settled),
                (Some(_), None) => beside(range.net.addr(), 16, &settled),
                (None, None) => beside(range.net.addr(), range.net.prefix_len().clamp(16, 24), &settled),
            };
            settled.push(free);
            format!("{} = \"{free}\"", range.what.key())
        });
        let overlaps = clashes.iter().filter(|(culprit, _)| *culprit == index).map(|(_, other)| &ranges[*other]);
        let overlaps: Vec<_> = overlaps.collect();
        let shape = wrong[index].take().into_iter();
        for problem in shape.chain(overlaps.iter().take(NAMED).map(|other| overlap(range, other))) {
            let problem = Problem { hint: hint.clone().or(problem.hint.clone()), ..problem };
            notes.add(problem, range.line);
        }
        if overlaps.len() > NAMED {
            let more = format!("{} overlaps {} more ranges", range.title, overlaps.len() - NAMED);
            notes.add(Problem { hint, ..Problem::new(more) }, range.line);
        }
    }
}

/// All ranges of a draft, in the order of the file, then those that are taken on any machine.
fn written(draft: &Draft) -> Vec<Range> {
    let vms = draft.network.value.map(|net| {
        let title = "the VM network".to_owned();
        Range { what: Use::Vms, title, owner: String::new(), line: draft.network.line, net, nodes: 0, default_of: None }
    });
    vms.into_iter().chain(draft.clusters.iter().flat_map(of_cluster)).chain(taken()).collect()
}

fn of_cluster(cluster: &DraftCluster) -> Vec<Range> {
    let kinds = [
        (Use::Pods, &cluster.pod_cidr, net(10, 0, 8), "Cilium"),
        (Use::Services, &cluster.service_cidr, net(10, 96, 12), "kubeadm"),
    ];
    let mut ranges = Vec::new();
    for (what, field, default, tool) in kinds {
        let (net, default_of) = match field.value {
            Some(net) => (net, None),
            None if field.written => continue,
            None => (default, Some(tool)),
        };
        let title = format!("`{}` of {}", what.key(), cluster.title);
        let (owner, nodes) = (cluster.title.clone(), cluster.nodes.len());
        ranges.push(Range { what, title, owner, line: field.line, net, nodes, default_of });
    }
    ranges
}

/// What is wrong with a range by itself.
fn shape(range: &Range) -> Option<Problem> {
    if range.default_of.is_some() || range.what == Use::Taken {
        return None;
    }
    let Range { net, title, .. } = range;
    let real = net.trunc();
    if *net != real {
        let problem = Problem::new(format!("{title} does not begin where a /{} can: {net}", net.prefix_len()));
        let why = format!(
            "it is really {real}, {} to {}, and that is what every tool uses",
            real.network(),
            real.broadcast()
        );
        return Some(problem.why(format!("{why} (ADR-0007)")).hint(format!("{} = \"{real}\"", range.what.key())));
    }
    match range.what {
        Use::Services if !SERVICE_MASKS.contains(&net.prefix_len()) => {
            let why = "kubeadm takes service ranges from /12 to /28";
            Some(Problem::new(format!("{title} has a size that kubeadm refuses: {net}")).why(why))
        }
        Use::Pods if !POD_MASKS.contains(&net.prefix_len()) => {
            let why = "each node gets a /24 of it, and kubeadm takes pod ranges from /8 to /24";
            Some(Problem::new(format!("{title} has a size that kubeadm refuses: {net}")).why(why))
        }
        Use::Pods => too_few(range),
        _ => None,
    }
}

/// Pod ranges must hold a /24 for each node.
fn too_few(range: &Range) -> Option<Problem> {
    let have = 1_usize << (24 - range.net.prefix_len());
    (range.nodes > have).then(|| {
        Problem::new(format!("{} is too small for {} nodes: {}", range.title, range.nodes, range.net))
            .why(format!("each node gets a /24 of it, and it holds {have}"))
    })
}

/// What a missing range would come to.
fn missing(range: &Range, all: &[Range]) -> Problem {
    let tool = range.default_of.unwrap_or_default();
    let hit =
        all.iter().find(|o| o.title != range.title && o.default_of.is_none() && witness(o.net, range.net).is_some());
    let hit = hit.and_then(|other| Some(format!("{} of {} lies in it", witness(other.net, range.net)?, other.title)));
    let tail = hit.unwrap_or_else(|| "every cluster would have the same".to_owned());
    Problem::new(format!("{} is missing", range.title))
        .why(format!("{tool}'s own default {} would apply, and {tail}", range.net))
}

/// Pairs of ranges that overlap: the one that is to move, and the other.
fn clashes(ranges: &[Range]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (a, first) in ranges.iter().enumerate() {
        for (b, second) in ranges.iter().enumerate().skip(a + 1) {
            let both_taken = first.what == Use::Taken && second.what == Use::Taken;
            let assumed = first.default_of.is_some() || second.default_of.is_some();
            if !both_taken && !assumed && witness(first.net, second.net).is_some() {
                pairs.push(if moves(first, second) { (a, b) } else { (b, a) });
            }
        }
    }
    pairs
}
