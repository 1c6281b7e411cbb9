//! Address ranges: aligned, of a size that kubeadm accepts, and without overlaps.

use ipnet::Ipv4Net;

use super::ranges::{Range, Use, free, free_near, moves, net, overlap, shared_address, taken};
use crate::fleet::document::Diagnostics;
use crate::fleet::draft::{Draft, DraftCluster};
use crate::problem::Problem;

/// kubeadm `ValidateServiceSubnetSize`: at most 20 bits, at least 10 addresses.
const SERVICE_MASKS: std::ops::RangeInclusive<u8> = 12..=28;
/// kubeadm `ValidatePodSubnetNodeMask`: not smaller than a node's /24, and at most 16 bits above it.
const POD_MASKS: std::ops::RangeInclusive<u8> = 8..=24;
/// Overlaps listed for one range; the rest is counted.
const MAX_LISTED: usize = 6;

/// The hints are consistent: all of them applied together give a fleet without overlaps.
pub(super) fn check(diagnostics: &mut Diagnostics, draft: &Draft) {
    let ranges = written(draft);
    let mut wrong: Vec<Option<Problem>> = ranges.iter().map(shape).collect();
    for (range, problem) in ranges.iter().zip(&mut wrong) {
        if problem.is_none() && range.default_of.is_some() {
            *problem = Some(missing(range, &ranges));
        }
    }
    let overlapping = overlapping(&ranges);
    let moved: Vec<usize> = (0..ranges.len())
        .filter(|i| {
            ranges[*i].what.movable() && (wrong[*i].is_some() || overlapping.iter().any(|(culprit, _)| culprit == i))
        })
        .collect();
    let mut settled: Vec<Ipv4Net> =
        ranges.iter().enumerate().filter(|(i, _)| !moved.contains(i)).map(|(_, r)| r.net).collect();
    for (index, range) in ranges.iter().enumerate() {
        let hint = moved.contains(&index).then(|| {
            let free = match (&wrong[index], range.default_of) {
                (_, Some(_)) => free(&settled),
                (Some(_), None) => free_near(range.net.addr(), 16, &settled),
                (None, None) => free_near(range.net.addr(), range.net.prefix_len().clamp(16, 24), &settled),
            };
            settled.push(free);
            format!("{} = \"{free}\"", range.what.key())
        });
        let overlaps = overlapping.iter().filter(|(culprit, _)| *culprit == index).map(|(_, other)| &ranges[*other]);
        let overlaps: Vec<_> = overlaps.collect();
        let shape = wrong[index].take().into_iter();
        for problem in shape.chain(overlaps.iter().take(MAX_LISTED).map(|other| overlap(range, other))) {
            let problem = Problem { hint: hint.clone().or(problem.hint.clone()), ..problem };
            diagnostics.add(problem, range.line);
        }
        if overlaps.len() > MAX_LISTED {
            let more = format!("{} overlaps {} more ranges", range.title, overlaps.len() - MAX_LISTED);
            diagnostics.add(Problem { hint, ..Problem::new(more) }, range.line);
        }
    }
}

/// All ranges of a draft, in file order, then those reserved on every machine.
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

fn shape(range: &Range) -> Option<Problem> {
    if range.default_of.is_some() || range.what == Use::Taken {
        return None;
    }
    let Range { net, title, .. } = range;
    let real = net.trunc();
    if *net != real {
        let problem = Problem::new(format!("{title} has host bits set: {net}"));
        let why = format!("every tool uses {real}, {} to {}", real.network(), real.broadcast());
        return Some(problem.why(format!("{why} (ADR-0007)")).hint(format!("{} = \"{real}\"", range.what.key())));
    }
    match range.what {
        Use::Services if !SERVICE_MASKS.contains(&net.prefix_len()) => {
            let why = "kubeadm accepts service ranges from /12 to /28";
            Some(Problem::new(format!("kubeadm refuses the size of {title}: {net}")).why(why))
        }
        Use::Pods if !POD_MASKS.contains(&net.prefix_len()) => {
            let why = "each node gets a /24 of it, and kubeadm accepts pod ranges from /8 to /24";
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

/// A missing range, with the default that the tool would use.
fn missing(range: &Range, all: &[Range]) -> Problem {
    let tool = range.default_of.unwrap_or_default();
    let hit = all
        .iter()
        .find(|o| o.title != range.title && o.default_of.is_none() && shared_address(o.net, range.net).is_some());
    let hit = hit
        .and_then(|other| Some(format!("{} of {} is inside it", shared_address(other.net, range.net)?, other.title)));
    let tail = hit.unwrap_or_else(|| "every cluster would use the same".to_owned());
    Problem::new(format!("{} is missing", range.title))
        .why(format!("{tool}'s own default {} would apply, and {tail}", range.net))
}

/// Overlapping pairs: the range to change, and the other.
fn overlapping(ranges: &[Range]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (a, first) in ranges.iter().enumerate() {
        for (b, second) in ranges.iter().enumerate().skip(a + 1) {
            let both_taken = first.what == Use::Taken && second.what == Use::Taken;
            let assumed = first.default_of.is_some() || second.default_of.is_some();
            if !both_taken && !assumed && shared_address(first.net, second.net).is_some() {
                pairs.push(if moves(first, second) { (a, b) } else { (b, a) });
            }
        }
    }
    pairs
}
