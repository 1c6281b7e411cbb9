//! Kinds that the API server has built in, and those that CRDs add.

use std::borrow::Cow;

use crate::cluster::{Cluster, Crd};
use crate::data;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// As in manifests: `DaemonSet`.
    pub kind: Cow<'static, str>,
    /// As in URLs: `daemonsets`.
    pub plural: Cow<'static, str>,
    /// `apps`; empty for the core group.
    pub group: Cow<'static, str>,
    pub namespaced: bool,
}

impl Kind {
    /// As kubectl prints it: `daemonset.apps`.
    pub fn qualified(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }
}

pub const CONTROLLERS: &[&str] = &["DaemonSet", "Deployment", "StatefulSet"];

/// By its name: `gateways.gateway.networking.k8s.io`.
fn from_crd(name: &str, crd: &Crd) -> Kind {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let own = |text: &str| Cow::Owned(text.to_owned());
    Kind { kind: own(&crd.kind), plural: own(plural), group: own(group), namespaced: crd.namespaced }
}

/// The first built-in kind that fits, by its apiVersion, kind, plural, group and short name.
fn built_in_kind(fits: impl Fn(&str, &str, &str, &str, &str) -> bool) -> Option<Kind> {
    // Of two groups with one plural, such as events, kubectl takes the core group.
    let (core, groups): (Vec<_>, Vec<_>) = data::kinds().iter().partition(|(version, _)| !version.contains('/'));
    for (version, kinds) in core.into_iter().chain(groups) {
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        for (kind, names) in kinds {
            let mut names = names.split(' ');
            let (plural, short) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
            if fits(version, kind, plural, group, short) {
                let namespaced = names.next().is_none();
                return Some(Kind { kind: kind.into(), plural: plural.into(), group: group.into(), namespaced });
            }
        }
    }
    None
}

pub fn for_manifest(cluster: &Cluster, version: &str, kind: &str) -> Option<Kind> {
    let (group, short) = version.rsplit_once('/').unwrap_or(("", version));
    let built_in = built_in_kind(|of, name, _, _, _| name == kind && of == version);
    built_in.or_else(|| {
        let fits = |(name, crd): &(&String, &Crd)| {
            crd.kind == kind
                && name.split_once('.').is_some_and(|(_, of)| of == group)
                && crd.versions.iter().any(|v| v == short)
        };
        cluster.crds.iter().find(fits).map(|(name, crd)| from_crd(name, crd))
    })
}

/// By a word on the command line: `nodes`, `deploy`, `crd`, `gateways.gateway.networking.k8s.io`.
pub fn for_word(cluster: &Cluster, word: &str) -> Option<Kind> {
    let word = word.to_lowercase();
    let (head, tail) = word.split_once('.').unwrap_or((&word, ""));
    let named = |kind: &str, plural: &str, group: &str| {
        (tail.is_empty() || tail == group) && (head == plural || head.eq_ignore_ascii_case(kind))
    };
    built_in_kind(|_, kind, plural, group, short| word == short || named(kind, plural, group)).or_else(|| {
        let fits = |(name, crd): &(&String, &Crd)| {
            name.split_once('.').is_some_and(|(plural, group)| named(&crd.kind, plural, group))
        };
        cluster.crds.iter().find(fits).map(|(name, crd)| from_crd(name, crd))
    })
}
