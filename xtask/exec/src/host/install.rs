//! `place FROM TO`: atomically moves an unpacked program to where it is run from.
#![expect(clippy::disallowed_methods, reason = "unpacked programs are written by tools, not by workspace")]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Component, Utf8Path};

use tool::{Exit, Output};

/// Moves a file within `out` and makes it executable. A run that starts the program meanwhile gets the old or the new one.
pub fn move_binary(out: &Utf8Path, from: &str, to: &str) -> Output {
    match move_file(out, Utf8Path::new(from), Utf8Path::new(to)) {
        Ok(()) => Output::of(Exit::Code(0)),
        Err(e) => Output { stderr: format!("{from} to {to}: {e}\n"), ..Output::of(Exit::Code(1)) },
    }
}

fn move_file(out: &Utf8Path, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let mut parts = from.components().chain(to.components());
    if !parts.all(|part| matches!(part, Utf8Component::Normal(_))) {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let (from, to) = (out.join(from), out.join(to));
    if !fs::symlink_metadata(&from)?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    fs::set_permissions(&from, Permissions::from_mode(0o755))?;
    fs::create_dir_all(to.parent().unwrap_or(out))?;
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_within_the_folder_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let out = Utf8Path::from_path(folder.path()).unwrap();
        fs::write(out.join("helm"), "#!/bin/sh").unwrap();
        assert_eq!(move_binary(out, "helm", "bin/helm").exit, Exit::Code(0));
        assert_eq!(fs::metadata(out.join("bin/helm")).unwrap().permissions().mode() & 0o777, 0o755);
        std::os::unix::fs::symlink(out.join("bin/helm"), out.join("link")).unwrap();
        for (from, to) in [("helm", "bin/helm"), ("bin", "x"), ("link", "x"), ("../x", "x"), ("bin/helm", "/tmp/x")] {
            assert_eq!(move_binary(out, from, to).exit, Exit::Code(1), "{from} to {to}");
        }
    }
}
