//! Output, streams and exit codes of whole commands, run in this process.
#![expect(clippy::disallowed_methods, reason = "changes the data of a repository of its own")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use xtask::cmd::{self, Env};

use crate::fixtures::{connected, copy_folder};
use crate::golden;

#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A repository of its own: the data of this one by link, and an `out/` that goes away.
pub struct Repo {
    folder: tempfile::TempDir,
}

pub struct Ran {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Repo {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for data in ["infra", "charts", "adr", "README.md", "xtask"] {
            std::os::unix::fs::symlink(golden::root().join(data), folder.path().join(data)).expect("a link");
        }
        Repo { folder }
    }

    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).expect("UTF-8")
    }

    pub fn run(&self, line: &str) -> Ran {
        self.run_with("/nowhere", line)
    }

    /// Runs a command line with the tools of this `PATH`.
    pub fn run_with(&self, path: &str, line: &str) -> Ran {
        self.run_words(path, &line.split(' ').collect::<Vec<_>>())
    }

    pub fn run_words(&self, path: &str, words: &[&str]) -> Ran {
        self.run_in(path, words, |host| Box::new(host))
    }

    /// Runs a command line on a terminal of this width.
    pub fn run_at(&self, columns: usize, words: &[&str]) -> Ran {
        let (out, err) = (Page::default(), Page::default());
        let mut env = env(self.root(), "/nowhere", Box::new(out.clone()), Box::new(err.clone()));
        env.vars.insert("COLUMNS".to_owned(), columns.to_string());
        let code = cmd::run(["xtask"].iter().chain(words).map(Into::into), env);
        let text = |page: Page| String::from_utf8(page.0.borrow().clone()).expect("UTF-8");
        Ran { code, out: text(out), err: text(err) }
    }

    /// Runs a command line in another world than this machine's.
    pub fn run_through(&self, line: &str, world_factory: cmd::WorldFactory) -> Ran {
        self.run_in("/nowhere", &line.split(' ').collect::<Vec<_>>(), world_factory)
    }

    fn run_in(&self, path: &str, words: &[&str], world_factory: cmd::WorldFactory) -> Ran {
        run_in(self.root(), path, words, world_factory)
    }

    /// Gives it a copy of one of its folders, with one text of a file exchanged for another.
    pub fn edit(&self, folder: &str, file: &str, from: &str, to: &str) {
        let copy = self.root().join(folder);
        std::fs::remove_file(&copy).expect("the link");
        copy_folder(&Utf8PathBuf::from_path_buf(golden::root().join(folder)).expect("UTF-8"), &copy);
        let text = golden::read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(self.root().join(file), text.replace(from, to)).expect("written");
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = self.root().read_dir_utf8().expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_owned()).collect()
    }
}

fn env(root: &Utf8Path, path: &str, out: Box<dyn Write>, err: Box<dyn Write>) -> Env {
    let vars = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
    Env::new(root.to_owned(), vars, out, err)
}

/// Runs a command line in the repository at `root` with the tools of this `PATH`.
pub fn run(root: &Utf8Path, path: &str, words: &[&str]) -> Ran {
    run_in(root, path, words, |host| Box::new(host))
}

fn run_in(root: &Utf8Path, path: &str, words: &[&str], world_factory: cmd::WorldFactory) -> Ran {
    let (out, err) = (Page::default(), Page::default());
    let args = std::iter::once("xtask").chain(words.iter().copied()).map(Into::into);
    let code = cmd::run(args, Env { world_factory, ..env(root, path, Box::new(out.clone()), Box::new(err.clone())) });
    let text = |page: Page| String::from_utf8(page.0.borrow().clone()).expect("UTF-8");
    Ran { code, out: text(out), err: text(err) }
}

/// The last line of a run, without what it leaves running and the command that follows.
pub fn last(text: &str) -> &str {
    let run = text.split_once("\n\nmgmt").map_or(text, |(run, _)| run);
    run.lines().rfind(|line| !line.starts_with("        Next ")).unwrap_or_default()
}

pub fn settings() -> insta::Settings {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/ui"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn help_is_one_page_on_stdout() {
    let help = Repo::new().run("--help");
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.lines().count() <= 64);
    settings().bind(|| insta::assert_snapshot!("help", help.out));
}

