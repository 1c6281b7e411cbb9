//! The contract holds for the shipped data, and every mutant of that data is caught by its clause.

mod helmed;
pub mod live;
mod mutants;
mod rendered;
mod verdicts;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;

use contract::{self, Class, Clause, Evidence, Report};
use model::fleet::{self, Compatibility};
use model::problem::Problem;
use model::release;
use render::{self, Data};

use super::golden;
use mutants::{MUTANTS, Mutant};

fn judge(data: &Data) -> Result<Report, Vec<Problem>> {
    let text = |file: &str| data[file].as_str();
    let known = Compatibility::load("infra/compatibility.toml", text("infra/compatibility.toml"))?;
    let fleet = fleet::load("infra/fleet.toml", text("infra/fleet.toml"), &known)?;
    let releases = release::load("charts/releases.toml", text("charts/releases.toml"), &fleet)?;
    let files = render::files(&fleet, &releases, data)?;
    Ok(contract::check(&Evidence::gather(&fleet, &releases, data, &files)?))
}

fn shipped() -> Report {
    judge(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"))
}

fn mutated(data: &Data, mutant: &Mutant) -> Data {
    let text = &data[mutant.file];
    assert!(text.contains(mutant.from), "{}: its text is gone from {}", mutant.name, mutant.file);
    let mut data = data.clone();
    data.insert(mutant.file.to_owned(), text.replacen(mutant.from, mutant.to, 1));
    data
}

/// The rule that caught it, if one of its owner did.
fn caught(data: &Data, mutant: &Mutant) -> Option<String> {
    let report = judge(&mutated(data, mutant)).unwrap_or_else(|p| panic!("{} is no valid data: {p:#?}", mutant.name));
    let found = report.findings().find(|f| f.clause == mutant.owner)?;
    assert!(!found.hint.is_empty() && !found.want.is_empty() && found.at.line.is_some(), "{}: {found:#?}", mutant.name);
    Some(format!("{} at {}", found.rule, found.at))
}

/// A mutant, and the rule of its owner that caught it.
type Verdict = (&'static Mutant, Option<String>);

/// Every mutant of a clause, judged once for all tests.
fn verdicts(clause: Clause) -> &'static [Verdict] {
    static VERDICTS: [OnceLock<Vec<Verdict>>; 5] = [const { OnceLock::new() }; 5];
    let at = Clause::ALL.iter().position(|of| *of == clause).expect("one of all");
    VERDICTS[at].get_or_init(|| {
        let data = golden::data();
        MUTANTS.iter().filter(|m| m.owner == clause).map(|m| (m, caught(&data, m))).collect()
    })
}

fn holds_and_catches(clause: Clause) {
    let report = shipped();
    let own: Vec<_> = report.findings().filter(|f| f.clause == clause).collect();
    assert!(own.is_empty(), "shipped data break {clause}: {own:#?}");
    let escaped: Vec<&str> = verdicts(clause).iter().filter(|(_, by)| by.is_none()).map(|(m, _)| m.name).collect();
    assert!(escaped.is_empty(), "{clause} let them pass: {escaped:#?}");
}

#[test]
fn c1_holds_and_catches_its_mutants() {
    holds_and_catches(Clause::C1);
}

#[test]
fn c2_holds_and_catches_its_mutants() {
    holds_and_catches(Clause::C2);
}

#[test]
fn c3_holds_and_catches_its_mutants() {
    holds_and_catches(Clause::C3);
}

#[test]
fn c4_holds_and_catches_its_mutants() {
    holds_and_catches(Clause::C4);
}

#[test]
fn c5_holds_and_catches_its_mutants() {
    holds_and_catches(Clause::C5);
}

/// Printed whether the test passes or not.
#[test]
fn mutation_score_is_100_percent() {
    let mut table = String::from("\nmutants of the shipped data, and what caught them\n");
    let (mut all, mut killed) = (0, 0);
    for clause in Clause::ALL {
        let rows = verdicts(clause);
        for (mutant, by) in rows {
            let by = by.as_deref().unwrap_or("ESCAPED");
            writeln!(table, "  {clause}  {:58} {by}", mutant.name).expect("a string takes text");
        }
        all += rows.len();
        killed += rows.iter().filter(|(_, by)| by.is_some()).count();
    }
    writeln!(table, "mutation score {killed}/{all} = {} %", killed * 100 / all).expect("a string takes text");
    std::io::stderr().write_all(table.as_bytes()).expect("stderr takes text");
    assert!(all >= 96 && all == MUTANTS.len() && killed == all);
    let names: std::collections::BTreeSet<&str> = MUTANTS.iter().map(|m| m.name).collect();
    assert_eq!(names.len(), MUTANTS.len(), "every mutant has a name of its own");
}

/// What apps ask of the platform is exactly this; a further reference is a decision, and shows up here.
#[test]
fn c1_every_reference_is_known() {
    let report = shipped();
    let mut told: Vec<String> = report
        .references
        .iter()
        .filter(|r| r.cluster == "app1")
        .map(|r| format!("{} -> {} {}", r.subject, r.to, r.class.word()))
        .collect();
    told.sort();
    assert_eq!(
        told,
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
    assert!(report.references.iter().all(|r| r.class != Class::Fatal && r.at.line.is_some()));
}

/// A clause says the same on one cluster more: nothing is written for three.
#[test]
fn c1_to_c5_hold_on_a_wide_fleet() {
    let (fleet, releases) = golden::load("tests/fleets/wide.toml");
    let data = golden::data();
    let files = render::files(&fleet, &releases, &data).unwrap_or_else(|p| panic!("{p:#?}"));
    let evidence = Evidence::gather(&fleet, &releases, &data, &files).expect("it renders");
    let found: Vec<_> = contract::check(&evidence).findings().cloned().collect();
    assert!(found.is_empty(), "{found:#?}");
}
