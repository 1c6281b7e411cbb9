//! The one room that touches the disk: data files in, generated files, secrets, journal, logs and the lock out.
//!
//! Everything written lies below one folder (`out/`, or `out/simulation/` for the embedded world). A file appears there
//! whole or not at all: it is written to `tmp/`, synced, and renamed into place.
#![expect(clippy::disallowed_methods, reason = "this is the room that touches the disk and reads the wall clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use model::problem::Problem;
use render::Data;

mod bounds;
pub mod clock;
mod files;
mod forget;
mod fresh;
mod generated;
mod lock;
mod modes;
mod records;
mod secrets;
mod shelf;
mod sources;

pub use files::sha256_of;
pub use generated::{Drift, Written};
pub use lock::Lock;

/// Folders whose files are [`Data`].
const DATA_FOLDERS: [&str; 2] = ["charts", "infra"];
/// Deeper than any folder of ours; ends the walk where links form a circle.
const DATA_DEPTH: usize = 12;

/// The repository on disk and the folder that everything is written to.
#[derive(Debug)]
pub struct Workspace {
    root: Utf8PathBuf,
    out: Utf8PathBuf,
    /// Whether what is written must survive a power cut.
    lasting: bool,
    /// Where files lie, if not on the disk.
    shelf: Option<shelf::Shelf>,
    /// Every secret value seen so far, by value: what must not show up in a log.
    seen: BTreeMap<String, String>,
    /// The log that each step writes to now.
    logs: BTreeMap<String, records::Log>,
    /// Troubles that did not stop the run.
    complaints: BTreeSet<Problem>,
}

impl Workspace {
    /// The workspace of a repository. `out` is relative to `root` unless it is absolute. Writes nothing.
    pub fn open(root: &Utf8Path, out: &Utf8Path) -> Self {
        let mut space = Workspace::unseen(root, out);
        space.see_kept_secrets();
        space
    }

    /// One that has not looked at the disk.
    fn unseen(root: &Utf8Path, out: &Utf8Path) -> Self {
        Workspace {
            root: root.to_owned(),
            out: root.join(out),
            lasting: true,
            shelf: None,
            seen: BTreeMap::new(),
            logs: BTreeMap::new(),
            complaints: BTreeSet::new(),
        }
    }

    /// The same for a rehearsal, which can be had again: nothing waits for the disk (measured: 4 of 5 seconds).
    #[must_use]
    pub fn fleeting(self) -> Self {
        Workspace { lasting: false, ..self }
    }

    /// The repository.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The folder that everything is written to.
    pub fn out(&self) -> &Utf8Path {
        &self.out
    }

    /// Texts of all data files, by path relative to the repository. Hidden files are left out.
    ///
    /// # Errors
    /// Every file or folder that cannot be read, or is not UTF-8.
    pub fn data(&self) -> Result<Data, Vec<Problem>> {
        let mut data = Data::new();
        let mut problems = Vec::new();
        for folder in DATA_FOLDERS {
            self.walk(Utf8Path::new(folder), DATA_DEPTH, &mut data, &mut problems);
        }
        if problems.is_empty() { Ok(data) } else { Err(problems) }
    }

    /// A text file that the user named, relative to the repository.
    ///
    /// # Errors
    /// It is not there, not readable, not UTF-8, or larger than anything of ours.
    pub fn read(&self, path: &Utf8Path) -> Result<String, Problem> {
        self.text_within(path, bounds::KEPT)
    }

    /// The same of a text that a person writes, which is never longer than a mebibyte.
    ///
    /// # Errors
    /// As for [`Workspace::read`].
    pub fn read_written(&self, path: &Utf8Path) -> Result<String, Problem> {
        self.text_within(path, bounds::WRITTEN)
    }

    fn text_within(&self, path: &Utf8Path, bound: u64) -> Result<String, Problem> {
        let text = match &self.shelf {
            Some(shelf) => shelf.text(&self.root.join(path)),
            None => bounds::whole(&self.root.join(path), bound).and_then(text),
        };
        text.map_err(|e| trouble("read", path.as_str(), &e))
    }

