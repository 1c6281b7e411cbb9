//! Files in memory, for simulated runs: thousands of trials write the same few, and none is read from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use camino::Utf8Path;

use super::Workspace;

/// Files by path. A clone is the same file system; a copy shares bytes until one of the two writes.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryFs(Rc<RefCell<BTreeMap<String, Rc<Vec<u8>>>>>);

impl Workspace {
    /// A workspace of an empty repository that is not on a disk. Logs are not written.
    pub fn in_memory() -> Self {
        let space = Workspace::unloaded(Utf8Path::new(""), Utf8Path::new("out")).without_fsync();
        Workspace { memory: Some(MemoryFs::default()), ..space }
    }

    /// The workspace as another process opens it: the same files.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let space = Workspace::unloaded(&self.root, &self.out);
        let mut space = Workspace { fsync: self.fsync, memory: self.memory.clone(), ..space };
        space.load_secrets();
        space
    }

    /// An independent copy of a workspace in memory; one on disk is only opened again.
    #[must_use]
    pub fn copy(&self) -> Self {
        let memory = self.memory.as_ref().map(|memory| MemoryFs(Rc::new(RefCell::new(memory.0.borrow().clone()))));
        Workspace { memory, ..self.reopen() }
    }

    /// Names of the files in a folder; none if there is no such folder.
    pub(super) fn file_names(&self, folder: &Utf8Path) -> Vec<String> {
        match &self.memory {
            Some(memory) => memory.file_names(folder),
            None => {
                let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().to_owned()).collect()
            }
        }
    }
}

impl MemoryFs {
    pub(super) fn read(&self, path: &Utf8Path) -> Option<Vec<u8>> {
        self.read_shared(path).map(Rc::unwrap_or_clone)
    }

    pub(super) fn read_shared(&self, path: &Utf8Path) -> Option<Rc<Vec<u8>>> {
        self.0.borrow().get(path.as_str()).cloned()
    }

    pub(super) fn text(&self, path: &Utf8Path) -> io::Result<String> {
        // ENOENT, for the message of the system.
        let bytes = self.read(path).ok_or_else(|| io::Error::from_raw_os_error(2))?;
        String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn write(&self, path: &Utf8Path, bytes: &[u8]) {
        self.0.borrow_mut().insert(path.as_str().to_owned(), Rc::new(bytes.to_vec()));
    }

    pub(super) fn append(&self, path: &Utf8Path, line: &str) {
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

    fn file_names(&self, folder: &Utf8Path) -> Vec<String> {
        let files = self.0.borrow();
        let inside = files.keys().map(Utf8Path::new).filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| path.file_name()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;
    use super::*;

    /// Every operation on files, and what is read afterwards.
    fn exercise(space: &mut Workspace) -> Vec<String> {
        space.store_secrets(&[("app1.ca", "topsecretvalue"), ("mesh.key", "x")]).unwrap();
        space.generate_secret("join").unwrap();
        space.write("kube/app1.yaml", b"one").unwrap();
        space.write("kube/app1.yaml", b"two").unwrap();
        space.write("charts/a.tgz", &[0xff]).unwrap();
        space.create_dir("charts").unwrap();
        space.append_journal("{\"a\":\"topsecretvalue\"}").unwrap();
        space.append_journal("second").unwrap();
        let mut later = space.reopen();
        let mut seen = vec![later.redact("a topsecretvalue").into_owned(), later.journal().unwrap()];
        seen.extend([later.read(&later.out().join("kube/app1.yaml")).unwrap()]);
        seen.extend([later.read(&later.out().join("charts/a.tgz")).unwrap_err().what]);
        seen.extend([later.read(&later.out().join("none")).unwrap_err().why.unwrap()]);
        seen.extend(
            [later.secret("none").unwrap(), later.secret("join").unwrap().map(|s| s.len().to_string())]
                .map(|value| value.unwrap_or_default()),
        );
        seen.extend(later.files_of_cluster("."));
        seen.extend([later.file_matches("kube/app1.yaml", b"two").unwrap().to_string()]);
        seen.extend(["../x", "/etc/passwd", ""].map(|path| later.write(path, b"").unwrap_err().what));
        later.remove_cluster_files("app1").unwrap();
        seen.extend(space.files_of_cluster("."));
        seen
    }

    #[test]
    fn memory_behaves_like_a_disk_and_does_not_touch_it() {
        let (dir, mut space) = temp_workspace();
        let root = format!("{}/", dir.path().display());
        let on_disk: Vec<String> = exercise(&mut space).iter().map(|seen| seen.replace(&root, "")).collect();
        assert_eq!(exercise(&mut Workspace::in_memory()), on_disk);
        assert!(!Utf8Path::new("out").exists());
    }

    #[test]
    fn writes_to_a_copy_do_not_change_the_original() {
        let space = Workspace::in_memory();
        space.write("kube/app1.yaml", b"one").unwrap();
        let copy = space.copy();
        copy.write("kube/app1.yaml", b"two").unwrap();
        copy.append_journal("x").unwrap();
        assert!(space.file_matches("kube/app1.yaml", b"one").unwrap());
        assert!(copy.file_matches("kube/app1.yaml", b"two").unwrap());
        assert_eq!(space.journal().unwrap(), "");
    }
}
