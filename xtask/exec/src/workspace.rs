//! Disk access: data files in; generated files, secrets, journal, logs and the lock out.
//!
//! Everything is written below one folder (`out/`, or `out/simulation/` for the simulator), atomically: to `tmp/`,
//! synced, and renamed into place.
#![expect(clippy::disallowed_methods, reason = "this module accesses the disk and reads the wall clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use model::problem::Problem;
use model::release::apps::APPS;
use render::Data;

pub mod clock;
mod files;
mod generated;
mod lock;
mod memory_fs;
mod permissions;
mod records;
mod replacement;
mod reset;
mod secrets;
mod size_limits;
mod sources;
pub mod user_file;

pub(crate) use files::hex;
pub use files::sha256_of;
pub use generated::{Drift, Written};
pub use lock::{ChildLock, Lock, Orphan};

/// Folders whose files are [`Data`]. There may be no applications.
const DATA_FOLDERS: [&str; 3] = ["charts", "infra", APPS];
/// Deeper than any folder of ours; ends the walk where links form a cycle.
const DATA_DEPTH: usize = 12;

/// The repository on disk and the folder that everything is written to.
#[derive(Debug)]
pub struct Workspace {
    root: Utf8PathBuf,
    out: Utf8PathBuf,
    /// Whether files must survive a power failure.
    fsync: bool,
    memory: Option<memory_fs::MemoryFs>,
    secrets: BTreeMap<String, String>,
    /// The current log of each step.
    logs: BTreeMap<String, records::Log>,
    warnings: BTreeSet<Problem>,
}

impl Workspace {
    /// The workspace of a repository. `out` is relative to `root` unless it is absolute. Writes nothing.
    pub fn open(root: &Utf8Path, out: &Utf8Path) -> Self {
        let mut space = Workspace::unloaded(root, out);
        space.load_secrets();
        space
    }

    fn unloaded(root: &Utf8Path, out: &Utf8Path) -> Self {
        Workspace {
            root: root.to_owned(),
            out: root.join(out),
            fsync: true,
            memory: None,
            secrets: BTreeMap::new(),
            logs: BTreeMap::new(),
            warnings: BTreeSet::new(),
        }
    }

    /// The same for a simulated run, which can be repeated: `fsync` takes 4 of its 5 seconds (measured).
    #[must_use]
    pub fn without_fsync(self) -> Self {
        Workspace { fsync: false, ..self }
    }

    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    pub fn out(&self) -> &Utf8Path {
        &self.out
    }

    /// Texts of all data files, by path relative to the repository. Hidden files are left out.
    ///
    /// # Errors
    /// Every file or folder that cannot be read, or is not UTF-8.
    pub fn data(&self) -> Result<Data, Vec<Problem>> {
        self.read_folders(&DATA_FOLDERS)
    }

    /// The same of one folder.
    ///
    /// # Errors
    /// As for [`Workspace::data`].
    pub fn texts(&self, folder: &str) -> Result<Data, Vec<Problem>> {
        self.read_folders(&[folder])
    }

    fn read_folders(&self, folders: &[&str]) -> Result<Data, Vec<Problem>> {
        let (mut data, mut problems) = (Data::new(), Vec::new());
        for folder in folders {
            self.read_folder(Utf8Path::new(folder), DATA_DEPTH, &mut data, &mut problems);
        }
        if problems.is_empty() { Ok(data) } else { Err(problems) }
    }

    /// A text file that the user named, relative to the repository.
    ///
    /// # Errors
    /// It does not exist, is not readable, not UTF-8, or larger than 128 MiB.
    pub fn read(&self, path: &Utf8Path) -> Result<String, Problem> {
        self.read_text(path, size_limits::ANY)
    }

    /// As [`Workspace::read`], of a file that a person writes: at most 1 MiB.
    pub fn read_input(&self, path: &Utf8Path) -> Result<String, Problem> {
        self.read_text(path, size_limits::INPUT)
    }

    fn read_text(&self, path: &Utf8Path, limit: u64) -> Result<String, Problem> {
        let text = match &self.memory {
            Some(memory) => memory.text(&self.root.join(path)),
            None => size_limits::read(&self.root.join(path), limit).and_then(text),
        };
        text.map_err(|e| io_problem("read", path.as_str(), &e))
    }

