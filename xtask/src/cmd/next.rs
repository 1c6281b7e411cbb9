//! The command that usually follows another.

use crate::cli::{Charts, Command, Flags, Tools};

/// The command after one that has done its work; none after those that only print.
pub fn next(command: &Command, flags: &Flags) -> Option<&'static str> {
    let next = match command {
        Command::Up { .. } => "cargo xtask verify-contract --drill mgmt-outage",
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
