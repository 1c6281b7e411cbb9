//! What a command ends with: what is there now, and the command that usually follows.

use super::Session;
use crate::cli::{Charts, Command, Flags, Format, Tools};
use crate::ui::shell::Volume;

/// Whether a command that has done its work shows the clusters that it left running. With `--seed` they would be asked in
/// a world of faults.
pub fn has_end_screen(command: &Command, session: &Session) -> bool {
    let flags = &session.flags;
    let builds =
        matches!(command, Command::Up { .. } | Command::Bootstrap { .. } | Command::Start(_) | Command::Upgrade(_));
    let shown = flags.format != Format::Json && session.shell.volume() > Volume::Quiet;
    builds && shown && flags.selects_all() && !flags.dry_run && flags.seed.is_none()
}

/// The command after one that has done its work; none after those that only print.
pub fn next(command: &Command, flags: &Flags) -> Option<&'static str> {
    let next = match command {
        Command::Up { .. } => "cargo xtask verify-contract --drill mgmt-outage",
        Command::Apply { .. } => "cargo xtask status",
        Command::Bootstrap { .. } | Command::Start(_) | Command::Upgrade(_) if !flags.selects_all() => {
            "cargo xtask status"
        }
        Command::Bootstrap { .. } | Command::Upgrade(_) => "cargo xtask mesh-connect",
        Command::MeshConnect(asked) if asked.diagnose => return None,
        Command::MeshConnect(_) | Command::Start(_) => "cargo xtask verify-contract --live",
        Command::VerifyContract(asked) if asked.drill.is_some() => "cargo xtask report verify",
        Command::VerifyContract(asked) if asked.live => "cargo xtask verify-contract --drill mgmt-outage",
        Command::Stop(_) => "cargo xtask start",
        Command::Destroy { .. } | Command::Tools(Tools::Install(_)) => "cargo xtask up",
        Command::Charts(Charts::Pull(_) | Charts::Lock { .. } | Charts::Bump { .. }) => "cargo xtask charts verify",
        _ => return None,
    };
    (!flags.dry_run).then_some(next)
}
