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

const LAUNCH: &str = "multipass launch 24.04 --name";

fn state(sim: &mut Fixture, vm: &str) -> String {
    let list = sim.ok("multipass list --no-ipv4 --format json");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let mut rows = list["list"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == vm).map_or("", |row| row["state"].as_str().unwrap()).to_owned()
}

/// A VM in its first boot, without its client.
fn booting(sim: &mut Fixture) {
    let task = sim.start(&format!("{LAUNCH} a --cloud-init -"), USER_DATA);
    sim.advance(65);
    sim.world.kill(task, true);
    sim.wait_for(task);
}

#[test]
fn wrong_options_of_a_launch_are_refused_by_the_client_or_the_daemon() {
    let mut sim = Fixture::new();
    for (options, code, text) in [
        ("1x", 2, "launch failed: Invalid arguments supplied\nInvalid instance name supplied: 1x"),
        ("b --memory 100M", 2, "Invalid memory size value supplied: 100M."),
        ("b --disk 100M", 2, "Invalid disk size value supplied: 100M."),
        ("b --disk 512M", 2, "Requested disk (536870912 bytes) below minimum for this image (2239758336 bytes)"),
        ("b --memory 3Q", 1, "Caught an unhandled exception: 3Q is not a valid memory size"),
        ("b --cpus 0", 1, "Error: invalid CPU count '0', need a positive integer value."),
        ("b --timeout 0", 1, "error: --timeout value has to be a positive integer"),
    ] {
        sim.fails(&format!("{LAUNCH} {options} --cloud-init -"), code, text);
    }
    sim.fails("multipass launch 22.10 --name b --cloud-init -", 2, "Unable to find an image matching \"22.10\"");
    let yaml = "Could not load cloud-init configuration: yaml-cpp: ";
    sim.fails_with_stdin(&format!("{LAUNCH} b --cloud-init -"), "a: [", 1, yaml);
    sim.fails("multipass launch 24.04 --nam b", 1, "Unknown option 'nam'.");
    assert_eq!(sim.world.unknown().len(), 1);
    let unknown = sim.run("multipass frobnicate");
    assert!(unknown.exit == Exit::Code(1) && unknown.stderr.is_empty() && unknown.stdout.contains("Unknown command"));
}

#[test]
fn without_a_daemon_or_authentication_version_alone_ends_well() {
    for (multipassd, text) in [
        (Daemon::Down, "list failed: cannot connect to the multipass socket\n"),
        (Daemon::NotAuthenticated, "Please use 'multipass authenticate' before proceeding."),
    ] {
        let mut sim = Fixture::on(Machine { multipassd, ..Machine::default() }, Faults::none());
        assert!(!sim.ok("multipass version --format json").contains("multipassd"));
        sim.fails("multipass list --format json", 2, text);
    }
}

#[test]
fn an_instance_that_is_prepared_exists_for_launch_alone() {
    let mut sim = Fixture::new();
    let first = sim.start(&format!("{LAUNCH} a --cloud-init -"), USER_DATA);
    sim.advance(5);
    sim.world.kill(first, true);
    sim.wait_for(first);
    for question in ["info a --format json", "exec -n a -- true", "delete --purge a", "stop a"] {
        sim.fails(&format!("multipass {question}"), 2, "instance \"a\" does not exist");
    }
    assert_eq!(state(&mut sim, "a"), "");
    sim.fails(&format!("{LAUNCH} a --cloud-init -"), 2, "launch failed: instance \"a\" is being prepared");
    sim.advance(60);
    sim.fails(&format!("{LAUNCH} a --cloud-init -"), 2, "launch failed: instance \"a\" already exists");
    sim.advance(60);
    assert_eq!(state(&mut sim, "a"), "Running");
}

#[test]
fn a_boot_is_unknown_until_its_address_is_known() {
    let mut sim = Fixture::new();
    booting(&mut sim);
    assert_eq!(state(&mut sim, "a"), "Unknown");
    sim.fails("multipass exec -n a -- true", 2, "exec failed: Cannot retrieve credentials in unknown state");
    sim.fails("multipass start a", 2, "is already running, but in an unknown state");
    sim.advance(20);
    assert_eq!(state(&mut sim, "a"), "Starting");
    sim.fails("multipass stop a", 2, "Cannot shut down instance a while starting.\nUse --force to power it off.");
    sim.fails("multipass delete a", 2, "while starting.\nUse --purge to forcefully delete it.");
    sim.advance(10);
    assert_eq!(state(&mut sim, "a"), "Running");
    let mut linux = Fixture::on(Machine { os: "linux".into(), ..Machine::default() }, Faults::none());
    linux.launch("a");
    linux.ok("multipass stop a");
    linux.start("multipass start a", "");
    linux.advance(3);
    assert_eq!(state(&mut linux, "a"), "Starting", "a lease is there");
}

