//! Order of events, faults, saving and loading.

use super::*;

#[test]
fn time_advances_only_by_events() {
    let mut sim = Fixture::new();
    assert_eq!(sim.world.wait(Some(Duration::from_secs(7))), Event::Tick);
    assert_eq!(sim.world.now(), Duration::from_secs(7));
    let slow = sim.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    let fast = sim.start("multipass version --format json", "");
    assert!(matches!(sim.world.wait(None), Event::Ended(task, _) if task == fast));
    let mut lines = 0;
    while let Event::Line(task, _) = sim.world.wait(None) {
        assert_eq!(task, slow);
        lines += 1;
    }
    assert!(lines >= 5, "{lines}");
}

#[test]
fn a_run_is_deterministic_and_continues_after_saving() {
    let tell = || {
        let mut sim = Fixture::with_control_plane();
        sim.pull_cilium();
        sim.world.save()
    };
    let saved = tell();
    assert_eq!(saved, tell());
    let disk = Shared::default();
    let world = SimWorld::load(&saved, Box::new(disk.clone())).unwrap();
    assert_eq!(world.save(), saved);
    let mut sim = Fixture { world, disk, user_data: String::new(), task: 1000, finished_early: vec![] };
    assert_eq!(sim.state("app1-cp")["control_plane"], "up");
    assert!(SimWorld::load("{", Box::new(MemoryDisk::default())).is_err());
}

#[test]
fn commands_of_a_dead_process_go_on_alone() {
    let mut sim = Fixture::with_control_plane();
    sim.pull_cilium();
    let upgrade =
        "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
    sim.start(upgrade, "");
    sim.advance(2);
    sim.world = SimWorld::load(&sim.world.save(), Box::new(sim.disk.clone())).unwrap();
    sim.fails(upgrade, 1, "another operation");
    sim.advance(30);
    sim.ok(upgrade);
}

fn with(point: u64, kind: Kind) -> Fixture {
    Fixture::on(Machine::default(), Faults::single(point, kind))
}

#[test]
fn faults_match_their_names() {
    let mut sim = with(0, Kind::Fail);
    assert_eq!(sim.launch("a").exit, Exit::Code(1));
    assert!(sim.world.state().launches().is_empty());
    let mut sim = with(0, Kind::FailDone);
    assert_eq!(sim.launch("a").exit, Exit::Code(1));
    assert_ne!(sim.ip("a"), "");
    let mut sim = with(0, Kind::LaunchTimeout);
    assert_eq!(sim.launch("a").exit, Exit::Code(5));
    sim.advance(300);
    assert!(sim.state("a")["prep"] != "");
    let mut sim = with(0, Kind::Signal);
    assert_eq!(sim.launch("a").exit, Exit::Signal(9));
    let mut sim = with(1, Kind::Cut);
    sim.launch("a");
    let cut = sim.run("multipass info a --format json");
    assert!(cut.ok() && serde_json::from_str::<serde_json::Value>(&cut.stdout).is_err());
    let mut sim = with(0, Kind::Hang);
    let task = sim.start("multipass version --format json", "");
    sim.advance(10_000);
    sim.world.kill(task, false);
    assert_eq!(sim.wait_for(task).exit, Exit::Signal(15));
    let mut sim = with(1, Kind::HangDone);
    sim.launch("a");
    let task = sim.start("multipass exec -n a -- cloud-init status --format json", "");
    sim.advance(10_000);
    sim.world.kill(task, false);
    let end = sim.wait_for(task);
    assert!(end.exit == Exit::Signal(15) && end.stdout.contains("status"), "{end:?}");
    let mut sim = with(0, Kind::Crash);
    sim.run("multipass version --format json");
    assert!(sim.world.crashed());
}

#[test]
fn a_crash_leaves_commands_half_done() {
    for (kind, power) in [(Kind::KillGroup, "Running"), (Kind::PowerCut, "Unknown")] {
        let mut sim = Fixture::with_control_plane();
        sim.pull_cilium();
        let upgrade =
            "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
        let other = sim.start(upgrade, "");
        sim.advance(2);
        sim.world.with_faults(Faults::single(0, kind));
        assert_eq!(sim.exec("app1-cp", "true").exit, Exit::Signal(9));
        assert!(sim.world.crashed());
        sim.world.orphan_children();
        sim.advance(600);
        assert!(!sim.finished_early.iter().any(|(task, _)| *task == other), "no other task ends");
        let state = sim.run("multipass info app1-cp --format json").stdout;
        assert!(state.contains(power), "{state}");
        if kind == Kind::PowerCut {
            sim.fails("multipass stop app1-cp", 2, "did not finish within 300000 milliseconds");
            sim.ok("multipass stop --force app1-cp");
            sim.ok("multipass start app1-cp");
            sim.advance(60);
        }
        sim.fails(upgrade, 1, "another operation");
    }
}

#[test]
fn vms_are_disturbed_under_the_commands_that_use_them() {
    let state = |sim: &mut Fixture| sim.ok("multipass info a --format json");
    let mut sim = with(1, Kind::Stop);
    sim.launch("a");
    assert!(state(&mut sim).contains("Stopped"));
    let mut sim = with(1, Kind::Delete);
    sim.launch("a");
    assert!(state(&mut sim).contains("Deleted"));
    let mut sim = with(1, Kind::Readdress);
    sim.launch("a");
    assert!(state(&mut sim).contains("Unknown"));
    sim.advance(30);
    assert!(sim.exec("a", "true").ok());
    assert_eq!(sim.ip("a"), "192.168.252.12");
}

#[test]
fn half_a_release_stays_pending_and_half_an_init_partial() {
    let mut sim = Fixture::with_control_plane();
    sim.pull_cilium();
    sim.world.with_faults(Faults::single(0, Kind::Half));
    let upgrade =
        "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
    assert_eq!(sim.run(upgrade).exit, Exit::Code(1));
    sim.fails(upgrade, 1, "another operation");
    let mut sim = Fixture::with_prepared_vm("10.97.0.0/16");
    sim.world.with_faults(Faults::single(0, Kind::Half));
    assert!(!sim.exec("app1-cp", "sudo kubeadm init --config /etc/archipelago/kubeadm-init.yaml").ok());
    assert_eq!(sim.state("app1-cp")["control_plane"], "partial");
    assert_eq!(sim.world.faults().injected().len(), 1);
}

#[test]
fn equal_ends_have_equal_summaries() {
    let mut one = Fixture::with_control_plane();
    let mut two = Fixture::with_control_plane();
    two.advance(1000);
    assert_eq!(one.world.summary(), two.world.summary());
    two.ok("multipass stop app1-cp");
    assert_ne!(one.world.summary(), two.world.summary());
}
