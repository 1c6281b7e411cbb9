//! Multipass and what runs in its VMs.
//! Knows nothing of the other tools.

use super::*;

#[test]
fn a_launch_waits_for_preparation_and_the_image_is_fetched_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.launch("app1-cp").stdout, "Launched: app1-cp\n");
    let first = scene.world.now();
    assert!(first > Duration::from_secs(200), "{first:?}");
    assert!(scene.launch("app1-w1").ok());
    assert!(scene.world.now() - first < Duration::from_secs(180));
    assert_eq!(scene.state("app1-cp")["prep"], "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1");
    assert!(scene.world.unknown().is_empty());
}

#[test]
fn a_name_is_taken_until_it_is_purged() {
    let mut scene = Scene::new();
    scene.launch("app1-cp");
    let again = "multipass launch 24.04 --name app1-cp --cloud-init -";
    scene.no(again, 2, "launch failed: instance \"app1-cp\" already exists");
    scene.ok("multipass delete app1-cp");
    scene.no(again, 2, "already exists");
    scene.no("multipass start app1-cp", 2, "is deleted. Use 'recover'");
    scene.ok("multipass recover app1-cp");
    scene.ok("multipass start app1-cp");
    scene.ok("multipass delete --purge app1-cp");
    scene.no("multipass info app1-cp --format json", 2, "instance \"app1-cp\" does not exist");
    assert!(scene.launch("app1-cp").ok());
    assert_eq!(scene.world.stage().launches()["app1-cp"], 2);
}

#[test]
fn a_second_launch_in_flight_and_wrong_sizes_are_refused() {
    let mut scene = Scene::new();
    let first = scene.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    scene.pass(10);
    scene.no("multipass launch 24.04 --name a --cloud-init -", 2, "is being prepared");
    assert!(scene.end(first).ok());
    for (line, text) in [
        ("multipass launch 24.04 --name 1x --cloud-init -", "Invalid instance name supplied: 1x"),
        ("multipass launch 24.04 --name b --memory 100M --cloud-init -", "Invalid memory size value supplied: 100M."),
        ("multipass launch 22.10 --name b --cloud-init -", "Unable to find an image matching \"22.10\""),
    ] {
        scene.no(line, 2, text);
    }
    scene.no_fed("multipass launch 24.04 --name b --cloud-init -", "a: [", 1, "cloud-init config");
    scene.no("multipass launch 24.04 --nam b", 1, "Unknown option 'nam'.");
    assert_eq!(scene.world.unknown().len(), 1);
}

#[test]
fn a_killed_or_timed_out_launch_leaves_a_vm_that_comes_up() {
    let mut scene = Scene::new();
    let task = scene.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    scene.pass(5);
    scene.world.kill(task, true);
    assert_eq!(scene.end(task).exit, Exit::Signal(9));
    scene.pass(300);
    assert!(!scene.state("a")["prep"].as_str().unwrap().is_empty());
    let short = "multipass launch 24.04 --name b --timeout 60 --cloud-init -";
    scene.no_fed(short, USER_DATA, 5, "Timed out waiting for instance launch.");
    assert_ne!(scene.ip("b"), "");
}

#[test]
fn a_stopped_vm_shows_little_and_exec_starts_it() {
    let mut scene = Scene::new();
    scene.launch("a");
    scene.ok("multipass stop a");
    let info = scene.ok("multipass info a --format json");
    assert!(info.contains("\"state\":\"Stopped\"") && info.contains("\"memory\":{}") && info.contains("\"ipv4\":[]"));
    assert!(scene.exec("a", "true").ok());
    assert!(scene.ok("multipass info a --format json").contains("\"state\":\"Running\""));
}

#[test]
fn preparation_goes_on_without_its_asker_and_locks_others_out() {
    let mut scene = Scene::new();
    let behind = USER_DATA.replace("[/usr/local/sbin/node-prep]", "[echo]");
    scene.fed("multipass launch 24.04 --name a --cloud-init -", &behind);
    assert_eq!(scene.state("a")["prep"], "");
    let prep = "multipass exec -n a -- sudo /usr/local/sbin/node-prep";
    let task = scene.start(prep, "");
    scene.pass(30);
    scene.world.kill(task, true);
    scene.end(task);
    let before = scene.world.now();
    assert_eq!(scene.ok(prep), "node-prep: already done\n");
    let waited = scene.world.now() - before;
    assert!(waited > Duration::from_secs(60) && waited < Duration::from_secs(100), "{waited:?}");
}

#[test]
fn what_the_guest_does_not_have_is_not_found() {
    let mut scene = Scene::new();
    scene.fed("multipass launch 24.04 --name a --cloud-init -", "runcmd: []\n");
    scene.no("multipass exec -n a -- sudo /usr/local/sbin/node-prep", 1, "command not found");
    scene.no("multipass exec -n a -- sudo kubeadm version", 1, "kubeadm: command not found");
    scene.no("multipass exec -n a -- frobnicate", 127, "frobnicate: command not found");
    scene.no("multipass exec -n a -- cat /etc/nothing", 1, "No such file");
    scene.no("multipass exec -n b -- true", 2, "does not exist");
    scene.no("multipass exec -n a -- sudo /usr/local/sbin/node-keep /etc/archipelago/x", 1, "command not found");
}

#[test]
fn a_missing_tool_is_missing() {
    let mut machine = Machine::default();
    machine.tools.remove("helm");
    let mut scene = Scene::on(machine, Faults::none());
    assert_eq!(scene.run("helm version --template {{.Version}}").exit, Exit::Missing);
}
