//! `place FROM TO`: an unpacked program goes to where it is run from, in one step.
#![expect(clippy::disallowed_methods, reason = "an unpacked program is the tool's file, not one that workspace wrote")]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use tool::{Exit, Output};

/// Moves a file within `out`: what stood there before is replaced, and a run that starts it meanwhile gets one of both.
pub fn answer(out: &Utf8Path, from: &str, to: &str) -> Output {
    match moved(out, Utf8Path::new(from), Utf8Path::new(to)) {
        Ok(()) => Output::of(Exit::Code(0)),
        Err(e) => Output { stderr: format!("{from} to {to}: {e}\n"), ..Output::of(Exit::Code(1)) },
    }
}

fn moved(out: &Utf8Path, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let plain = |path: &Utf8Path| path.components().all(|p| matches!(p, camino::Utf8Component::Normal(_)));
    if !plain(from) || !plain(to) {
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
    fn a_program_is_moved_and_can_be_run_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let out = Utf8Path::from_path(folder.path()).unwrap();
        fs::write(out.join("helm"), "#!/bin/sh").unwrap();
        assert_eq!(answer(out, "helm", "bin/helm").exit, Exit::Code(0));
        assert_eq!(fs::metadata(out.join("bin/helm")).unwrap().permissions().mode() & 0o777, 0o755);
        std::os::unix::fs::symlink(out.join("bin/helm"), out.join("link")).unwrap();
        for (from, to) in [("helm", "bin/helm"), ("bin", "x"), ("link", "x"), ("../x", "x"), ("bin/helm", "/tmp/x")] {
            assert_eq!(answer(out, from, to).exit, Exit::Code(1), "{from} to {to}");
        }
    }
}
