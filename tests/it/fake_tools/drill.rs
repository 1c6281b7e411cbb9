//! The outage drill with fake tools.

use serde_json::Value;

use super::machine::FakeMachine;
use crate::fixtures::connected;

const DRILL: &str = "verify-contract --drill mgmt-outage --yes --outage 1m";

fn platform(machine: &FakeMachine) -> Vec<Value> {
    let stage = serde_json::to_value(machine.page().stage).expect("a value");
    ["mgmt-cp", "mgmt-w1"].iter().map(|vm| stage["vms"][*vm]["power"].clone()).collect()
}

#[test]
fn drill_restores_the_platform_and_gives_a_verdict() {
    let machine = FakeMachine::from_simulation(&connected().root().join("out/simulation"));
    let mut run = machine.start(DRILL, 100);
    run.until("the outage goes on for");
    assert_eq!(platform(&machine), ["Stopped", "Stopped"]);
    assert!(machine.text("out/drill.json").contains("\"stopped\":\"mgmt\""), "the mark is there meanwhile");
    run.signal("INT");
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains("drill interrupted; the platform was restored"), "{}", ran.err);
    assert_eq!((platform(&machine), machine.text("out/drill.json").as_str()), (vec!["Running".into(); 2], ""));
    let whole = machine.must(DRILL);
    assert!(whole.out.contains("drill mgmt-outage on real machines"), "{}", whole.out);
    assert!(machine.below("out/reports").iter().any(|file| file.as_str().ends_with("report.html")));
    assert!(machine.running().is_empty(), "nothing outlives it");
}
