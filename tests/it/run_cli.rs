//! Real tools on PATH, such as cloud-init and shellcheck.
#![expect(clippy::disallowed_methods, reason = "the one place of the tests that looks at PATH and starts real tools")]

use std::path::PathBuf;
use std::process::Command;

/// The tool, if it is on PATH. Where it is not, the test is left out and says so; in CI (`CI=true`) it fails.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must have `{name}`, and has not");
        say(name);
    }
    found
}

/// Written past the test harness, which would capture it.
fn say(name: &str) {
    use std::io::Write;
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "left out, at least in part: {test}: `{name}` is not on PATH");
}

/// A command that starts a tool, for its test to fill in.
pub fn command(tool: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(tool)
}

/// Starts a tool to its end and gives back whether it liked what it saw, and all it said.
pub fn run(command: &mut Command) -> (bool, String) {
    let done = command.output().expect("the tool can be started");
    let printed = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&printed).into_owned())
}
