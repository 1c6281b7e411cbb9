//! Generated files: written where they differ, compared, and removed when no longer generated.
//!
//! `out/` holds more than generated files, so those written are listed in a file beside them; nothing else is removed.

use std::collections::BTreeSet;

use super::Workspace;
use super::files::Access;
use model::problem::Problem;
use render::Files;

/// Lists the generated files, one path a line.
const LIST: &str = "generated.txt";

/// The result of [`Workspace::write_generated`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    pub same: usize,
}

/// A difference between `out/` and what would be generated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    Missing(String),
    Differs(String),
    /// No longer generated.
    Stale(String),
}

impl Workspace {
    /// Writes generated files that differ, and removes those that are no longer generated.
    ///
    /// # Errors
    /// Everything that could not be written or removed.
    pub fn write_generated(&self, files: &Files) -> Result<Written, Vec<Problem>> {
        let old = self.read_list().map_err(|p| vec![p])?;
        let new: BTreeSet<String> = files.keys().cloned().collect();
        let mut done = Written::default();
        let mut problems = Vec::new();
        // Listed before they are written: after a run that is killed here the list is still complete.
        if !new.is_subset(&old) {
            self.write_list(&old.union(&new).cloned().collect()).map_err(|p| vec![p])?;
        }
        for (path, text) in files {
            match self.write_if_changed(path, text) {
                Ok(true) => done.changed.push(path.clone()),
                Ok(false) => done.same += 1,
                Err(problem) => problems.push(problem),
            }
        }
        for path in old.difference(&new) {
            match self.remove(path) {
                Ok(()) => done.removed.push(path.clone()),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if old.difference(&new).next().is_some() {
            self.write_list(&new).map_err(|p| vec![p])?;
        }
        Ok(done)
    }

    /// Where `out/` differs from these files, in their order.
    ///
    /// # Errors
    /// Everything that could not be read.
    pub fn compare_generated(&self, files: &Files) -> Result<Vec<Drift>, Vec<Problem>> {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        for (path, text) in files {
            match self.checked_path(path).and_then(|full| self.read_bytes(&full)) {
                Ok(None) => found.push(Drift::Missing(path.clone())),
                Ok(Some(current)) if current != text.as_bytes() => found.push(Drift::Differs(path.clone())),
                Ok(Some(_)) => {}
                Err(problem) => problems.push(problem),
            }
        }
        match self.read_list() {
            Ok(old) => found.extend(old.into_iter().filter(|p| !files.contains_key(p)).map(Drift::Stale)),
            Err(problem) => problems.push(problem),
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    fn write_if_changed(&self, path: &str, text: &str) -> Result<bool, Problem> {
        let full = self.checked_path(path)?;
        if self.read_bytes(&full)?.is_some_and(|current| current == text.as_bytes()) {
            return Ok(false);
        }
        self.write_file(&full, text.as_bytes(), Access::Public).map(|()| true)
    }

    fn read_list(&self) -> Result<BTreeSet<String>, Problem> {
        let bytes = self.read_bytes(&self.out().join(LIST))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    fn write_list(&self, paths: &BTreeSet<String>) -> Result<(), Problem> {
        let text: String = paths.iter().map(|p| format!("{p}\n")).collect();
        self.write_file(&self.out().join(LIST), text.as_bytes(), Access::Public)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::temp_workspace;
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect()
    }

    #[test]
    fn only_differing_files_are_written_and_only_listed_ones_removed() {
        let (_dir, space) = temp_workspace();
        let first = files(&[("a/x.yaml", "1"), ("b.yaml", "2")]);
        assert_eq!(space.write_generated(&first).unwrap().changed, ["a/x.yaml", "b.yaml"]);
        space.write("a/mine", b"not generated").unwrap();
        let second = files(&[("b.yaml", "2"), ("c.yaml", "3")]);
        let want = Written { changed: vec!["c.yaml".into()], removed: vec!["a/x.yaml".into()], same: 1 };
        assert_eq!(space.write_generated(&second).unwrap(), want);
        assert!(space.file_matches("a/mine", b"not generated").unwrap());
        assert_eq!(space.write_generated(&second).unwrap(), Written { same: 2, ..Written::default() });
    }

    #[test]
    fn every_difference_is_reported() {
        let (_dir, space) = temp_workspace();
        space.write_generated(&files(&[("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
        space.write("b", b"other").unwrap();
        let found = space.compare_generated(&files(&[("a", "1"), ("b", "2"), ("d", "4")])).unwrap();
        assert_eq!(found, [Drift::Differs("b".into()), Drift::Missing("d".into()), Drift::Stale("c".into())]);
    }

    #[test]
    fn comparing_writes_nothing() {
        let (_dir, space) = temp_workspace();
        assert_eq!(space.compare_generated(&files(&[("a", "1")])).unwrap(), [Drift::Missing("a".into())]);
        assert!(!space.out().exists());
    }
}
