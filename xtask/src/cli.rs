//! What can be typed: commands and flags, and their help. Definitions only.
//! Knows nothing of what a command does.

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::ui::shell::Colour;

/// What the help ends with.
const AFTER: &str = "\
Data goes to stdout, the story to stderr. Exit codes:
  0 done   1 the world said no   2 what you gave is wrong   3 this machine is not ready   130 interrupted
  a rehearsal found:   61 a crash   62 a contradiction   63 no convergence";

/// What the help of the commands with seeds ends with.
const SEEDS: &str = "\
Faults strike by the order of commands, so what is there already shifts them: `rehearse --seed N` always begins
with nothing, `bootstrap --rehearse --seed N` with what the last rehearsal left under out/rehearsal/.";

/// What the help of `upgrade` ends with.
const UPGRADE: &str = "\
The platform first, then one workload cluster after another; in each the control plane, then one node at a time:
drained, given its kubelet, let in again. A node that somebody cordoned by hand stays cordoned. It begins only where
nodes are ready and the platform has received what the cluster measured. The same command goes on after a failure.";

/// What the help of `plan` ends with.
const PLANS: &str = "\
Plans of verify-contract: `verify-contract --live --dry-run`, `verify-contract --drill mgmt-outage --dry-run`; of the
tools: `tools install --dry-run`.";

/// What the help of the contract's tiers ends with.
const TIERS: &str = "\
Tiers add up: the static one always, --live asks what runs, --drill plays an outage. Clauses choose what is judged and
shown, in every tier; a report under out/reports holds all of them. Exit 1: a clause is broken and not allowed, or a
cluster could not be asked. With --rehearse, --live asks what the last bootstrap --rehearse left.";

/// Three Kubernetes clusters on one machine, and a contract that says the apps outlive the platform.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, disable_help_subcommand = true, after_help = AFTER)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The same flags for every command.
    #[command(flatten)]
    pub flags: Flags,
}

/// Flags that mean the same everywhere. A command that can make nothing of one refuses it.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    /// The fleet to work on.
    #[arg(long, global = true, value_name = "PATH", default_value = "infra/fleet.toml")]
    pub fleet: Utf8PathBuf,
    /// Do it in the embedded world: no VM, no network, no time. Its state stays under out/rehearsal/.
    #[arg(long, global = true, help_heading = "Running")]
    pub rehearse: bool,
    /// Rehearse with the faults of this seed.
    #[arg(long, global = true, value_name = "N", help_heading = "Running")]
    pub seed: Option<u64>,
    /// Print the plan, do nothing.
    #[arg(long, global = true, help_heading = "Running")]
    pub dry_run: bool,
    /// Only these steps, by pattern (`app1/*`), and what they need. May be given again.
    #[arg(long, global = true, value_name = "STEPS", help_heading = "Running")]
    pub only: Vec<String>,
    /// Not these steps. May be given again.
    #[arg(long, global = true, value_name = "STEPS", help_heading = "Running")]
    pub skip: Vec<String>,
    /// Up to and with these steps. May be given again.
    #[arg(long, global = true, value_name = "STEPS", help_heading = "Running")]
    pub until: Vec<String>,
    /// How many steps run at once.
    #[arg(long, global = true, value_name = "N", help_heading = "Running")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Say why each step runs or is kept.
    #[arg(long, global = true, help_heading = "Running")]
    pub explain: bool,
    /// Answer every question with yes.
    #[arg(long, global = true, help_heading = "Running")]
    pub yes: bool,
    /// For people, or for scripts: one JSON object per line.
    #[arg(long, global = true, value_name = "text|json", default_value = "text", help_heading = "Showing")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: Format,
    /// Show each command as it starts.
    #[arg(short, long, global = true, action = ArgAction::SetTrue, help_heading = "Showing")]
    pub verbose: bool,
    /// Show failures alone.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Showing")]
    pub quiet: bool,
    /// Whether to use colour; auto looks at the terminal and at NO_COLOR.
    #[arg(long, global = true, value_name = "auto|always|never", default_value = "auto", help_heading = "Showing")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Colour,
}

