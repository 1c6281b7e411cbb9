//! The command line: commands, flags and their help.

mod flags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use flags::{Apply, Clusters, DryRun, Explain, Global, Jobs, Selection, Simulated, Simulation, Strict, Yes};
pub use flags::{Flags, Format};

/// Columns of the help where there is no terminal, and at most.
const COLUMNS: usize = 100;

/// Three Kubernetes clusters on one machine, and a contract: apps keep running while the platform is down.
#[derive(Debug, Parser)]
#[command(name = "archipelago", bin_name = "cargo xtask", version, disable_help_subcommand = true)]
#[command(after_help = "\
Results go to stdout, progress to stderr. Commands reject flags that do not apply to them.

Exit codes:
    0  done
    1  the operation failed
    2  invalid flags or input files
    3  a prerequisite is missing on this machine
  130  interrupted

Example:
  cargo xtask up --simulate")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// How this program is called where it is not installed. Texts name it so.
pub const CARGO: &str = "cargo xtask";

/// What to type for the program that was started as `args`: `cargo run` sets the variables of a package.
pub fn program(args: &[OsString], vars: &BTreeMap<String, String>) -> &'static str {
    let name = args.first().and_then(|arg| Utf8Path::from_path(arg.as_ref())?.file_name());
    if name == Some("archipelago") && !vars.contains_key("CARGO_PKG_NAME") { "archipelago" } else { CARGO }
}

/// Parses a command line, the program's own name first. Help is wrapped to the terminal if there is one.
///
/// # Errors
/// Help was asked for, or the command line is invalid.
pub fn parse(args: &[OsString], terminal: bool, program: &'static str) -> Result<(Command, Flags), clap::Error> {
    // `help stop` is `stop --help`.
    let args: Vec<OsString> = match args {
        [program, help, command @ ..] if help == "help" => {
            [std::slice::from_ref(program), command, &["--help".into()]].concat()
        }
        args => args.to_vec(),
    };
    let definition = Cli::command().bin_name(program);
    let definition = if terminal { definition.max_term_width(COLUMNS) } else { definition.term_width(COLUMNS) };
    let matches = definition.try_get_matches_from(args)?;
    let Cli { command, global } = Cli::from_arg_matches(&matches)?;
    let inner = std::iter::successors(Some(&matches), |outer| outer.subcommand().map(|(_, inner)| inner)).last();
    Ok((command, Flags::new(global, inner.unwrap_or(&matches), program)))
}

/// Where a command in a text ends: a comment, another command, a sentence that goes on, or a colour.
const ENDS: [&str; 9] = ["   #", " &&", "; ", ", ", ": ", " ·", "`", ")", "\u{1b}"];

impl Flags {
    /// A text with its commands as they have to be typed in the world of these flags: with `--simulate` in a simulation,
    /// and with `--fleet`, where the command accepts it and does not have it.
    pub fn localized(&self, text: &str) -> String {
        let ours = format!("{CARGO} ");
        let fleet = (self.fleet != flags::FLEET).then(|| format!(" --fleet {}", tool::quoted(self.fleet.as_str())));
        let more: Vec<String> = self.simulate.then(|| " --simulate".to_owned()).into_iter().chain(fleet).collect();
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            let mut parts = line.split(&ours);
            out.push_str(parts.next().unwrap_or_default());
            for part in parts {
                let line = part.trim_end();
                let end = ENDS.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
                let mut command = format!("{ours}{}", &line[..end]);
                for flag in &more {
                    let longer = format!("{command}{flag}");
                    if Cli::try_parse_from(longer.split_whitespace().skip(1)).is_ok() {
                        command = longer;
                    }
                }
                out.push_str(&command.replacen(CARGO, self.program, 1));
                out.push_str(&part[end..]);
            }
        }
        out
    }
}

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Bring everything up: bootstrap, mesh-connect, verify-contract --live.
    #[command(after_help = "\
After a failure the same command continues: what is done already is checked and left as it is. The exit code is that of \
the part that failed.

Examples:
  cargo xtask up --simulate
  cargo xtask up --strict")]
    Up {
        #[command(flatten)]
        strict: Strict,
        #[command(flatten)]
        simulation: Simulation,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        explain: Explain,
    },
    /// Create or complete every cluster of the fleet with all its releases.
    #[command(after_help = "\