    /// Problems that did not stop the run (a log that could not be written), each once. Empties the list.
    pub fn deferred_warnings(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.warnings).into_iter().collect()
    }

    /// Records a problem that need not stop the run, to be shown at its end.
    pub fn warn_deferred(&mut self, problem: Problem) {
        self.warnings.insert(problem);
    }

    /// A path as the user would type it: relative to the repository where it is inside.
    pub fn shown<'a>(&self, path: &'a Utf8Path) -> &'a str {
        path.strip_prefix(&self.root).unwrap_or(path).as_str()
    }

    fn read_folder(&self, folder: &Utf8Path, depth: usize, data: &mut Data, problems: &mut Vec<Problem>) {
        let entries = match self.root.join(folder).read_dir_utf8() {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound && folder == APPS => return,
            Err(e) => return problems.push(io_problem("read folder", folder.as_str(), &e)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    problems.push(io_problem("read folder", folder.as_str(), &e));
                    continue;
                }
            };
            let path = folder.join(entry.file_name());
            if entry.file_name().starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                match depth.checked_sub(1) {
                    Some(depth) => self.read_folder(&path, depth, data, problems),
                    None => problems.push(Problem::new(format!("folders are nested too deep: `{path}`"))),
                }
            } else {
                match size_limits::read_regular(entry.path(), size_limits::INPUT).and_then(text) {
                    Ok(text) => drop(data.insert(path.into_string(), text)),
                    Err(e) => problems.push(io_problem("read", path.as_str(), &e)),
                }
            }
        }
    }
}

/// The repository of one of these folders: the nearest one at or above it with an `infra/fleet.toml`.
pub fn find_root(folders: &[&Utf8Path]) -> Result<Utf8PathBuf, Problem> {
    let is_root = |folder: &&Utf8Path| folder.join("infra/fleet.toml").is_file();
    folders.iter().find_map(|folder| folder.ancestors().find(is_root)).map(Utf8Path::to_owned).ok_or_else(|| {
        let folders: Vec<String> = folders.iter().map(|p| format!("`{p}`")).collect();
        Problem::new("cannot find the repository")
            .why(format!("no folder at or above {} contains `infra/fleet.toml`", folders.join(" or ")))
    })
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The problem of a failed access to a file or folder.
fn io_problem(action: &str, path: &str, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot {action} `{path}`")).why(reason(error));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => problem.hint("df -h ."),
        io::ErrorKind::PermissionDenied => problem.hint(format!("ls -ld {path}")),
        _ => problem,
    }
}

/// An I/O error as a phrase: `no space left on device`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty repository that is removed at the end of the test.
    pub(super) fn temp_workspace() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        std::fs::create_dir_all(root.join("infra/node")).unwrap();
        std::fs::create_dir_all(root.join("charts")).unwrap();
        std::fs::write(root.join("infra/fleet.toml"), "x = 1\n").unwrap();
        (dir, Workspace::open(&root, Utf8Path::new("out")))
    }

    #[test]
    fn data_are_visible_text_files_by_relative_path() {
        let (_dir, space) = temp_workspace();
        std::fs::write(space.root.join("infra/node/a.conf"), "a").unwrap();
        std::fs::write(space.root.join("infra/.hidden"), [0xff]).unwrap();
        let data = space.data().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["infra/fleet.toml", "infra/node/a.conf"]);
        assert!(!space.out.exists(), "reading writes nothing");
    }

    #[test]
    fn every_unreadable_data_file_is_reported() {
        let (_dir, space) = temp_workspace();
        std::fs::write(space.root.join("infra/one.bin"), [0xff, 0xfe]).unwrap();
        std::fs::write(space.root.join("charts/two.bin"), [0xff, 0xfe]).unwrap();
        let problems = space.data().unwrap_err();
        let what: Vec<&str> = problems.iter().map(|p| p.what.as_str()).collect();
        assert_eq!(what, ["cannot read `charts/two.bin`", "cannot read `infra/one.bin`"]);
    }

    #[test]
    fn walk_ends_on_a_cycle_of_links() {
        let (_dir, space) = temp_workspace();
        std::os::unix::fs::symlink(space.root.join("infra"), space.root.join("infra/node/up")).unwrap();
        assert!(space.data().unwrap_err().iter().any(|p| p.what.contains("too deep")));
    }

    #[test]
    fn root_is_found_in_a_parent_folder() {
        let (_dir, space) = temp_workspace();
        let inside = space.root.join("infra/node");
        assert_eq!(find_root(&[Utf8Path::new("/nowhere"), &inside]).unwrap(), space.root);
        assert!(find_root(&[Utf8Path::new("/nowhere")]).unwrap_err().why.unwrap().contains("`/nowhere`"));
    }

    #[test]
    fn io_errors_are_lowercase_phrases() {
        assert_eq!(reason(&io::Error::from_raw_os_error(28)), "no space left on device");
    }
}
