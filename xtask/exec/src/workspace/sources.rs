//! Files of the repository that a person writes: created, and changed in place by the commands meant for it (ADR-0019).

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use camino::Utf8Path;

use super::files::{Access, sync_folder};
use super::replacement::Replacement;
use super::{Workspace, io_problem};
use model::problem::Problem;

impl Workspace {
    /// Whether there is something at a path of the repository.
    pub fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Atomically replaces a text that was read, with the same permissions.
    ///
    /// # Errors
    /// The file was changed since, or cannot be written; it is then as it was.
    pub fn rewrite(&self, path: &str, old: &str, new: &str) -> Result<(), Problem> {
        if self.read(Utf8Path::new(path))? != old {
            let why = "file was modified concurrently";
            return Err(Problem::new(format!("refused to change `{path}`")).at(path, None).why(why));
        }
        let file = self.root.join(path);
        let write = || {
            let folder = file.parent().unwrap_or(&self.root);
            let mut replacement = Replacement::create_in(folder, 0o600)?;
            replacement.file.write_all(new.as_bytes())?;
            replacement.file.set_permissions(file.metadata()?.permissions())?;
            replacement.file.sync_all()?;
            replacement.replace(&file)?;
            sync_folder(folder)
        };
        write().map_err(|e| io_problem("write", path, &e))
    }

    /// Creates a file of the repository.
    ///
    /// # Errors
    /// It exists already, or cannot be written.
    pub fn create(&self, path: &str, text: &str) -> Result<(), Problem> {
        let open = OpenOptions::new().write(true).create_new(true).open(self.root.join(path));
        open.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => Problem::new(format!("`{path}` already exists")).at(path, None),
            _ => io_problem("write", path, &e),
        })
    }

    /// Writes a file below `out/` that other users may read.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the file cannot be written.
    pub fn write_public(&self, path: &str, text: &str) -> Result<(), Problem> {
        self.write_file(&self.checked_path(path)?, text.as_bytes(), Access::Public)
    }

    /// Names of the folders in `out/reports`, oldest first.
    pub fn reports(&self) -> Vec<String> {
        let mut names = self.file_names(&self.out.join("reports"));
        names.sort();
        names
    }

    /// Writes a file at a path that the user chose, over what is there.
    pub fn write_to(&self, path: &Utf8Path, text: &str) -> Result<(), Problem> {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| std::fs::write(path, text)).map_err(|e| io_problem("write", self.shown(path), &e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;

    #[test]
    fn rewrite_replaces_only_the_text_that_was_read() {
        let (_dir, space) = temp_workspace();
        space.create("charts/a.toml", "1").unwrap();
        space.rewrite("charts/a.toml", "1", "2").unwrap();
        let why = space.rewrite("charts/a.toml", "1", "3").unwrap_err().why.unwrap();
        assert_eq!(why, "file was modified concurrently");
        assert_eq!(
            space.texts("charts").unwrap().into_iter().collect::<Vec<_>>(),
            [("charts/a.toml".into(), "2".into())]
        );
    }

    #[test]
    fn create_refuses_an_existing_file() {
        let (_dir, space) = temp_workspace();
        space.create("infra/new.md", "1").unwrap();
        assert_eq!(space.create("infra/new.md", "2").unwrap_err().what, "`infra/new.md` already exists");
        assert_eq!(space.texts("infra").unwrap()["infra/new.md"], "1");
        assert!(space.exists("infra/new.md") && !space.exists("infra/old.md"));
        assert!(space.texts("adr").is_err());
    }
}
