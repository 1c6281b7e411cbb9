//! curl command lines, for downloads that are not charts.

use super::{Command, Tool};

pub fn version() -> Command {
    Command::ask(Tool::Curl, ["--version"])
}

pub fn get(url: &str, to: &str) -> Command {
    let quiet = ["--fail", "--location", "--silent", "--show-error", "--retry", "3", "--remove-on-error"];
    Command::act(Tool::Curl, quiet.iter().copied().chain(["--create-dirs", "--output", to, url]))
}
