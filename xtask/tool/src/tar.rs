//! tar command lines, with the words that GNU tar and the bsdtar of macOS share.
//! Knows nothing of what is in an archive, and whether it is the right one.

use super::{Command, Tool};

/// Unpacks one member of a gzipped archive into a folder that is there.
pub fn extract(archive: &str, member: &str, folder: &str) -> Command {
    Command::act(Tool::Tar, ["-xzf", archive, "-C", folder, member])
}

/// Prints one member of a gzipped archive.
pub fn print(archive: &str, member: &str) -> Command {
    Command::ask(Tool::Tar, ["-xzOf", archive, member])
}