Faults are injected by the order of commands, so existing state shifts them: `simulate --seed N` always starts from \
nothing, `bootstrap --simulate --seed N` from the state that the last simulation left under out/simulation/.

Examples:
  cargo xtask bootstrap --simulate --seed 7
  cargo xtask bootstrap --only app1")]
    Bootstrap {
        #[command(flatten)]
        apply: Apply,
        #[command(flatten)]
        strict: Strict,
    },
    /// Connect the clusters as the fleet defines it, and verify traffic between them.
    #[command(after_help = "\
Examples:
  cargo xtask mesh-connect --cluster app1,app2
  cargo xtask mesh-connect --diagnose")]
    MeshConnect(MeshConnect),
    /// Upgrade single releases: show what changes, apply it, and wait.
    #[command(after_help = "\
These are the steps of `bootstrap` for that release alone. With --watch they run again whenever an input file changes, until \
Ctrl-C; an error stays on the screen, and the next change tries again.

Examples:
  cargo xtask apply grafana
  cargo xtask apply sample --cluster app1 --watch")]
    Apply {
        /// Names of releases: `grafana`.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Apply again whenever an input file changes.
        #[arg(long, conflicts_with_all = ["simulate", "dry_run"])]
        watch: bool,
        #[command(flatten)]
        simulation: Simulation,
        #[command(flatten)]
        dry_run: DryRun,
        #[command(flatten)]
        clusters: Clusters,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        explain: Explain,
    },
    /// Print the steps of a command, or their exact commands. Asks no machine.
    #[command(after_help = "\
Plans of other commands: `verify-contract --live --dry-run`, `verify-contract --drill mgmt-outage --dry-run`, `tools \
install --dry-run`.

Examples:
  cargo xtask plan bootstrap
  cargo xtask plan bootstrap --full --only 'app1/cp/*'
  cargo xtask plan upgrade --diff HEAD~1")]
    Plan {
        /// The command.
        #[arg(value_enum)]
        of: Planned,
        /// Only print steps that changed since a commit, with the files that they use.
        #[arg(long, value_name = "GIT-REF", conflicts_with = "graph")]
        diff: Option<String>,
        /// Print the steps and their dependencies as a graph.
        #[arg(long, value_name = "mermaid", hide_possible_values = true)]
        graph: Option<Graph>,
        /// Print every step with its exact commands, probes and limits.
        #[arg(long, conflicts_with_all = ["diff", "graph"])]
        full: bool,
        /// Print the ids of the steps, one per line.
        #[arg(long, conflicts_with_all = ["diff", "graph", "full"])]
        list: bool,
        #[command(flatten)]
        selection: Selection,
    },
    /// Write every generated file under out/, or compare.
    #[command(after_help = "Example:\n  cargo xtask render --check")]
    Render {
        /// Fail if a file differs from what would be written.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        simulated: Simulated,
    },
    /// Inspect the fleet file.
    #[command(subcommand, after_help = "Example:\n  cargo xtask fleet check")]
    Fleet(Fleet),
    /// Maintain the list of releases: archives, digests, newer versions, compatibility.
    #[command(subcommand, after_help = "Example:\n  cargo xtask charts outdated")]
    Charts(Charts),
    /// Simulate runs with injected faults, and check that a re-run recovers.
    #[command(after_help = "\
Exit codes:
  61  engine stuck
  62  invariant violated
  63  did not converge on retry

Examples:
  cargo xtask simulate --seeds 1..200
  cargo xtask simulate --command upgrade --exhaustive 25
  cargo xtask simulate --command start --readdressed --seed 5
  cargo xtask simulate --fault 17:crash")]
    Simulate(Simulate),
    /// Verify the contract C1 to C5: as rendered, on running clusters, in a drill.
    #[command(after_help = "\
Tiers add up: the static one always runs, --live queries the running clusters, --drill runs an outage. Clauses limit \
what is judged and printed in every tier; a report under out/reports contains all of them. Exit code 1: a clause fails \
and is not allowed to, or a cluster did not answer. With --simulate, --live queries what the last `bootstrap \
--simulate` left.

