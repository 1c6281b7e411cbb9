//! The mutants of a clause, from the file in its folder: one change each, as a person could make it by mistake or on
//! purpose.

use contract::Clause;
use serde::Deserialize;
use sim::{Breach, Condition};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutants {
    pub data: Vec<DataMutant>,
    pub rendered: Vec<RenderedMutant>,
    pub live: Vec<LiveMutant>,
    pub outage: Vec<OutageMutant>,
}

/// The first occurrence of a text in a data file is replaced.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataMutant {
    pub name: String,
    pub file: String,
    pub from: String,
    pub to: String,
    /// A change that every clause must accept.
    #[serde(default)]
    pub holds: bool,
    /// Further changes that belong to it: file, text, and what stands there then.
    #[serde(default)]
    pub and: Vec<[String; 3]>,
}

/// The same in what a release renders; or a further document, by its name in `tests/fixtures/renders/more.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenderedMutant {
    pub name: String,
    pub release: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub to: String,
    pub document: Option<String>,
}

/// A condition of a cluster, or objects that are applied to it (YAML), and words of the finding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveMutant {
    pub name: String,
    pub cluster: String,
    pub condition: Option<Condition>,
    #[serde(default)]
    pub objects: String,
    pub expect: Vec<String>,
}

/// What the outage breaks on `app1`, and words of the finding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutageMutant {
    pub name: String,
    pub breach: Breach,
    pub expect: Vec<String>,
}

pub fn of(clause: Clause) -> Mutants {
    toml::from_str(clause.definition().mutants).unwrap_or_else(|e| panic!("mutants of {clause}: {e}"))
}

pub fn all() -> impl Iterator<Item = (Clause, Mutants)> {
    Clause::all().map(|clause| (clause, of(clause)))
}
