//! Decision, check and test belong together: every clause has one record that names it, rules, and tests, and back.
//! Knows nothing of the disk: it is given the records and the texts of the tests.

use std::collections::BTreeMap;

use super::Clause;
use crate::adr::Record;
use model::problem::Problem;

/// What is unpaired. `tests` are Rust files by path; a test of C2 is a function whose name begins with `c2_`.
pub fn check(records: &[Record], tests: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for clause in Clause::ALL {
        let (name, adr) = (clause.to_string(), clause.adr());
        let founds = |r: &&Record| r.checks.contains(&name);
        let by: Vec<&Record> = records.iter().filter(founds).collect();
        match by[..] {
            [one] if one.file == adr && one.status == "accepted" => {}
            [one] if one.file == adr => {
                problems
                    .push(Problem::new(format!("{name} rests on a record that is {}", one.status)).at(adr, Some(2)));
            }
            _ => {
                let files: Vec<&str> = by.iter().map(|r| r.file.as_str()).collect();
                let found = if files.is_empty() { "none".to_owned() } else { files.join(", ") };
                let problem = Problem::new(format!("{name} is founded by one record, `{adr}`; found: {found}"));
                problems.push(problem.at(adr, None).hint(format!("checks: [{name}]")));
            }
        }
        let test = format!("fn {}_", name.to_lowercase());
        if !tests.values().any(|text| text.contains(&test)) {
            let problem = Problem::new(format!("no test shows that {name} holds and what breaks it"));
            problems.push(problem.at("tests/it/contract.rs", None).hint(format!("{test}…")));
        }
    }
    for record in records {
        for check in record.checks.iter().filter(|check| Clause::named(check).is_none()) {
            let problem = Problem::new(format!("a record names a check that is not there: {check}"));
            problems.push(problem.at(&record.file, Some(4)));
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
    fn each_corner_that_is_alone_is_found() {
        let records: Vec<Record> = Clause::ALL.map(record).into();
        let text: String =
            Clause::ALL.iter().map(|c| format!("fn {}_x() {{}}\n", c.to_string().to_lowercase())).collect();
        let tests = BTreeMap::from([("tests/it/contract.rs".to_owned(), text)]);
        assert_eq!(check(&records, &tests), []);
        let what = |problems: Vec<Problem>| problems.into_iter().map(|p| p.what).collect::<Vec<_>>();
        assert!(what(check(&records[1..], &tests))[0].starts_with("C1 is founded by one record"));
        assert_eq!(what(check(&records, &BTreeMap::new())).len(), 5);
        let mut more = records.clone();
        more[2].checks.push("C9".into());
        more[4].status = "proposed".into();
        let found = what(check(&more, &tests));
        assert_eq!(found, ["C5 rests on a record that is proposed", "a record names a check that is not there: C9"]);
    }
}
