//! `out/` with links, obstacles and damaged records: nothing outside is touched.
#![expect(clippy::disallowed_methods, reason = "lays out hostile folders, and looks at what became of them")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use exec::workspace::Workspace;
use plan::journal;
use proptest::prelude::*;

use crate::ui::Repo;

struct Yard {
    dir: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let yard = Yard { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(yard.out()).unwrap();
        fs::create_dir_all(yard.theirs()).unwrap();
        fs::write(yard.theirs().join("precious"), "theirs").unwrap();
        fs::set_permissions(yard.theirs().join("precious"), fs::Permissions::from_mode(0o644)).unwrap();
        yard
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).unwrap().join(name)
    }

    fn out(&self) -> Utf8PathBuf {
        self.path("root/out")
    }

    fn theirs(&self) -> Utf8PathBuf {
        self.path("theirs")
    }

    fn space(&self) -> Workspace {
        Workspace::open(&self.path("root"), "out".into())
    }

    /// Nothing of theirs is gone, changed or more.
    fn untouched(&self, case: &str) {
        let precious = self.theirs().join("precious");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "theirs", "{case}");
        assert_eq!(precious.metadata().unwrap().permissions().mode() & 0o777, 0o644, "{case}");
        assert_eq!(self.theirs().read_dir_utf8().unwrap().count(), 1, "{case}");
        assert_eq!(self.path("").read_dir_utf8().unwrap().count(), 2, "{case}");
    }
}

/// Everything that a run does to `out/`; what it says is somebody else's test.
fn do_everything(space: &mut Workspace) {
    drop(space.lock("bootstrap"));
    let _ = space.append_journal("{}");
    let _ = space.journal();
    space.log("a/b", 1, "line");
    let _ = space.write("kube/app1.yaml", b"ours");
    let _ = space.store_secrets(&[("a", "oursours")]);
    let _ = space.generate_secret("b");
    let _ = space.write_public("reports/x/report.json", "ours");
    let _ = space.write_generated(&[("app1/x.yaml".to_owned(), "ours".to_owned())].into());
    let _ = space.create_dir("charts");
    let _ = space.restrict_permissions();
    let _ = space.remove_cluster_files(".");
    let _ = space.reset_state();
}

#[test]
fn links_below_out_are_never_followed_outside() {
    let names = "lock tmp logs journal.jsonl kube kube/app1.yaml secrets secrets/a \
        secrets/precious reports generated.txt app1 charts world.json logs/a-b.1.log";
    for name in names.split(' ') {
        for target in ["", "precious", "not-there"] {
            let yard = Yard::new();
            let at = yard.out().join(name);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            symlink(yard.theirs().join(target), &at).unwrap();
            do_everything(&mut yard.space());
            yard.untouched(&format!("{name} -> theirs/{target}"));
        }
    }
}