#[test]
fn simulated_bootstrap_converges_and_is_then_unchanged() {
    let repo = Repo::new();
    let first = repo.run("bootstrap --simulate");
    assert_eq!((first.code, first.out.as_str()), (0, ""), "{}", first.err);
    assert!(last(&first.err).starts_with("   Simulated bootstrap: "), "{}", first.err);
    assert!(last(&first.err).contains("; estimated real time "), "{}", first.err);
    assert!(first.err.contains("     Longest chain of steps: "), "{}", first.err);
    let log = repo.run("logs app1/cp/init --simulate");
    assert!(log.code == 0 && log.out.contains("kubeadm init"), "{}{}", log.out, log.err);
    let again = repo.run("bootstrap --simulate");
    assert_eq!(again.code, 0);
    assert!(!again.err.contains("Started") && last(&again.err).ends_with(", nothing to do"), "{}", again.err);
    let events = repo.run("bootstrap --simulate --format json").out;
    let times: Vec<u64> =
        events.lines().filter_map(|e| serde_json::from_str::<Value>(e).ok()?["at_ms"].as_u64()).collect();
    let [.., before, took] = times[..] else { panic!("{events}") };
    assert!(took > before, "the checks before the first step count: {before} {took}");
    assert_eq!(repo.run("kubeconfig --simulate").out.trim(), repo.root().join("out/simulation/kube/config.yaml"));
}

#[test]
fn bootstrap_without_tools_lists_them_and_changes_nothing() {
    let repo = Repo::new();
    let before = repo.names();
    let ran = repo.run("bootstrap");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("error: 6 tools are not ready\n"), "{}", ran.err);
    for tool in ["multipass", "helm", "kubectl", "cilium", "openssl", "curl"] {
        assert!(ran.err.contains(&format!(" {tool}: not found on PATH\n")), "{tool}: {}", ran.err);
    }
    assert!(last(&ran.err).starts_with("      Failed bootstrap after "), "{}", ran.err);
    let made: Vec<String> = repo.names().difference(&before).cloned().collect();
    assert_eq!(made, ["out"]);
}

#[test]
fn plan_is_deterministic_and_writes_nothing() {
    let repo = Repo::new();
    let plan = repo.run("plan bootstrap --full");
    assert_eq!((plan.code, plan.err.as_str()), (0, ""));
    assert!(repo.run("plan bootstrap --full").out == plan.out);
    let steps = repo.run("plan bootstrap --list").out;
    assert_eq!(steps.lines().count(), plan.out.matches("\n  limits ").count());
    let table = repo.run("plan bootstrap");
    assert!(table.out.lines().count() < 40 && table.err.contains("--full"), "{}{}", table.out, table.err);
    let tools: BTreeSet<String> = repo.names();
    assert!(!tools.contains("out"), "{tools:?}");
    let json: Value = serde_json::from_str(&repo.run("plan bootstrap --format json").out).expect("one object");
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(plan.out.matches("\n  limits ").count()));
}

/// Each kind of event in these lines, with its fields.
fn fields(lines: &str) -> String {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let kind = event["event"].as_str().expect("a kind").to_owned();
        let fields = event.as_object().expect("an object").keys().filter(|key| *key != "event").cloned();
        kinds.entry(kind).or_default().extend(fields);
    }
    let row = |(kind, fields): (String, BTreeSet<String>)| {
        format!("{kind}: {}\n", fields.into_iter().collect::<Vec<_>>().join(" "))
    };
    kinds.into_iter().map(row).collect()
}

#[test]
fn event_stream_has_fixed_fields() {
    let repo = Repo::new();
    let mut lines = repo.run("bootstrap --simulate --format json --until */launch").out;
    lines += &repo.run("simulate --format json --seed 1").out;
    lines += &repo.run("simulate --format json --fault 17:crash").out;
    lines += &repo.run("fleet check --format json --fleet nowhere.toml").out;
    // Seeds until every event was seen that the snapshot has.
    let accepted = golden::read("tests/snapshots/ui/events.snap");
    for seed in 1..=30 {
        if accepted.trim_end().ends_with(fields(&lines).trim_end()) {
            break;
        }
        lines += &repo.run(&format!("bootstrap --simulate --format json --seed {seed}")).out;
    }
    settings().bind(|| insta::assert_snapshot!("events", fields(&lines)));
}

