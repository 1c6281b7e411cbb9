//! Simulated fleets that many tests start from: each is simulated once, and every test works on a copy.
#![expect(clippy::disallowed_methods, reason = "reads and writes what simulated commands leave on disk")]

use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use sim::{MemoryDisk, SimState, SimWorld};

use crate::golden;
use crate::ui::{Ran, Repo};

/// All that is below a folder, in memory. A folder comes before what is in it, and has no bytes.
pub struct Snapshot(Vec<(PathBuf, Permissions, Option<Vec<u8>>)>);

pub fn bootstrapped() -> Repo {
    static ONCE: OnceLock<Snapshot> = OnceLock::new();
    ONCE.get_or_init(|| {
        let repo = Repo::new();
        repo.must("bootstrap --simulate -q");
        Snapshot::read(repo.root().join("out").as_std_path())
    })
    .repo()
}

pub fn connected() -> Repo {
    static ONCE: OnceLock<Snapshot> = OnceLock::new();
    ONCE.get_or_init(|| {
        let repo = bootstrapped();
        repo.must("mesh-connect --simulate -q");
        Snapshot::read(repo.root().join("out").as_std_path())
    })
    .repo()
}

pub fn copy_folder(from: &Utf8Path, to: &Utf8Path) {
    Snapshot::read(from.as_std_path()).write(to.as_std_path());
}

impl Snapshot {
    pub fn read(root: &Path) -> Self {
        let mut entries = Vec::new();
        gather(root, Path::new(""), &mut entries);
        Snapshot(entries)
    }

    pub fn write(&self, root: &Path) {
        for (path, modes, bytes) in &self.0 {
            let path = root.join(path);
            match bytes {
                Some(bytes) => fs::write(&path, bytes).expect("a file"),
                None => fs::create_dir_all(&path).expect("a folder"),
            }
            fs::set_permissions(path, modes.clone()).expect("its modes");
        }
    }

    fn repo(&self) -> Repo {
        let repo = Repo::new();
        self.write(repo.root().join("out").as_std_path());
        repo
    }
}

fn gather(root: &Path, path: &Path, entries: &mut Vec<(PathBuf, Permissions, Option<Vec<u8>>)>) {
    let at = root.join(path);
    let bytes = at.is_file().then(|| fs::read(&at).expect("a file"));
    let folder = bytes.is_none();
    entries.push((path.to_owned(), fs::metadata(&at).expect("it is there").permissions(), bytes));
    if folder {
        let inside = fs::read_dir(at).expect("a folder").flatten();
        inside.for_each(|entry| gather(root, &path.join(entry.file_name()), entries));
    }
}

impl Repo {
    pub fn copy(&self) -> Repo {
        Snapshot::read(self.root().join("out").as_std_path()).repo()
    }

    /// Changes data files below `charts`, of which it has a copy then: file, text, and what stands there instead.
    pub fn change_charts(&self, changes: &[[String; 3]]) {
        let charts = self.root().join("charts");
        if charts.is_symlink() {
            fs::remove_file(&charts).expect("a link");
            Snapshot::read(&golden::root().join("charts")).write(charts.as_std_path());
        }
        for [file, from, to] in changes {
            let text = fs::read_to_string(self.root().join(file)).expect("a file");
            assert!(text.contains(from), "{file}: {from}");
            fs::write(self.root().join(file), text.replacen(from, to, 1)).expect("written");
        }
    }

    pub fn must(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
        ran
    }

    pub fn simulated(&self, path: &str) -> Utf8PathBuf {
        self.root().join("out/simulation").join(path)
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).expect("a file")
    }

    pub fn state(&self) -> String {
        fs::read_to_string(self.simulated("world.json")).expect("a simulated state")
    }

    pub fn set_state(&self, state: &str) {
        fs::write(self.simulated("world.json"), state).expect("written");
    }

    pub fn state_json(&self) -> Value {
        serde_json::from_str(&self.state()).expect("JSON")
    }

    pub fn edit_json(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state_json();
        change(&mut state["state"]);
        self.set_state(&state.to_string());
    }

    pub fn edit_vms(&self, change: impl FnOnce(&mut Value)) {
        self.edit_json(|stage| change(&mut stage["vms"]));
    }

    pub fn edit_stage(&self, change: impl FnOnce(&mut SimState)) {
        let mut world = SimWorld::load(&self.state(), Box::new(MemoryDisk::default())).expect("a simulated state");
        change(world.state_mut());
        self.set_state(&world.save());
    }

    /// This machine was suspended for so many seconds, and the clock of one VM has not been set since.
    pub fn delay_clock(&self, vm: &str, seconds: u64) {
        self.edit_json(|stage| {
            stage["slept_seconds"] = json!(seconds);
            stage["vms"][vm]["lag"] = json!(seconds);
        });
    }
}
