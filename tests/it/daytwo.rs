//! The day after: what `status` and `doctor` show of a fleet in several states, and that `doctor --fix` mends it.
//! Knows nothing of how a state comes about; it is written into the story of the embedded world.
#![expect(clippy::disallowed_methods, reason = "tests write into the story of the embedded world")]

use serde_json::{Value, json};

use crate::ui::{Place, settings};

/// A fleet that was brought up.
pub fn fleet() -> Place {
    let place = Place::new();
    let ran = place.run("bootstrap --rehearse --quiet");
    assert_eq!(ran.code, 0, "{}", ran.err);
    place
}

/// Changes VMs behind everyone's back.
pub fn disturb(place: &Place, change: impl FnOnce(&mut Value)) {
    let path = place.root().join("out/rehearsal/world.json");
    let mut story: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a story")).expect("JSON");
    change(&mut story["stage"]["vms"]);
    std::fs::write(path, story.to_string()).expect("written");
}

fn snapshot(name: &str, text: &str) {
    settings().bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn status_is_one_screen_in_every_state() {
    let place = Place::new();
    let nothing = place.run("status --rehearse");
    assert_eq!(nothing.code, 1);
    snapshot("status-nothing", &nothing.out);
    assert_eq!(place.run("bootstrap --rehearse -q").code, 0);
    let whole = place.run("status --rehearse");
    assert_eq!((whole.code, whole.out.lines().last()), (0, Some("all 79 questions are answered as wanted")));
    snapshot("status-whole", &whole.out);
    disturb(&place, |vms| {
        vms["app1-cp"]["power"] = json!("Stopped");
        vms["app2-w1"]["power"] = json!("Deleted");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    let mixed = place.run("status --rehearse");
    assert_eq!(mixed.code, 1);
    assert!(mixed.out.lines().count() <= 50);
    snapshot("status-mixed", &mixed.out);
}

#[test]
fn status_is_one_object_for_scripts_and_changes_nothing() {
    let place = fleet();
    let journal = place.root().join("out/rehearsal/journal.jsonl");
    let before = std::fs::read(&journal).expect("a journal");
    let ran = place.run("status --rehearse --format json");
    let all: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(all["clusters"][1]["nodes"][0]["address"], "192.168.252.13");
    assert_eq!(all["clusters"][0]["releases"][0]["state"], "as wanted");
    assert_eq!(std::fs::read(&journal).expect("a journal"), before);
}

#[test]
fn doctor_names_each_trouble_and_fix_mends_what_is_safe() {
    use std::os::unix::fs::PermissionsExt;
    let place = fleet();
    let healthy = place.run("doctor --rehearse");
    assert_eq!((healthy.code, healthy.out.as_str()), (0, "nothing is amiss (79 questions)\n"));
    disturb(&place, |vms| {
        vms["app1-w1"]["power"] = json!("Stopped");
        vms["app2-cp"]["lag"] = json!(7200);
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    let secret = place.root().join("out/rehearsal/secrets/mesh-ca.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let ill = place.run("doctor --rehearse");
    assert_eq!(ill.code, 1);
    snapshot("doctor-ill", &ill.out);
    let mended = place.run("doctor --rehearse --fix");
    assert_eq!(mended.code, 0, "{}", mended.err);
    // The worker's pods come back by themselves; the second time there is but waiting to do.
    assert_eq!(place.run("doctor --rehearse --fix").code, 0);
    assert_eq!(place.run("doctor --rehearse").out, "nothing is amiss (79 questions)\n");
    assert_eq!(std::fs::metadata(&secret).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_machine_without_tools_is_told_apart() {
    let ran = Place::new().run("doctor");
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(ran.out.contains("brew install --cask multipass"), "{}", ran.out);
    assert_eq!(Place::new().run("status").code, 1);
}

#[test]
fn doctor_speaks_json() {
    let place = fleet();
    disturb(&place, |vms| vms["app1-w1"]["power"] = json!("Unknown"));
    let out = place.run("doctor --rehearse --format json").out;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines[0]["fix"].as_str(), &lines[1]["findings"]), (Some("app1/w1/launch"), &json!(1)));
}
