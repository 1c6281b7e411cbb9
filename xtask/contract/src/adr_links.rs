//! Every clause has one accepted ADR that names it, and mutants; every ADR names clauses that exist.

use super::Clause;
use crate::adr::Record;
use model::problem::Problem;

/// Broken links between clauses, ADRs and mutants.
pub fn check(records: &[Record]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for clause in Clause::all() {
        let (name, adr) = (clause.to_string(), clause.adr());
        let by: Vec<&Record> = records.iter().filter(|r| r.checks.contains(&name)).collect();
        match by[..] {
            [one] if one.file == adr && one.status == "accepted" => {}
            [one] if one.file == adr => {
                let what = format!("{name} cites {adr}, which is \"{}\"", one.status);
                problems.push(Problem::new(what).at(adr, Some(2)).hint("status: accepted"));
            }
            _ => {
                let files: Vec<&str> = by.iter().map(|r| r.file.as_str()).collect();
                let found = if files.is_empty() { "none".to_owned() } else { files.join(", ") };
                let problem = Problem::new(format!("exactly one ADR, {adr}, must name {name}; found: {found}"));
                problems.push(problem.at(adr, None).hint(format!("checks: [{name}]")));
            }
        }
        if clause.definition().mutants.is_empty() {
            let problem = Problem::new(format!("{name} has no mutants: no test shows what breaks it"));
            problems.push(
                problem.at("xtask/contract/src/clauses.rs", None).hint("mutants: include_str!(\"mutants.toml\")"),
            );
        }
    }
    for record in records {
        for check in record.checks.iter().filter(|check| Clause::named(check).is_none()) {
            let known: Vec<String> = Clause::all().map(|clause| clause.to_string()).collect();
            let problem = Problem::new(format!("an ADR names an unknown clause: {check}"));
            problems.push(problem.at(&record.file, Some(4)).why(format!("clauses: {}", known.join(", "))));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(clause: Clause) -> Record {
        Record {
            number: 1,
            title: "x".into(),
            status: "accepted".into(),
            date: "2026-11-22".into(),
            checks: vec![clause.to_string()],
            file: clause.adr().to_owned(),
        }
    }

    #[test]
    fn each_missing_link_is_found() {
        let records: Vec<Record> = Clause::all().map(record).collect();
        assert_eq!(check(&records), []);
        let what = |records: &[Record]| check(records).into_iter().map(|p| p.what).collect::<Vec<_>>();
        assert!(what(&records[1..])[0].starts_with("exactly one ADR, adr/0001-platform-in-mgmt.md, must name C1"));
        let mut more = records.clone();
        more[2].checks.push("C9".into());
        more[4].status = "proposed".into();
        let want = ["C5 cites adr/0005-cilium-vxlan.md, which is \"proposed\"", "an ADR names an unknown clause: C9"];
        assert_eq!(what(&more), want);
    }
}
