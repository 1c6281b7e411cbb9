//! Files below `out/`, and never outside: written atomically, compared, digested.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::rc::Rc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::replacement::Replacement;
use super::{Workspace, io_problem, size_limits};
use model::problem::Problem;

/// Permissions of a file and of the folders created for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// 0644, in folders of 0755, less the umask.
    Public,
    /// 0600, in folders of 0700.
    Private,
}

impl Access {
    fn file(self) -> u32 {
        if self == Access::Public { 0o644 } else { 0o600 }
    }

    fn folder(self) -> u32 {
        if self == Access::Public { 0o755 } else { 0o700 }
    }
}

impl Workspace {
    /// Atomically writes a file below `out/`, created with mode 0600.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the file cannot be written; the old file is then still there.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.write_file(&self.checked_path(path)?, bytes, Access::Private)
    }

    /// Creates a folder below `out/`, if there is none.
    pub fn create_dir(&self, path: &str) -> Result<(), Problem> {
        self.create_folder(&self.checked_path(path)?, Access::Public)
    }

    /// Removes a file below `out/`, if it exists.
    pub fn remove(&self, path: &str) -> Result<(), Problem> {
        self.remove_file(&self.checked_path(path)?)
    }

    /// Whether a file below `out/` has exactly these bytes; false if there is no such file.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the file cannot be read.
    pub fn file_matches(&self, path: &str, bytes: &[u8]) -> Result<bool, Problem> {
        let full = self.checked_path(path)?;
        // A file of another length is not read.
        let same_length = || full.metadata().is_ok_and(|data| !data.is_file() || data.len() == bytes.len() as u64);
        let compare = self.memory.is_some() || same_length();
        Ok(compare && self.read_bytes(&full)?.is_some_and(|current| current == bytes))
    }

    /// A path below `out/`, refused if it leads anywhere else, by `..` or through a symbolic link.
    pub(super) fn checked_path(&self, path: &str) -> Result<Utf8PathBuf, Problem> {
        let plain = |c: Utf8Component<'_>| matches!(c, Utf8Component::Normal(_));
        let full = self.out.join(path);
        if path.is_empty() || !Utf8Path::new(path).components().all(plain) || !self.stays_inside(&full) {
            let out = self.shown(&self.out);
            return Err(Problem::new(format!("refused to touch `{path}`"))
                .why(format!("it leads out of `{out}/`, the one folder that is written to")));
        }
        Ok(full)
    }

    /// Whether what already exists of a path lies in `out/` with all links followed.
    pub(super) fn stays_inside(&self, full: &Utf8Path) -> bool {
        if self.memory.is_some() {
            return true;
        }
        let Ok(base) = self.out.canonicalize_utf8() else { return true };
        let existing = full.ancestors().take_while(|p| *p != self.out).find(|p| p.symlink_metadata().is_ok());
        // A dangling link has no canonical path, so it is refused too.
        existing.is_none_or(|path| path.canonicalize_utf8().is_ok_and(|real| real.starts_with(&base)))
    }

    /// The bytes of a file, `None` if it cannot be read. Those in memory are shared.
    pub fn read_shared(&self, path: &Utf8Path) -> Option<Rc<Vec<u8>>> {
        match &self.memory {
            Some(memory) => memory.read_shared(path),
            None => self.read_bytes(path).ok().flatten().map(Rc::new),
        }
    }

    /// The bytes of a file, `None` if there is no such file.
    pub(super) fn read_bytes(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, Problem> {
        if let Some(memory) = &self.memory {
            return Ok(memory.read(path));
        }
        match size_limits::read_regular(path, size_limits::ANY) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_problem("read", self.shown(path), &e)),
        }
    }

    pub(super) fn remove_file(&self, path: &Utf8Path) -> Result<(), Problem> {
        if let Some(memory) = &self.memory {
            memory.remove(path);
            return Ok(());
        }
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_problem("remove", self.shown(path), &e)),
            _ => Ok(()),
        }
    }

    /// Atomically writes a file: a reader gets the old one or the new one, also after a power failure.
    pub(super) fn write_file(&self, path: &Utf8Path, bytes: &[u8], access: Access) -> Result<(), Problem> {
        if let Some(memory) = &self.memory {
            memory.write(path, bytes);
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.out);
        self.create_folder(folder, access)?;
        let temp = self.temp_folder()?;
        let write = || {
            let mut replacement = Replacement::create_in(&temp, access.file())?;
            replacement.file.write_all(bytes)?;
            if self.fsync {
                replacement.file.sync_all()?;
            }
            replacement.replace(path)?;
            if self.fsync { sync_folder(folder) } else { Ok(()) }
        };
        write().map_err(|e| io_problem("write", self.shown(path), &e))
    }

    /// Creates a folder below `out/`, and restricts an existing one if it must be private.
    pub(super) fn create_folder(&self, folder: &Utf8Path, access: Access) -> Result<(), Problem> {
        if self.memory.is_some() {
            return Ok(());
        }
        let create = || {
            DirBuilder::new().recursive(true).mode(Access::Public.folder()).create(&self.out)?;
            DirBuilder::new().recursive(true).mode(access.folder()).create(folder)?;
            if access == Access::Private && folder != self.out {
                std::fs::set_permissions(folder, Permissions::from_mode(access.folder()))?;
            }
            Ok(())
        };
        create().map_err(|e| io_problem("create folder", self.shown(folder), &e))
    }

    /// Where files are written before they are renamed into place: on the same file system. Emptied with the lock held.
    pub(super) fn temp_folder(&self) -> Result<Utf8PathBuf, Problem> {
        let temp = self.checked_path("tmp")?;
        self.create_folder(&temp, Access::Private)?;
        Ok(temp)
    }
}

