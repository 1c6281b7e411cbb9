//! Files that lie in memory: thousands of trials write the same few, and none of them is read by anybody else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use camino::Utf8Path;

use super::Workspace;

/// Files by path. A clone is the same shelf; a copy shares bytes until one of the two writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf(Rc<RefCell<BTreeMap<String, Rc<Vec<u8>>>>>);

impl Workspace {
    /// A workspace of an empty repository that was never on a disk. Logs, which nobody could read, are not kept.
    pub fn in_memory() -> Self {
        let space = Workspace::unseen(Utf8Path::new(""), Utf8Path::new("out")).fleeting();
        Workspace { shelf: Some(Shelf::default()), ..space }
    }

    /// The workspace as another process opens it: the same files.
    #[must_use]
    pub fn beside(&self) -> Self {
        let space = Workspace::unseen(&self.root, &self.out);
        let mut space = Workspace { lasting: self.lasting, shelf: self.shelf.clone(), ..space };
        space.see_kept_secrets();
        space
    }

    /// The same files once more: what is written to the one is not seen by the other. Only files in memory have copies.
    #[must_use]
    pub fn copy(&self) -> Self {
        let shelf = self.shelf.as_ref().map(|shelf| Shelf(Rc::new(RefCell::new(shelf.0.borrow().clone()))));
        Workspace { shelf, ..self.beside() }
    }

    /// Names in a folder; none if there is no such folder.
    pub(super) fn names_in(&self, folder: &Utf8Path) -> Vec<String> {
        match &self.shelf {
            Some(shelf) => shelf.names(folder),
            None => {
                let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().to_owned()).collect()
            }
        }
    }
}

impl Shelf {
    pub(super) fn read(&self, path: &Utf8Path) -> Option<Vec<u8>> {
        self.lent(path).map(Rc::unwrap_or_clone)
    }

    pub(super) fn lent(&self, path: &Utf8Path) -> Option<Rc<Vec<u8>>> {
        self.0.borrow().get(path.as_str()).cloned()
    }

    /// A text, with the errors of a disk.
    pub(super) fn text(&self, path: &Utf8Path) -> io::Result<String> {
        // ENOENT, so that it is told in the words of the system.
        let bytes = self.read(path).ok_or_else(|| io::Error::from_raw_os_error(2))?;
        String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn write(&self, path: &Utf8Path, bytes: &[u8]) {
        self.0.borrow_mut().insert(path.as_str().to_owned(), Rc::new(bytes.to_vec()));
    }

    /// Adds a line, on a line of its own.
    pub(super) fn add(&self, path: &Utf8Path, line: &str) {
        let mut files = self.0.borrow_mut();
        let file = Rc::make_mut(files.entry(path.as_str().to_owned()).or_default());
        if file.last().is_some_and(|last| *last != b'\n') {
            file.push(b'\n');
        }
        file.extend(line.as_bytes());
    }

    pub(super) fn remove(&self, path: &Utf8Path) {
        self.0.borrow_mut().remove(path.as_str());
    }

    fn names(&self, folder: &Utf8Path) -> Vec<String> {
        let files = self.0.borrow();
        let inside = files.keys().map(Utf8Path::new).filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| path.file_name()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;
    use super::*;

    /// Everything that a run does with files; what it sees of them afterwards.
    fn story(space: &mut Workspace) -> Vec<String> {
        space.keep_secrets(&[("app1.ca", "topsecretvalue"), ("mesh.key", "x")]).unwrap();
        space.mint("join").unwrap();
        space.keep("kube/app1.yaml", b"one").unwrap();
        space.keep("kube/app1.yaml", b"two").unwrap();
        space.keep("charts/a.tgz", &[0xff]).unwrap();
        space.make("charts").unwrap();
        space.journal_add("{\"a\":\"topsecretvalue\"}").unwrap();
        space.journal_add("second").unwrap();
        let mut later = space.beside();
        let mut seen = vec![later.scrub("a topsecretvalue").into_owned(), later.journal().unwrap()];
        seen.extend([later.read(&later.out().join("kube/app1.yaml")).unwrap()]);
        seen.extend([later.read(&later.out().join("charts/a.tgz")).unwrap_err().what]);
        seen.extend([later.read(&later.out().join("none")).unwrap_err().why.unwrap()]);
        seen.extend(
            [later.secret("none").unwrap(), later.secret("join").unwrap().map(|s| s.len().to_string())]
                .map(|value| value.unwrap_or_default()),
        );
        seen.extend(later.kept_of("."));
        seen.extend([later.same("kube/app1.yaml", b"two").unwrap().to_string()]);
        seen.extend(["../x", "/etc/passwd", ""].map(|path| later.keep(path, b"").unwrap_err().what));
        later.forget("app1").unwrap();
        seen.extend(space.kept_of("."));
        seen
    }

    #[test]
    fn memory_is_like_a_disk() {
        let (dir, mut space) = scratch();
        let on_disk: Vec<String> = story(&mut space);
        let root = format!("{}/", dir.path().display());
        let on_disk: Vec<String> = on_disk.iter().map(|seen| seen.replace(&root, "")).collect();
        assert_eq!(story(&mut Workspace::in_memory()), on_disk);
    }

    #[test]
    fn a_copy_is_by_itself() {
        let space = Workspace::in_memory();
        space.keep("kube/app1.yaml", b"one").unwrap();
        let copy = space.copy();
        copy.keep("kube/app1.yaml", b"two").unwrap();
        copy.journal_add("x").unwrap();
        assert!(space.same("kube/app1.yaml", b"one").unwrap() && copy.same("kube/app1.yaml", b"two").unwrap());
        assert_eq!(space.journal().unwrap(), "");
    }

    #[test]
    fn nothing_reaches_the_disk() {
        story(&mut Workspace::in_memory());
        assert!(!Utf8Path::new("out").exists());
    }
}
