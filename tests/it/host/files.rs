//! Files and locks across processes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::Utf8Path;
use exec::workspace::Workspace;
use tool::Exit;
use tool::World;

use super::{Bench, root_of_parent, say};

fn space_of(root: &Utf8Path) -> Workspace {
    Workspace::open(root, Utf8Path::new("out"))
}

#[test]
fn lock_is_released_when_its_process_dies() {
    let mut bench = Bench::new();
    let holder = bench.in_process("host::files::child_holds_the_lock");
    while bench.next_line() != "held" {}
    let space = space_of(&bench.root);
    let problem = space.lock("destroy").unwrap_err();
    assert!(problem.what.contains(", `bootstrap` since 20"), "{}", problem.what);
    bench.host.kill(holder, true);
    assert_eq!(bench.end(holder).exit, Exit::Signal(9));
    space.lock("destroy").expect("a dead holder holds nothing");
}

#[test]
fn child_holds_the_lock() {
    let Some(root) = root_of_parent() else { return };
    let _lock = space_of(&root).lock("bootstrap").unwrap();
    say("\nheld\n");
    std::thread::sleep(Duration::from_secs(300));
}

#[test]
fn killed_writer_leaves_a_whole_private_file() {
    let mut bench = Bench::new();
    let space = space_of(&bench.root);
    let file = space.out().join("kube/app1.yaml");
    for round in 0..5 {
        let writer = bench.in_process("host::files::child_writes_for_ever");
        while bench.next_line() != "writing" {}
        for _ in 0..200 {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "at every moment");
        }
        bench.host.kill(writer, true);
        assert_eq!(bench.end(writer).exit, Exit::Signal(9));
        let held = std::fs::read(&file).unwrap();
        assert!(held.len() == 1 << 20 && held.iter().all(|b| *b == held[0]), "whole in round {round}");
    }
    let _lock = space.lock("bootstrap").unwrap();
    assert_eq!(space.out().join("tmp").read_dir_utf8().unwrap().count(), 0, "what was half written is gone");
}

#[test]
fn child_writes_for_ever() {
    let Some(root) = root_of_parent() else { return };
    let space = space_of(&root);
    space.write("kube/app1.yaml", &vec![b'a'; 1 << 20]).unwrap();
    say("\nwriting\n");
    for byte in (b'a'..=b'z').cycle() {
        space.write("kube/app1.yaml", &vec![byte; 1 << 20]).unwrap();
    }
}

#[test]
fn unwritable_folder_is_named() {
    let bench = Bench::new();
    let out = bench.root.join("out");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o555)).unwrap();
    let kept = space_of(&bench.root).write("kube/app1.yaml", b"");
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Root may write anywhere.
    if let Err(problem) = kept {
        assert_eq!(problem.what, "cannot create folder `out/kube`");
        assert_eq!(problem.why.as_deref(), Some("permission denied"));
    }
}