Examples:
  cargo xtask verify-contract C2 --explain
  cargo xtask verify-contract --live --cluster app1,app2
  cargo xtask verify-contract --drill mgmt-outage --simulate")]
    VerifyContract(VerifyContract),
    /// Reports of verify-contract.
    #[command(subcommand, after_help = "Example:\n  cargo xtask report verify")]
    Report(Report),
    /// Show which ADR and which check a configuration line belongs to.
    #[command(
        visible_alias = "why",
        after_help = "\
Examples:
  cargo xtask explain charts/cilium/values.yaml:13
  cargo xtask explain deletionPolicy"
    )]
    Explain {
        /// A file, a line or a key: `charts/cilium/values.yaml:13`, `deletionPolicy`, `server.remoteWrite`.
        query: String,
    },
    /// Architecture decision records.
    #[command(subcommand, after_help = "Example:\n  cargo xtask adr list")]
    Adr(Adr),
    /// Stop every VM: workers before control planes, the platform last.
    #[command(visible_alias = "down", after_help = "Example:\n  cargo xtask stop --only app1")]
    Stop(Apply),
    /// Start stopped VMs; repair addresses, clocks and certificates. Creates no VM.
    #[command(after_help = "Example:\n  cargo xtask start --explain")]
    Start(Apply),
    /// Upgrade to the pinned versions: Kubernetes node by node, then the releases.
    #[command(after_help = "\
The platform first, then one workload cluster after another; in each the control plane, then one node at a time: \
drain, upgrade the kubelet, uncordon. A node that was cordoned by hand stays cordoned. The upgrade starts only if all nodes \
are ready and the platform receives the metrics of the cluster. After a failure the same command continues.

Example:
  cargo xtask upgrade --dry-run")]
    Upgrade(Apply),
    /// Delete the fleet's VMs, kubeconfigs and secrets. Lists them and asks first.
    #[command(visible_alias = "delete", after_help = "Example:\n  cargo xtask destroy --only app2 --yes")]
    Destroy {
        #[command(flatten)]
        apply: Apply,
        #[command(flatten)]
        yes: Yes,
    },
    /// Print a `[[cluster]]` block for a new cluster, or write it into the fleet file.
    #[command(after_help = "Example:\n  cargo xtask add-cluster app3 --write")]
    AddCluster {
        /// Name of the cluster.
        name: String,
        /// Append the block to the fleet file.
        #[arg(long)]
        write: bool,
    },
    /// Print the state of VMs, nodes and releases, and all problems.
    #[command(visible_alias = "ls", after_help = "Example:\n  cargo xtask status --format json")]
    Status {
        #[command(flatten)]
        simulation: Simulation,
        #[command(flatten)]
        jobs: Jobs,
    },
    /// List every problem found on this machine and in the clusters, each with a fix.
    #[command(after_help = "Example:\n  cargo xtask doctor --fix")]
    Doctor {
        /// Apply the safe fixes: nothing is created or replaced, expiring certificates aside.
        #[arg(long)]
        fix: bool,
        #[command(flatten)]
        simulation: Simulation,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        explain: Explain,
    },
    /// Show the web pages of the platform: address, user, and the command for the password.
    #[command(after_help = "\
Examples:
  cargo xtask access
  cargo xtask access grafana --password")]
    Access {
        /// Name of a release: `grafana`.
        name: Option<String>,
        /// Open the page in the browser.
        #[arg(long, conflicts_with = "password")]
        open: bool,
        /// Print the password and nothing else.
        #[arg(long)]
        password: bool,
        #[command(flatten)]
        simulated: Simulated,
    },
    /// Print the path of the kubeconfig, or merge it into ~/.kube/config.
    #[command(after_help = "\
--merge replaces entries of this fleet alone and keeps a copy, ~/.kube/config.archipelago-backup; `destroy` takes them out again.

