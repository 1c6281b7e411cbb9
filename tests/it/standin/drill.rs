//! A drill as real processes: Ctrl-C in the middle brings the platform back, and undisturbed it comes to a verdict.
//! Knows nothing of clusters.

use serde_json::Value;

use super::place::Place;
use crate::drill::connected;

const DRILL: &str = "verify-contract --drill mgmt-outage --yes --outage 1m";

fn platform(place: &Place) -> Vec<Value> {
    let stage = serde_json::to_value(place.page().stage).expect("a value");
    ["mgmt-cp", "mgmt-w1"].iter().map(|vm| stage["vms"][*vm]["power"].clone()).collect()
}

#[test]
fn a_drill_brings_the_platform_back_and_comes_to_a_verdict() {
    let place = Place::from_rehearsal(&connected().root().join("out/simulation"));
    let mut run = place.start(DRILL, 2000);
    run.until("the outage goes on for");
    assert_eq!(platform(&place), ["Stopped", "Stopped"]);
    assert!(place.text("out/drill.json").contains("\"stopped\":\"mgmt\""), "the mark is there meanwhile");
    run.signal("INT");
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains("cut short: the platform is back"), "{}", ran.err);
    assert_eq!((platform(&place), place.text("out/drill.json").as_str()), (vec!["Running".into(); 2], ""));
    let whole = place.run(DRILL);
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    assert!(whole.out.contains("drill mgmt-outage on real machines"), "{}", whole.out);
    assert!(place.below("out/reports").iter().any(|file| file.as_str().ends_with("report.html")));
    assert!(place.running().is_empty(), "nothing outlives it");
}