#[test]
fn exit_codes_are_documented_ones() {
    let repo = Repo::new();
    for (line, code) in [
        ("fleet check", 0),
        ("adr check", 0),
        ("adr list", 0),
        ("completions bash", 0),
        ("--version", 0),
        ("render --check", 1),
        ("kubeconfig", 1),
        ("logs mgmt/cp/init", 1),
        ("logs no/such/step", 2),
        ("nosuch", 2),
        ("bootstrap --only no/such/*", 2),
        ("adr list --dry-run", 2),
        ("fleet check --fleet nowhere.toml", 2),
        ("simulate --seeds 9..1", 2),
        ("simulate --exhaustive 0", 2),
        ("simulate --fault 17:boom", 2),
    ] {
        let ran = repo.run(line);
        assert_eq!(ran.code, code, "{line}: {}{}", ran.out, ran.err);
        assert_eq!(ran.err.contains("error:"), code != 0, "{line}: {}", ran.err);
    }
}

#[test]
fn render_check_detects_changed_files() {
    let repo = Repo::new();
    repo.must("render");
    let check = repo.run("render --check");
    assert!(check.code == 0 && check.err.contains("all up to date"), "{}", check.err);
    let space = exec::workspace::Workspace::open(repo.root(), Utf8Path::new("out"));
    space.write("app1/cp/kubeadm-init.yaml", b"other").expect("written");
    let check = repo.run("render --check");
    assert!(check.code == 1 && check.err.contains("differs  out/app1/cp/kubeadm-init.yaml"), "{}", check.err);
    assert!(repo.run("render").err.contains("(1 changed)"));
}

#[test]
fn concurrent_run_is_refused_with_its_name() {
    let repo = Repo::new();
    let space = exec::workspace::Workspace::open(repo.root(), Utf8Path::new("out/simulation"));
    let _lock = space.lock("destroy").expect("free");
    let ran = repo.run("bootstrap --simulate");
    assert!(ran.code == 3 && ran.err.contains("`destroy` since 20"), "{}", ran.err);
}

#[test]
fn broken_pipe_is_success() {
    let repo = Repo::new();
    let err = Page::default();
    let args = ["xtask", "plan", "bootstrap", "--full"].map(Into::into);
    assert_eq!(cmd::run(args, env(repo.root(), "/nowhere", Box::new(Gone), Box::new(err.clone()))), 0);
    assert!(err.0.borrow().is_empty());
}

#[test]
fn fleet_path_is_relative_to_the_current_folder() {
    let repo = Repo::new();
    let mut env = env(repo.root(), "/nowhere", Box::new(io::sink()), Box::new(io::sink()));
    env.cwd = Utf8PathBuf::from_path_buf(golden::root().join("tests/fleets")).expect("UTF-8");
    assert_eq!(cmd::run(["xtask", "fleet", "check", "--fleet", "one.toml"].map(Into::into), env), 0);
}

/// One seed and one fault show how they are reported; CI sweeps all of them.
#[test]
fn simulated_trials_are_summed_up() {
    let ran = Repo::new().run("simulate --seeds 7..7");
    assert!(ran.code == 0 && last(&ran.err).starts_with("   Simulated 1 seed in "), "{}", ran.err);
    assert!(last(&ran.err).contains(" injection points, "), "{}", ran.err);
    let ran = Repo::new().run("simulate --exhaustive 2000");
    assert!(ran.code == 0 && last(&ran.err).contains("s, one at a time"), "{}", ran.err);
    assert!(last(&ran.err).ends_with(", all converged"), "{}", ran.err);
}

#[test]
fn a_dry_run_says_what_would_run_and_changes_nothing() {
    let repo = Repo::new();
    let before = repo.run("bootstrap --dry-run --simulate");
    assert_eq!(before.code, 0, "{}", before.err);
    assert!(last(&before.err).ends_with(" would run, 9 unchanged"), "{}", before.err);
    assert!(before.out.contains("\ncharts: 14 steps\n") && before.out.contains("\napp1, app2: "), "{}", before.out);
    assert!(!repo.root().join("out/simulation/world.json").exists());
    repo.must("bootstrap --simulate");
    let after = repo.run("bootstrap --dry-run --simulate");
    assert!(after.code == 0 && after.out.is_empty() && last(&after.err).contains(": 0 would run, "));
    let missing = Repo::new().run("bootstrap --dry-run");
    assert_eq!(missing.code, 3, "{}", missing.err);
}