#[test]
fn obstacles_are_reported_and_never_block() {
    for name in ["lock", "tmp", "logs", "journal.jsonl", "kube", "secrets", "secrets/a", "generated.txt"] {
        for pipe in [false, true] {
            let yard = Yard::new();
            let at = yard.out().join(name);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            if pipe {
                let made = std::process::Command::new("mkfifo").arg(&at).status();
                assert!(made.is_ok_and(|made| made.success()));
            } else {
                fs::create_dir(&at).unwrap();
            }
            // Hangs if something opens a pipe that has no writer.
            do_everything(&mut yard.space());
        }
    }
    let yard = Yard::new();
    fs::create_dir(yard.out().join("journal.jsonl")).unwrap();
    let problem = yard.space().journal().unwrap_err();
    assert_eq!(
        (problem.what.as_str(), problem.why.as_deref()),
        ("cannot read `out/journal.jsonl`", Some("it is not a file"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_path_stays_below_out(
        path in "(\\.\\.|/|\\.|[a-z~$*-]|é|\n|\0|\u{202e}|~){0,12}",
        long in 0..9usize,
    ) {
        let yard = Yard::new();
        symlink(yard.theirs(), yard.out().join("a")).unwrap();
        let path = if long == 0 { path.repeat(400) } else { path };
        let mut space = yard.space().without_fsync();
        for done in [space.write(&path, b"x").is_ok(), space.write_public(&path, "x").is_ok()] {
            let real = |path: Utf8PathBuf| path.canonicalize_utf8().unwrap();
            prop_assert!(!done || real(yard.out().join(&path)).starts_with(real(yard.out())));
        }
        let _ = (space.create_dir(&path), space.file_matches(&path, b"theirs"), space.remove_cluster_files(&path));
        let _ = space.store_secrets(&[(&path, "ours")]);
        space.log(&path, 1, "ours");
        yard.untouched(&path);
    }
}

#[test]
fn overlong_name_is_a_problem() {
    let problem = Yard::new().space().write(&"x".repeat(5_000), b"").unwrap_err();
    assert_eq!(problem.why.as_deref(), Some("file name too long"));
}

#[test]
fn unreadable_data_files_are_named() {
    let repo = Repo::new();
    let charts = repo.root().join("charts");
    fs::remove_file(&charts).unwrap();
    fs::create_dir(&charts).unwrap();
    let check = |want: &str| {
        let ran = repo.run("fleet check");
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(want), "{}", ran.err);
    };
    std::process::Command::new("mkfifo").arg(charts.join("pipe.yaml")).status().unwrap();
    check("cannot read `charts/pipe.yaml`\n   why: it is not a file");
    fs::remove_file(charts.join("pipe.yaml")).unwrap();
    fs::write(charts.join("raw.yaml"), [0xff, 0xfe]).unwrap();
    check("cannot read `charts/raw.yaml`\n   why: it is not UTF-8");
    let hole = fs::File::create(charts.join("raw.yaml")).unwrap();
    hole.set_len(1 << 30).unwrap();
    check("cannot read `charts/raw.yaml`\n   why: it is larger than 1 MiB");
    for (file, why) in [("/dev/zero", "it is larger than 1 MiB"), ("/", "is a directory"), ("nowhere", "no such file")]
    {
        let ran = Repo::new().run(&format!("fleet check --fleet {file}"));
        assert!(ran.code == 2 && ran.err.contains(why), "{file}: {}", ran.err);
    }
}

#[test]
fn damaged_journal_is_read_and_appended_to() {
    let fact = |name: &str| journal::line(&journal::Entry::Fact { name: name.into(), value: "1".into() }).into_bytes();
    let good = fact("good");
    let cases: [(&str, Vec<u8>); 6] = [
        ("binary", (0..=255u8).cycle().take(10_000).collect()),
        ("NULs", vec![0; 1 << 20]),
        ("a line of 8 MiB", vec![b'x'; 8 << 20]),
        ("no UTF-8", vec![0xff; 4096]),
        ("cut mid-line", good[..good.len() - 9].to_vec()),
        ("nesting", vec![b'['; 1 << 16]),
    ];
    for (case, bytes) in cases {
        let yard = Yard::new();
        fs::write(yard.out().join("journal.jsonl"), [good.clone(), bytes].concat()).unwrap();
        let space = yard.space();
        space.append_journal(&String::from_utf8(fact("later")).unwrap()).unwrap();
        let read = journal::read(&space.journal().unwrap());
        assert_eq!(read.facts.into_keys().collect::<Vec<_>>(), ["good", "later"], "{case}");
    }
    let yard = Yard::new();
    let file = fs::File::create(yard.out().join("journal.jsonl")).unwrap();
    file.set_len(64 << 30).unwrap();
    yard.space().append_journal(&String::from_utf8(fact("later")).unwrap()).unwrap();
    let read = journal::read(&yard.space().journal().unwrap());
    assert_eq!(read.facts.into_keys().collect::<Vec<_>>(), ["later"], "of 64 GiB the end is read");
}
