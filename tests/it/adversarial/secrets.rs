//! Secrets in output and records of every command, and permissions of their files.
#![expect(clippy::disallowed_methods, reason = "looks for secrets in everything that a run leaves on disk")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fake_tools::machine::FakeMachine;
use crate::ui::Repo;
use crate::{fixtures, golden};

fn files(folder: &Path) -> Vec<PathBuf> {
    golden::files_below(folder)
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

fn out(repo: &Repo) -> PathBuf {
    repo.root().join("out/simulation").into_std_path_buf()
}

/// The name and the value of each secret that is kept.
fn kept(repo: &Repo) -> BTreeSet<(String, String)> {
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap().trim().to_owned());
    files(&out(repo).join("secrets")).into_iter().map(read).collect()
}

/// None of them is in what was said, or in any file that is not made for them. How many files were looked at.
fn check_absent(repo: &Repo, secrets: &BTreeSet<(String, String)>, printed: &str) -> usize {
    let out = out(repo);
    // The simulated state is the other side, which gets secrets; kubeconfigs hold keys.
    let own = |path: &Path| {
        path.starts_with(out.join("secrets")) || path.starts_with(out.join("kube")) || path.ends_with("world.json")
    };
    let records: Vec<PathBuf> = files(&out).into_iter().filter(|path| !own(path)).collect();
    for path in &records {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        for (name, value) in secrets {
            assert!(!text.contains(value.as_str()), "{name} is in {}", path.display());
        }
    }
    for (name, value) in secrets {
        assert!(!printed.contains(value.as_str()), "{name} is on the screen");
    }
    records.len()
}

fn check_permissions(repo: &Repo) {
    for folder in ["secrets", "kube", "logs", "tmp"] {
        let folder = out(repo).join(folder);
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        files(&folder).iter().for_each(|path| assert_eq!(mode(path), 0o600, "{}", path.display()));
    }
}

/// Each trial of `simulate` asserts this of its runs; here it is all commands and every file that they leave.
#[test]
fn no_command_shows_or_records_a_secret() {
    let repo = fixtures::bootstrapped();
    let newer = golden::read("infra/fleet.toml").replace("1.35.7", "1.35.8");
    fs::write(repo.root().join("to.toml"), newer).unwrap();
    let (mut printed, mut secrets) = (String::new(), BTreeSet::new());
    for (line, code) in [
        ("bootstrap --simulate --explain -v", Some(0)),
        ("mesh-connect --simulate --format json", Some(0)),
        ("upgrade --simulate --fleet to.toml --format json", Some(0)),
        ("stop --simulate --format json", Some(0)),
        ("doctor --simulate --fleet to.toml --explain", Some(1)),
        // What a seed injects changes with the plan, and so does the exit code.
        ("start --simulate --fleet to.toml --seed 7 --format json", None),
        ("start --simulate --fleet to.toml --format json", Some(0)),
        ("destroy --simulate --fleet to.toml --only app2/* --format json", Some(0)),
        ("bootstrap --simulate --fleet to.toml --only app2/* --only fleet/* -v", Some(0)),
        ("mesh-connect --simulate --fleet to.toml -v", Some(0)),
        ("verify-contract --simulate --fleet to.toml --live --explain", Some(0)),
        ("verify-contract --simulate --fleet to.toml --drill mgmt-outage --outage 2m", Some(0)),
        ("status --simulate --fleet to.toml --format json", Some(0)),
        ("logs --simulate mgmt/vault/keys", Some(0)),
        ("plan bootstrap --full", Some(0)),
    ] {
        let ran = repo.run(line);
        assert!(code.is_none_or(|code| code == ran.code), "{line}: {} {}{}", ran.code, ran.out, ran.err);
        printed.push_str(&ran.out);
        printed.push_str(&ran.err);
        // Some are replaced on the way: the old ones are as secret.
        secrets.extend(kept(&repo));
    }
    assert!(secrets.len() >= 14 && secrets.iter().all(|(_, value)| value.len() >= 16), "{}", secrets.len());
    assert!(check_absent(&repo, &secrets, &printed) > 100);
    check_permissions(&repo);
}

/// With umask 000, `out/` is watched during a whole bootstrap.
#[test]
fn secrets_are_never_readable_by_others() {
    let machine = FakeMachine::patient();
    let mut run = machine.spawn(machine.script(r#"umask 000; exec "$0" "$@""#, "bootstrap"));
    let (mut looks, mut seen) = (0, 0);
    let code = loop {
        looks += 1;
        for folder in ["out/secrets", "out/kube", "out/tmp", "out/logs"] {
            let folder = machine.root().join(folder).into_std_path_buf();
            // What is gone again when it is looked at was never open.
            let open = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
            assert!(!open(&folder), "{}", folder.display());
            // Files in `tmp` may become public; the folder itself is private.
            let inside = if folder.ends_with("tmp") { vec![] } else { files(&folder) };
            for path in inside {
                seen += 1;
                assert!(!open(&path), "{}", path.display());
            }
        }
        if let Some(code) = run.ended() {
            break code;
        }
        // The run shall not starve for our looking.
        std::thread::sleep(Duration::from_millis(1));
    };
    let progress = machine.text("stderr.0");
    assert!(code == Some(0) && looks > 20 && seen > 100, "{code:?}: {looks} looks, {seen} files: {progress}");
}