#[test]
fn up_runs_three_parts_and_then_finds_nothing_to_do() {
    let repo = Repo::new();
    let first = repo.run("up --simulate");
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.out.ends_with("live: 74 answers of mgmt, app1 and app2)\n"), "{}", first.out);
    let again = repo.run("up --simulate");
    assert!(again.code == 0 && again.err.lines().count() < 45, "{}", again.err);
    settings().bind(|| {
        insta::assert_snapshot!(
            "up-again",
            again.err.replace(report_of(&again.err), "<time>").replace(repo.root().as_str(), "<root>")
        )
    });
    let json = repo.run("up --simulate --format json").out;
    let events: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let runs: BTreeSet<&str> = events.iter().map(|event| event["run"].as_str().expect("a run")).collect();
    assert_eq!((runs.len(), events.iter().filter(|event| event["event"] == "part").count()), (1, 6));
}

/// The name of the report's folder.
fn report_of(err: &str) -> &str {
    err.split("/reports/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("<time>")
}

#[test]
fn up_ends_with_the_part_that_failed_and_continues() {
    let repo = Repo::new();
    let fails = |ran: &Ran| ran.code != 0 && !ran.err.contains("killed the process");
    let failing = (1..40).map(|seed| repo.run(&format!("up --simulate --seed {seed}"))).find(fails);
    let failing = failing.expect("a seed that stops it");
    assert!(last(&failing.err).contains(" up: part "), "{}", failing.err);
    assert!(last(&failing.err).contains("to continue: cargo xtask up --simulate"), "{}", failing.err);
    let again = repo.run("up --simulate");
    assert_eq!(again.code, 0, "{}", again.err);
}

#[test]
fn what_breaks_the_contract_is_said_before_it_is_built() {
    let repo = Repo::new();
    repo.edit("charts", "charts/cilium/values.yaml", "tunnelProtocol: vxlan", "tunnelProtocol: geneve");
    let ran = repo.run("bootstrap --simulate --only host");
    assert!(ran.code == 0 && ran.err.contains("     Warning charts/cilium/values.yaml:"), "{}", ran.err);
    let strict = repo.run("bootstrap --simulate --only host --strict");
    assert!(strict.code == 1 && strict.err.contains("error: breaks C5: "), "{}", strict.err);
}

/// Lines of a command are whole, so that it can be pasted.
fn is_command(line: &str) -> bool {
    ["hint:", "$ ", "cargo xtask ", "export "].iter().any(|command| line.contains(command))
}

#[test]
fn screens_fit_their_terminal() {
    let whole = connected();
    let ill = whole.copy();
    ill.edit_vms(|vms| {
        vms["app1-w1"]["power"] = json!("Stopped");
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = json!("10.9.9.9");
    });
    let because = "금고를 이번 주에 옮기는 중이므로 앱 클러스터의 시크릿이 오래될 수 있음을 알고 있으며 다음 주에 다시 확인합니다";
    let allowed = ["verify-contract", "C3", "--allow", "C3", "--because", because, "--live", "--simulate"];
    for columns in [80, 200] {
        let mut screens = String::new();
        for (repo, words) in [
            (&whole, &["status", "--simulate"][..]),
            (&ill, &["status", "--simulate"]),
            (&ill, &["doctor", "--simulate"]),
            (&ill, &["bootstrap", "--dry-run", "--simulate"]),
            (&ill, &allowed),
            (&whole, &["plan", "bootstrap"]),
            (&whole, &["bootstrap", "--simulate"]),
            (&whole, &["verify-contract", "C2", "--explain"]),
            (&whole, &["charts", "verify", "--values-only"]),
            (&whole, &["explain", "deletionPolicy"]),
            (&whole, &["adr", "list"]),
        ] {
            let ran = repo.run_at(columns, words);
            let text = format!("$ cargo xtask {}\n{}{}\n", words.join(" "), ran.out, ran.err);
            let wide = text.lines().find(|line| !is_command(line) && xtask::ui::format::width(line) > columns);
            assert_eq!(wide, None, "{columns} columns");
            // Of the clock.
            let volatile = |line: &&str| !line.contains("reports/");
            let text = text.replace(whole.root().as_str(), "<root>");
            text.lines().filter(volatile).for_each(|line| screens += &format!("{line}\n"));
        }
        settings().bind(|| insta::assert_snapshot!(format!("screens-{columns}"), screens));
    }
}

#[test]
fn access_prints_pages_and_one_password() {
    let repo = connected();
    let ran = repo.must("access --simulate");
    settings().bind(|| insta::assert_snapshot!("access", ran.out.replace(repo.root().as_str(), "<root>")));
    let password = repo.must("access grafana --password --simulate").out;
    let stored =
        exec::workspace::Workspace::open(repo.root(), Utf8Path::new("out/simulation")).secret("grafana-password");
    assert_eq!(Some(password.trim().to_owned()), stored.expect("readable"));
    assert!(!ran.out.contains(password.trim()), "a password unasked");
    let unknown = repo.run("access grafna --simulate");
    assert!(unknown.code == 2 && unknown.err.contains("cargo xtask access grafana"), "{}", unknown.err);
    let before = Repo::new();
    let shown = before.must("access --simulate").out;
    assert!(shown.contains("port-forward svc/grafana 8080:80") && !shown.contains("http://grafana."), "{shown}");
    assert!(!shown.contains("Hubble"), "{shown}");
    before.edit(
        "charts",
        "charts/cilium/values.yaml",
        "hubble:\n  enabled: false",
        "hubble:\n  ui:\n    enabled: true",
    );
    let shown = before.must("access cilium --simulate").out;
    assert_eq!(shown.matches("Hubble on ").count(), 3, "{shown}");
    assert!(shown.contains("port-forward svc/hubble-ui 8080:80") && !shown.contains("password"), "{shown}");
}

#[test]
fn short_words_for_commands_are_accepted() {
    let repo = Repo::new();
    assert!(repo.run("help stop").out.contains("Usage: cargo xtask stop"));
    assert!(repo.run("ls --simulate").out.contains("nothing has been created yet"));
    assert!(repo.must("version").out.contains("kubernetes"));
    let json: Value = serde_json::from_str(&repo.must("version -o json").out).expect("an event");
    assert_eq!(json["event"], "version");
    for line in ["down --simulate", "delete --simulate -y"] {
        repo.must(line);
    }
    let none = repo.run("simulate");
    assert!(none.code == 2 && none.err.contains("--seeds") && none.err.contains("mesh-connect"), "{}", none.err);
    let wrong = repo.run("simulate --fault 99999:crash");
    assert!(wrong.code == 2 && wrong.err.contains("injection points are 0 to "), "{}", wrong.err);
}

#[test]
fn logs_list_steps_and_those_that_failed() {
    let repo = Repo::new();
    assert_eq!(repo.must("logs --simulate").out, "");
    let failing = (1..60).find(|seed| repo.run(&format!("bootstrap --simulate --seed {seed}")).code == 1);
    failing.expect("a seed that fails a step");
    assert!(repo.must("logs --simulate").out.contains("mgmt/cp/launch\n"));
    assert!(!repo.must("logs --failed --simulate").out.is_empty());
    let space = exec::workspace::Workspace::open(repo.root(), Utf8Path::new("out/simulation"));
    let lock = space.lock("bootstrap").expect("free");
    let followed = std::thread::scope(|scope| {
        let following = scope.spawn(|| repo.run("logs mgmt/cp/launch -f --simulate").out);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let log = repo.root().join("out/simulation/logs/mgmt-cp-launch.1.log");
        let mut log = std::fs::OpenOptions::new().append(true).open(log).expect("a log");
        log.write_all(b"one more line\n").expect("written");
        drop(lock);
        following.join().expect("ended")
    });
    assert!(followed.ends_with("one more line\n") && followed.matches("one more line").count() == 1, "{followed}");
}

#[test]
fn a_new_cluster_is_written_into_the_fleet_file() {
    let repo = Repo::new();
    let text = golden::read("infra/fleet.toml");
    std::fs::write(repo.root().join("fleet.toml"), &text).expect("written");
    let ran = repo.run("add-cluster app9 --write --fleet fleet.toml");
    let now = std::fs::read_to_string(repo.root().join("fleet.toml")).expect("there");
    assert_eq!(ran.code == 0, now.contains("name = \"app9\""), "{}", ran.err);
    assert!(now.starts_with(&text));
}

#[test]
fn problems_are_annotations_for_github() {
    let repo = Repo::new();
    let text = golden::read("infra/fleet.toml").replace("pod_cidr = \"10.101", "pod_cird = \"10.101");
    std::fs::write(repo.root().join("wrong.toml"), text).expect("written");
    let ran = repo.run("fleet check --fleet wrong.toml --format github");
    assert!(ran.code == 2 && ran.out.contains("::error file=wrong.toml,line="), "{}{}", ran.out, ran.err);
}

#[test]
fn smaller_fleets_converge_with_the_same_pins() {
    let pins = |text: &str| {
        let from = text.find("[vm]").expect("the image");
        text[from..text.find("[mesh]").expect("the pins")].to_owned()
    };
    let whole = pins(&golden::read("infra/fleet.toml"));
    for size in ["16g", "32g", "64g"] {
        let file = format!("infra/fleets/{size}.toml");
        assert_eq!(pins(&golden::read(&file)), whole, "{file}");
        let repo = Repo::new();
        let up = repo.must(&format!("up --simulate --fleet {file}"));
        assert!(up.out.contains("5 of 5 clauses hold"), "{}{}", up.out, up.err);
        repo.must(&format!("charts verify --values-only --fleet {file}"));
    }
}

#[test]
fn a_fleet_without_app_clusters_has_nothing_to_judge() {
    let repo = Repo::new();
    let text = golden::read("infra/fleet.toml");
    let app = text.find("[[cluster]]\nname = \"app1\"").expect("app1");
    std::fs::write(repo.root().join("mgmt.toml"), &text[..app]).expect("written");
    let status = repo.run("bootstrap --simulate --fleet mgmt.toml").code == 0;
    let status = (status, repo.run("status --simulate --fleet mgmt.toml").out);
    assert!(status.0 && status.1.contains("  nothing to judge: the fleet has no app cluster\n"), "{}", status.1);
    let ran = repo.run("verify-contract --fleet mgmt.toml");
    assert!(
        ran.code == 1 && ran.err.contains("nothing to judge: the fleet has no app cluster"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn a_shipped_fleet_is_used_where_nothing_is_lost_by_it() {
    let repo = Repo::new();
    let own = repo.root().join("own.toml");
    std::fs::write(&own, golden::read("infra/fleets/64g.toml")).expect("written");
    assert_eq!(golden::read("infra/fleets/64g.toml"), golden::read("infra/fleet.toml"));
    let used = |size: &str| repo.run(&format!("fleet use {size} --fleet own.toml"));
    assert!(used("64g").err.contains("is the fleet 64g already"));
    assert_eq!(used("16g").code, 0);
    assert_eq!(std::fs::read_to_string(&own).expect("there"), golden::read("infra/fleets/16g.toml"));
    std::fs::write(&own, golden::read("infra/fleets/16g.toml") + "# mine\n").expect("written");
    let edited = used("32g");
    assert!(edited.code == 2 && edited.err.contains("own.toml has edits that are not committed"), "{}", edited.err);
    let space = exec::workspace::Workspace::open(repo.root(), Utf8Path::new("out"));
    let fact = plan::journal::Entry::Fact { name: "app1.cp.ip".to_owned(), value: "10.0.0.2".to_owned() };
    space.append_journal(&plan::journal::line(&fact)).expect("written");
    let busy = used("32g");
    assert!(busy.code == 1 && busy.err.contains("own.toml has machines: app1-cp"), "{}", busy.err);
    assert!(busy.err.contains("hint: cargo xtask destroy --fleet own.toml"), "{}", busy.err);
    assert_eq!(std::fs::read_to_string(&own).expect("there"), golden::read("infra/fleets/16g.toml") + "# mine\n");
}
