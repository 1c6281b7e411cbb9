//! Runs a program on a terminal of its own, which is this process's stdin.
#![expect(clippy::disallowed_methods, reason = "a process of its own, in a test: it becomes another one")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let Some((program, args)) = args.split_first() else { return ExitCode::from(2) };
    // A session has one terminal. From now on Ctrl-C typed there, its size and its end are signals of this process.
    let owned = rustix::process::setsid().and_then(|_| rustix::process::ioctl_tiocsctty(std::io::stdin()));
    if owned.is_err() {
        return ExitCode::from(98);
    }
    drop(Command::new(program).args(args).exec());
    ExitCode::from(99)
}
