//! Files of the repository itself that a person writes: read as texts, begun anew, never changed.
//! Knows nothing of what they say.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use camino::Utf8Path;

use super::{DATA_DEPTH, Workspace, trouble};
use crate::problem::Problem;
use crate::render::Data;

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
    fn what_is_there_is_not_written_over() {
        let (_dir, space) = scratch();
        space.begin("infra/new.md", "1").unwrap();
        assert!(space.begin("infra/new.md", "2").unwrap_err().what.contains("already"));
        assert_eq!(space.texts("infra").unwrap()["infra/new.md"], "1");
        assert!(space.holds("infra/new.md") && !space.holds("infra/old.md"));
        assert!(space.texts("adr").is_err());
    }
}
