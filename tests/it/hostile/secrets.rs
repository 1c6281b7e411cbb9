//! Secrets through a whole rehearsal with faults and through a hostile umask: in no record, no argument, no event, and
//! closed to others from the first moment.
//! Knows nothing of what they open; the runs with real processes are in `standin::whole`.
#![expect(clippy::disallowed_methods, reason = "looks for secrets in everything that a run leaves on disk")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::standin::place::Place as Machine;
use crate::ui::Place;
use crate::{daytwo, golden};

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
        let ran = place.run(&format!("bootstrap --simulate --seed {seed} --format json --explain -v"));
        told.push_str(&ran.out);
        told.push_str(&ran.err);
        struck = told.matches("\"event\":\"retrying\"").count();
        if struck >= 5 {
            break;
        }
    }
    assert!(struck >= 5, "faults must have struck: {struck}");
    // The machine slept among other things; clocks that stood still are the doctor's.
    let mended = place.run("doctor --simulate --fix");
    told.push_str(&mended.out);
    told.push_str(&mended.err);
    for line in
        ["bootstrap --simulate --explain -v", "mesh-connect --simulate -v", "status --simulate", "plan bootstrap"]
    {
        let ran = place.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        told.push_str(&ran.out);
        told.push_str(&ran.err);
    }
    let secrets = kept(&place);
    assert!(secrets.len() >= 14 && secrets.iter().all(|(_, value)| value.len() >= 16), "{}", secrets.len());
    assert!(nothing_tells(&place, &secrets, &told) > 40);
    all_is_closed(&place);
}

/// Where a rehearsal keeps its things.
fn out(place: &Place) -> PathBuf {
    place.root().join("out/simulation").into_std_path_buf()
}

/// The name and the value of each secret that is kept.
fn kept(place: &Place) -> BTreeSet<(String, String)> {
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap().trim().to_owned());
    files(&out(place).join("secrets")).into_iter().map(read).collect()
}

/// None of them is in what was said, or in any file that is not made for them. How many files were looked at.
fn nothing_tells(place: &Place, secrets: &BTreeSet<(String, String)>, told: &str) -> usize {
    let out = out(place);
    // The world of the rehearsal is the other side: it must know what it was told. Kubeconfigs hold keys by nature.
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
        assert!(!told.contains(value.as_str()), "{name} is on the screen");
    }
    records.len()
}

fn all_is_closed(place: &Place) {
    for folder in ["secrets", "kube", "logs", "tmp"] {
        let folder = out(place).join(folder);
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        files(&folder).iter().for_each(|path| assert_eq!(mode(path), 0o600, "{}", path.display()));
    }
}

/// The rest of a fleet's life, struck by faults where something is done: connected, upgraded, stopped, started, one
/// cluster made anew, drilled.
#[test]
fn no_later_command_tells_a_secret() {
    let place = daytwo::fleet();
    let newer = golden::read("infra/fleet.toml").replace("1.35.7", "1.35.8");
    fs::write(place.root().join("to.toml"), newer).unwrap();
    let (mut told, mut secrets, mut struck) = (String::new(), BTreeSet::new(), 0);
    for (line, calm) in [
        ("mesh-connect --simulate --format json", 0),
        ("upgrade --simulate --fleet to.toml --format json", 0),
        ("stop --simulate --format json", 0),
        ("doctor --simulate --fleet to.toml --explain", 1),
        ("start --simulate --fleet to.toml --format json", 0),
        ("destroy --simulate --fleet to.toml --only app2/* --format json", 0),
        ("bootstrap --simulate --fleet to.toml --only app2/* --only fleet/* -v", 0),
        ("mesh-connect --simulate --fleet to.toml -v", 0),
        ("verify-contract --simulate --fleet to.toml --live --explain", 0),
        ("verify-contract --simulate --fleet to.toml --drill mgmt-outage --outage 2m", 0),
        ("status --simulate --fleet to.toml --format json", 0),
        ("logs --simulate mgmt/vault/keys", 0),
    ] {
        let acts = ["mesh-connect", "upgrade", "stop", "start", "bootstrap"].iter().any(|act| line.starts_with(act));
        let seeds = if acts { 7..10 } else { 0..0 };
        // A cluster that a fault has switched off is away to `mesh-connect`, and `start` brings it back.
        let up = line.strip_prefix("mesh-connect").map(|flags| format!("start{flags} -v"));
        let up = up.map(|line| line.replace(" --format json", "").replace(" -v -v", " -v"));
        let faults = seeds.map(|seed| format!("{line} --seed {seed}")).chain(up);
        for (line, calm) in faults.map(|line| (line, None)).chain([(line.to_owned(), Some(calm))]) {
            let ran = place.run(&line);
            assert!(calm.is_none_or(|code| code == i32::from(ran.code)), "{line}: {} {}", ran.code, ran.err);
            struck += ran.out.matches("\"event\":\"retrying\"").count();
            told.push_str(&ran.out);
            told.push_str(&ran.err);
            // Some are made anew on the way: the old ones are as secret.
            secrets.extend(kept(&place));
        }
    }
    assert!(struck >= 5 && secrets.len() >= 14, "{struck} retries, {} secrets", secrets.len());
    assert!(nothing_tells(&place, &secrets, &told) > 100);
    all_is_closed(&place);
}

/// With a umask that forbids nothing, somebody looks into `out/` all the time while a whole bootstrap runs.
#[test]
fn nobody_could_ever_read_a_secret() {
    let machine = Machine::new();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"umask 000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_undertest"), "bootstrap"]);
    command.current_dir(machine.root()).env("PATH", format!("{}/bin:/usr/bin:/bin", machine.root()));
    command.env("STANDIN_STATE", machine.root().join("state.json")).env("STANDIN_PACE", "2000");
    // Time limits leave a busy machine enough time.
    command.env("UNDERTEST_PACE", "4");
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
