//! Generated files: written where they differ, compared, and removed when no longer generated.
//!
//! `out/` holds more than generated files, so a list of those written stands beside them; nothing else is removed.

use std::collections::BTreeSet;

use super::Workspace;
use super::files::Access;
use model::problem::Problem;
use render::Files;

/// The list of generated files, one path a line.
const LIST: &str = "generated.txt";

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// New or changed files.
    pub changed: Vec<String>,
    /// Files that are no longer generated.
    pub removed: Vec<String>,
    /// How many were right already.
    pub same: usize,
}

/// How `out/` differs from what would be generated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// It was never written.
    Missing(String),
    /// It has other contents.
    Differs(String),
    /// It is no longer generated.
    Stale(String),
}

impl Workspace {
    /// Writes generated files that differ, and removes those that are no longer generated.
    ///
    /// # Errors
    /// Everything that could not be written or removed.
    pub fn write_generated(&self, files: &Files) -> Result<Written, Vec<Problem>> {
        let old = self.listed().map_err(|p| vec![p])?;
        let new: BTreeSet<String> = files.keys().cloned().collect();
        let mut done = Written::default();
        let mut problems = Vec::new();
        // Listed before they are written: a run that is killed here still knows all of them next time.
        if !new.is_subset(&old) {
            self.list(&old.union(&new).cloned().collect()).map_err(|p| vec![p])?;
        }
        for (path, text) in files {
            match self.put_if_changed(path, text) {
                Ok(true) => done.changed.push(path.clone()),
                Ok(false) => done.same += 1,
                Err(problem) => problems.push(problem),
            }
        }
        for path in old.difference(&new) {
            match self.below(path).and_then(|full| self.remove(&full)) {
                Ok(()) => done.removed.push(path.clone()),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if old.difference(&new).next().is_some() {
            self.list(&new).map_err(|p| vec![p])?;
        }
        Ok(done)
    }

    /// Where `out/` differs from these files, in their order.
    ///
    /// # Errors
    /// Everything that could not be read.
    pub fn compare_generated(&self, files: &Files) -> Result<Vec<Drift>, Vec<Problem>> {
        let mut drifts = Vec::new();
        let mut problems = Vec::new();
        for (path, text) in files {
            match self.below(path).and_then(|full| self.bytes(&full)) {
                Ok(None) => drifts.push(Drift::Missing(path.clone())),
                Ok(Some(held)) if held != text.as_bytes() => drifts.push(Drift::Differs(path.clone())),
                Ok(Some(_)) => {}
                Err(problem) => problems.push(problem),
            }
        }
        match self.listed() {
            Ok(old) => drifts.extend(old.into_iter().filter(|p| !files.contains_key(p)).map(Drift::Stale)),
            Err(problem) => problems.push(problem),
        }
        if problems.is_empty() { Ok(drifts) } else { Err(problems) }
    }

    fn put_if_changed(&self, path: &str, text: &str) -> Result<bool, Problem> {
        let full = self.below(path)?;
        if self.bytes(&full)?.is_some_and(|held| held == text.as_bytes()) {
            return Ok(false);
        }
        self.put(&full, text.as_bytes(), Access::Open).map(|()| true)
    }

    fn listed(&self) -> Result<BTreeSet<String>, Problem> {
        let bytes = self.bytes(&self.out().join(LIST))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    fn list(&self, paths: &BTreeSet<String>) -> Result<(), Problem> {
        let text: String = paths.iter().map(|p| format!("{p}\n")).collect();
        self.put(&self.out().join(LIST), text.as_bytes(), Access::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect()
    }

    #[test]
    fn only_what_differs_is_written_and_only_what_is_ours_removed() {
        let (_dir, space) = scratch();
        let first = files(&[("a/x.yaml", "1"), ("b.yaml", "2")]);
        assert_eq!(space.write_generated(&first).unwrap().changed, ["a/x.yaml", "b.yaml"]);
        space.keep("a/mine", b"kept by hand").unwrap();
        let second = files(&[("b.yaml", "2"), ("c.yaml", "3")]);
        let want = Written { changed: vec!["c.yaml".into()], removed: vec!["a/x.yaml".into()], same: 1 };
        assert_eq!(space.write_generated(&second).unwrap(), want);
        assert!(space.same("a/mine", b"kept by hand").unwrap());
        assert_eq!(space.write_generated(&second).unwrap(), Written { same: 2, ..Written::default() });
    }

    #[test]
    fn every_drift_is_named() {
        let (_dir, space) = scratch();
        space.write_generated(&files(&[("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
        space.keep("b", b"other").unwrap();
        let drifts = space.compare_generated(&files(&[("a", "1"), ("b", "2"), ("d", "4")])).unwrap();
        assert_eq!(drifts, [Drift::Differs("b".into()), Drift::Missing("d".into()), Drift::Stale("c".into())]);
    }

    #[test]
    fn nothing_is_written_by_a_comparison() {
        let (_dir, space) = scratch();
        assert_eq!(space.compare_generated(&files(&[("a", "1")])).unwrap(), [Drift::Missing("a".into())]);
        assert!(!space.out().exists());
    }
}
