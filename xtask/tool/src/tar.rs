//! tar command lines, with the flags that GNU tar and the bsdtar of macOS share.

use super::{Command, Tool};

/// Unpacks one member of a gzipped archive into an existing folder.
pub fn extract(archive: &str, member: &str, folder: &str) -> Command {
    Command::act(Tool::Tar, ["-xzf", archive, "-C", folder, member])
}

pub fn print(archive: &str, member: &str) -> Command {
    Command::ask(Tool::Tar, ["-xzOf", archive, member])
}
