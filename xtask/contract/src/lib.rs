//! The architecture contract: clauses, each in its folder below `clauses/`, and the tiers that loop over them.
//!
//! The static tier judges [`RenderedState`]: every Helm value and every applied object, merged as they are rendered, each
//! with the line of the file that decides it; where charts were rendered, their objects too. The live tier judges answers
//! of running clusters, the outage tier what clusters answered while the platform was stopped. Rules read values through
//! a context that notes each read, so `explain` can show which rules guard a line.

pub mod adr;
pub mod adr_links;
pub mod clauses;
mod context;
pub mod drill;
pub mod explain;
pub mod live;
pub mod outage;
pub mod outage_model;
pub mod rendered_state;

use std::fmt;

pub use clauses::c1_independence::dependencies::{Class, Dependency};
use clauses::{CLAUSES, Definition};
pub use context::ClauseContext;
use model::problem::At;
pub use rendered_state::{RenderedState, Rendering};

/// A clause of the contract, by its place in the registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause(usize);

impl Clause {
    /// Every clause, in order.
    pub fn all() -> impl Iterator<Item = Clause> {
        (0..CLAUSES.len()).map(Clause)
    }

    pub fn definition(self) -> &'static Definition {
        CLAUSES[self.0]
    }

    pub fn title(self) -> &'static str {
        self.definition().title
    }

    pub fn adr(self) -> &'static str {
        self.definition().adr
    }

    /// The clause of a name such as `C2` or `c2`.
    pub fn named(name: &str) -> Option<Clause> {
        Clause::all().find(|c| c.to_string().eq_ignore_ascii_case(name))
    }

    /// `c2.guarantee`.
    fn rule(self, name: &str) -> String {
        format!("{}.{name}", self.to_string().to_lowercase())
    }
}

/// `C2`.
impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.0 + 1)
    }
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A breach of the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub clause: Clause,
    /// The rule that is broken: `c2.guarantee`.
    pub rule: String,
    pub clusters: Vec<String>,
    /// A release, or an object as `Deployment/sample`.
    pub subject: String,
    pub want: String,
    pub got: String,
    /// Where that is written; of something missing, where it would stand.
    pub at: At,
    pub hint: String,
}

/// A number or a word that supports a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// `guaranteed outage`.
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub clause: Clause,
    /// One line with the metrics that matter most.
    pub summary: String,
    /// Every breach. None: the clause holds.
    pub findings: Vec<Finding>,
    pub metrics: Vec<Metric>,
    pub rationale: Vec<String>,
    pub reads: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    pub at: At,
    pub path: String,
    pub clause: Clause,
    pub rule: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One per clause, in order.
    pub verdicts: Vec<Verdict>,
    /// Every dependency of an app cluster on the platform.
    pub dependencies: Vec<Dependency>,
    pub reads: Vec<Read>,
    /// What charts rendered, if they were rendered.
    pub rendering: Option<Rendering>,
}

impl Report {
    /// Every breach, in the order of the clauses.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.verdicts.iter().flat_map(|v| &v.findings)
    }
}

pub fn check(state: &RenderedState) -> Report {
    let mut report = Report { rendering: state.rendering.clone(), ..Report::default() };
    for clause in Clause::all() {
        let mut ctx = ClauseContext::new(clause);
        (clause.definition().check)(state, &mut ctx);
        report.dependencies.append(&mut ctx.dependencies);
        let (verdict, mut reads) = ctx.finish();
        report.verdicts.push(verdict);
        report.reads.append(&mut reads);
    }
    report
}
