//! cilium-cli command lines: it judges, it owns nothing (ADR-0008).
//! Knows nothing of Helm values.

use super::{Command, Tool};

/// The client's version. Asks the network for the newest one too, and says `unknown` offline, exit 0.
pub fn version() -> Command {
    Command::ask(Tool::Cilium, ["version", "--client"])
}
