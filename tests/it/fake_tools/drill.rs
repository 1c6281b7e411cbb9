//! The outage drill with fake tools.
#![expect(clippy::disallowed_methods, reason = "edits a report")]

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
    let mut run = machine.start(&DRILL.replace("1m", "30m"), 100);
    run.until("the outage goes on for");
    assert_eq!(platform(&machine), ["Stopped", "Stopped"]);
    assert!(machine.text("out/drill.json").contains("\"stopped\":\"mgmt\""), "the mark is there meanwhile");
    let status = machine.run("status").err;
    assert!(status.contains("drill mgmt-outage: mgmt is stopped since 20"), "{status}");
    assert!(status.contains(&format!("(pid {}, `verify-contract --drill` since ", run.pid())), "{status}");
    run.signal("INT");
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains("drill interrupted; the platform was restored"), "{}", ran.err);
    assert_eq!((platform(&machine), machine.text("out/drill.json").as_str()), (vec!["Running".into(); 2], ""));
    let whole = machine.must(DRILL);
    assert!(whole.out.contains("drill mgmt-outage on real machines"), "{}", whole.out);
    // The path is accepted as it was printed.
    let path = whole.err.lines().find_map(|line| line.trim().strip_prefix("Wrote ")).expect("a path");
    machine.must(&format!("report verify {path}"));
    let folder = path.trim_end_matches("/report.html");
    let report: Value = serde_json::from_str(&machine.text(&format!("{folder}/report.json"))).expect("JSON");
    assert!(report["tools"]["helm"].is_string() && report["live"].is_object(), "{report:#}");
    let observed = machine.text(&format!("{folder}/observed.json"));
    std::fs::write(machine.root().join(format!("{folder}/observed.json")), observed.replace("app1", "app3")).unwrap();
    let edited = machine.run(&format!("report verify {folder}"));
    assert!(edited.code == Some(1) && edited.err.contains("what the drill observed differs"), "{}", edited.err);
    assert!(machine.running().is_empty(), "nothing outlives it");
}
