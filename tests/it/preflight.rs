//! A machine that is not ready for the fleet: what it lacks is told at once, with the line to change.
//! Knows nothing of how a machine is looked at.

use serde_json::{Value, json};

use crate::ui::{Place, settings};

/// A bootstrap on a machine of which one thing is different.
fn on(change: impl FnOnce(&mut Value)) -> (u8, String) {
    let place = Place::new();
    assert_eq!(place.run("bootstrap --simulate --only host/machine").code, 0);
    let path = place.root().join("out/simulation/world.json");
    let mut world: Value = serde_json::from_str(&read(&path)).expect("JSON");
    change(&mut world["stage"]["machine"]);
    write(&path, &world.to_string());
    let ran = place.run("bootstrap --simulate");
    let text = read(&path);
    let after: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(after["stage"]["vms"], json!({}), "nothing was begun");
    // The last line tells how long the looking took.
    let told: Vec<&str> = ran.err.lines().filter(|line| !line.contains("Failed bootstrap after")).collect();
    (ran.code, told.join("\n"))
}

#[expect(clippy::disallowed_methods, reason = "tests look into what a rehearsal left")]
fn read(path: &camino::Utf8Path) -> String {
    std::fs::read_to_string(path).expect("it is there")
}

#[expect(clippy::disallowed_methods, reason = "tests arrange a machine")]
fn write(path: &camino::Utf8Path, text: &str) {
    std::fs::write(path, text).expect("it can be written");
}

/// Multipass 1.17 on a fresh Linux has its VMs in 10.97.0.0/24 to 10.97.2.0/24 (canonical/multipass#4969).
#[test]
fn a_network_in_a_range_of_ours_names_the_line_and_a_free_range() {
    let (code, told) = on(|machine| machine["networks"] = json!(["192.168.1.0/24", "10.97.0.0/24", "10.97.1.0/24"]));
    assert_eq!(code, 3);
    settings().bind(|| insta::assert_snapshot!("preflight-network", told));
}

#[test]
fn a_machine_too_small_is_told_what_it_lacks() {
    let (code, told) = on(|machine| {
        machine["memory_bytes"] = json!(16u64 << 30);
        machine["free_disk_bytes"] = json!(5u64 << 30);
    });
    assert_eq!(code, 3);
    settings().bind(|| insta::assert_snapshot!("preflight-machine", told));
}
