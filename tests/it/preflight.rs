//! A machine that does not fit the fleet: what it lacks, and the line to change.

use serde_json::{Value, json};

use crate::fixtures::bootstrapped;
use crate::ui::{Repo, settings};

/// A bootstrap on a machine of which one thing is different.
fn on(change: impl FnOnce(&mut Value)) -> (u8, String) {
    let repo = Repo::new();
    repo.must("bootstrap --simulate --only host/machine");
    repo.edit_json(|stage| change(&mut stage["machine"]));
    let ran = repo.run("bootstrap --simulate");
    assert_eq!(repo.state_json()["state"]["vms"], json!({}), "nothing was begun");
    // The last line tells how long the looking took.
    let printed: Vec<&str> = ran.err.lines().filter(|line| !line.contains("Failed bootstrap after")).collect();
    (ran.code, printed.join("\n"))
}

#[test]
fn overlapping_network_names_the_line_and_a_free_range() {
    let (code, printed) = on(|machine| machine["networks"] = json!(["192.168.1.0/24", "10.97.0.0/24", "10.97.1.0/24"]));
    assert_eq!(code, 3);
    settings().bind(|| insta::assert_snapshot!("preflight-network", printed));
}

#[test]
fn too_small_machine_gets_exact_shortages() {
    let (code, printed) = on(|machine| {
        machine["memory_bytes"] = json!(16u64 << 30);
        machine["free_disk_bytes"] = json!(5u64 << 30);
    });
    assert_eq!(code, 3);
    settings().bind(|| insta::assert_snapshot!("preflight-machine", printed));
}

#[test]
fn tools_that_do_not_work_here_are_refused_with_what_helps() {
    for (tool, version, words) in [
        ("multipass", "1.16.4", ["canonical/multipass#5290", "hint: install 1.16.3: https://"]),
        ("kubectl", "1.37.0", ["1.37.0", "cargo xtask tools install"]),
        ("kubectl", "1.33.9", ["1.33.9", "cargo xtask tools install"]),
    ] {
        let (code, printed) = on(|machine| machine["tools"][tool] = json!(version));
        assert!(code == 3 && words.iter().all(|words| printed.contains(words)), "{tool} {version}: {printed}");
    }
    // The same version of Multipass is fine elsewhere.
    let repo = Repo::new();
    repo.must("bootstrap --simulate --only host/machine");
    repo.edit_json(|stage| {
        stage["machine"]["tools"]["multipass"] = json!("1.16.4");
        stage["machine"]["os"] = json!("linux");
    });
    repo.must("bootstrap --simulate --only host/*");
}

/// No DNS in the machine, Docker's rule that drops what is forwarded, a registry's limit: the host is named with the
/// reason, and the next run goes on when it ends.
#[test]
fn a_host_that_nodes_cannot_reach_is_named() {
    for (host, why, words) in [
        (
            "pkgs.k8s.io",
            "curl: (6) Could not resolve host: pkgs.k8s.io",
            "cannot reach pkgs.k8s.io from here: curl: (6)",
        ),
        (
            "quay.io",
            "curl: (28) Connection timed out after 10001 milliseconds",
            "cannot reach quay.io from here: curl: (28)",
        ),
        ("registry-1.docker.io", "429", "registry-1.docker.io limits requests from here: HTTP 429"),
    ] {
        let repo = Repo::new();
        repo.must("bootstrap --simulate --only host/machine");
        repo.edit_json(|stage| stage["machine"]["unreachable"] = json!({ host: why }));
        let ran = repo.run("bootstrap --simulate --until mgmt/cp/prep");
        assert!(ran.code == 1 && ran.err.contains(words), "{host}: {}", ran.err);
        repo.edit_json(|stage| stage["machine"]["unreachable"] = json!({}));
        repo.must("bootstrap --simulate --until mgmt/cp/prep");
    }
}

/// On macOS the network of the VMs is there only with the first of them.
#[test]
fn ranges_around_the_first_vm_are_refused_before_anything_is_initialised() {
    let repo = Repo::new();
    repo.must("bootstrap --simulate --only host/machine");
    repo.edit_json(|stage| stage["machine"]["vm_network"] = json!("10.98.7.0/24"));
    let ran = repo.run("bootstrap --simulate");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("`service_cidr` of `app2`") && ran.err.contains("service_cidr = \""), "{}", ran.err);
    let vms = repo.state_json()["state"]["vms"].clone();
    let made = vms.as_object().expect("machines").values().any(|vm| vm["guest"]["control"] != json!("None"));
    assert!(!made && vms["mgmt-cp"].is_object(), "{vms}");
}

/// The client's version says nothing of its service, and the next command says what is the matter.
#[test]
fn a_service_that_refuses_is_named_with_its_own_fix_by_every_command() {
    let start = if cfg!(target_os = "macos") { "launchctl kickstart" } else { "sudo snap start multipass" };
    for (daemon, why, fix) in [
        ("down", "list failed: cannot connect to the multipass socket", start),
        ("not-authenticated", "The client is not authenticated with the Multipass service.", "multipass authenticate"),
    ] {
        let repo = bootstrapped();
        repo.edit_json(|stage| stage["machine"]["multipassd"] = json!(daemon));
        for line in ["bootstrap", "status", "doctor", "stop"] {
            let ran = repo.run(&format!("{line} --simulate"));
            let printed = format!("{}{}", ran.out, ran.err);
            let has_fix = line == "status" || printed.contains(fix);
            assert!(ran.code != 0 && printed.contains(why) && has_fix, "{line}: {printed}");
            assert!(!printed.contains("install --cask") && !printed.contains("snap install multipass"), "{printed}");
        }
    }
}
