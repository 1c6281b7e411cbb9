//! Tools as real processes that answer from one simulated state.
#![expect(clippy::disallowed_methods, reason = "the fake tools are processes, and this test is about one")]

pub mod bootstrap;
mod destroy;
mod drill;
mod killed;
pub mod machine;
mod signals;

use std::process::{Command, Stdio};

#[test]
fn unknown_tool_or_missing_state_exits_99() {
    let status = Command::new(env!("CARGO_BIN_EXE_fake_tool")).stdin(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(99));
}
