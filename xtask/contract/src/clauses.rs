//! The registry of clauses. A new clause is a folder here, a row in [`CLAUSES`] and its ADR.

pub mod c1_independence;
pub mod c2_buffer;
pub mod c3_secrets;
pub mod c4_policy;
pub mod c5_vxlan;

use std::time::Duration;

use model::fleet::Cluster;
use plan::Step;

use crate::ClauseContext;
use crate::live::LiveContext;
use crate::outage::OutageContext;
use crate::outage_model::{Outcome, Sweep};
use crate::rendered_state::{ClusterManifests, RenderedState};

/// Every clause, in order: `C1` is the first.
pub static CLAUSES: [&Definition; 5] =
    [&c1_independence::CLAUSE, &c2_buffer::CLAUSE, &c3_secrets::CLAUSE, &c4_policy::CLAUSE, &c5_vxlan::CLAUSE];

/// What a clause promises, and how each tier checks it.
#[derive(Debug)]
pub struct Definition {
    pub title: &'static str,
    pub adr: &'static str,
    pub check: fn(&RenderedState, &mut ClauseContext),
    /// Live tier: the questions to one cluster. Clauses may share one.
    pub probes: fn(&Cluster, &ClusterManifests) -> Vec<Step>,
    /// Live tier: questions that answer with objects which rules judge like rendered ones.
    pub objects: &'static [&'static str],
    pub live: fn(&mut LiveContext<'_>),
    /// Outage drill: what each app cluster is asked before, during and after the outage.
    pub observations: fn(&Cluster) -> Vec<Step>,
    /// Outage drill: what must hold before anything is stopped.
    pub ready: fn(&mut OutageContext<'_>),
    pub outage: fn(&mut OutageContext<'_>),
    /// Outage drill: judges the mesh once for all clusters, by when it was green again.
    pub recovery: fn(&mut OutageContext<'_>, &Result<Duration, String>),
    /// The drill as a model: the breach of an outage of the promised length, in a sentence.
    pub model: fn(&Outcome, &Sweep) -> Option<String>,
    /// Changes to data, renders and clusters that the clause must catch (TOML, read by tests).
    pub mutants: &'static str,
}

impl Definition {
    /// A clause that is checked by the static tier alone.
    const fn new(title: &'static str, adr: &'static str, check: fn(&RenderedState, &mut ClauseContext)) -> Definition {
        Definition {
            title,
            adr,
            check,
            probes: |_, _| vec![],
            objects: &[],
            live: |_| {},
            observations: |_| vec![],
            ready: |_| {},
            outage: |_| {},
            recovery: |_, _| {},
            model: |_, _| None,
            mutants: "",
        }
    }
}
