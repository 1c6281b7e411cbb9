//! The drill on machines, as far as one can go without any: its plans, what a breach of each clause is told as, and
//! that the platform comes back however it ends. Knows nothing of how it is judged.

mod death;
mod probe;

use std::path::Path;

use plan::{check, drill, text};
use serde_json::{Value, json};
use sim::Breach;

use crate::golden;
pub use crate::story::connected;
use crate::ui::{Place, settings};

const DRILL: &str = "verify-contract --simulate --drill mgmt-outage";

/// What happened in a place, once more in another folder.
pub fn copy(place: &Place) -> Place {
    let other = Place::new();
    copy_folder(place.root().join("out").as_std_path(), other.root().join("out").as_std_path());
    other
}

/// A folder with all that is in it.
#[expect(clippy::disallowed_methods, reason = "copies what earlier commands have left")]
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let modes = std::fs::metadata(from).expect("a folder").permissions();
    std::fs::set_permissions(to, modes).expect("its modes");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to) } else { std::fs::copy(&from, &to).map(drop).expect("a copy") }
    }
}

/// Something is about to go wrong on a cluster.
#[expect(clippy::disallowed_methods, reason = "writes into the story of the embedded world")]
fn befall(place: &Place, change: impl FnOnce(&mut Value)) {
    let path = place.root().join("out/simulation/world.json");
    let mut story: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a story")).expect("JSON");
    change(&mut story["stage"]);
    std::fs::write(path, story.to_string()).expect("written");
}

#[test]
fn the_plans_are_as_reviewed() {
    let ran = Place::new().run("verify-contract --drill mgmt-outage --dry-run");
    assert_eq!(ran.code, 0, "{}", ran.err);
    // Bringing back is what `start` does; that has a snapshot of its own.
    let own: Vec<&str> = ran.out.split("\nplan ").filter(|part| !part.starts_with("start")).collect();
    settings().bind(|| insta::assert_snapshot!("drill.plan", own.join("\nplan ")));
    let mut seen = std::collections::BTreeSet::new();
    let files = render::drill::files(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    golden::snapshot("outage", render::drill::PROBE, &files[render::drill::PROBE], &mut seen);
}

#[test]
fn every_part_is_sound() {
    let files = render::drill::files(&golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let time = std::time::Duration::from_secs(9720);
    for of in ["infra/fleet.toml", "tests/fleets/one.toml", "tests/fleets/wide.toml", "tests/fleets/pairs.toml"] {
        let (fleet, _) = golden::load(of);
        let asking = [drill::look(&fleet, &files), drill::counted(&fleet, &files, time)];
        let changing = [drill::ready, drill::stop, drill::during, drill::tidy].map(|part| part(&fleet, &files));
        for part in asking.into_iter().chain(changing).chain([drill::after(&fleet, &files, time)]) {
            assert_eq!(check::check(&part), [""; 0], "{of}: {}", text::print(&part));
        }
    }
}

#[test]
fn six_hours_are_over_in_a_moment_and_lose_nothing() {
    let place = connected();
    let ran = place.run(&format!("{DRILL} --outage 6h"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let measured = ran.out.split("\n\n").last().unwrap_or_default();
    let measured = &measured[measured.find("drill mgmt-outage in").expect("it was measured")..];
    settings().bind(|| insta::assert_snapshot!("drill-six-hours", measured));
    assert!(!place.root().join("out/simulation/drill.json").exists(), "the mark is gone");
    let report = place.run("report verify --simulate");
    assert_eq!(report.code, 0, "{}", report.err);
    settings().bind(|| insta::assert_snapshot!("drill-six-hours-page", words(&page(&place))));
    // Whoever asks twice in a second has two reports.
    for _ in 0..3 {
        assert_eq!(place.run("verify-contract --simulate --live").code, 0);
    }
    let reports = place.root().join("out/simulation/reports").read_dir_utf8().expect("reports");
    assert_eq!(reports.count(), 4);
}

/// The page of the only report.
#[expect(clippy::disallowed_methods, reason = "reads what a command has left")]
fn page(place: &Place) -> String {
    let mut reports = place.root().join("out/simulation/reports").read_dir_utf8().expect("reports");
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
fn a_breach_of_each_clause_is_told() {
    let place = connected();
    let cases = [
        (Breach::Tied, "x C1: way local on app1: 5", "requests failed"),
        (Breach::Routed, "x C1: way mesh on app1: 5", "s without an answer"),
        (Breach::Touched, "x C1: Deployment/sample on app1: from generation 1 to 2", "the same Deployment while"),
        (Breach::Forgets, "x C2: prometheus-agent on app1: it was started anew", "scrapes are missing"),
        (Breach::Revoked, "x C3: Secret/sample-credentials on app1: it is gone", "it does not: "),
        (Breach::Stale, "x C3: Secret/sample-credentials on app1: it is not: ", "read from Vault again"),
        (Breach::Lenient, "x C4: Kyverno on app1: it is let in", "is denied while the platform is away"),
        (Breach::Rerouted, "x C5: cilium on app1: tunnel geneve", "agents that tunnel by vxlan"),
    ];
    for (breach, first, second) in cases {
        let place = copy(&place);
        befall(&place, |stage| stage["conditions"] = json!({ "app1": [{ "away": breach }] }));
        let ran = place.run(DRILL);
        assert!(ran.code == 1 && ran.out.contains(first) && ran.out.contains(second), "{breach:?}: {}", ran.out);
        // Whoever carries packets another way cannot be reached either.
        assert!(breach == Breach::Rerouted || !ran.out.contains("on app2:"), "{breach:?}: {}", ran.out);
        let hint = ["--allow", "C1", "--allow", "C2", "--allow", "C3", "--allow", "C4", "--allow", "C5"].join(" ");
        let excused = place.run(&format!("{DRILL} {hint} --because tried"));
        assert_eq!(excused.code, 0, "{breach:?}: {}", excused.out);
    }
}

#[test]
fn beyond_the_bound_of_the_log_samples_are_missing() {
    let ran = connected().run(&format!("{DRILL} --outage 10h"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("x C2: prometheus-agent on app1: 5"), "{}", ran.out);
    assert!(!ran.out.contains("x C1"), "{}", ran.out);
}

#[test]
fn it_is_refused_unless_all_is_green() {
    let place = connected();
    let cases: [(&str, Value); 3] = [
        ("tunnel geneve on app2", json!({ "app2": [{ "tunnel": "geneve" }] })),
        ("app1", json!({ "app1": ["lossy"] })),
        ("app1", json!({ "app1": ["deaf"] })),
    ];
    for (sentence, mishaps) in cases {
        let place = copy(&place);
        befall(&place, |stage| stage["conditions"] = mishaps.clone());
        let ran = place.run(DRILL);
        assert!(ran.code == 1 && ran.err.contains(sentence), "{mishaps}: {}", ran.err);
        assert!(!ran.err.contains("stop VM"), "{}", ran.err);
        befall(&place, |stage| stage["conditions"] = json!({}));
        assert_eq!(place.run("status --simulate").code, 0, "all machines run");
    }
}
