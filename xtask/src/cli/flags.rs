//! Flags that several commands share: one clap group for each meaning, flattened into the commands that accept it.

use camino::Utf8PathBuf;
use clap::{ArgMatches, Args, Command, ValueEnum};

use crate::ui::shell::Colour;

pub const FLEET: &str = "infra/fleet.toml";
const GLOBAL: &str = "Global options";
const RUNNING: &str = "Running";

/// Accepted before and after every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Fleet file.
    #[arg(long, global = true, value_name = "PATH", default_value = FLEET, help_heading = GLOBAL)]
    pub fleet: Utf8PathBuf,
    /// Output format: human-readable, JSON lines, or with annotations for GitHub Actions.
    #[arg(short = 'o', long, global = true, value_name = "text|json|github", default_value = "text", help_heading = GLOBAL)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: Format,
    /// Print each command when it starts.
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// Only print failures and the last line.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
    /// When to use colours; `auto` depends on the terminal and on NO_COLOR.
    #[arg(long, global = true, value_name = "auto|always|never", default_value = "auto", help_heading = GLOBAL)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// Text, and problems as annotations of GitHub Actions.
    Github,
}

/// Of commands that work on files alone.
#[derive(Debug, Clone, Default, Args)]
pub struct Simulated {
    /// Use the simulator's files, under out/simulation/.
    #[arg(long, help_heading = RUNNING)]
    pub simulate: bool,
}

/// Of commands that run tools.
#[derive(Debug, Clone, Default, Args)]
pub struct Simulation {
    /// Run against the built-in simulator: no VMs, no network, virtual time. Its state is kept under out/simulation/.
    #[arg(long, help_heading = RUNNING)]
    pub simulate: bool,
    /// Inject the faults generated from this seed.
    #[arg(long, value_name = "N", requires = "simulate", help_heading = RUNNING)]
    pub seed: Option<u64>,
    /// Write every command with its answer, redacted, into this folder: for bug reports.
    #[arg(long, value_name = "DIR", help_heading = RUNNING)]
    pub record: Option<Utf8PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct DryRun {
    /// Change nothing: print what would run.
    #[arg(long, help_heading = RUNNING)]
    pub dry_run: bool,
}

/// Which steps of a plan run.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only run steps matching this glob (e.g. `app1/*`, or `app1` for short) and their dependencies. Repeatable.
    #[arg(long, value_name = "STEPS", help_heading = RUNNING)]
    pub only: Vec<String>,
    /// Exclude steps matching this glob. Repeatable.
    #[arg(long, value_name = "STEPS", help_heading = RUNNING)]
    pub skip: Vec<String>,
    /// Stop after these steps. Repeatable.
    #[arg(long, value_name = "STEPS", help_heading = RUNNING)]
    pub until: Vec<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Jobs {
    /// Maximum number of steps that run in parallel.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = RUNNING)]
    pub jobs: Option<u16>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Explain {
    /// Explain why each step runs or is skipped as up to date.
    #[arg(long, help_heading = RUNNING)]
    pub explain: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Strict {
    /// Refuse to build what breaks the contract, instead of warning.
    #[arg(long, help_heading = RUNNING)]
    pub strict: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Yes {
    /// Assume "yes" for all prompts.
    #[arg(short, long, help_heading = RUNNING)]
    pub yes: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct Clusters {
    /// Only these clusters of the fleet, separated by commas.
    #[arg(long, value_name = "CLUSTERS", value_delimiter = ',', help_heading = RUNNING)]
    pub cluster: Vec<String>,
}

/// What every command accepts that runs a plan to its end.
#[derive(Debug, Clone, Args)]
pub struct Apply {
    #[command(flatten)]
    pub simulation: Simulation,
    #[command(flatten)]
    pub dry_run: DryRun,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub jobs: Jobs,
    #[command(flatten)]
    pub explain: Explain,
}

/// Values of all shared flags, also of those that the command does not accept: they have their defaults.
#[derive(Debug, Clone)]
pub struct Flags {
    /// What to type for this program: `cargo xtask`, or its name where it is installed.
    pub program: &'static str,
    pub fleet: Utf8PathBuf,
    pub format: Format,
    pub verbose: bool,
    pub quiet: bool,
    pub color: Colour,
    pub simulate: bool,
    pub seed: Option<u64>,
    pub record: Option<Utf8PathBuf>,
    pub dry_run: bool,
    pub only: Vec<String>,
    pub skip: Vec<String>,
    pub until: Vec<String>,
    pub jobs: Option<u16>,
    pub explain: bool,
    pub yes: bool,
    pub strict: bool,
    pub clusters: Vec<String>,
}

impl Flags {
    /// `matches` are those of the innermost subcommand.
    pub(super) fn new(global: Global, matches: &ArgMatches, program: &'static str) -> Self {
        let Global { fleet, format, verbose, quiet, color } = global;
        let (Simulated { simulate }, Simulation { seed, record, .. }) = (group(matches), group(matches));
        let Selection { only, skip, until } = group(matches);
        let (DryRun { dry_run }, Jobs { jobs }, Explain { explain }) = (group(matches), group(matches), group(matches));
        let (Yes { yes }, Strict { strict }, Clusters { cluster: clusters }) =
            (group(matches), group(matches), group(matches));
        Flags {
            program,
            fleet,
            format,
            verbose,
            quiet,
            color,
            simulate,
            seed,
            record,
            dry_run,
            only,
            skip,
            until,
            jobs,
            explain,
            yes,
            strict,
            clusters,
        }
    }

    /// Whether no step of the plan is excluded.
    pub fn selects_all(&self) -> bool {
        [&self.only, &self.skip, &self.until].iter().all(|globs| globs.is_empty())
    }
}

/// The values of a group if the command accepts all of its flags.
fn group<G: Args + Default>(matches: &ArgMatches) -> G {
    let flags = G::augment_args(Command::new("group"));
    let accepted = flags.get_arguments().all(|flag| matches.try_contains_id(flag.get_id().as_str()).is_ok());
    if accepted { G::from_arg_matches(matches).unwrap_or_default() } else { G::default() }
}
