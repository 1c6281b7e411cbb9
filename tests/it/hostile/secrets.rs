//! Secrets through a whole rehearsal with faults and through a hostile umask: in no record, no argument, no event, and
//! closed to others from the first moment.
//! Knows nothing of what they open; the runs with real processes are in `standin::whole`.
#![expect(clippy::disallowed_methods, reason = "looks for secrets in everything that a run leaves on disk")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::golden;
use crate::standin::place::Place as Machine;
use crate::ui::Place;

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    golden::files_below(folder)
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

/// Runs that are struck by faults, one after another, then a calm one: the secrets of the end are in nothing that any
/// of them said or left, but in the files that are for them.
#[test]
fn a_rehearsal_with_faults_tells_no_secret() {
    let place = Place::new();
    let mut told = String::new();
    let mut struck = 0;
    // Where faults strike moves with every step of the plan.
    for seed in 3..60 {
        let ran = place.run(&format!("bootstrap --rehearse --seed {seed} --format json --explain -v"));
        told.push_str(&ran.out);
        told.push_str(&ran.err);
        struck = told.matches("\"event\":\"retrying\"").count();
        if struck >= 5 {
            break;
        }
    }
    assert!(struck >= 5, "faults must have struck: {struck}");
    // The machine slept among other things; clocks that stood still are the doctor's.
    let mended = place.run("doctor --rehearse --fix");
    told.push_str(&mended.out);
    told.push_str(&mended.err);
    for line in
        ["bootstrap --rehearse --explain -v", "mesh-connect --rehearse -v", "status --rehearse", "plan bootstrap"]
    {
        let ran = place.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        told.push_str(&ran.out);
        told.push_str(&ran.err);
    }
    let out = place.root().join("out/rehearsal");
    let secrets: Vec<(PathBuf, String)> = files(out.join("secrets").as_std_path())
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap().trim().to_owned()))
        .collect();
    assert!(secrets.len() >= 14 && secrets.iter().all(|(_, value)| value.len() >= 16), "{}", secrets.len());
    // The world of the rehearsal is the other side: it must know what it was told. Kubeconfigs hold keys by nature.
    let own = |path: &Path| {
        path.starts_with(out.join("secrets")) || path.starts_with(out.join("kube")) || path.ends_with("world.json")
    };
    let records: Vec<PathBuf> = files(out.as_std_path()).into_iter().filter(|path| !own(path)).collect();
    assert!(records.len() > 40, "{}", records.len());
    for path in records {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for (name, value) in &secrets {
            assert!(!text.contains(value.as_str()), "{} is in {}", name.display(), path.display());
        }
    }
    for (name, value) in &secrets {
        assert!(!told.contains(value.as_str()), "{} is on the screen", name.display());
    }
    for folder in ["secrets", "kube", "logs", "tmp"] {
        let folder = out.join(folder);
        assert_eq!(mode(folder.as_std_path()), 0o700, "{folder}");
        files(folder.as_std_path()).iter().for_each(|path| assert_eq!(mode(path), 0o600, "{}", path.display()));
    }
}

/// With a umask that forbids nothing, somebody looks into `out/` all the time while a whole bootstrap runs.
#[test]
fn nobody_could_ever_read_a_secret() {
    let machine = Machine::new();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"umask 000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_undertest"), "bootstrap"]);
    command.current_dir(machine.root()).env("PATH", format!("{}/bin:/usr/bin:/bin", machine.root()));
    command.env("STANDIN_STATE", machine.root().join("state.json")).env("STANDIN_PACE", "2000");
    let story = fs::File::create(machine.root().join("story")).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(story).spawn().unwrap();
    let (mut looks, mut seen) = (0, 0);
    let status = loop {
        looks += 1;
        for folder in ["out/secrets", "out/kube", "out/tmp", "out/logs"] {
            let folder = machine.root().join(folder).into_std_path_buf();
            // What is gone again when it is looked at was never open.
            let open = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
            assert!(!open(&folder), "{}", folder.display());
            // What grows up in `tmp` may be meant for all; nobody else gets into the folder.
            let inside = if folder.ends_with("tmp") { vec![] } else { files(&folder) };
            for path in inside {
                seen += 1;
                assert!(!open(&path), "{}", path.display());
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        // The run shall not starve for our looking.
        std::thread::sleep(Duration::from_millis(1));
    };
    let story = machine.text("story");
    assert!(status.success() && looks > 20 && seen > 100, "{status}: {looks} looks, {seen} files: {story}");
}
