//! The world itself: order, faults, saving and loading.
//! Knows nothing of any one tool.

use super::*;

#[test]
fn time_moves_only_by_what_happens() {
    let mut scene = Scene::new();
    assert_eq!(scene.world.wait(Some(Duration::from_secs(7))), Event::Tick);
    assert_eq!(scene.world.now(), Duration::from_secs(7));
    let slow = scene.start("multipass launch 24.04 --name a --cloud-init -", USER_DATA);
    let fast = scene.start("multipass version --format json", "");
    assert!(matches!(scene.world.wait(None), Event::Ended(task, _) if task == fast));
    let mut lines = 0;
    while let Event::Line(task, _) = scene.world.wait(None) {
        assert_eq!(task, slow);
        lines += 1;
    }
    assert!(lines >= 5, "{lines}");
}

#[test]
fn a_story_is_the_same_every_time_and_goes_on_after_saving() {
    let tell = || {
        let mut scene = Scene::clustered();
        scene.pull_cilium();
        scene.world.save()
    };
    let saved = tell();
    assert_eq!(saved, tell());
    let disk = Shared::default();
    let world = Rehearsal::load(&saved, Box::new(disk.clone())).unwrap();
    assert_eq!(world.save(), saved);
    let mut scene = Scene { world, disk, task: 1000, early: vec![] };
    assert_eq!(scene.state("app1-cp")["control_plane"], "up");
    assert!(Rehearsal::load("{", Box::new(MemoryDisk::default())).is_err());
}

#[test]
fn commands_of_a_dead_process_go_on_alone() {
    let mut scene = Scene::clustered();
    scene.pull_cilium();
    let upgrade =
        "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
    scene.start(upgrade, "");
    scene.pass(2);
    scene.world = Rehearsal::load(&scene.world.save(), Box::new(scene.disk.clone())).unwrap();
    scene.no(upgrade, 1, "another operation");
    scene.pass(30);
    scene.ok(upgrade);
}

fn with(point: u64, kind: Kind) -> Scene {
    Scene::on(Machine::default(), Faults::single(point, kind))
}

#[test]
fn faults_do_what_their_names_say() {
    let mut scene = with(0, Kind::Fail);
    assert_eq!(scene.launch("a").exit, Exit::Code(1));
    assert!(scene.world.stage().launches().is_empty());
    let mut scene = with(0, Kind::FailDone);
    assert_eq!(scene.launch("a").exit, Exit::Code(1));
    assert_ne!(scene.ip("a"), "");
    let mut scene = with(0, Kind::LaunchTimeout);
    assert_eq!(scene.launch("a").exit, Exit::Code(5));
    scene.pass(300);
    assert!(scene.state("a")["prep"] != "");
    let mut scene = with(0, Kind::Signal);
    assert_eq!(scene.launch("a").exit, Exit::Signal(9));
    let mut scene = with(1, Kind::Cut);
    scene.launch("a");
    let cut = scene.run("multipass info a --format json");
    assert!(cut.ok() && serde_json::from_str::<serde_json::Value>(&cut.stdout).is_err());
    let mut scene = with(0, Kind::Hang);
    let task = scene.start("multipass version --format json", "");
    scene.pass(10_000);
    scene.world.kill(task, false);
    assert_eq!(scene.end(task).exit, Exit::Signal(15));
    let mut scene = with(1, Kind::HangDone);
    scene.launch("a");
    let task = scene.start("multipass exec -n a -- cloud-init status --format json", "");
    scene.pass(10_000);
    scene.world.kill(task, false);
    let end = scene.end(task);
    assert!(end.exit == Exit::Signal(15) && end.stdout.contains("status"), "{end:?}");
    let mut scene = with(0, Kind::Crash);
    scene.run("multipass version --format json");
    assert!(scene.world.crashed());
}

/// Where a crash leaves commands that go on alone, these two leave none.
#[test]
fn what_takes_us_and_our_commands_leaves_them_half_done() {
    for (kind, power) in [(Kind::KillGroup, "Running"), (Kind::PowerCut, "Unknown")] {
        let mut scene = Scene::clustered();
        scene.pull_cilium();
        let upgrade =
            "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
        let other = scene.start(upgrade, "");
        scene.pass(2);
        scene.world.with_faults(Faults::single(0, kind));
        assert_eq!(scene.exec("app1-cp", "true").exit, Exit::Signal(9));
        assert!(scene.world.crashed());
        scene.world.outlive();
        scene.pass(600);
        assert!(!scene.early.iter().any(|(task, _)| *task == other), "nobody goes on");
        let state = scene.run("multipass info app1-cp --format json").stdout;
        assert!(state.contains(power), "{state}");
        if kind == Kind::PowerCut {
            scene.no("multipass stop app1-cp", 2, "unknown state");
            scene.ok("multipass stop --force app1-cp");
            scene.ok("multipass start app1-cp");
            scene.pass(60);
        }
        scene.no(upgrade, 1, "another operation");
    }
}

#[test]
fn vms_are_disturbed_under_the_commands_that_use_them() {
    let state = |scene: &mut Scene| scene.ok("multipass info a --format json");
    let mut scene = with(1, Kind::Stop);
    scene.launch("a");
    assert!(state(&mut scene).contains("Stopped"));
    let mut scene = with(1, Kind::Delete);
    scene.launch("a");
    assert!(state(&mut scene).contains("Deleted"));
    let mut scene = with(1, Kind::Readdress);
    scene.launch("a");
    assert!(state(&mut scene).contains("Starting"));
    assert!(scene.exec("a", "true").ok());
    assert_eq!(scene.ip("a"), "192.168.252.12");
}

#[test]
fn half_a_release_stays_pending_and_half_an_init_partial() {
    let mut scene = Scene::clustered();
    scene.pull_cilium();
    scene.world.with_faults(Faults::single(0, Kind::Half));
    let upgrade =
        "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml --namespace kube-system";
    assert_eq!(scene.run(upgrade).exit, Exit::Code(1));
    scene.no(upgrade, 1, "another operation");
    let mut scene = Scene::prepared("10.97.0.0/16");
    scene.world.with_faults(Faults::single(0, Kind::Half));
    assert!(!scene.exec("app1-cp", "sudo kubeadm init --config /etc/archipelago/kubeadm-init.yaml").ok());
    assert_eq!(scene.state("app1-cp")["control_plane"], "partial");
    assert_eq!(scene.world.faults().struck().len(), 1);
}

#[test]
fn equal_ends_have_equal_summaries() {
    let mut one = Scene::clustered();
    let mut two = Scene::clustered();
    two.pass(1000);
    assert_eq!(one.world.summary(), two.world.summary());
    two.ok("multipass stop app1-cp");
    assert_ne!(one.world.summary(), two.world.summary());
}