Examples:
  cargo xtask kubeconfig   # export KUBECONFIG=$(cargo xtask kubeconfig)
  cargo xtask kubeconfig --merge --use app1")]
    Kubeconfig {
        /// Put the contexts into ~/.kube/config.
        #[arg(long)]
        merge: bool,
        /// Also make this context the current one.
        #[arg(long = "use", value_name = "CONTEXT", requires = "merge")]
        context: Option<String>,
        #[command(flatten)]
        simulated: Simulated,
    },
    /// Print the log of a step (most recent attempt last), or list the steps that have one.
    #[command(after_help = "Examples:\n  cargo xtask logs app1/cp/init\n  cargo xtask logs --failed")]
    Logs {
        /// Id of the step, e.g. `app1/cp/init`.
        step: Option<String>,
        /// Print the logs of the steps that failed in the last run.
        #[arg(long, conflicts_with = "step")]
        failed: bool,
        /// Continue to print while a run goes on.
        #[arg(short, long, requires = "step")]
        follow: bool,
        #[command(flatten)]
        simulated: Simulated,
    },
    /// Command-line tools that this repository needs.
    #[command(subcommand, after_help = "Example:\n  cargo xtask tools install")]
    Tools(Tools),
    /// Run every check of this repository.
    #[command(after_help = "Example:\n  cargo xtask ci")]
    Ci,
    /// Print the version, the commit and the pinned versions.
    #[command(after_help = "Example:\n  cargo xtask version")]
    Version,
    /// Print shell completions.
    #[command(after_help = "Example:\n  cargo xtask completions bash")]
    Completions {
        #[arg(value_enum)]
        shell: CompletedShell,
        /// Words of a command line: print what the last one can become. The scripts ask it.
        #[arg(last = true, hide = true)]
        words: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Clone, Args)]
pub struct MeshConnect {
    /// Diagnose only: report the most likely cause without changing anything.
    #[arg(long, conflicts_with_all = ["full", "explain"])]
    pub diagnose: bool,
    /// Also run cilium's own connectivity test between each pair of clusters; takes long.
    #[arg(long)]
    pub full: bool,
    #[command(flatten)]
    pub strict: Strict,
    #[command(flatten)]
    pub simulation: Simulation,
    #[command(flatten)]
    pub dry_run: DryRun,
    #[command(flatten)]
    pub clusters: Clusters,
    #[command(flatten)]
    pub jobs: Jobs,
    #[command(flatten)]
    pub explain: Explain,
}

#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("scenarios").args(["seeds", "seed", "exhaustive", "fault"]))]
pub struct Simulate {
    /// Command to simulate. Prerequisite commands are assumed to have completed.
    #[arg(long, value_name = "COMMAND", value_enum, default_value = "bootstrap")]
    pub command: Planned,
    /// Start with changed VM addresses. Without a seed: all VMs. With seed N: the VMs whose bit is set in N (1..63
    /// covers every subset of six).
    #[arg(long)]
    pub readdressed: bool,
    /// Range of seeds, both ends included: `1..200` is 200 scenarios.
    #[arg(long, value_name = "A..B")]
    pub seeds: Option<String>,
    /// Inject the faults generated from this seed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Inject every possible fault of a clean run, one at a time (or every K-th).
    #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "1", value_parser = stride)]
    pub exhaustive: Option<usize>,
    /// Inject one fault, by its injection point and kind: `17:crash`. A failing simulation prints it.
    #[arg(long, value_name = "POINT:KIND")]
    pub fault: Option<String>,
    #[command(flatten)]
    pub jobs: Jobs,
}

#[derive(Debug, Clone, Default, Args)]
#[command(group = ArgGroup::new("clusters_asked").args(["live", "drill"]).multiple(true))]
#[command(group = ArgGroup::new("of_clusters").args(["simulate", "dry_run", "jobs"]).multiple(true)
    .requires("clusters_asked"))]
#[command(group = ArgGroup::new("of_live").arg("cluster").requires("live"))]
#[command(group = ArgGroup::new("of_drill").arg("yes").requires("drill"))]
pub struct VerifyContract {
    /// Only these clauses: C1 to C5.
    #[arg(value_name = "CLAUSE")]
    pub clauses: Vec<String>,
    /// Only from rendered manifests and values (the default): no tool, no cluster.
    #[arg(long = "static", conflicts_with = "clusters_asked")]
    pub rendered: bool,
    /// Also query the running clusters; changes nothing.
    #[arg(long)]
    pub live: bool,
    /// Run an outage drill: stop the platform VMs, observe the app clusters, restart the platform. Asks first.
    #[arg(long, value_name = "DRILL", value_enum)]
    pub drill: Option<Drill>,
    /// Length of the outage in the drill: 1m to 24h.
    #[arg(long, value_name = "TIME", default_value = OUTAGE, requires = "drill")]
    pub outage: String,
    /// Proceed even if this clause fails. Repeatable; needs --because.
    #[arg(long, value_name = "CLAUSE", requires = "because")]
    pub allow: Vec<String>,
    /// Reason for --allow; part of the report.
    #[arg(long, value_name = "REASON", requires = "allow")]
    pub because: Option<String>,
    /// Also write the verdicts as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<Utf8PathBuf>,
    /// Print the reasoning and the values behind each verdict; in a drill, also why each step runs.
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub simulation: Simulation,
    #[command(flatten)]
    pub dry_run: DryRun,
    #[command(flatten)]
    pub clusters: Clusters,
    #[command(flatten)]
    pub jobs: Jobs,
    #[command(flatten)]
    pub yes: Yes,
}