/// For whom output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// People.
    Text,
    /// Scripts.
    Json,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Bring up every cluster of the fleet with everything on it, from whatever is there.
    #[command(after_help = SEEDS)]
    Bootstrap,
    /// Connect the clusters as the fleet says, and prove that the mesh carries traffic. `--only` names clusters.
    MeshConnect {
        /// Change nothing; name the most likely cause of what does not work.
        #[arg(long, conflicts_with = "full")]
        diagnose: bool,
        /// Also run cilium's own connectivity test between each two clusters; takes long.
        #[arg(long)]
        full: bool,
    },
    /// Print the exact commands that a command would run. Touches nothing.
    #[command(after_help = PLANS)]
    Plan {
        /// Whose plan.
        #[arg(value_enum)]
        of: Planned,
        /// Print what has changed since a commit, step by step, with the files that each step uses.
        #[arg(long, value_name = "GIT-REF", conflicts_with = "graph")]
        diff: Option<String>,
        /// Print a picture of the steps and what they need.
        #[arg(long, value_name = "mermaid", hide_possible_values = true)]
        graph: Option<Graph>,
    },
    /// Write every generated file under out/, or compare.
    Render {
        /// Fail if a file differs from what would be written.
        #[arg(long)]
        check: bool,
    },
    /// The input.
    #[command(subcommand)]
    Fleet(Fleet),
    /// The list of releases: archives, digests, newer versions, and whether all of it fits.
    #[command(subcommand)]
    Charts(Charts),
    /// Rehearse with faults: each seed a different disaster, and the way back from it.
    #[command(after_help = SEEDS)]
    Rehearse {
        /// Which command; one that needs others finds their work done.
        #[arg(long, value_name = "COMMAND", value_enum, default_value = "bootstrap")]
        command: Planned,
        /// VMs have come back with other addresses: all of them; with a seed those that it has bits for, in the order
        /// of their names, so that 63 seeds are every choice among six.
        #[arg(long)]
        moved: bool,
        /// Seeds to sweep, first and last: `1..200` is 200 rehearsals.
        #[arg(long, value_name = "A..B", required_unless_present_any = ["seed", "every", "fault"])]
        #[arg(conflicts_with_all = ["seed", "every", "fault"])]
        seeds: Option<String>,
        /// Every fault that could strike an undisturbed run, each alone; or each K-th of them.
        #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "1")]
        #[arg(value_parser = stride, conflicts_with_all = ["seed", "fault"])]
        every: Option<usize>,
        /// One fault alone, by its point and its kind: `17:crash`. A failing rehearsal names it.
        #[arg(long, value_name = "POINT:KIND", conflicts_with = "seed")]
        fault: Option<String>,
    },
    /// Say whether the contract holds: C1 to C5, from every rendered byte, and from running clusters.
    #[command(after_help = TIERS)]
    VerifyContract(VerifyContract),
    /// Reports of drills.
    #[command(subcommand)]
    Evidence(Evidence),
    /// Say which decision put a line there, and which check guards it.
    Why {
        /// A place or a key: `charts/cilium/values.yaml:13`, `deletionPolicy`, `server.remoteWrite`.
        query: String,
    },
    /// Records of decisions.
    #[command(subcommand)]
    Adr(Adr),
    /// Stop every VM: workers before control planes, the platform last.
    Stop,
    /// Start what was stopped and mend what a new address or a long sleep broke. Makes no VM.
    Start,
    /// Bring what runs to the versions that the fleet pins: Kubernetes node by node, then the releases.
    #[command(after_help = UPGRADE)]
    Upgrade,
    /// Delete the fleet's VMs for good, and their kubeconfigs and secrets. Shows the list and asks.
    Destroy,
    /// Print the block that makes the fleet one cluster larger. Edits nothing.
    AddCluster {
        /// Its name.
        name: String,
    },
    /// One screen: VMs, nodes and releases, and what is not as wanted. Changes nothing.
    Status,
    /// Name everything amiss on this machine and in the clusters, each with its mend.
    Doctor {
        /// Do the mends that make and replace nothing.
        #[arg(long)]
        fix: bool,
    },
    /// Print the path of the kubeconfig: export KUBECONFIG=$(cargo xtask kubeconfig)
    Kubeconfig,
    /// Print what the commands of a step printed, the last attempt last.
    Logs {
        /// The step, as `app1/cp/init`.
        step: String,
    },
    /// The command-line tools of this repository.
    #[command(subcommand)]
    Tools(Tools),
    /// Run every check of this repository.
    Ci,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What of the contract is verified, and how it is reported.
