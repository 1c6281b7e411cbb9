//! Tracked files of the repository, and its crates by `cargo tree`.
#![expect(clippy::disallowed_methods, reason = "the tidy test reads the tree it checks, by git and by cargo")]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::File;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace").to_owned()
}

/// Every tracked text file that is still there; without git, every file outside of `target` and `out`.
pub(super) fn files() -> Vec<File> {
    let root = root();
    let paths = tracked(&root).unwrap_or_else(|| walked(&root, &root));
    let mut files: Vec<File> = paths
        .into_iter()
        .filter_map(|path| Some(File { text: std::fs::read_to_string(root.join(&path)).ok()?, path }))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Tracked files and new ones that are not ignored. A checkout that belongs to another user is read all the same.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let out = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    (out.status.success() && !text.is_empty()).then(|| text.lines().map(str::to_owned).collect())
}

fn walked(root: &Path, folder: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && !["target", "out", ".git"].iter().any(|skip| name == *skip) {
            out.extend(walked(root, &path));
        } else if path.is_file() {
            out.extend(path.strip_prefix(root).ok().and_then(|p| p.to_str()).map(str::to_owned));
        }
    }
    out
}

/// Each crate of others that `package` is built from, once: `name version` and its licence.
pub(super) fn crates(package: &str, edges: &str) -> Vec<(String, String)> {
    let args = ["tree", "--package", package, "--edges", edges, "--prefix", "none", "--no-dedupe"];
    let out = Command::new(env!("CARGO"))
        .args(args)
        .args(["--format", "{p}|{l}", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr));
    let mut crates: Vec<(String, String)> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter(|line| !line.contains(" (/"))
        .filter_map(|line| line.split_once('|'))
        .filter(|(name, _)| !name.contains("(/"))
        .map(|(name, licence)| (name.split(' ').take(2).collect::<Vec<_>>().join(" "), licence.to_owned()))
        .collect();
    crates.sort();
    crates.dedup();
    crates
}
