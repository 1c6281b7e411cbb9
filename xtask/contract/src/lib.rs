//! The contract: five clauses that hold whatever else changes, and what shows that each of them does.
//! Knows nothing of the disk, of how probes are run, or of how a report is written.
//!
//! The static tier judges [`Evidence`]: every value that Helm is given and every object that is applied, merged as they
//! are rendered, each with the line of the file that decides it. Nothing else is needed: no tool, no cluster. Where
//! charts could be rendered, their objects are evidence too, and rules look at them beside the values.
//! Each clause is one file; its rules are named there, read through a [`Case`], and each read is noted. So what a rule
//! looks at is never written twice, and `why` can say which rules guard a line.

pub mod adr;
mod c1_independence;
pub mod c2_buffer;
mod c3_secrets;
mod c4_policy;
mod c5_vxlan;
pub mod case;
mod degradation;
pub mod drill;
pub mod evidence;
pub mod live;
pub mod outage;
pub mod pairing;
pub mod references;
pub mod wal;
pub mod why;

use std::fmt;

pub use case::Case;
pub use evidence::{Evidence, Rendering};
use model::problem::At;
pub use references::{Class, Reference};

/// A clause of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// App workloads run while the platform is down.
    C1,
    /// The Prometheus Agent buffers an outage.
    C2,
    /// Secrets are at most an hour behind and stay through an outage.
    C3,
    /// Kyverno enforces on app clusters and is nowhere else; Pod Security is baseline everywhere.
    C4,
    /// Cilium tunnels by VXLAN.
    C5,
}

impl Clause {
    /// All of them, in order.
    pub const ALL: [Clause; 5] = [Clause::C1, Clause::C2, Clause::C3, Clause::C4, Clause::C5];

    /// What it promises, in one line.
    pub fn says(self) -> &'static str {
        match self {
            Clause::C1 => "app workloads run while the platform is down",
            Clause::C2 => "the Prometheus Agent buffers an outage of 2.7 h",
            Clause::C3 => "secrets are at most 1 h behind and stay through an outage",
            Clause::C4 => "Kyverno enforces on app clusters alone, Pod Security everywhere",
            Clause::C5 => "Cilium tunnels by VXLAN on every cluster",
        }
    }

    /// The record that founds it.
    pub fn adr(self) -> &'static str {
        match self {
            Clause::C1 | Clause::C3 => "adr/0001-platform-in-mgmt.md",
            Clause::C2 => "adr/0006-observability-agents.md",
            Clause::C4 => "adr/0003-psa-and-kyverno.md",
            Clause::C5 => "adr/0005-cilium-vxlan.md",
        }
    }

    /// The clause of a name such as `C2` or `c2`.
    pub fn named(name: &str) -> Option<Clause> {
        Clause::ALL.into_iter().find(|c| c.to_string().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A breach of the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The clause that is broken.
    pub clause: Clause,
    /// The rule that saw it: `c2.guarantee`.
    pub rule: String,
    /// Clusters on which it is so.
    pub clusters: Vec<String>,
    /// What it is about: a release, or an object as `Deployment/sample`.
    pub subject: String,
    /// What the clause asks for.
    pub want: String,
    /// What stands there.
    pub got: String,
    /// Where that is written; of something missing, where it would stand.
    pub at: At,
    /// One way to mend it.
    pub hint: String,
}

/// A number or a word that a clause came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is: `guaranteed outage`.
    pub name: String,
    /// With its unit.
    pub value: String,
}

/// What one clause came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub clause: Clause,
    /// One line with the figures that matter most.
    pub headline: String,
    /// Every breach. None: it holds.
    pub findings: Vec<Finding>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// The reasoning, step by step, with its numbers.
    pub because: Vec<String>,
    /// How many values were read to come to this.
    pub reads: usize,
}

/// A value that a rule looked at: the thread from a line to the decision behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// Where it is written.
    pub at: At,
    /// Its path in that file.
    pub path: String,
    /// For which clause.
    pub clause: Clause,
    /// By which rule.
    pub rule: String,
}

/// What the static tier came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One per clause, in order.
    pub verdicts: Vec<Verdict>,
    /// Every reference from an app cluster to the platform, with its class.
    pub references: Vec<Reference>,
    /// Every value that was looked at.
    pub reads: Vec<Read>,
    /// What charts rendered of it, if they were asked.
    pub rendering: Option<Rendering>,
}

impl Report {
    /// Every breach, in the order of the clauses.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.verdicts.iter().flat_map(|v| &v.findings)
    }
}

/// The static tier.
pub fn check(evidence: &Evidence) -> Report {
    let references = references::walk(evidence);
    let mut verdicts = Vec::new();
    let mut reads = Vec::new();
    for clause in Clause::ALL {
        let mut case = Case::new(clause);
        match clause {
            Clause::C1 => {
                c1_independence::judge(evidence, &references, &mut case);
                degradation::judge(evidence, &mut case);
            }
            Clause::C2 => c2_buffer::judge(evidence, &mut case),
            Clause::C3 => c3_secrets::judge(evidence, &mut case),
            Clause::C4 => c4_policy::judge(evidence, &mut case),
            Clause::C5 => c5_vxlan::judge(evidence, &mut case),
        }
        let (verdict, some) = case.close();
        verdicts.push(verdict);
        reads.extend(some);
    }
    Report { verdicts, references, reads, rendering: evidence.rendering.clone() }
}
