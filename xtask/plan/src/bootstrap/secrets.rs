//! Secrets that are made here, once and at random, and kept in `out/secrets`.
//!
//! Who needs a secret says so by its name: one without a dot is minted by a step of its own (two in one step would
//! mean that the loss of one makes the other anew), one with a dot is told by the tool that makes it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Expect, Step, StepKey};
use model::fleet::Fleet;
use model::release::Releases;
use tool::builtin;

/// A step for every secret that a release of this fleet binds, and for `others`.
pub(super) fn steps(fleet: &Fleet, releases: &Releases, others: &[&str]) -> Vec<Step> {
    let charts = releases.charts.iter().map(|c| (&c.placement, &c.bindings));
    let entries = charts.chain(releases.manifests.iter().map(|m| (&m.placement, &m.bindings)));
    let here = entries.filter(|(p, _)| fleet.clusters.iter().any(|c| p.clusters.contains(&c.role)));
    let bound = here.flat_map(|(_, set)| bound(set)).filter(|name| !name.contains('.'));
    let names: BTreeSet<&str> = bound.chain(others.iter().copied()).collect();
    names.into_iter().map(minted).collect()
}

pub(super) fn needs(set: &BTreeMap<String, String>) -> BTreeSet<StepKey> {
    bound(set).map(maker).collect()
}

pub(super) fn id(name: &str) -> StepKey {
    StepKey::fleet(&format!("secrets/{name}"))
}

fn bound(set: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    set.values().filter_map(|binding| binding.strip_prefix("secret:"))
}

fn maker(name: &str) -> StepKey {
    match name.split_once('.') {
        None => id(name),
        Some(("mesh-ca", _)) => StepKey::fleet("mesh-ca"),
        Some((cluster, _)) => StepKey::cluster(cluster, "kubeconfig"),
    }
}

fn minted(name: &str) -> Step {
    Step::new(id(name), format!("make the secret {name}"), builtin::has_secrets(&[name]), Expect::Exit(0))
        .act([builtin::generate_secret(name)])
}
