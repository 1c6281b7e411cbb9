//! The contract over the data as it is shipped: every clause holds, and no mutant of that data gets past its clause.

mod helmed;
pub mod live;
pub mod mutants;
mod rendered;
mod verdicts;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use contract::{Class, Clause, Finding, RenderedState, Report};
use model::fleet::{self, Compatibility};
use model::problem::Problem;
use model::release;
use render::Data;

use super::golden;
use mutants::DataMutant;

/// From data to verdicts, as the command does it.
fn judge(data: &Data) -> Result<Report, Vec<Problem>> {
    let text = |file: &str| data[file].as_str();
    let known = Compatibility::load("infra/compatibility.toml", text("infra/compatibility.toml"))?;
    let fleet = fleet::load("infra/fleet.toml", text("infra/fleet.toml"), &known)?;
    let releases = release::load("charts/releases.toml", text("charts/releases.toml"), &fleet)?;
    let files = render::files(&fleet, &releases, data)?;
    Ok(contract::check(&RenderedState::gather(&fleet, &releases, data, &files)?))
}

fn shipped() -> Report {
    judge(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"))
}

/// The finding of its clause that catches a mutant, if there is one.
fn caught(data: &Data, clause: Clause, mutant: &DataMutant) -> Option<Finding> {
    let DataMutant { name, file, from, to, holds, and } = mutant;
    let mut data = data.clone();
    let changes = and.iter().map(|[file, from, to]| (file, from, to));
    for (file, from, to) in changes.chain([(file, from, to)]) {
        let text = &data[file];
        assert!(text.contains(from), "{name}: its text is gone from {file}");
        data.insert(file.clone(), text.replacen(from, to, 1));
    }
    let report = judge(&data).unwrap_or_else(|p| panic!("{name} is no valid data: {p:#?}"));
    let found = report.findings().find(|f| *holds || f.clause == clause)?.clone();
    assert!(!holds, "{name} breaks nothing: {found:#?}");
    assert!(!found.hint.is_empty() && !found.want.is_empty() && found.at.line.is_some(), "{name}: {found:#?}");
    Some(found)
}

/// Every clause holds and catches each of its mutants. The table is printed whether the test passes or not.
#[test]
fn every_clause_holds_and_the_mutation_score_is_whole() {
    let found: Vec<_> = shipped().findings().cloned().collect();
    assert!(found.is_empty(), "shipped data break the contract: {found:#?}");
    let data = golden::data();
    let mut table = String::from("\nmutants of the shipped data, and what caught them\n");
    let (mut names, mut escaped) = (BTreeSet::new(), Vec::new());
    for (clause, mutants) in mutants::all() {
        assert!(!mutants.data.is_empty(), "{clause} has no mutants");
        for mutant in &mutants.data {
            let by = caught(&data, clause, mutant).map(|found| format!("{} at {}", found.rule, found.at));
            let shown = by.as_deref().unwrap_or(if mutant.holds { "holds, as it must" } else { "ESCAPED" });
            writeln!(table, "  {clause}  {:58} {shown}", mutant.name).expect("a string takes text");
            escaped.extend((by.is_none() && !mutant.holds).then(|| mutant.name.clone()));
            assert!(names.insert(mutant.name.clone()), "two mutants are called {}", mutant.name);
        }
        writeln!(table, "  {clause}  {} changes", mutants.data.len()).expect("a string takes text");
    }
    let (all, killed) = (names.len(), names.len() - escaped.len());
    writeln!(table, "mutation score {killed}/{all} = {} %", killed * 100 / all).expect("a string takes text");
    std::io::stderr().write_all(table.as_bytes()).expect("stderr takes text");
    assert!(all >= 96 && escaped.is_empty(), "{escaped:#?} of {all} escaped");
}

/// What apps depend on is exactly this; a further dependency is a decision, and shows up here.
#[test]
fn c1_every_dependency_is_known() {
    let report = shipped();
    let own = report.dependencies.iter().filter(|r| r.cluster == "app1");
    let mut lines: Vec<String> = own.map(|r| format!("{} -> {} {}", r.subject, r.to, r.class.word())).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "ClusterSecretStore/vault -> vault/vault cached",
            "Deployment/sample -> Secret sample-credentials cached",
            "Service/loki -> monitoring/loki optional",
            "Service/thanos-receive -> monitoring/thanos-receive optional",
            "Service/vault -> vault/vault optional",
            "prometheus-agent -> monitoring/thanos-receive buffered",
            "promtail -> monitoring/loki buffered",
        ]
    );
    assert!(report.dependencies.iter().all(|r| r.class != Class::Fatal && r.at.line.is_some()));
}

/// Nothing is written for three clusters alone.
#[test]
fn every_clause_holds_on_a_wide_fleet() {
    let (fleet, releases) = golden::load("tests/fleets/wide.toml");
    let data = golden::data();
    let files = render::files(&fleet, &releases, &data).unwrap_or_else(|p| panic!("{p:#?}"));
    let state = RenderedState::gather(&fleet, &releases, &data, &files).expect("it renders");
    let found: Vec<_> = contract::check(&state).findings().cloned().collect();
    assert!(found.is_empty(), "{found:#?}");
}
