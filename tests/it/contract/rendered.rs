//! Mutants of rendered charts: breaches that no value shows. The texts are what pinned charts made of our values, cut.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use charts::rendered::objects;
use contract::{RenderedState, Report};
use model::fleet::Fleet;
use model::release::Releases;
use render::Data;

use super::super::golden;
use super::mutants::{self, RenderedMutant};

const AGENT: &str = "prometheus-agent";

fn texts() -> BTreeMap<&'static str, String> {
    let read = |release: &&'static str| (*release, golden::read(&format!("tests/fixtures/renders/{release}.yaml")));
    [AGENT, "thanos", "external-secrets", "kyverno", "cilium"].iter().map(read).collect()
}

/// What the state is gathered from, read and rendered once.
fn inputs() -> &'static (Fleet, Releases, Data, Data) {
    static INPUTS: OnceLock<(Fleet, Releases, Data, Data)> = OnceLock::new();
    INPUTS.get_or_init(|| {
        let (fleet, releases) = golden::load("infra/fleet.toml");
        let data = golden::data();
        let files = render::files(&fleet, &releases, &data).unwrap_or_else(|p| panic!("{p:#?}"));
        (fleet, releases, data, files)
    })
}

/// The shipped data, and these texts as what its releases render.
fn judge(texts: &BTreeMap<&str, String>) -> Report {
    let (fleet, releases, data, files) = inputs();
    let mut state = RenderedState::gather(fleet, releases, data, files).expect("it renders");
    for cluster in &fleet.clusters {
        let here = releases.charts.iter().filter(|c| c.placement.clusters.contains(&cluster.role));
        for chart in here {
            let Some(text) = texts.get(chart.placement.name.as_str()) else { continue };
            state.add(&cluster.name, chart, objects(&chart.placement.name, text).expect("YAML"));
        }
    }
    contract::check(&state)
}

fn mutated(text: &str, mutant: &RenderedMutant) -> String {
    if let Some(name) = &mutant.document {
        let all = golden::read("tests/fixtures/renders/more.yaml");
        let more = all.split("\n--- # ").find_map(|part| part.strip_prefix(name.as_str())?.strip_prefix('\n'));
        return format!("{text}---\n{}\n", more.unwrap_or_else(|| panic!("no document {name}")));
    }
    assert!(text.contains(&mutant.from), "{}: its text is gone", mutant.name);
    text.replacen(&mutant.from, &mutant.to, 1)
}

#[test]
fn every_clause_holds_and_catches_what_a_chart_changes() {
    let texts = texts();
    let found: Vec<_> = judge(&texts).findings().cloned().collect();
    assert!(found.is_empty(), "what the charts render breaks the contract: {found:#?}");
    let (mut all, mut escaped) = (0, Vec::new());
    for (clause, mutants) in mutants::all() {
        all += mutants.rendered.len();
        for mutant in &mutants.rendered {
            let (release, text) = texts.get_key_value(mutant.release.as_str()).expect("a release with a fixture");
            let mut texts = texts.clone();
            texts.insert(release, mutated(text, mutant));
            match judge(&texts).findings().find(|f| f.clause == clause) {
                Some(found) => assert!(!found.hint.is_empty() && found.at.line.is_some(), "{found:#?}"),
                None => escaped.push(format!("{clause}: {}", mutant.name)),
            }
        }
    }
    assert!(all >= 46 && escaped.is_empty(), "{escaped:#?} of {all} escaped");
}

/// A value and what a chart makes of it are one dependency, at the line of the value; what is rendered is counted.
#[test]
fn c1_dependency_in_values_and_rendering_is_one() {
    let report = judge(&texts());
    let agents: Vec<_> = report.dependencies.iter().filter(|r| r.to == "monitoring/thanos-receive").collect();
    let subjects: Vec<&str> = agents.iter().map(|r| r.subject.as_str()).collect();
    assert_eq!(subjects, ["prometheus-agent", "Service/thanos-receive"].repeat(2));
    let rendering = report.rendering.expect("it was rendered");
    assert_eq!((rendering.releases.len(), rendering.objects), (5, 2 * (2 + 3 + 1) + 2 + 3 * 2));
}

/// An address that only a run knows is a sample in what is rendered. Its value says whose it is.
#[test]
fn c1_sample_address_is_accepted() {
    let ask = |address: &str| {
        let pod =
            "---\nkind: Pod\nmetadata: {name: extra}\nspec: {containers: [{name: a, args: ['https://HERE:6443']}]}\n";
        let mut texts = texts();
        let text = texts["kyverno"].clone() + &pod.replace("HERE", address);
        texts.insert("kyverno", text);
        judge(&texts).findings().count()
    };
    assert_eq!([ask("192.0.2.10"), ask("192.0.2.11")], [0, 1]);
}

/// What a value decides is shown with the line of that value; what only the chart decides, with the line that names it.
#[test]
fn c2_breach_points_to_the_deciding_line() {
    let at = |from: &str, to: &str| {
        let mut texts = texts();
        let text = texts[AGENT].replacen(from, to, 1);
        texts.insert(AGENT, text);
        let report = judge(&texts);
        let found = report.findings().next().expect("a breach").clone();
        (found.subject, found.at.to_string())
    };
    let (subject, place) = at("      terminationGracePeriodSeconds: 120\n", "");
    assert_eq!(subject, "StatefulSet/prometheus-agent of prometheus-agent");
    assert!(place.starts_with("charts/releases.toml:"), "{place}");
    let (_, place) = at("mountPath: /data", "mountPath: /prometheus");
    assert!(place.starts_with("charts/releases.toml:"), "{place}");
}