#[test]
fn a_stop_by_force_in_a_boot_leaves_a_vm_that_nothing_mends() {
    let mut sim = Fixture::new();
    booting(&mut sim);
    sim.ok("multipass stop --force a");
    assert_eq!(state(&mut sim, "a"), "Running");
    sim.fails("multipass info a --format json", 2, "info failed: ssh connection failed: 'No route to host'");
    sim.fails("multipass exec -n a -- true", 2, "'No route to host'");
    sim.ok("multipass stop a");
    sim.fails("multipass start a", 5, "Timed out waiting for instance to start.");
    assert_eq!(state(&mut sim, "a"), "Running");
}

#[test]
fn nothing_is_answered_while_a_vm_is_stopped() {
    let mut sim = Fixture::new();
    sim.launch("a");
    let before = sim.world.now();
    sim.start("multipass stop a", "");
    sim.advance(1);
    sim.ok("multipass version --format json");
    assert!(sim.world.now() - before >= Duration::from_secs(8), "{:?}", sim.world.now() - before);
    sim.ok("multipass stop a");
}

#[test]
fn an_unknown_vm_is_stopped_by_force_alone_and_a_plain_stop_takes_five_minutes() {
    let mut sim = Fixture::new();
    sim.launch("a");
    sim.world.with_faults(Faults::single(0, Kind::PowerCut));
    sim.exec("a", "sudo touch /etc/archipelago/x");
    sim.world.orphan_children();
    let before = sim.world.now();
    let text = "stop failed: The QEMU process did not finish within 300000 milliseconds after being shutdown";
    sim.fails("multipass stop a", 2, text);
    assert!(sim.world.now() - before >= Duration::from_secs(300));
    sim.ok("multipass stop --force a");
    assert_eq!(state(&mut sim, "a"), "Stopped");
    sim.ok("multipass delete a");
    sim.fails("multipass stop a", 2, "instance \"a\" is deleted");
}

#[test]
fn a_slow_guest_answers_to_list_and_not_to_info() {
    let mut sim = Fixture::new();
    sim.launch("a");
    sim.world.with_faults(Faults::single(0, Kind::SlowGuest));
    sim.fails("multipass info a --format json", 2, "info failed: failed to obtain exit status for remote process");
    sim.fails("multipass exec -n a -- true", 2, "exec failed: ssh connection failed: 'Timeout connecting to ");
    assert_eq!(state(&mut sim, "a"), "Running");
    sim.advance(60);
    sim.ok("multipass info a --format json");
    sim.fails("multipass info a b --format json", 2, "instance \"b\" does not exist");
}

#[test]
fn a_guests_exit_code_4_runs_its_command_for_ever() {
    let mut sim = Fixture::new();
    sim.launch("a");
    let line = "multipass exec -n a -- sh -c 'exit 4'";
    let task = sim.start(line, "");
    sim.advance(3600);
    assert!(sim.finished_early.is_empty());
    sim.world.kill(task, true);
    let script = tool::guest_exit::SCRIPT;
    let wrapped = format!("multipass exec -n a -- sh -c '{script}' sh sh -c 'exit 4'");
    assert_eq!(sim.run(&wrapped).exit, Exit::Code(104));
    assert_eq!(sim.run(&wrapped.replace("exit 4", "exit 7")).exit, Exit::Code(7));
}

#[test]
fn boots_are_waited_for_in_as_many_threads_as_there_are_cores() {
    let mut sim = Fixture::on(Machine { cpus: 2, ..Machine::default() }, Faults::none());
    for name in ["a", "b"] {
        sim.start(&format!("{LAUNCH} {name} --cloud-init -"), USER_DATA);
    }
    sim.advance(1);
    let short = format!("{LAUNCH} c --timeout 20 --cloud-init -");
    sim.fails_with_stdin(&short, USER_DATA, 5, "Timed out waiting for instance launch.");
    assert_eq!(state(&mut sim, "c"), "");
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
    let started = sim.exec("a", "true");
    assert!(started.ok() && started.stdout.starts_with("\u{1b}[2K\u{1b}[0A\u{1b}[0EStarting a "), "{started:?}");
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
