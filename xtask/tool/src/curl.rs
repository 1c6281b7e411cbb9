//! curl command lines, for the downloads that are not charts.
//! Knows nothing of what is in them; the digest is checked by the plan.

use super::{Command, Tool};

/// Its version.
pub fn version() -> Command {
    Command::ask(Tool::Curl, ["--version"])
}

/// Downloads a file; leaves nothing behind when it fails.
pub fn get(url: &str, to: &str) -> Command {
    let quiet = ["--fail", "--location", "--silent", "--show-error", "--retry", "3", "--remove-on-error"];
    Command::act(Tool::Curl, quiet.iter().copied().chain(["--create-dirs", "--output", to, url]))
}
