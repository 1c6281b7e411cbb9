//! Every dependency of an app cluster on the platform, found in every rendered value, object and node file, each with what
//! becomes of it in an outage. What is not known to survive one is fatal.

mod host;
mod rules;
mod services;

use serde_json::Value;

use crate::rendered_state::{ClusterManifests, Document, RenderedState, leaves};
use host::{Hosts, Owner};
use model::problem::At;

/// What becomes of a dependency while the platform is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What was to be sent is kept here and sent later.
    Buffered,
    /// The last answer stays in force.
    Cached,
    /// Nothing waits for an answer.
    Optional,
    /// Nothing is known that survives it.
    Fatal,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Buffered, Class::Cached, Class::Optional, Class::Fatal];

    pub fn word(self) -> &'static str {
        match self {
            Class::Buffered => "buffered",
            Class::Cached => "cached",
            Class::Optional => "optional",
            Class::Fatal => "fatal",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub cluster: String,
    /// The release or object: `promtail`, `Deployment/sample`.
    pub subject: String,
    pub path: String,
    /// What it points at: `vault/vault`, `mgmt.cp.ip`, `harbor.mgmt:443`.
    pub to: String,
    pub class: Class,
    pub why: String,
    pub at: At,
}

pub fn find(state: &RenderedState) -> Vec<Dependency> {
    let Some(platform) = state.platform() else { return Vec::new() };
    let mut found = Vec::new();
    for cluster in state.apps() {
        let hosts = Hosts::of(state, cluster, platform);
        let written = cluster.documents.iter().filter(|s| s.made_by().is_none());
        for document in written {
            texts(document.value(), &mut |path, text| {
                found.extend(
                    hosts.read(document, path, text).map(|(to, owner)| named(cluster, document, path, to, &owner)),
                );
            });
        }
        let rendered: Vec<Dependency> =
            cluster.rendered().flat_map(|document| of_object(cluster, document, &hosts)).collect();
        let new = rendered.into_iter().filter(|r| !found.iter().any(|known| is_same(known, r)));
        found.extend(new.collect::<Vec<_>>());
        found.extend(services::walk(cluster, platform));
        found.extend(services::secrets(cluster));
        found.extend(node_files(cluster, &hosts));
    }
    found
}

/// Dependencies in an object that a chart renders: line by line, since its texts may be whole files.
fn of_object(cluster: &ClusterManifests, document: &Document, hosts: &Hosts) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    texts(document.value(), &mut |path, text| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in lines {
            let Some((to, owner)) = hosts.read(document, path, line) else { continue };
            let dependency =
                Dependency { at: document.at_text(path, line), ..named(cluster, document, path, to, &owner) };
            if !found.iter().any(|known| is_same(known, &dependency)) {
                found.push(dependency);
            }
        }
    });
    found
}

/// Decided by the same line: a value, and what a chart makes of it.
fn is_same(one: &Dependency, other: &Dependency) -> bool {
    (&one.cluster, &one.to, one.class, &one.at) == (&other.cluster, &other.to, other.class, &other.at)
}

/// A dependency by a name or an address in a value.
fn named(cluster: &ClusterManifests, document: &Document, path: &str, to: String, owner: &Owner) -> Dependency {
    let (class, why) = rules::class(document, path, owner);
    dependency(cluster, document, path, to, class, &why)
}

fn dependency(
    cluster: &ClusterManifests,
    document: &Document,
    path: &str,
    to: String,
    class: Class,
    why: &str,
) -> Dependency {
    Dependency {
        cluster: cluster.name.clone(),
        subject: document.subject(),
        path: path.to_owned(),
        to,
        class,
        why: why.to_owned(),
        at: document.at(path),
    }
}

/// Node files are scripts and configuration: names of the platform are looked for line by line.
fn node_files(cluster: &ClusterManifests, hosts: &Hosts) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (path, text) in &cluster.texts {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            for (to, owner) in hosts.names(line) {
                let (class, why) = rules::of_node(line, &owner);
                found.push(Dependency {
                    cluster: cluster.name.clone(),
                    subject: path.rsplit('/').next().unwrap_or(path).to_owned(),
                    path: String::new(),
                    to,
                    class,
                    why,
                    at: At { file: format!("out/{path}"), line: Some(number + 1) },
                });
            }
        }
    }
    found
}

fn texts(value: &Value, visit: &mut dyn FnMut(&str, &str)) {
    leaves(value, String::new(), &mut |path, leaf| {
        if let Some(text) = leaf.as_str() {
            visit(path, text);
        }
    });
}
