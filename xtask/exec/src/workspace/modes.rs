//! Who may read what is private below `out/`: finds files and folders that others may read, and closes them.

use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;

use super::{Workspace, trouble};
use model::problem::Problem;

/// Folders below `out/` whose contents are nobody else's business.
const PRIVATE: [&str; 2] = ["secrets", "kube"];

impl Workspace {
    /// Private files and folders that others may read or write, as the user knows them.
    pub fn loose(&self) -> Vec<String> {
        self.open_ones().iter().map(|path| self.shown(path).to_owned()).collect()
    }

    /// Takes every right on them from everyone but the owner.
    ///
    /// # Errors
    /// The disk says no, for each path.
    pub fn close_loose(&self) -> Result<(), Vec<Problem>> {
        let close = |path: &Utf8PathBuf| {
            let mode = path.symlink_metadata()?.permissions().mode() & 0o700;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        let failed = |path: Utf8PathBuf| close(&path).err().map(|e| trouble("close", self.shown(&path), &e));
        let problems: Vec<Problem> = self.open_ones().into_iter().filter_map(failed).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn open_ones(&self) -> Vec<Utf8PathBuf> {
        let folders = PRIVATE.map(|folder| self.out.join(folder));
        let folders: Vec<Utf8PathBuf> = folders.into_iter().filter(|folder| self.stays_inside(folder)).collect();
        let files = folders.iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten().flatten();
        let all = folders.iter().cloned().chain(files.map(|entry| entry.into_path()));
        // Of a link the target decides, and it may lie elsewhere.
        let loose = |path: &Utf8PathBuf| {
            path.symlink_metadata().is_ok_and(|m| !m.is_symlink() && m.permissions().mode() & 0o077 != 0)
        };
        all.filter(loose).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;
    use super::*;

    #[test]
    fn what_others_may_read_is_found_and_closed() {
        let (_dir, mut space) = scratch();
        assert_eq!(space.loose(), [""; 0]);
        space.keep_secrets(&[("a", "secretsecret")]).unwrap();
        space.keep("kube/a.yaml", b"x").unwrap();
        assert_eq!(space.loose(), [""; 0]);
        let open = |path: &str, mode| {
            std::fs::set_permissions(space.out().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open("secrets/a", 0o644);
        open("kube", 0o755);
        assert_eq!(space.loose(), ["out/kube", "out/secrets/a"]);
        space.close_loose().unwrap();
        assert_eq!(space.loose(), [""; 0]);
        assert_eq!(space.secret("a").unwrap().as_deref(), Some("secretsecret"));
    }
}
