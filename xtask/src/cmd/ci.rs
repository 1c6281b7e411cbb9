//! `ci`: runs every check of this repository, the same here and in CI. Failures are printed last.

use xshell::{Cmd, cmd};

use super::Session;
use super::exit::{CmdError, CmdResult, DONE, FAILED};
use crate::ui::format;
use crate::ui::shell::{Severity, Shell};
use model::problem::Problem;

/// Lines of a failed check that are printed at the end.
const TAIL: usize = 60;

struct Failed {
    name: &'static str,
    command: String,
    output: String,
}

/// Runs all checks, also after a failure.
///
/// # Errors
/// A check could not be started.
pub fn run(session: &mut Session) -> CmdResult {
    let sh = xshell::Shell::new().map_err(|e| cannot(e.to_string()))?;
    sh.change_dir(session.workspace.root());
    let checks = checks(&sh);
    let mut failed = Vec::new();
    let all = checks.len();
    for (name, check) in checks {
        let command = check.to_string();
        session.shell.status(Severity::Dim, "Running", &command);
        match run_check(check)? {
            None => session.shell.status(Severity::Success, "Passed", name),
            Some(output) => {
                session.shell.status(Severity::Error, "Failed", name);
                failed.push(Failed { name, command, output });
            }
        }
    }
    Ok(summarize(&mut session.shell, all, &failed))
}

fn checks(sh: &xshell::Shell) -> Vec<(&'static str, Cmd<'_>)> {
    vec![
        ("fmt", cmd!(sh, "cargo fmt --all --check")),
        ("clippy", cmd!(sh, "cargo clippy --workspace --all-targets --locked -- -D warnings")),
        ("test", cmd!(sh, "cargo test --workspace --locked")),
        ("fleet", cmd!(sh, "cargo xtask fleet check")),
        ("adr", cmd!(sh, "cargo xtask adr check")),
        ("render", cmd!(sh, "cargo xtask render")),
        ("rendered", cmd!(sh, "cargo xtask render --check")),
        ("simulate", cmd!(sh, "cargo simulate --seeds 1..200")),
        ("exhaustive", cmd!(sh, "cargo simulate --exhaustive")),
        ("mesh", cmd!(sh, "cargo simulate --command mesh-connect --exhaustive")),
        ("meshes", cmd!(sh, "cargo simulate --command mesh-connect --seeds 1..30")),
    ]
}

/// The output of a check if it failed. Its stdin is empty, so that it cannot prompt.
fn run_check(check: Cmd<'_>) -> Result<Option<String>, CmdError> {
    let name = check.to_string();
    let output = check.quiet().ignore_status().stdin("").output();
    let output = output.map_err(|e| cannot(format!("cannot start `{name}`: {e}")))?;
    let text = [output.stdout, output.stderr].map(|stream| String::from_utf8_lossy(&stream).into_owned()).concat();
    Ok((!output.status.success()).then_some(text))
}

fn summarize(shell: &mut Shell, all: usize, failed: &[Failed]) -> u8 {
    for Failed { name, command, output } in failed {
        let tail = format::tail(output, TAIL).join("\n");
        shell.message(&format!("\n== {name}: {command}\n{tail}"));
    }
    let checks = format::count(all, "check");
    if failed.is_empty() {
        shell.status(Severity::Success, "Finished", &format!("ci: {checks} passed"));
        return DONE;
    }
    let names: Vec<String> = failed.iter().map(|f| f.name.to_owned()).collect();
    shell.message(&format!("      Failed ci: {} of {checks}: {}", failed.len(), format::list(&names)));
    FAILED
}

fn cannot(why: String) -> CmdError {
    CmdError::new(super::exit::PRECONDITION, Problem::new("cannot run the checks").why(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::shell::tests::Page;

    #[test]
    fn failures_are_printed_last() {
        let err = Page::default();
        let mut shell = Shell::new(Box::new(std::io::sink()), Box::new(err.clone()));
        let failed = |name, output: &str| Failed { name, command: format!("cargo {name}"), output: output.to_owned() };
        let code = summarize(&mut shell, 6, &[failed("fmt", "Diff in x\n"), failed("test", "boom\n\n")]);
        assert_eq!(code, FAILED);
        let want = "\n== fmt: cargo fmt\nDiff in x\n\n== test: cargo test\nboom\n      Failed ci: 2 of 6 checks: fmt \
                    and test\n";
        assert_eq!(err.text(), want);
        assert_eq!(summarize(&mut shell, 6, &[]), DONE);
    }
}