    /// Troubles that did not stop the run (a log that could not be written), each once. Empties the list.
    pub fn complaints(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.complaints).into_iter().collect()
    }

    /// Notes a trouble that need not stop the run.
    pub fn complain(&mut self, problem: Problem) {
        self.complaints.insert(problem);
    }

    /// A path as the user knows it: relative to the repository where it lies in it.
    pub fn shown<'a>(&self, path: &'a Utf8Path) -> &'a str {
        path.strip_prefix(&self.root).unwrap_or(path).as_str()
    }

    fn walk(&self, folder: &Utf8Path, depth: usize, data: &mut Data, problems: &mut Vec<Problem>) {
        let entries = match self.root.join(folder).read_dir_utf8() {
            Ok(entries) => entries,
            Err(e) => return problems.push(trouble("read folder", folder.as_str(), &e)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    problems.push(trouble("read folder", folder.as_str(), &e));
                    continue;
                }
            };
            let path = folder.join(entry.file_name());
            if entry.file_name().starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                match depth.checked_sub(1) {
                    Some(depth) => self.walk(&path, depth, data, problems),
                    None => problems.push(Problem::new(format!("folders are nested too deep: `{path}`"))),
                }
            } else {
                match bounds::regular(entry.path(), bounds::WRITTEN).and_then(text) {
                    Ok(text) => drop(data.insert(path.into_string(), text)),
                    Err(e) => problems.push(trouble("read", path.as_str(), &e)),
                }
            }
        }
    }
}

/// The repository that holds one of these places: the nearest folder above it with an `infra/fleet.toml`.
///
/// # Errors
/// None of the places lies in a repository of this kind.
pub fn find_root(places: &[&Utf8Path]) -> Result<Utf8PathBuf, Problem> {
    let is_root = |folder: &&Utf8Path| folder.join("infra/fleet.toml").is_file();
    places.iter().find_map(|place| place.ancestors().find(is_root)).map(Utf8Path::to_owned).ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|p| format!("`{p}`")).collect();
        Problem::new("cannot find the repository")
            .why(format!("no folder at or above {} holds `infra/fleet.toml`", places.join(" or ")))
    })
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// What the user is told when the disk says no.
fn trouble(doing: &str, path: &str, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot {doing} `{path}`")).why(reason(error));
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
    pub(super) fn scratch() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        std::fs::create_dir_all(root.join("infra/node")).unwrap();
        std::fs::create_dir_all(root.join("charts")).unwrap();
        std::fs::write(root.join("infra/fleet.toml"), "x = 1\n").unwrap();
        (dir, Workspace::open(&root, Utf8Path::new("out")))
    }

    #[test]
    fn data_are_all_visible_texts_by_relative_path() {
        let (_dir, space) = scratch();
        std::fs::write(space.root.join("infra/node/a.conf"), "a").unwrap();
        std::fs::write(space.root.join("infra/.hidden"), [0xff]).unwrap();
        let data = space.data().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["infra/fleet.toml", "infra/node/a.conf"]);
        assert!(!space.out.exists(), "reading writes nothing");
    }

    #[test]
    fn every_unreadable_data_file_is_named() {
        let (_dir, space) = scratch();
        std::fs::write(space.root.join("infra/one.bin"), [0xff, 0xfe]).unwrap();
        std::fs::write(space.root.join("charts/two.bin"), [0xff, 0xfe]).unwrap();
        let problems = space.data().unwrap_err();
        let what: Vec<&str> = problems.iter().map(|p| p.what.as_str()).collect();
        assert_eq!(what, ["cannot read `charts/two.bin`", "cannot read `infra/one.bin`"]);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let (_dir, space) = scratch();
        std::os::unix::fs::symlink(space.root.join("infra"), space.root.join("infra/node/up")).unwrap();
        assert!(space.data().unwrap_err().iter().any(|p| p.what.contains("too deep")));
    }

    #[test]
    fn the_root_is_found_upward() {
        let (_dir, space) = scratch();
        let inside = space.root.join("infra/node");
        assert_eq!(find_root(&[Utf8Path::new("/nowhere"), &inside]).unwrap(), space.root);
        assert!(find_root(&[Utf8Path::new("/nowhere")]).unwrap_err().why.unwrap().contains("`/nowhere`"));
    }

    #[test]
    fn a_reason_is_a_phrase() {
        assert_eq!(reason(&io::Error::from_raw_os_error(28)), "no space left on device");
    }
}
