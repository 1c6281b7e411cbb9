//! Stories that many tests begin with: each is rehearsed once, and every test goes on with a copy in its own folder.
//! Knows nothing of what a test does then.
#![expect(clippy::disallowed_methods, reason = "keeps what commands have left, and lays it out again")]

use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::ui::Place;

/// A file or, without bytes, a folder below `out/`.
struct Entry {
    path: PathBuf,
    modes: Permissions,
    bytes: Option<Vec<u8>>,
}

/// All that is below `out/`; a folder comes before what is in it.
struct Story(Vec<Entry>);

/// Clusters that were brought up in the embedded world.
pub fn brought_up() -> Place {
    static STORY: OnceLock<Story> = OnceLock::new();
    STORY.get_or_init(|| Story::of(&Place::new(), "bootstrap --simulate -q")).told()
}

/// The same, connected.
pub fn connected() -> Place {
    static STORY: OnceLock<Story> = OnceLock::new();
    STORY.get_or_init(|| Story::of(&brought_up(), "mesh-connect --simulate -q")).told()
}

impl Story {
    /// What a command leaves, which must go well.
    fn of(place: &Place, line: &str) -> Self {
        let ran = place.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        let mut entries = Vec::new();
        keep(place.root().as_std_path(), Path::new("out"), &mut entries);
        Story(entries)
    }

    /// A place in which it has happened.
    fn told(&self) -> Place {
        let place = Place::new();
        for Entry { path, modes, bytes } in &self.0 {
            let path = place.root().as_std_path().join(path);
            match bytes {
                Some(bytes) => fs::write(&path, bytes).expect("a file"),
                None => fs::create_dir(&path).expect("a folder"),
            }
            fs::set_permissions(path, modes.clone()).expect("its modes");
        }
        place
    }
}

fn keep(root: &Path, path: &Path, entries: &mut Vec<Entry>) {
    let at = root.join(path);
    let bytes = at.is_file().then(|| fs::read(&at).expect("a file"));
    let modes = fs::metadata(&at).expect("it is there").permissions();
    let folder = bytes.is_none();
    entries.push(Entry { path: path.to_owned(), modes, bytes });
    if folder {
        let inside = fs::read_dir(at).expect("a folder").flatten();
        inside.for_each(|entry| keep(root, &path.join(entry.file_name()), entries));
    }
}
