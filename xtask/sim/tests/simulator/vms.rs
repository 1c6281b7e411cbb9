//! Multipass and what runs in its VMs.

use super::*;

#[test]
fn a_launch_waits_for_preparation_and_the_image_is_fetched_once() {
    let mut sim = Fixture::new();
    assert_eq!(sim.launch("app1-cp").stdout, "Launched: app1-cp\n");
    let first = sim.world.now();
    assert!(first > Duration::from_secs(200), "{first:?}");
    assert!(sim.launch("app1-w1").ok());
    assert!(sim.world.now() - first < Duration::from_secs(180));
    assert_eq!(sim.state("app1-cp")["prep"], "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1");
    assert!(sim.world.unknown().is_empty());
}

#[test]
fn a_name_is_taken_until_it_is_purged() {
    let mut sim = Fixture::new();
    sim.launch("app1-cp");
    let again = "multipass launch 24.04 --name app1-cp --cloud-init -";
    sim.fails(again, 2, "launch failed: instance \"app1-cp\" already exists");
    sim.ok("multipass delete app1-cp");
    sim.fails(again, 2, "already exists");
    sim.fails("multipass start app1-cp", 2, "is deleted. Use 'recover'");
    sim.ok("multipass recover app1-cp");
    sim.ok("multipass start app1-cp");
    sim.ok("multipass delete --purge app1-cp");
    sim.fails("multipass info app1-cp --format json", 2, "instance \"app1-cp\" does not exist");
    assert!(sim.launch("app1-cp").ok());
    assert_eq!(sim.world.state().launches()["app1-cp"], 2);
}

#[test]
fn a_second_launch_in_flight_and_wrong_sizes_are_refused() {
    let mut sim = Fixture::new();
    let first = sim.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    sim.advance(10);
    sim.fails("multipass launch 24.04 --name a --cloud-init -", 2, "is being prepared");
    assert!(sim.wait_for(first).ok());
    for (line, text) in [
        ("multipass launch 24.04 --name 1x --cloud-init -", "Invalid instance name supplied: 1x"),
        ("multipass launch 24.04 --name b --memory 100M --cloud-init -", "Invalid memory size value supplied: 100M."),
        ("multipass launch 22.10 --name b --cloud-init -", "Unable to find an image matching \"22.10\""),
    ] {
        sim.fails(line, 2, text);
    }
    sim.fails_with_stdin("multipass launch 24.04 --name b --cloud-init -", "a: [", 1, "cloud-init config");
    sim.fails("multipass launch 24.04 --nam b", 1, "Unknown option 'nam'.");
    assert_eq!(sim.world.unknown().len(), 1);
}

#[test]
fn a_killed_or_timed_out_launch_leaves_a_vm_that_comes_up() {
    let mut sim = Fixture::new();
    let task = sim.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    sim.advance(5);
    sim.world.kill(task, true);
    assert_eq!(sim.wait_for(task).exit, Exit::Signal(9));
    sim.advance(300);
    assert!(!sim.state("a")["prep"].as_str().unwrap().is_empty());
    let short = "multipass launch 24.04 --name b --timeout 60 --cloud-init -";
    sim.fails_with_stdin(short, USER_DATA, 5, "Timed out waiting for instance launch.");
    assert_ne!(sim.ip("b"), "");
}

#[test]
fn a_stopped_vm_shows_little_and_exec_starts_it() {
    let mut sim = Fixture::new();
    sim.launch("a");
    sim.ok("multipass stop a");
    let info = sim.ok("multipass info a --format json");
    assert!(info.contains("\"state\":\"Stopped\"") && info.contains("\"memory\":{}") && info.contains("\"ipv4\":[]"));
    assert!(sim.exec("a", "true").ok());
    assert!(sim.ok("multipass info a --format json").contains("\"state\":\"Running\""));
}

#[test]
fn preparation_goes_on_without_its_asker_and_locks_others_out() {
    let mut sim = Fixture::new();
    let behind = USER_DATA.replace("[/usr/local/sbin/node-prep]", "[echo]");
    sim.run_with_stdin("multipass launch 24.04 --name a --cloud-init -", &behind);
    assert_eq!(sim.state("a")["prep"], "");
    let prep = "multipass exec -n a -- sudo /usr/local/sbin/node-prep";
    let task = sim.start(prep, "");
    sim.advance(30);
    sim.world.kill(task, true);
    sim.wait_for(task);
    let before = sim.world.now();
    assert_eq!(sim.ok(prep), "node-prep: already done\n");
    let waited = sim.world.now() - before;
    assert!(waited > Duration::from_secs(60) && waited < Duration::from_secs(100), "{waited:?}");
}

#[test]
fn unknown_programs_in_a_guest_are_not_found() {
    let mut sim = Fixture::new();
    sim.run_with_stdin("multipass launch 24.04 --name a --cloud-init -", "runcmd: []\n");
    sim.fails("multipass exec -n a -- sudo /usr/local/sbin/node-prep", 1, "command not found");
    sim.fails("multipass exec -n a -- sudo kubeadm version", 1, "kubeadm: command not found");
    sim.fails("multipass exec -n a -- frobnicate", 127, "frobnicate: command not found");
    sim.fails("multipass exec -n a -- cat /etc/nothing", 1, "No such file");
    sim.fails("multipass exec -n b -- true", 2, "does not exist");
    sim.fails("multipass exec -n a -- sudo /usr/local/sbin/node-keep /etc/archipelago/x", 1, "command not found");
}

#[test]
fn a_missing_tool_is_missing() {
    let mut machine = Machine::default();
    machine.tools.remove("helm");
    let mut sim = Fixture::on(machine, Faults::none());
    assert_eq!(sim.run("helm version --template {{.Version}}").exit, Exit::Missing);
}

#[test]
fn restarted_networkd_removes_foreign_routes_unless_configured() {
    let cut_off = |sim: &Fixture| sim.world.state().conditions("app1").any(|c| *c == Condition::PacketsLost);
    let file = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n";
    let path = "/etc/systemd/networkd.conf.d/90-archipelago.conf";
    for (text, want) in [(file, false), (&file[..34], true)] {
        let mut sim = Fixture::new();
        let file = format!("write_files:\n  - {{path: {path}, content: {text:?}}}\n");
        sim.user_data = sim.user_data.replace("write_files:\n", &file);
        let mut sim = sim.control_plane();
        assert!(sim.exec("app1-cp", "sudo netplan apply").ok());
        assert_eq!(cut_off(&sim), want, "{text}");
    }
}
