//! Finds private files and folders below `out/` that other users may access, and restricts them to the owner.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;

use super::{Workspace, io_problem};
use model::problem::Problem;

const PRIVATE_FOLDERS: [&str; 2] = ["secrets", "kube"];

impl Workspace {
    /// Private files and folders that other users may read or write.
    pub fn world_readable(&self) -> Vec<String> {
        self.accessible_to_others().iter().map(|path| self.shown(path).to_owned()).collect()
    }

    /// Removes all permissions on them but the owner's.
    ///
    /// # Errors
    /// Every path whose permissions cannot be changed.
    pub fn restrict_permissions(&self) -> Result<(), Vec<Problem>> {
        let restrict = |path: &Utf8PathBuf| {
            let mode = path.symlink_metadata()?.permissions().mode() & 0o700;
            std::fs::set_permissions(path, Permissions::from_mode(mode))
        };
        let failed = |path: Utf8PathBuf| restrict(&path).err().map(|e| io_problem("restrict", self.shown(&path), &e));
        let problems: Vec<Problem> = self.accessible_to_others().into_iter().filter_map(failed).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn accessible_to_others(&self) -> Vec<Utf8PathBuf> {
        let folders = PRIVATE_FOLDERS.map(|folder| self.out.join(folder));
        let folders: Vec<Utf8PathBuf> = folders.into_iter().filter(|folder| self.stays_inside(folder)).collect();
        let files = folders.iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten().flatten();
        let all = folders.iter().cloned().chain(files.map(|entry| entry.into_path()));
        // The permissions of a link are those of its target, which may be elsewhere.
        let open = |path: &Utf8PathBuf| {
            path.symlink_metadata().is_ok_and(|m| !m.is_symlink() && m.permissions().mode() & 0o077 != 0)
        };
        all.filter(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;
    use super::*;

    #[test]
    fn files_accessible_to_others_are_found_and_restricted() {
        let (_dir, mut space) = temp_workspace();
        assert_eq!(space.world_readable(), [""; 0]);
        space.store_secrets(&[("a", "secretsecret")]).unwrap();
        space.write("kube/a.yaml", b"x").unwrap();
        assert_eq!(space.world_readable(), [""; 0]);
        let open = |path: &str, mode| {
            std::fs::set_permissions(space.out().join(path), Permissions::from_mode(mode)).unwrap();
        };
        open("secrets/a", 0o644);
        open("kube", 0o755);
        assert_eq!(space.world_readable(), ["out/kube", "out/secrets/a"]);
        space.restrict_permissions().unwrap();
        assert_eq!(space.world_readable(), [""; 0]);
        assert_eq!(space.secret("a").unwrap().as_deref(), Some("secretsecret"));
    }
}
