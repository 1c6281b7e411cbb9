//! `status`, `doctor`, `stop`, `start`, `destroy` and `add-cluster` on a simulated fleet.
#![expect(clippy::disallowed_methods, reason = "tests write simulated state")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use tool::extract::base64;

use crate::fixtures::{bootstrapped, connected};
use crate::golden;
use crate::ui::{Repo, settings};

fn snapshot(name: &str, text: &str) {
    settings().bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn status_is_one_screen_in_every_state() {
    let repo = Repo::new();
    let nothing = repo.run("status --simulate");
    assert_eq!(nothing.code, 1);
    snapshot("status-nothing", &nothing.out);
    repo.must("bootstrap --simulate -q");
    let whole = repo.run("status --simulate");
    assert_eq!(whole.code, 0, "{}", whole.out);
    assert!(whole.out.lines().last().is_some_and(|l| l.starts_with("all ")), "{}", whole.out);
    snapshot("status-whole", &whole.out);
    repo.must("mesh-connect --simulate -q");
    let connected = repo.run("status --simulate");
    assert_eq!(connected.code, 0, "{}", connected.out);
    snapshot("status-connected", &connected.out);
    repo.edit_vms(|vms| {
        vms["app1-cp"]["power"] = json!("Stopped");
        vms["app2-w1"]["power"] = json!("Deleted");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    let mixed = repo.run("status --simulate");
    assert_eq!(mixed.code, 1);
    assert!(mixed.out.lines().count() <= 60);
    snapshot("status-mixed", &mixed.out);
}

#[test]
fn status_is_one_object_for_scripts_and_changes_nothing() {
    let repo = bootstrapped();
    let journal = repo.root().join("out/simulation/journal.jsonl");
    let before = std::fs::read(&journal).expect("a journal");
    let ran = repo.run("status --simulate --format json");
    let all: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(all["clusters"][1]["nodes"][0]["address"], "192.168.252.13");
    assert_eq!(all["clusters"][0]["releases"][0]["state"], "up to date");
    assert_eq!((&all["mesh"][1]["cluster"], &all["mesh"][1]["connected"]), (&json!("app1"), &Value::Null));
    assert_eq!(all["contract"][4], json!({ "clause": "C5", "holds": true }));
    assert_eq!(std::fs::read(&journal).expect("a journal"), before);
}

#[test]
fn doctor_lists_problems_and_fix_applies_safe_ones() {
    use std::os::unix::fs::PermissionsExt;
    let repo = bootstrapped();
    let healthy = repo.run("doctor --simulate");
    assert!(healthy.code == 0 && healthy.out.contains("no problems found"), "{}", healthy.out);
    repo.edit_vms(|vms| {
        vms["app1-w1"]["power"] = json!("Stopped");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    repo.delay_clock("app2-cp", 7200);
    let secret = repo.root().join("out/simulation/secrets/mesh-ca.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let ill = repo.run("doctor --simulate");
    assert_eq!(ill.code, 1);
    snapshot("doctor-ill", &ill.out);
    let fixed = repo.run("doctor --simulate --fix");
    assert_eq!(fixed.code, 0, "{}", fixed.err);
    // The worker's pods come back by themselves; the second time there is but waiting to do.
    repo.must("doctor --simulate --fix");
    assert!(repo.run("doctor --simulate").out.contains("no problems found"));
    assert_eq!(std::fs::metadata(&secret).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn doctor_without_tools_exits_3() {
    let ran = Repo::new().run("doctor");
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(ran.out.contains("   why: multipass: not found on PATH\n"), "{}", ran.out);
    assert_eq!(Repo::new().run("status").code, 1);
}

#[test]
fn doctor_prints_json() {
    let repo = bootstrapped();
    repo.edit_vms(|vms| vms["app1-w1"]["power"] = json!("Unknown"));
    let out = repo.run("doctor --simulate --format json").out;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines[0]["fix"].as_str(), &lines[1]["findings"]), (Some("app1/w1/launch"), &json!(1)));
}

#[test]
fn plans_match_their_snapshots() {
    let repo = Repo::new();
    for name in ["stop", "start", "destroy"] {
        let ran = repo.run(&format!("plan {name} --full"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        settings().bind(|| insta::assert_snapshot!(format!("{name}.plan"), ran.out));
    }
}

#[test]
fn stopped_fleet_starts_and_is_then_unchanged() {
    let repo = bootstrapped();
    repo.must("stop --simulate");
    assert_eq!(repo.run("stop --simulate --format json").out.matches("\"event\":\"unchanged\"").count(), 7);
    repo.must("start --simulate");
    repo.must("status --simulate");
    assert!(!repo.run("start --simulate --format json").out.contains("\"running\""), "nothing is left to do");
}

#[test]
fn start_makes_no_vm() {
    let repo = Repo::new();
    let ran = repo.run("start --simulate");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("hint: cargo xtask bootstrap --simulate   # makes what is not there"), "{}", ran.err);
    assert!(ran.err.trim_end().ends_with("to continue: cargo xtask bootstrap --simulate"), "{}", ran.err);
}

fn secrets_of(repo: &Repo, cluster: &str) -> BTreeMap<String, String> {
    let folder = repo.root().join("out/simulation/secrets");
    let files = folder.read_dir_utf8().expect("a folder").flatten();
    let own = files.filter(|file| file.file_name().starts_with(&format!("{cluster}.")));
    own.map(|file| (file.file_name().to_owned(), std::fs::read_to_string(file.path()).expect("a text"))).collect()
}

/// Files below `out/`, and control planes of clusters, that hold a text.
fn places_of(repo: &Repo, value: &str) -> Vec<String> {
    let all = golden::files_below(repo.root().join("out").as_std_path()).into_iter();
    let files = all.filter(|path| !path.ends_with("world.json"));
    let holds = |path: &PathBuf| std::fs::read(path).is_ok_and(|b| String::from_utf8_lossy(&b).contains(value.trim()));
    let mut places: Vec<String> = files.filter(holds).map(|path| path.display().to_string()).collect();
    for vm in ["mgmt-cp", "app2-cp"] {
        let cluster = repo.state_json()["state"]["vms"][vm]["guest"]["control"].to_string();
        // As a part of another text, and in base64 as Secrets have it.
        let encoded = base64(value.trim().as_bytes());
        places.extend([value.trim(), &encoded].iter().filter(|text| cluster.contains(**text)).map(|_| vm.to_owned()));
    }
    places
}

#[test]
fn destroy_deletes_only_the_fleet_and_its_records() {
    let repo = bootstrapped();
    repo.edit_vms(|vms| {
        vms["mine"] = vms["app1-w1"].clone();
        vms["mine-deleted"] = vms["app1-w1"].clone();
        vms["mine-deleted"]["power"] = json!("Deleted");
    });
    let secrets = secrets_of(&repo, "app1");
    assert!(secrets.len() > 4, "{:?}", secrets.keys());
    let part = repo.run("destroy --simulate --only app1/*");
    assert_eq!(part.code, 0, "{}", part.err);
    assert!(part.err.contains("app1 is still a mesh peer of mgmt and app2; "), "{}", part.err);
    for (name, value) in secrets {
        assert_eq!(places_of(&repo, &value), [""; 0], "{name} of a destroyed cluster");
    }
    let world = repo.root().join("out/simulation/world.json");
    let vms =
        || -> Value { serde_json::from_str(&std::fs::read_to_string(&world).expect("saved state")).expect("JSON") };
    let names: Vec<String> = vms()["state"]["vms"].as_object().expect("VMs").keys().cloned().collect();
    assert_eq!(names, ["app2-cp", "app2-w1", "mgmt-cp", "mgmt-w1", "mine", "mine-deleted"]);
    assert!(!repo.root().join("out/simulation/kube/app1.yaml").exists());
    assert!(repo.root().join("out/simulation/kube/app2.yaml").exists());
    let again = repo.run("bootstrap --simulate -q");
    assert_eq!((again.code, repo.run("status --simulate").code), (0, 0), "{}", again.err);
    repo.must("destroy --simulate");
    assert!(!world.exists() && !repo.root().join("out/simulation/journal.jsonl").exists());
    assert_eq!(repo.root().join("out/simulation/secrets").read_dir_utf8().expect("a folder").count(), 0);
}

#[test]
fn new_cluster_changes_no_other() {
    let repo = Repo::new();
    let ran = repo.run("add-cluster app3");
    assert_eq!(ran.code, 0, "{}", ran.err);
    snapshot("add-cluster", &ran.out);
    let text = crate::golden::read("infra/fleet.toml") + &ran.out;
    std::fs::write(repo.root().join("grown.toml"), text).expect("written");
    repo.must("fleet check --fleet grown.toml");
    repo.must("bootstrap --simulate -q");
    let grown = repo.run("bootstrap --simulate --fleet grown.toml --format json");
    let acts = grown.out.lines().filter(|l| l.contains("\"mutates\":true"));
    let others: Vec<&str> = acts.filter(|l| !l.contains("app3") && !l.contains("\"fleet/kubeconfig\"")).collect();
    assert_eq!((grown.code, others), (0, vec![]));
}

#[test]
fn new_cluster_is_connected_and_others_get_only_a_peer() {
    let repo = connected();
    let text = crate::golden::read("infra/fleet.toml") + &repo.run("add-cluster app3").out;
    std::fs::write(repo.root().join("grown.toml"), text).expect("written");
    repo.must("bootstrap --simulate -q --fleet grown.toml");
    let ran = repo.must("mesh-connect --simulate --fleet grown.toml --format json");
    let acts = ran.out.lines().filter(|line| line.contains("\"mutates\":true"));
    let others: Vec<&str> = acts.filter(|line| !line.contains("app3/") && !line.contains("/mesh/peers\"")).collect();
    assert_eq!(others, [""; 0]);
    let status = repo.run("status --simulate --fleet grown.toml");
    assert!(status.code == 0 && status.out.contains("connected with mgmt, app1, app2"), "{}", status.out);
}

#[test]
fn invalid_new_cluster_is_refused() {
    let repo = Repo::new();
    for name in ["app1", "App3", "--x", "a\"b", "a;b", "$(a)", "default", "é"] {
        let ran = repo.run(&format!("add-cluster -- {name}"));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name}: {}", ran.err);
    }
}

/// Every VM of these clusters gets another address.
fn readdress(repo: &Repo, clusters: &[&str]) {
    repo.edit_vms(|vms| {
        for vm in clusters.iter().flat_map(|c| [format!("{c}-cp"), format!("{c}-w1")]) {
            let ip = vms[&vm]["ip"].as_str().and_then(|ip| ip.rsplit('.').next()?.parse::<u16>().ok());
            vms[&vm]["ip"] = json!(format!("192.168.252.{}", 20 + (ip.expect("an address") - 5) % 200));
        }
    });
}

/// `simulate --readdressed` varies which VMs have another address; here one choice, and what stays untouched.
#[test]
fn readdressed_clusters_are_repaired_and_the_others_are_not_touched() {
    let repo = connected();
    repo.must("stop --simulate -q");
    readdress(&repo, &["mgmt", "app2"]);
    let started = repo.must("start --simulate --format json");
    let acts = started.out.lines().filter(|l| l.contains("\"mutates\":true") && !l.contains("/launch\""));
    // Clocks are set wherever nodes are not ready yet, as they are after a boot; peers get the new addresses.
    let acts = acts.filter(|l| !l.contains("try-restart systemd-timesyncd") && !l.contains("/mesh/"));
    assert_eq!(acts.filter(|line| line.contains("\"app1/")).collect::<Vec<_>>(), [""; 0]);
    assert!(started.out.contains("\"remedy\":\"moved\""), "{}", started.out);
    assert!(!repo.run("start --simulate --format json").out.contains("\"running\""), "nothing is left to do");
    let status = repo.run("status --simulate");
    assert!(status.code == 0 && status.out.contains("connected with mgmt, app1"), "{}", status.out);
    let doctor = repo.run("doctor --simulate").out;
    assert!(doctor.contains("no problems found"), "{doctor}");
}

#[test]
fn readdressing_is_refused_for_commands_that_repair_no_address() {
    let ran = Repo::new().run("simulate --command destroy --readdressed --seed 1");
    assert!(
        ran.code == 2 && ran.err.contains("bootstrap, mesh-connect and start repair changed addresses"),
        "{}",
        ran.err
    );
}

#[test]
fn readdressed_vm_is_named_and_repaired() {
    for (vm, step) in [("app1-w1", "app1/w1/join"), ("app1-cp", "app1/cp/init")] {
        let repo = bootstrapped();
        repo.must("stop --simulate -q");
        repo.edit_vms(|vms| vms[vm]["ip"] = json!("192.168.252.77"));
        for (_, one) in [(0, "mgmt/*"), (1, "app2/*"), (2, "*/launch")] {
            repo.must(&format!("start --simulate -q --only {one}"));
        }
        let ill = repo.run("doctor --simulate");
        assert_eq!(ill.code, 1);
        snapshot(&format!("doctor-moved-{vm}"), &ill.out);
        let fixed = repo.must("start --simulate --format json");
        let moved = fixed.out.lines().find(|line| line.contains("\"remedy\":\"moved\"")).expect("a case");
        assert!(moved.contains(step), "{moved}");
        assert!(repo.run("doctor --simulate").out.contains("no problems found"));
    }
}

#[test]
fn certificates_are_renewed_before_they_expire() {
    let repo = bootstrapped();
    repo.edit_stage(|sim| sim.age_certificates(350, false));
    assert!(repo.run("status --simulate").out.contains(" 14d"));
    let doctor = repo.run("doctor --simulate");
    assert!(doctor.code == 1 && doctor.out.contains("certificates of `mgmt-cp` expire in 14 days"), "{}", doctor.out);
    repo.must("doctor --simulate --fix");
    // The second time waits for the nodes.
    repo.must("doctor --simulate --fix");
    let doctor = repo.run("doctor --simulate").out;
    assert!(doctor.contains("no problems found"), "{doctor}");
    assert!(repo.run("status --simulate").out.contains(" 364d"));
}

/// Pods that read their configuration only when they start are made anew by another one; others are left alone.
#[test]
fn a_changed_value_reaches_pods_that_run() {
    let repo = bootstrapped();
    let since = || {
        let workloads = &repo.state_json()["state"]["vms"]["mgmt-cp"]["guest"]["control"]["Made"]["workloads"];
        [
            "vault/statefulset/vault",
            "monitoring/statefulset/loki",
            "seaweedfs/deployment/seaweedfs-all-in-one",
            "monitoring/statefulset/prometheus",
        ]
        .map(|workload| workloads[workload]["since"].clone())
    };
    let before = since();
    repo.change_charts(
        &[
            ["vault", "ui = true", "ui = true\n      log_level = \"warn\""],
            ["loki", "retention_period: ", "retention_period: 1"],
            ["seaweedfs", "port: 8333", "port: 8334"],
            ["prometheus", "scrape_interval: ", "scrape_interval: 1"],
        ]
        .map(|[chart, from, to]| [format!("charts/{chart}/values.yaml"), from.to_owned(), to.to_owned()]),
    );
    let again = repo.must("bootstrap --simulate");
    let rolled: Vec<bool> = before.iter().zip(since()).map(|(before, after)| *before != after).collect();
    assert_eq!(rolled, [true, true, true, false], "{}", again.err);
    assert!(again.err.contains("Started mgmt/vault/unseal"), "{}", again.err);
    repo.must("status --simulate");
}

#[test]
fn mesh_certificates_are_renewed_before_they_expire_and_afterwards() {
    let repo = connected();
    for (days, end) in [(320, "expire in 44 days"), (400, "have expired")] {
        for command in ["start", "upgrade", "doctor --fix"] {
            let aged = repo.copy();
            aged.edit_stage(|sim| sim.age_mesh_certificates("app1", days));
            let status = aged.run("status --simulate").out;
            assert!(status.contains("app1 (workload), API up, mesh certificates"), "{status}");
            let doctor = aged.run("doctor --simulate").out;
            assert!(doctor.contains(&format!("certificates of the mesh on `app1` {end}")), "{doctor}");
            aged.must(&format!("{command} --simulate -q"));
            aged.must("mesh-connect --simulate -q");
            let status = aged.must("status --simulate").out;
            assert!(status.contains("app1 (workload), API up, mesh certificates 364d"), "{command}: {status}");
        }
    }
    // A cluster that runs has them issued again every four months.
    repo.edit_stage(|sim| sim.age_certificates(350, false));
    assert!(repo.run("status --simulate").out.contains("mesh certificates 258d"));
}

#[test]
fn a_fleet_that_was_off_for_longer_than_its_certificates_comes_back() {
    for command in ["start", "doctor --fix"] {
        let repo = connected();
        repo.must("stop --simulate -q");
        repo.edit_stage(|sim| sim.age_certificates(400, true));
        if command == "doctor --fix" {
            // Machines are up, and no API server is.
            repo.edit_vms(|vms| {
                let all = vms.as_object_mut().expect("machines");
                all.values_mut().for_each(|vm| vm["power"] = json!("Running"));
            });
            let doctor = repo.run("doctor --simulate");
            let first =
                doctor.out.lines().find(|line| line.contains("error") || line.contains('`')).unwrap_or_default();
            assert!(first.contains("certificates of `mgmt-cp` have expired"), "{}", doctor.out);
        }
        let ran = repo.run(&format!("{command} --simulate"));
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        repo.must("bootstrap --simulate -q");
        let status = repo.run("status --simulate");
        assert!(status.code == 0 && status.out.contains(" 36"), "{command}: {}", status.out);
        assert!(!status.out.contains("mesh certificates 0d"), "{command}: {}", status.out);
    }
}
