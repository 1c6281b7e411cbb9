//! Every reference from an app cluster to the platform, found in every rendered value, object and node file, with the
//! way in which the app cluster gets along while nobody answers.
//! Knows nothing of what a clause asks for: a reference that nothing is known to survive is fatal.

mod host;
mod rules;
mod services;

use serde_json::Value;

use super::evidence::{Evidence, Ground, Sheet, leaves};
pub use host::{Atlas, Owner};
use model::problem::At;
pub use services::stubs;

/// What becomes of a reference while the platform is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What was to be sent is kept here and sent later.
    Buffered,
    /// What was last heard stays in force.
    Cached,
    /// Nothing waits for an answer.
    Optional,
    /// Nothing is known that survives it.
    Fatal,
}

impl Class {
    /// All, from harmless to deadly.
    pub const ALL: [Class; 4] = [Class::Buffered, Class::Cached, Class::Optional, Class::Fatal];

    /// In lower case.
    pub fn word(self) -> &'static str {
        match self {
            Class::Buffered => "buffered",
            Class::Cached => "cached",
            Class::Optional => "optional",
            Class::Fatal => "fatal",
        }
    }
}

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The app cluster that refers.
    pub cluster: String,
    /// The release or object: `promtail`, `Deployment/sample`.
    pub subject: String,
    /// Path of the value.
    pub path: String,
    /// What it points at: `vault/vault`, `mgmt.cp.ip`, `harbor.mgmt:443`.
    pub to: String,
    /// What becomes of it.
    pub class: Class,
    /// Why.
    pub why: String,
    /// Where it is written.
    pub at: At,
}

/// All references of all app clusters.
pub fn walk(evidence: &Evidence) -> Vec<Reference> {
    let Some(platform) = evidence.platform() else { return Vec::new() };
    let mut found = Vec::new();
    for ground in evidence.apps() {
        let atlas = Atlas::of(evidence, ground, platform);
        let written = ground.sheets.iter().filter(|s| s.made_by().is_none());
        for sheet in written {
            texts(sheet.value(), &mut |path, text| {
                found.extend(atlas.read(sheet, path, text).map(|(to, owner)| named(ground, sheet, path, to, &owner)));
            });
        }
        let rendered: Vec<Reference> = ground.rendered().flat_map(|sheet| of_object(ground, sheet, &atlas)).collect();
        let news = rendered.into_iter().filter(|r| !found.iter().any(|known| is_same(known, r)));
        found.extend(news.collect::<Vec<_>>());
        found.extend(services::walk(ground, platform));
        found.extend(services::secrets(ground));
        found.extend(node_files(ground, &atlas));
    }
    found
}

/// References in an object that a chart renders: line by line, since its texts may be whole files.
fn of_object(ground: &Ground, sheet: &Sheet, atlas: &Atlas) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    texts(sheet.value(), &mut |path, text| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in lines {
            let Some((to, owner)) = atlas.read(sheet, path, line) else { continue };
            let reference = Reference { at: sheet.at_text(path, line), ..named(ground, sheet, path, to, &owner) };
            if !found.iter().any(|known| is_same(known, &reference)) {
                found.push(reference);
            }
        }
    });
    found
}

/// The same thing said by the same line to the same end: a value, and what a chart makes of it.
fn is_same(one: &Reference, other: &Reference) -> bool {
    (&one.cluster, &one.to, one.class, &one.at) == (&other.cluster, &other.to, other.class, &other.at)
}

/// A reference by a name or an address in a value.
fn named(ground: &Ground, sheet: &Sheet, path: &str, to: String, owner: &Owner) -> Reference {
    let (class, why) = rules::class(sheet, path, owner);
    reference(ground, sheet, path, to, class, &why)
}

fn reference(ground: &Ground, sheet: &Sheet, path: &str, to: String, class: Class, why: &str) -> Reference {
    Reference {
        cluster: ground.name.clone(),
        subject: sheet.subject(),
        path: path.to_owned(),
        to,
        class,
        why: why.to_owned(),
        at: sheet.at(path),
    }
}

/// Node files are scripts and configuration: names of the platform are looked for line by line.
fn node_files(ground: &Ground, atlas: &Atlas) -> Vec<Reference> {
    let mut found = Vec::new();
    for (path, text) in &ground.texts {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            for (to, owner) in atlas.names(line) {
                let (class, why) = rules::of_node(line, &owner);
                found.push(Reference {
                    cluster: ground.name.clone(),
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

/// Every text with its dotted path.
fn texts(value: &Value, visit: &mut dyn FnMut(&str, &str)) {
    leaves(value, String::new(), &mut |path, leaf| {
        if let Some(text) = leaf.as_str() {
            visit(path, text);
        }
    });
}
