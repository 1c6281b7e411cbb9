//! Signals to a process group: a command and everything it spawned. Its id is the pid of the command.

use duct::cmd;

pub const KILL: i32 = signal_hook::consts::SIGKILL;
pub const TERM: i32 = signal_hook::consts::SIGTERM;

/// Terminates a group, with SIGKILL if `hard`. Returns whether the signal was sent; if not, the caller can still end the
/// leader.
///
/// Safe Rust has no call for this, but POSIX has a `kill` in every shell. A stopped process (one that tried to read the
/// terminal) gets SIGTERM only when it is continued.
pub fn signal(group: u32, hard: bool) -> bool {
    let script = if hard { "kill -s KILL -- -$1" } else { "kill -s TERM -- -$1 && kill -s CONT -- -$1" };
    let kill = cmd("/bin/sh", ["-c", script, "sh", &group.to_string()]);
    kill.stdin_null().stdout_null().stderr_null().unchecked().run().is_ok_and(|output| output.status.success())
}
