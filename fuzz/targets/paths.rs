//! Any text as a path below `out/`, beside links that lead out of it: what is outside stays as it was.
#![no_main]

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::LazyLock;

use camino::Utf8Path;
use exec::workspace::Workspace;
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let place = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(place.path().join("root/out/in")).expect("a folder");
    fs::create_dir_all(place.path().join("outside")).expect("a folder");
    fs::write(place.path().join("outside/file"), "theirs").expect("a file");
    for (to, at) in [("outside", "folder"), ("outside/file", "file"), ("outside/none", "dangling")] {
        symlink(place.path().join(to), place.path().join("root/out").join(at)).expect("a link");
    }
    place
});

fuzz_target!(|path: &str| {
    let root = Utf8Path::from_path(PLACE.path()).expect("UTF-8").join("root");
    let mut space = Workspace::open(&root, Utf8Path::new("out")).without_fsync();
    let _ = space.write(path, b"ours");
    let _ = space.write_public(path, "ours");
    let _ = space.create_dir(path);
    let _ = space.file_matches(path, b"theirs");
    let _ = space.store_secrets(&[(path, "ours")]);
    let _ = space.remove_cluster_files(path);
    space.log(path, 1, "ours");
    let outside = fs::read_dir(PLACE.path().join("outside")).expect("a folder").count();
    assert!(outside == 1 && fs::read_dir(PLACE.path()).expect("a folder").count() == 2, "{path:?}");
    assert_eq!(fs::read(PLACE.path().join("outside/file")).expect("a file"), b"theirs", "{path:?}");
});