impl VerifyContract {
    /// `verify-contract --live`
    pub fn live() -> Self {
        VerifyContract { live: true, outage: OUTAGE.to_owned(), ..VerifyContract::default() }
    }
}

/// Length of the outage in a drill.
const OUTAGE: &str = "10m";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drill {
    MgmtOutage,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Report {
    /// Check a report's digests, and that re-evaluating the recorded data gives the same verdicts.
    #[command(after_help = "Example:\n  cargo xtask report verify --simulate")]
    Verify {
        /// Name of its folder in out/reports; default: the newest.
        folder: Option<String>,
        #[command(flatten)]
        simulated: Simulated,
    },
}

/// Commands that have a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planned {
    Bootstrap,
    Stop,
    Start,
    Destroy,
    Upgrade,
    MeshConnect,
    Apply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Graph {
    Mermaid,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Fleet {
    /// Validate the fleet and all files that depend on it; lists every problem.
    #[command(after_help = "Example:\n  cargo xtask fleet check --fleet infra/fleet.toml")]
    Check,
    /// Write one of the fleets in infra/fleets/ over the fleet file.
    ///
    /// Refused while machines of the present one exist, and over edits that are not committed.
    #[command(after_help = "Example:\n  cargo xtask fleet use 16g")]
    Use {
        /// `16g`, `32g` or `64g`.
        size: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Charts {
    /// Download every archive into out/charts and verify its digest.
    #[command(after_help = "Example:\n  cargo xtask charts pull")]
    Pull(Apply),
    /// Compute missing digests and write them into charts/releases.toml.
    #[command(after_help = "Example:\n  cargo xtask charts lock")]
    Lock {
        #[command(flatten)]
        dry_run: DryRun,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        explain: Explain,
    },
    /// Render each release and check keys, memory, namespaces and images.
    #[command(after_help = "Example:\n  cargo xtask charts verify --values-only")]
    Verify {
        /// Compute memory from the values alone, without the charts: an upper bound.
        #[arg(long)]
        values_only: bool,
    },
    /// Show which objects and fields differ between what is rendered now and what is installed.
    #[command(after_help = "Example:\n  cargo xtask charts diff grafana")]
    Diff {
        /// Names of releases: `grafana`.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        simulation: Simulation,
        #[command(flatten)]
        clusters: Clusters,
    },
    /// Show the newest version of each chart beside the pinned one.
    #[command(after_help = "Example:\n  cargo xtask charts outdated")]
    Outdated,
    /// Update one release: version, app version and digest.
    #[command(after_help = "Example:\n  cargo xtask charts bump cilium --to 1.18.4")]
    Bump {
        /// Name of the release.
        release: String,
        /// To this version instead of the newest.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        explain: Explain,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Tools {
    /// Install the pinned helm, kubectl and cilium into out/bin, verified by digest; or print how to get them.
    #[command(after_help = "Example:\n  cargo xtask tools install --dry-run")]
    Install(Apply),
}

#[derive(Debug, Clone, Subcommand)]
pub enum Adr {
    /// List all records.
    #[command(after_help = "Example:\n  cargo xtask adr list --format json")]
    List,
    /// Create a record with the next free number.
    #[command(after_help = "Example:\n  cargo xtask adr new 'Secrets stay in each cluster'")]
    New {
        /// The decision in a few words.
        title: String,
    },
    /// Check numbers, front matter, sections and links.
    #[command(after_help = "Example:\n  cargo xtask adr check")]
    Check,
}

fn stride(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|stride| *stride > 0).ok_or_else(|| "expected a number from 1".to_owned())
}