/// Syncs the names in a folder, so that they survive a power failure.
pub(super) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The sha256 of bytes in hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&hmac_sha256::Hash::hash(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;
    use super::*;

    fn mode(path: &Utf8Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn written_files_match_and_are_private() {
        let (_dir, space) = temp_workspace();
        space.write("kube/app1.yaml", b"one").unwrap();
        space.write("kube/app1.yaml", b"two").unwrap();
        assert!(space.file_matches("kube/app1.yaml", b"two").unwrap());
        assert!(!space.file_matches("kube/app1.yaml", b"one").unwrap());
        assert!(!space.file_matches("kube/none.yaml", b"").unwrap());
        assert_eq!(mode(&space.out.join("kube/app1.yaml")), 0o600);
        assert_eq!(mode(&space.out.join("kube")), 0o700);
        assert_eq!(space.out.join("tmp").read_dir_utf8().unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn digests_are_those_of_sha256sum() {
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(b"abc"), want);
    }

    #[test]
    fn paths_out_of_the_folder_are_refused() {
        let (dir, space) = temp_workspace();
        space.write("in/here", b"x").unwrap();
        let link = |to: &std::path::Path, at: &str| std::os::unix::fs::symlink(to, space.out.join(at)).unwrap();
        link(dir.path(), "folder");
        link(&dir.path().join("infra/fleet.toml"), "file");
        link(&dir.path().join("not-there"), "dangling");
        link(&space.out.join("in").into_std_path_buf(), "inner");
        for path in ["", "..", "../x", "a/../../x", "/etc/passwd", "folder/x", "folder/a/b", "file", "dangling"] {
            for refused in [space.write(path, b"y"), space.file_matches(path, b"y").map(drop)] {
                let problem = refused.expect_err(path);
                assert!(problem.why.unwrap().contains("leads out of `out/`"), "{path}");
            }
        }
        assert!(space.file_matches("inner/here", b"x").unwrap(), "a link that stays inside is fine");
        assert_eq!(space.read("infra/fleet.toml".into()).unwrap(), "x = 1\n");
    }

    #[test]
    fn file_in_place_of_a_folder_is_reported() {
        let (_dir, space) = temp_workspace();
        space.write("kube", b"").unwrap();
        let problem = space.write("kube/app1.yaml", b"").unwrap_err();
        assert_eq!(problem.what, "cannot create folder `out/kube`");
    }
}
