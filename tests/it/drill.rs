//! The outage drill in the simulator: plans, breaches of each clause, figures.

mod death;
mod probe;

use contract::drill;
use plan::{check, text};
use serde_json::{Value, json};
use sim::Breach;

use crate::contract::mutants;
use crate::fixtures::connected;
use crate::golden;
use crate::ui::{Repo, settings};

const DRILL: &str = "verify-contract --simulate --drill mgmt-outage";

#[test]
fn plans_match_their_snapshots() {
    let ran = Repo::new().run("verify-contract --drill mgmt-outage --dry-run");
    assert_eq!(ran.code, 0, "{}", ran.err);
    // Bringing back is what `start` does; that has a snapshot of its own.
    let own: Vec<&str> = ran.out.split("\nplan ").filter(|part| !part.starts_with("start")).collect();
    settings().bind(|| insta::assert_snapshot!("drill.plan", own.join("\nplan ")));
    let mut seen = std::collections::BTreeSet::new();
    let files = render::drill::files(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    golden::snapshot("outage", render::drill::PROBE, &files[render::drill::PROBE], &mut seen);
}

#[test]
fn every_part_of_a_drill_is_valid() {
    let files = render::drill::files(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let time = std::time::Duration::from_secs(9720);
    for of in ["infra/fleet.toml", "tests/fleets/one.toml", "tests/fleets/wide.toml", "tests/fleets/pairs.toml"] {
        let (fleet, _) = golden::load(of);
        let asking = [drill::observe(&fleet, &files), drill::counted(&fleet, &files, time)];
        let changing = [drill::ready, drill::stop, drill::during, drill::tidy].map(|part| part(&fleet, &files));
        for part in asking.into_iter().chain(changing).chain([drill::after(&fleet, &files, time)]) {
            assert_eq!(check::check(&part), [""; 0], "{of}: {}", text::print(&part));
        }
    }
}

#[test]
fn outage_of_six_hours_loses_nothing() {
    let repo = connected();
    let ran = repo.run(&format!("{DRILL} --outage 6h"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let measured = ran.out.split("\n\n").last().unwrap_or_default();
    let measured = &measured[measured.find("drill mgmt-outage in").expect("it was measured")..];
    settings().bind(|| insta::assert_snapshot!("drill-six-hours", measured));
    assert!(!repo.root().join("out/simulation/drill.json").exists(), "the mark is gone");
    let report = repo.run("report verify --simulate");
    assert_eq!(report.code, 0, "{}", report.err);
    settings().bind(|| insta::assert_snapshot!("drill-six-hours-page", words(&page(&repo))));
    // Asking twice in a second has two reports.
    for _ in 0..3 {
        assert_eq!(repo.run("verify-contract --simulate --live").code, 0);
    }
    let reports = repo.root().join("out/simulation/reports").read_dir_utf8().expect("reports");
    assert_eq!(reports.count(), 4);
}

#[expect(clippy::disallowed_methods, reason = "reads what a command has left")]
fn page(repo: &Repo) -> String {
    let mut reports = repo.root().join("out/simulation/reports").read_dir_utf8().expect("reports");
    let report = reports.next().expect("a report").expect("an entry");
    std::fs::read_to_string(report.path().join("report.html")).expect("a page")
}

/// What a reader sees of a page below its title, a line for each element, and what is read out in place of a picture.
fn words(page: &str) -> String {
    assert!(page.contains("name=\"viewport\"") && !page.contains("http"), "it fits a telephone and needs no network");
    let body = page.split_once("</h1>").expect("a title").1;
    let body = body.replace("<wbr>", "");
    let lines = body.split('<').filter_map(|part| {
        let (tag, text) = part.split_once('>')?;
        let picture = tag.split_once("aria-label=\"").map(|(_, rest)| format!("[{}]", rest.trim_end_matches('"')));
        picture.or_else(|| Some(text.trim().to_owned())).filter(|line| !line.is_empty())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn breach_of_each_clause_is_reported() {
    let place = connected();
    for (clause, mutant) in mutants::all().flat_map(|(c, mutants)| mutants.outage.into_iter().map(move |m| (c, m))) {
        let (place, name) = (place.copy(), &mutant.name);
        place.edit_json(|stage| stage["conditions"] = json!({ "app1": [{ "during-outage": mutant.breach }] }));
        let ran = place.run(DRILL);
        assert!(ran.code == 1 && mutant.expect.iter().all(|words| ran.out.contains(words)), "{name}: {}", ran.out);
        assert!(mutant.expect[0].starts_with(&format!("x {clause}: ")), "{name}");
        // With other tunnels, the other cluster cannot be reached either.
        assert!(mutant.breach == Breach::TunnelChanged || !ran.out.contains("on app2:"), "{name}: {}", ran.out);
        if mutant.breach != Breach::SampleFails {
            continue;
        }
        let hint = ["--allow", "C1", "--allow", "C2", "--allow", "C3", "--allow", "C4", "--allow", "C5"].join(" ");
        let excused = place.run(&format!("{DRILL} {hint} --because tried"));
        assert_eq!(excused.code, 0, "{name}: {}", excused.out);
    }
}

#[test]
fn outage_beyond_the_bound_loses_samples() {
    let ran = connected().run(&format!("{DRILL} --outage 10h"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("x C2: prometheus-agent on app1: 5"), "{}", ran.out);
    assert!(!ran.out.contains("x C1"), "{}", ran.out);
}

#[test]
fn drill_is_refused_unless_the_fleet_is_healthy() {
    let place = connected();
    let cases: [(&str, Value); 3] = [
        ("tunnel geneve on app2", json!({ "app2": [{ "tunnel": "geneve" }] })),
        ("app1", json!({ "app1": ["packets-lost"] })),
        ("app1", json!({ "app1": ["disconnected"] })),
    ];
    for (sentence, mishaps) in cases {
        let place = place.copy();
        place.edit_json(|stage| stage["conditions"] = mishaps.clone());
        let ran = place.run(DRILL);
        assert!(ran.code == 1 && ran.err.contains(sentence), "{mishaps}: {}", ran.err);
        assert!(!ran.err.contains("stop VM"), "{}", ran.err);
        place.edit_json(|stage| stage["conditions"] = json!({}));
        assert_eq!(place.run("status --simulate").code, 0, "all machines run");
    }
}
