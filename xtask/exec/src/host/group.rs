//! Signals to a command and everything it spawned: its process group, whose id is the leader's pid.

use duct::cmd;

/// Number of SIGKILL: the same on every Unix.
pub const KILL: i32 = signal_hook::consts::SIGKILL;
/// Number of SIGTERM.
pub const TERM: i32 = signal_hook::consts::SIGTERM;

/// Asks a group to end, or ends it. A group that is already gone is fine.
///
/// Safe Rust has no call for this, but POSIX has a `kill` in every shell, with no dependency on what else is
/// installed. A stopped process (one that tried to read the terminal) hears SIGTERM only when it is continued.
///
/// Returns whether the signal could be sent; if not, the caller can still end the leader.
pub fn signal(group: u32, hard: bool) -> bool {
    let script = if hard { "kill -s KILL -- -$1" } else { "kill -s TERM -- -$1 && kill -s CONT -- -$1" };
    let kill = cmd("/bin/sh", ["-c", script, "sh", &group.to_string()]);
    kill.stdin_null().stdout_null().stderr_null().unchecked().run().is_ok_and(|answer| answer.status.success())
}
