//! Which flags a command can make something of. The others are refused: a `--dry-run` that is ignored would be a lie.
//! Knows nothing of what the flags do.

use clap::Parser;

use super::exit::{Stop, WRONG};
use crate::cli::{Charts, Cli, Command, Flags, Tools};
use model::problem::Problem;

/// Refuses every flag that would mean nothing here.
///
/// # Errors
/// A problem for each such flag.
pub(super) fn refuse_unfit(flags: &Flags, command: &Command) -> Result<(), Stop> {
    let (name, known) = fitting(command);
    let unfit = given(flags).into_iter().filter(|flag| !known.contains(flag));
    let mut problems: Vec<Problem> =
        unfit.map(|flag| Problem::new(format!("`{name}` has no use for `{flag}`"))).collect();
    let lonely = flags.seed.is_some() && !flags.rehearse && !matches!(command, Command::Rehearse { .. });
    if lonely && problems.is_empty() {
        problems.push(Problem::new("`--seed` means nothing without `--rehearse`").hint("--rehearse --seed N"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Stop { code: WRONG, problems }) }
}

/// A way on, as it has to be typed in the world that we are in: from the embedded one, a command that can be rehearsed
/// leads to it again. What follows a `#` is a remark.
pub(super) fn here(flags: &Flags, hint: &str) -> String {
    let (line, remark) = hint.split_at(hint.find("   #").unwrap_or(hint.len()));
    let rehearsed = format!("{line} --rehearse");
    if flags.rehearse && !line.contains("--rehearse") && can_be_typed(&rehearsed) {
        return rehearsed + remark;
    }
    hint.to_owned()
}

/// Problems whose ways on are those of this world.
pub(super) fn all_here(flags: &Flags, problems: Vec<Problem>) -> Vec<Problem> {
    let fitted = |p: Problem| Problem { hint: p.hint.as_deref().map(|hint| here(flags, hint)), ..p };
    problems.into_iter().map(fitted).collect()
}

/// Whether it is one command of ours with flags that it has a use for.
fn can_be_typed(line: &str) -> bool {
    let Some(line) = line.strip_prefix("cargo ") else { return false };
    Cli::try_parse_from(line.split_whitespace()).is_ok_and(|cli| {
        // The static tier of the contract is the same in every world.
        let of_files = matches!(&cli.command, Command::VerifyContract(asked) if !asked.live && asked.drill.is_none());
        !of_files && refuse_unfit(&cli.flags, &cli.command).is_ok()
    })
}

/// The flags that were given, of those that do not fit everywhere.
fn given(flags: &Flags) -> Vec<&'static str> {
    let all = [
        ("--rehearse", flags.rehearse),
        ("--seed", flags.seed.is_some()),
        ("--dry-run", flags.dry_run),
        ("--only", !flags.only.is_empty()),
        ("--skip", !flags.skip.is_empty()),
        ("--until", !flags.until.is_empty()),
        ("--jobs", flags.jobs.is_some()),
        ("--explain", flags.explain),
    ];
    all.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
}

fn fitting(command: &Command) -> (&'static str, &'static [&'static str]) {
    let choosing = &["--dry-run", "--only", "--skip", "--until"];
    let all = &["--rehearse", "--seed", "--dry-run", "--only", "--skip", "--until", "--jobs", "--explain"];
    let asking = &["--rehearse", "--seed", "--dry-run", "--only", "--jobs"];
    let meshing = &["--rehearse", "--seed", "--dry-run", "--only", "--jobs", "--explain"];
    match command {
        Command::Bootstrap => ("bootstrap", all),
        Command::MeshConnect { diagnose: true, .. } => ("mesh-connect --diagnose", asking),
        Command::MeshConnect { .. } => ("mesh-connect", meshing),
        Command::Plan { .. } => ("plan", choosing),
        Command::Render { .. } => ("render", &["--rehearse"]),
        Command::Fleet(_) => ("fleet", &[]),
        Command::Charts(Charts::Pull) => ("charts pull", all),
        Command::Charts(Charts::Lock) => ("charts lock", &["--dry-run", "--jobs", "--explain"]),
        Command::Charts(Charts::Verify { .. }) => ("charts verify", &[]),
        Command::Charts(Charts::Outdated) => ("charts outdated", &[]),
        Command::Charts(Charts::Bump { .. }) => ("charts bump", &["--jobs", "--explain"]),
        Command::Rehearse { .. } => ("rehearse", &["--rehearse", "--seed", "--jobs"]),
        Command::VerifyContract(asked) if asked.live => {
            ("verify-contract --live", &["--explain", "--rehearse", "--seed", "--dry-run", "--only", "--jobs"])
        }
        Command::VerifyContract(asked) if asked.drill.is_some() => {
            ("verify-contract --drill", &["--rehearse", "--seed", "--dry-run", "--jobs", "--explain"])
        }
        Command::VerifyContract(_) => ("verify-contract", &["--explain", "--rehearse"]),
        Command::Evidence(_) => ("evidence", &["--rehearse"]),
        Command::Why { .. } => ("why", &[]),
        Command::Adr(_) => ("adr", &[]),
        Command::Stop => ("stop", all),
        Command::Start => ("start", all),
        Command::Upgrade => ("upgrade", all),
        Command::Destroy => ("destroy", all),
        Command::AddCluster { .. } => ("add-cluster", &[]),
        Command::Status => ("status", &["--rehearse", "--seed", "--jobs"]),
        Command::Doctor { .. } => ("doctor", &["--rehearse", "--seed", "--jobs", "--explain"]),
        Command::Kubeconfig => ("kubeconfig", &["--rehearse"]),
        Command::Logs { .. } => ("logs", &["--rehearse"]),
        Command::Tools(Tools::Install) => ("tools install", all),
        Command::Ci => ("ci", &[]),
        Command::Completions { .. } => ("completions", &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Vec<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        refuse_unfit(&cli.flags, &cli.command)
            .err()
            .map_or(vec![], |s| s.problems.into_iter().map(|p| p.what).collect())
    }

    #[test]
    fn a_way_on_stays_in_the_embedded_world() {
        let flags = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().flags;
        let (rehearsing, real) = (flags("xtask start --rehearse"), flags("xtask start"));
        for (hint, wanted) in [
            ("cargo xtask start", "cargo xtask start --rehearse"),
            (
                "cargo xtask bootstrap --only 'a/*'   # makes it",
                "cargo xtask bootstrap --only 'a/*' --rehearse   # makes it",
            ),
            ("cargo xtask start --rehearse --seed 7", "cargo xtask start --rehearse --seed 7"),
            ("cargo xtask fleet check", "cargo xtask fleet check"),
            ("cargo xtask verify-contract C2", "cargo xtask verify-contract C2"),
            ("multipass start app1-cp", "multipass start app1-cp"),
        ] {
            assert_eq!(here(&rehearsing, hint), wanted);
            assert_eq!(here(&real, hint), hint);
        }
    }

    #[test]
    fn flags_without_a_use_are_refused() {
        assert_eq!(refused("xtask adr list --dry-run --jobs 3").len(), 2);
        assert_eq!(refused("xtask bootstrap --seed 7"), ["`--seed` means nothing without `--rehearse`"]);
        for line in [
            "xtask bootstrap --rehearse --seed 7 --explain",
            "xtask --only app1/* plan bootstrap",
            "xtask rehearse --seed 7",
        ] {
            assert_eq!(refused(line), [""; 0], "{line}");
        }
    }
}
