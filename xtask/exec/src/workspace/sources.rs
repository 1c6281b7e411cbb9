//! Files of the repository itself that a person writes: read as texts, begun anew, and changed only where a command
//! says so (ADR-0019).

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use camino::Utf8Path;

use super::files::Access;
use super::fresh::Fresh;
use super::{DATA_DEPTH, Workspace, trouble};
use model::problem::Problem;
use render::Data;

impl Workspace {
    /// Texts of all files in a folder, by path relative to the repository. Hidden files are left out.
    ///
    /// # Errors
    /// Every file or folder that cannot be read, or is not UTF-8.
    pub fn texts(&self, folder: &str) -> Result<Data, Vec<Problem>> {
        let mut texts = Data::new();
        let mut problems = Vec::new();
        self.walk(Utf8Path::new(folder), DATA_DEPTH, &mut texts, &mut problems);
        if problems.is_empty() { Ok(texts) } else { Err(problems) }
    }

    /// Whether there is something at a path of the repository.
    pub fn holds(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Puts a new text in place of one that was read, in one step and with the same permissions.
    ///
    /// # Errors
    /// Somebody else has changed the file since, or the disk says no; it is then as it was.
    pub fn rewrite(&self, path: &str, old: &str, new: &str) -> Result<(), Problem> {
        if self.read(Utf8Path::new(path))? != old {
            let why = "somebody else wrote it in the meantime";
            return Err(Problem::new(format!("refused to change `{path}`")).at(path, None).why(why));
        }
        let file = self.root.join(path);
        let write = || {
            let folder = file.parent().unwrap_or(&self.root);
            let mut fresh = Fresh::within(folder, 0o600)?;
            fresh.file.write_all(new.as_bytes())?;
            fresh.file.set_permissions(file.metadata()?.permissions())?;
            fresh.file.sync_all()?;
            fresh.replace(&file)?;
            super::files::sync_folder(folder)
        };
        write().map_err(|e| trouble("write", path, &e))
    }

    /// Begins a file of the repository.
    ///
    /// # Errors
    /// There is one already, or the disk says no.
    pub fn begin(&self, path: &str, text: &str) -> Result<(), Problem> {
        let open = OpenOptions::new().write(true).create_new(true).open(self.root.join(path));
        match open.and_then(|mut file| file.write_all(text.as_bytes())) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                Err(Problem::new(format!("there is one already: `{path}`")).at(path, None))
            }
            other => other.map_err(|e| trouble("write", path, &e)),
        }
    }

    /// Writes a file below `out/` that anybody may read.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the disk says no.
    pub fn publish(&self, path: &str, text: &str) -> Result<(), Problem> {
        self.put(&self.below(path)?, text.as_bytes(), Access::Open)
    }

    /// Names of the folders in `out/reports`, oldest first.
    pub fn reports(&self) -> Vec<String> {
        let entries = self.out.join("reports").read_dir_utf8();
        let names = entries.into_iter().flatten().flatten().map(|e| e.file_name().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Writes a file where the user asked for it, over what is there.
    ///
    /// # Errors
    /// The disk says no.
    pub fn hand_out(&self, path: &Utf8Path, text: &str) -> Result<(), Problem> {
        std::fs::write(path, text).map_err(|e| trouble("write", self.shown(path), &e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;

    #[test]
    fn only_what_was_read_is_replaced() {
        let (_dir, space) = scratch();
        space.begin("charts/a.toml", "1").unwrap();
        space.rewrite("charts/a.toml", "1", "2").unwrap();
        let why = space.rewrite("charts/a.toml", "1", "3").unwrap_err().why.unwrap();
        assert_eq!(why, "somebody else wrote it in the meantime");
        assert_eq!(
            space.texts("charts").unwrap().into_iter().collect::<Vec<_>>(),
            [("charts/a.toml".into(), "2".into())]
        );
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let (_dir, space) = scratch();
        space.begin("infra/new.md", "1").unwrap();
        assert!(space.begin("infra/new.md", "2").unwrap_err().what.contains("already"));
        assert_eq!(space.texts("infra").unwrap()["infra/new.md"], "1");
        assert!(space.holds("infra/new.md") && !space.holds("infra/old.md"));
        assert!(space.texts("adr").is_err());
    }
}