#[derive(Debug, Clone, Args)]
pub struct VerifyContract {
    /// Only these clauses: C1 to C5.
    #[arg(value_name = "CLAUSE")]
    pub clauses: Vec<String>,
    /// From what is rendered alone, which is also what happens without a tier: no tool, no cluster.
    #[arg(long = "static", conflicts_with_all = ["live", "drill"])]
    pub rendered: bool,
    /// Ask the running clusters, too; changes nothing. `--only app1,app2` asks these alone.
    #[arg(long)]
    pub live: bool,
    /// Play an outage: stop the platform's VMs, watch the others, start them again. Says what it will do, and asks.
    #[arg(long, value_name = "DRILL", value_enum)]
    pub drill: Option<Drill>,
    /// How long the platform stays away in the drill: 1m to 24h.
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "drill")]
    pub outage: String,
    /// Go on although this clause is broken. May be given again; needs --because.
    #[arg(long, value_name = "CLAUSE", requires = "because")]
    pub allow: Vec<String>,
    /// Why that is allowed; it stands in the report.
    #[arg(long, value_name = "REASON", requires = "allow")]
    pub because: Option<String>,
    /// Write the verdicts as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<Utf8PathBuf>,
}

/// Outages that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drill {
    /// The platform goes away and comes back.
    MgmtOutage,
}

/// Commands about reports.
#[derive(Debug, Clone, Subcommand)]
pub enum Evidence {
    /// Check a report's digests, and that the same data give the same verdicts today.
    Verify {
        /// Its folder's name in out/reports; the newest without one.
        folder: Option<String>,
    },
}

/// Commands that have a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planned {
    /// From nothing to running clusters.
    Bootstrap,
    /// VMs that stop.
    Stop,
    /// VMs that start, and all that is in them.
    Start,
    /// VMs that go away.
    Destroy,
    /// From versions that run to versions that are pinned.
    Upgrade,
    /// From running clusters to one network.
    MeshConnect,
}

/// What draws the picture of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Graph {
    /// A flowchart for Mermaid.
    Mermaid,
}

/// Commands about the input.
#[derive(Debug, Clone, Subcommand)]
pub enum Fleet {
    /// Name every problem of the input at once.
    Check,
}

/// Commands about the list of releases.
#[derive(Debug, Clone, Subcommand)]
pub enum Charts {
    /// Download every archive once, into out/charts, and refuse a wrong digest.
    Pull,
    /// Learn the digests that are missing and write them into charts/releases.toml.
    Lock,
    /// Render each release and check keys, memory, namespaces and images.
    Verify {
        /// Judge memory by the values alone, without the charts: an upper bound.
        #[arg(long)]
        values_only: bool,
    },
    /// Show the newest version of each chart beside the pinned one.
    Outdated,
    /// Raise one release: its version, app version and digest, where they stand.
    Bump {
        /// Its name.
        release: String,
        /// To this version, not to the newest one.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
}

/// Commands about the tools of this machine.
#[derive(Debug, Clone, Subcommand)]
pub enum Tools {
    /// Put the pinned helm, kubectl and cilium into out/bin, each checked by its digest; or say how to get one.
    Install,
}

/// Commands about decisions.
#[derive(Debug, Clone, Subcommand)]
pub enum Adr {
    /// List them.
    List,
    /// Begin a new one with the next free number.
    New {
        /// What was decided, in a few words.
        title: String,
    },
    /// Check numbers, front matter, sections and links.
    Check,
}

/// A step length: 0 would never arrive.
fn stride(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|stride| *stride > 0).ok_or_else(|| "it is a number from 1 on".to_owned())
}
