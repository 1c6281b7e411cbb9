//! Files below `out/`: written whole or not at all, compared, digested, and never outside.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::rc::Rc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::fresh::Fresh;
use super::{Workspace, bounds, trouble};
use model::problem::Problem;

/// Who may read a file, and the folders made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// 0644, less the umask.
    Open,
    /// 0600, in folders of 0700.
    Private,
}

impl Access {
    fn file(self) -> u32 {
        if self == Access::Open { 0o644 } else { 0o600 }
    }

    fn folder(self) -> u32 {
        if self == Access::Open { 0o755 } else { 0o700 }
    }
}

impl Workspace {
    /// Writes a file below `out/`, 0600 from its first moment, in one step.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the disk says no; the old file is then still there.
    pub fn keep(&self, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.put(&self.below(path)?, bytes, Access::Private)
    }

    /// Makes a folder below `out/`, if there is none.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the disk says no.
    pub fn make(&self, path: &str) -> Result<(), Problem> {
        self.folder(&self.below(path)?, Access::Open)
    }

    /// Whether a file below `out/` holds exactly these bytes. No file holds none.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the file cannot be read.
    pub fn same(&self, path: &str, bytes: &[u8]) -> Result<bool, Problem> {
        let full = self.below(path)?;
        // Another length is another file, however long it is.
        let alike = || full.metadata().is_ok_and(|data| !data.is_file() || data.len() == bytes.len() as u64);
        let same = self.shelf.is_some() || alike();
        Ok(same && self.bytes(&full)?.is_some_and(|held| held == bytes))
    }

    /// A path below `out/`, refused if it leads anywhere else, by `..` or through a symbolic link.
    pub(super) fn below(&self, path: &str) -> Result<Utf8PathBuf, Problem> {
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
        if self.shelf.is_some() {
            return true;
        }
        let Ok(base) = self.out.canonicalize_utf8() else { return true };
        let existing = full.ancestors().take_while(|p| *p != self.out).find(|p| p.symlink_metadata().is_ok());
        // A dangling link has no canonical path, so it is refused too.
        existing.is_none_or(|path| path.canonicalize_utf8().is_ok_and(|real| real.starts_with(&base)))
    }

    /// The bytes of a file, or nothing where they cannot be had. Those in memory are lent.
    pub fn lent(&self, path: &Utf8Path) -> Option<Rc<Vec<u8>>> {
        match &self.shelf {
            Some(shelf) => shelf.lent(path),
            None => self.bytes(path).ok().flatten().map(Rc::new),
        }
    }

    /// The bytes of a file, or nothing if there is no such file.
    pub(super) fn bytes(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, Problem> {
        if let Some(shelf) = &self.shelf {
            return Ok(shelf.read(path));
        }
        match bounds::regular(path, bounds::KEPT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(trouble("read", self.shown(path), &e)),
        }
    }

    /// Removes a file; one that is not there is fine.
    pub(super) fn remove(&self, path: &Utf8Path) -> Result<(), Problem> {
        if let Some(shelf) = &self.shelf {
            shelf.remove(path);
            return Ok(());
        }
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(trouble("remove", self.shown(path), &e)),
            _ => Ok(()),
        }
    }

    /// Writes a file in one step: whoever looks sees the old one or the new one, also after a power cut.
    pub(super) fn put(&self, path: &Utf8Path, bytes: &[u8], access: Access) -> Result<(), Problem> {
        if let Some(shelf) = &self.shelf {
            shelf.write(path, bytes);
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.out);
        self.folder(folder, access)?;
        let scratch = self.scratch()?;
        let write = || {
            let mut fresh = Fresh::within(&scratch, access.file())?;
            fresh.file.write_all(bytes)?;
            if self.lasting {
                fresh.file.sync_all()?;
            }
            fresh.replace(path)?;
            if self.lasting { sync_folder(folder) } else { Ok(()) }
        };
        write().map_err(|e| trouble("write", self.shown(path), &e))
    }

    /// Makes a folder below `out/`, and makes an existing one private if it must be.
    pub(super) fn folder(&self, folder: &Utf8Path, access: Access) -> Result<(), Problem> {
        if self.shelf.is_some() {
            return Ok(());
        }
        let make = || {
            DirBuilder::new().recursive(true).mode(Access::Open.folder()).create(&self.out)?;
            DirBuilder::new().recursive(true).mode(access.folder()).create(folder)?;
            if access == Access::Private && folder != self.out {
                std::fs::set_permissions(folder, Permissions::from_mode(access.folder()))?;
            }
            Ok(())
        };
        make().map_err(|e| trouble("make folder", self.shown(folder), &e))
    }

    /// Where files grow up. On the same file system, so that a rename is enough; whoever holds the lock empties it.
    pub(super) fn scratch(&self) -> Result<Utf8PathBuf, Problem> {
        let scratch = self.below("tmp")?;
        self.folder(&scratch, Access::Private)?;
        Ok(scratch)
    }
}

/// Makes names in a folder survive a power cut.
pub(super) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The sha256 of bytes in hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&hmac_sha256::Hash::hash(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;
    use super::*;

    fn mode(path: &Utf8Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_the_same_and_private() {
        let (_dir, space) = scratch();
        space.keep("kube/app1.yaml", b"one").unwrap();
        space.keep("kube/app1.yaml", b"two").unwrap();
        assert!(space.same("kube/app1.yaml", b"two").unwrap());
        assert!(!space.same("kube/app1.yaml", b"one").unwrap());
        assert!(!space.same("kube/none.yaml", b"").unwrap());
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
    fn no_path_leads_out() {
        let (dir, space) = scratch();
        space.keep("in/here", b"x").unwrap();
        let link = |to: &std::path::Path, at: &str| std::os::unix::fs::symlink(to, space.out.join(at)).unwrap();
        link(dir.path(), "folder");
        link(&dir.path().join("infra/fleet.toml"), "file");
        link(&dir.path().join("not-there"), "dangling");
        link(&space.out.join("in").into_std_path_buf(), "inner");
        for path in ["", "..", "../x", "a/../../x", "/etc/passwd", "folder/x", "folder/a/b", "file", "dangling"] {
            for refused in [space.keep(path, b"y"), space.same(path, b"y").map(drop)] {
                let problem = refused.expect_err(path);
                assert!(problem.why.unwrap().contains("leads out of `out/`"), "{path}");
            }
        }
        assert!(space.same("inner/here", b"x").unwrap(), "a link that stays inside is fine");
        assert_eq!(space.read("infra/fleet.toml".into()).unwrap(), "x = 1\n");
    }

    #[test]
    fn a_file_where_a_folder_should_be_is_named() {
        let (_dir, space) = scratch();
        space.keep("kube", b"").unwrap();
        let problem = space.keep("kube/app1.yaml", b"").unwrap_err();
        assert_eq!(problem.what, "cannot make folder `out/kube`");
    }
}
