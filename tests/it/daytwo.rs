//! The day after: what `status` and `doctor` show of a fleet in several states, and that `doctor --fix` mends it.
//! Knows nothing of how a state comes about; it is written into the story of the embedded world.
#![expect(clippy::disallowed_methods, reason = "tests write into the story of the embedded world")]

use serde_json::{Value, json};

pub use crate::story::brought_up as fleet;
use crate::ui::{Place, settings};
use plan::{check, power};

/// Changes VMs behind everyone's back.
pub fn disturb(place: &Place, change: impl FnOnce(&mut Value)) {
    arrange(place, |stage| change(&mut stage["vms"]));
}

/// The machine slept for so many seconds, and the clock of this VM alone has not been set since.
pub fn lags(place: &Place, vm: &str, seconds: u64) {
    arrange(place, |stage| {
        stage["slept"] = json!(seconds);
        stage["vms"][vm]["lag"] = json!(seconds);
    });
}

fn arrange(place: &Place, change: impl FnOnce(&mut Value)) {
    let path = place.root().join("out/simulation/world.json");
    let mut story: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a story")).expect("JSON");
    change(&mut story["stage"]);
    std::fs::write(path, story.to_string()).expect("written");
}

fn snapshot(name: &str, text: &str) {
    settings().bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn status_is_one_screen_in_every_state() {
    let place = Place::new();
    let nothing = place.run("status --simulate");
    assert_eq!(nothing.code, 1);
    snapshot("status-nothing", &nothing.out);
    assert_eq!(place.run("bootstrap --simulate -q").code, 0);
    let whole = place.run("status --simulate");
    assert_eq!(whole.code, 0, "{}", whole.out);
    assert!(whole.out.lines().last().is_some_and(|l| l.starts_with("all ")), "{}", whole.out);
    snapshot("status-whole", &whole.out);
    assert_eq!(place.run("mesh-connect --simulate -q").code, 0);
    let connected = place.run("status --simulate");
    assert_eq!(connected.code, 0, "{}", connected.out);
    snapshot("status-connected", &connected.out);
    disturb(&place, |vms| {
        vms["app1-cp"]["power"] = json!("Stopped");
        vms["app2-w1"]["power"] = json!("Deleted");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    let mixed = place.run("status --simulate");
    assert_eq!(mixed.code, 1);
    assert!(mixed.out.lines().count() <= 50);
    snapshot("status-mixed", &mixed.out);
}

#[test]
fn status_is_one_object_for_scripts_and_changes_nothing() {
    let place = fleet();
    let journal = place.root().join("out/simulation/journal.jsonl");
    let before = std::fs::read(&journal).expect("a journal");
    let ran = place.run("status --simulate --format json");
    let all: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(all["clusters"][1]["nodes"][0]["address"], "192.168.252.13");
    assert_eq!(all["clusters"][0]["releases"][0]["state"], "as wanted");
    assert_eq!((&all["mesh"][1]["cluster"], &all["mesh"][1]["connected"]), (&json!("app1"), &Value::Null));
    assert_eq!(all["contract"][4], json!({ "clause": "C5", "holds": true }));
    assert_eq!(std::fs::read(&journal).expect("a journal"), before);
}

#[test]
fn doctor_names_each_trouble_and_fix_mends_what_is_safe() {
    use std::os::unix::fs::PermissionsExt;
    let place = fleet();
    let healthy = place.run("doctor --simulate");
    assert!(healthy.code == 0 && healthy.out.starts_with("nothing is amiss"), "{}", healthy.out);
    disturb(&place, |vms| {
        vms["app1-w1"]["power"] = json!("Stopped");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    lags(&place, "app2-cp", 7200);
    let secret = place.root().join("out/simulation/secrets/mesh-ca.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let ill = place.run("doctor --simulate");
    assert_eq!(ill.code, 1);
    snapshot("doctor-ill", &ill.out);
    let mended = place.run("doctor --simulate --fix");
    assert_eq!(mended.code, 0, "{}", mended.err);
    // The worker's pods come back by themselves; the second time there is but waiting to do.
    assert_eq!(place.run("doctor --simulate --fix").code, 0);
    assert!(place.run("doctor --simulate").out.starts_with("nothing is amiss"));
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
    let out = place.run("doctor --simulate --format json").out;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines[0]["fix"].as_str(), &lines[1]["findings"]), (Some("app1/w1/launch"), &json!(1)));
}

/// Plans are pure, so their snapshots show every command.
#[test]
fn the_plans_are_as_reviewed() {
    let place = Place::new();
    for name in ["stop", "start", "destroy"] {
        let ran = place.run(&format!("plan {name}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        settings().bind(|| insta::assert_snapshot!(format!("{name}.plan"), ran.out));
    }
    for of in ["infra/fleet.toml", "tests/fleets/one.toml", "tests/fleets/wide.toml"] {
        let (fleet, _) = crate::golden::load(of);
        let bootstrap = crate::golden::plan(of, tool::helm::Helm::V4);
        for plan in [power::stop(&fleet), power::start(&fleet, bootstrap), power::destroy(&fleet)] {
            assert_eq!(check::check(&plan), [""; 0], "{} of {of}", plan.name);
        }
    }
}

#[test]
fn what_is_stopped_starts_again_and_then_rests() {
    let place = fleet();
    let stopped = place.run("stop --simulate");
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    assert_eq!(place.run("stop --simulate --format json").out.matches("\"event\":\"kept\"").count(), 7);
    let started = place.run("start --simulate");
    assert_eq!(started.code, 0, "{}", started.err);
    assert_eq!(place.run("status --simulate").code, 0);
    assert!(!place.run("start --simulate --format json").out.contains("\"running\""), "nothing is left to do");
}

#[test]
fn stop_and_start_find_their_way_through_faults() {
    for seed in 1..=3 {
        let place = fleet();
        for line in ["stop", "start"] {
            place.run(&format!("{line} --simulate --seed {seed} -q"));
            // A VM that was deleted meanwhile is recovered by the same command, but is none of a stop's business.
            let calm = place.run(&format!("{line} --simulate -q"));
            assert_eq!(calm.code, 0, "{line}, seed {seed}: {}", calm.err);
        }
        assert_eq!(place.run("status --simulate").code, 0, "seed {seed}");
    }
}

#[test]
fn start_makes_no_vm() {
    let place = Place::new();
    let ran = place.run("start --simulate");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("hint: cargo xtask bootstrap --simulate   # makes what is not there"), "{}", ran.err);
    assert!(ran.err.trim_end().ends_with("to go on: cargo xtask bootstrap --simulate"), "{}", ran.err);
}

#[test]
fn destroy_takes_the_fleet_alone_and_ends_the_story() {
    let place = fleet();
    disturb(&place, |vms| {
        vms["mine"] = vms["app1-w1"].clone();
        vms["mine-deleted"] = vms["app1-w1"].clone();
        vms["mine-deleted"]["power"] = json!("Deleted");
    });
    let part = place.run("destroy --simulate --only app1/*");
    assert_eq!(part.code, 0, "{}", part.err);
    let story = place.root().join("out/simulation/world.json");
    let vms = || -> Value { serde_json::from_str(&std::fs::read_to_string(&story).expect("a story")).expect("JSON") };
    let names: Vec<String> = vms()["stage"]["vms"].as_object().expect("VMs").keys().cloned().collect();
    assert_eq!(names, ["app2-cp", "app2-w1", "mgmt-cp", "mgmt-w1", "mine", "mine-deleted"]);
    assert!(!place.root().join("out/simulation/kube/app1.yaml").exists());
    assert!(place.root().join("out/simulation/kube/app2.yaml").exists());
    let again = place.run("bootstrap --simulate -q");
    assert_eq!((again.code, place.run("status --simulate").code), (0, 0), "{}", again.err);
    assert_eq!(place.run("destroy --simulate").code, 0);
    assert!(!story.exists() && !place.root().join("out/simulation/journal.jsonl").exists());
    assert_eq!(place.root().join("out/simulation/secrets").read_dir_utf8().expect("a folder").count(), 0);
}

#[test]
fn another_cluster_fits_and_leaves_the_others_alone() {
    let place = Place::new();
    let ran = place.run("add-cluster app3");
    assert_eq!(ran.code, 0, "{}", ran.err);
    snapshot("add-cluster", &ran.out);
    let text = crate::golden::read("infra/fleet.toml") + &ran.out;
    std::fs::write(place.root().join("grown.toml"), text).expect("written");
    assert_eq!(place.run("fleet check --fleet grown.toml").code, 0);
    assert_eq!(place.run("bootstrap --simulate -q").code, 0);
    let grown = place.run("bootstrap --simulate --fleet grown.toml --format json");
    let acts = grown.out.lines().filter(|l| l.contains("\"mutates\":true"));
    let others: Vec<&str> = acts.filter(|l| !l.contains("app3") && !l.contains("\"fleet/kubeconfig\"")).collect();
    assert_eq!((grown.code, others), (0, vec![]));
}

/// Those that were connected are told of the new one, and nothing else changes on them.
#[test]
fn another_cluster_is_connected_and_the_others_only_learn_of_it() {
    let place = fleet();
    assert_eq!(place.run("mesh-connect --simulate -q").code, 0);
    let text = crate::golden::read("infra/fleet.toml") + &place.run("add-cluster app3").out;
    std::fs::write(place.root().join("grown.toml"), text).expect("written");
    assert_eq!(place.run("bootstrap --simulate -q --fleet grown.toml").code, 0);
    let ran = place.run("mesh-connect --simulate --fleet grown.toml --format json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let acts = ran.out.lines().filter(|line| line.contains("\"mutates\":true"));
    let others: Vec<&str> = acts.filter(|line| !line.contains("app3/") && !line.contains("/mesh/peers\"")).collect();
    assert_eq!(others, [""; 0]);
    let status = place.run("status --simulate --fleet grown.toml");
    assert!(status.code == 0 && status.out.contains("connected with mgmt, app1, app2"), "{}", status.out);
}

#[test]
fn a_cluster_that_cannot_be_is_refused() {
    let place = Place::new();
    for name in ["app1", "App3", "--x", "a\"b", "a;b", "$(a)", "default", "é"] {
        let ran = place.run(&format!("add-cluster -- {name}"));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name}: {}", ran.err);
    }
}

/// Every VM of these clusters gets another address.
fn readdress(place: &Place, clusters: &[&str]) {
    disturb(place, |vms| {
        for vm in clusters.iter().flat_map(|c| [format!("{c}-cp"), format!("{c}-w1")]) {
            let ip = vms[&vm]["ip"].as_str().and_then(|ip| ip.rsplit('.').next()?.parse::<u16>().ok());
            vms[&vm]["ip"] = json!(format!("192.168.252.{}", 20 + (ip.expect("an address") - 5) % 200));
        }
    });
}

/// Each subset of the clusters comes back with other addresses, and `start` moves those and leaves the others alone.
#[test]
fn whatever_moves_comes_home_and_the_others_are_left_alone() {
    let place = Place::new();
    let until = "--only */nodes --only fleet/kubeconfig";
    assert_eq!(place.run(&format!("bootstrap --simulate -q {until}")).code, 0);
    let clusters = ["mgmt", "app1", "app2"];
    for subset in 1..8u8 {
        let moves: Vec<&str> = (0..3).filter(|bit| subset & (1 << bit) != 0).map(|bit| clusters[bit]).collect();
        assert_eq!(place.run("stop --simulate -q").code, 0);
        readdress(&place, &moves);
        let started = place.run(&format!("start --simulate --format json {until}"));
        assert_eq!(started.code, 0, "{moves:?}: {}", started.err);
        let acts = started.out.lines().filter(|l| l.contains("\"mutates\":true") && !l.contains("/launch\""));
        // Clocks are set wherever nodes are not ready yet, as they are after a boot.
        let acts = acts.filter(|l| !l.contains("try-restart systemd-timesyncd"));
        let strange =
            |line: &&str| !moves.iter().any(|c| line.contains(&format!("\"{c}/"))) && !line.contains("fleet/");
        assert_eq!(acts.filter(strange).collect::<Vec<_>>(), [""; 0], "{moves:?}");
        assert!(started.out.contains("\"case\":\"moved\""), "{moves:?}");
        assert!(
            !place.run(&format!("start --simulate --format json {until}")).out.contains("\"running\""),
            "{moves:?}: it does not rest"
        );
    }
}

/// The same with everything on them and connected: the mesh too knows where everybody is, and Vault is open.
#[test]
fn whatever_moves_is_connected_again() {
    let place = fleet();
    let ran = place.run("mesh-connect --simulate -q");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let clusters = ["mgmt", "app1", "app2"];
    for subset in 1..8u8 {
        let moves: Vec<&str> = (0..3).filter(|bit| subset & (1 << bit) != 0).map(|bit| clusters[bit]).collect();
        assert_eq!(place.run("stop --simulate -q").code, 0);
        readdress(&place, &moves);
        let started = place.run("start --simulate");
        assert_eq!(started.code, 0, "{moves:?}: {}", started.err);
        assert!(started.err.contains("Connected mgmt, app1, app2: 3 links"), "{moves:?}: {}", started.err);
        let status = place.run("status --simulate");
        assert_eq!(status.code, 0, "{moves:?}: {}", status.out);
        let doctor = place.run("doctor --simulate").out;
        assert!(doctor.starts_with("nothing is amiss"), "{moves:?}: {doctor}");
    }
}

/// The way back from a move, with faults on it: each time the same command goes on.
#[test]
fn whatever_moves_comes_home_through_faults() {
    for (seed, moves) in [(1, "mgmt"), (2, "app1"), (3, "app2")] {
        let place = fleet();
        assert_eq!(place.run("mesh-connect --simulate -q").code, 0);
        assert_eq!(place.run("stop --simulate -q").code, 0);
        disturb(&place, |vms| {
            vms[format!("{moves}-cp")]["ip"] = json!("192.168.252.77");
            vms[format!("{moves}-w1")]["ip"] = json!("192.168.252.78");
        });
        place.run(&format!("start --simulate --seed {seed} -q"));
        let calm = place.run("start --simulate -q");
        assert_eq!(calm.code, 0, "seed {seed}: {}", calm.err);
        assert_eq!(place.run("status --simulate").code, 0, "seed {seed}");
    }
}

/// Every choice of VMs is swept by `simulate --readdressed --seeds 1..63` in CI; here one for each command that repairs
/// addresses.
#[test]
fn the_way_back_from_a_move_is_rehearsed_with_faults() {
    for (command, trial) in [("bootstrap", "--seed 9"), ("start", "--seed 42"), ("mesh-connect", "--seed 63")] {
        let ran = Place::new().run(&format!("simulate --command {command} --readdressed {trial}"));
        assert!(ran.code == 0 && ran.err.contains("all converged"), "{command}: {}", ran.err);
    }
    let other = Place::new().run("simulate --command destroy --readdressed --seed 1");
    assert!(
        other.code == 2 && other.err.contains("bootstrap, mesh-connect and start repair changed addresses"),
        "{}",
        other.err
    );
}

/// A worker alone, and a control plane alone: the one needs the other's address, not the other way round.
#[test]
fn a_single_vm_that_moves_is_named_and_mended() {
    for (vm, mends) in [("app1-w1", "app1/w1/join"), ("app1-cp", "app1/cp/init")] {
        let place = fleet();
        assert_eq!(place.run("stop --simulate -q").code, 0);
        disturb(&place, |vms| vms[vm]["ip"] = json!("192.168.252.77"));
        for (_, one) in [(0, "mgmt/*"), (1, "app2/*"), (2, "*/launch")] {
            assert_eq!(place.run(&format!("start --simulate -q --only {one}")).code, 0);
        }
        let ill = place.run("doctor --simulate");
        assert_eq!(ill.code, 1);
        snapshot(&format!("doctor-moved-{vm}"), &ill.out);
        let mended = place.run("start --simulate --format json");
        assert_eq!(mended.code, 0, "{}", mended.err);
        let moved = mended.out.lines().find(|line| line.contains("\"case\":\"moved\"")).expect("a case");
        assert!(moved.contains(mends), "{moved}");
        assert!(place.run("doctor --simulate").out.starts_with("nothing is amiss"));
    }
}
