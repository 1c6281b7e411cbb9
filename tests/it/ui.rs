//! What a person and a script see of whole commands: streams, exit codes, the event stream, the rehearsal's story.
//! Knows nothing of how steps are run; every command runs in this process, in a copy of the repository's data.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask::cmd::{self, Env};

use crate::golden;

/// A writer that can be read afterwards.
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

/// A reader that went away.
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
pub struct Place {
    folder: tempfile::TempDir,
}

/// What a command did.
pub struct Ran {
    /// Its exit code.
    pub code: u8,
    /// Data.
    pub out: String,
    /// Story.
    pub err: String,
}

impl Place {
    /// A fresh one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for data in ["infra", "charts", "adr", "README.md", "xtask"] {
            std::os::unix::fs::symlink(golden::root().join(data), folder.path().join(data)).expect("a link");
        }
        Place { folder }
    }

    /// Its folder.
    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).expect("UTF-8")
    }

    fn env(&self, path: &str, out: Box<dyn Write>, err: Box<dyn Write>) -> Env {
        let vars = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        Env {
            root: self.root().to_owned(),
            here: self.root().to_owned(),
            vars,
            out,
            err,
            screen: None,
            keyboard: None,
            door: |host| Box::new(host),
        }
    }

    /// Runs a command line where there are no tools.
    pub fn run(&self, line: &str) -> Ran {
        self.run_with("/nowhere", line)
    }

    /// Runs a command line with the tools of this `PATH`.
    pub fn run_with(&self, path: &str, line: &str) -> Ran {
        self.run_words(path, &line.split(' ').collect::<Vec<_>>())
    }

    /// The same, for words that may have spaces in them.
    pub fn run_words(&self, path: &str, words: &[&str]) -> Ran {
        self.run_in(path, words, |host| Box::new(host))
    }

    /// Runs a command line in another world than this machine's.
    pub fn run_through(&self, line: &str, door: cmd::Door) -> Ran {
        self.run_in("/nowhere", &line.split(' ').collect::<Vec<_>>(), door)
    }

    fn run_in(&self, path: &str, words: &[&str], door: cmd::Door) -> Ran {
        let (out, err) = (Page::default(), Page::default());
        let args = std::iter::once("xtask").chain(words.iter().copied()).map(Into::into);
        let env = self.env(path, Box::new(out.clone()), Box::new(err.clone()));
        let code = cmd::run(args, Env { door, ..env });
        let text = |page: Page| String::from_utf8(page.0.borrow().clone()).expect("UTF-8");
        Ran { code, out: text(out), err: text(err) }
    }

    /// Names in the repository's own folder.
    fn names(&self) -> BTreeSet<String> {
        let entries = self.root().read_dir_utf8().expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_owned()).collect()
    }
}

fn last(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Where snapshots of screens lie.
pub fn settings() -> insta::Settings {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/ui"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn help_is_one_page_on_stdout() {
    let help = Place::new().run("--help");
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.lines().count() <= 60);
    settings().bind(|| insta::assert_snapshot!("help", help.out));
}

#[test]
fn a_rehearsal_goes_from_nothing_to_everything_and_then_rests() {
    let place = Place::new();
    let first = place.run("bootstrap --simulate");
    assert_eq!((first.code, first.out.as_str()), (0, ""), "{}", first.err);
    assert!(last(&first.err).starts_with("   Simulated bootstrap: "), "{}", first.err);
    assert!(last(&first.err).contains("; would have taken "), "{}", first.err);
    assert!(first.err.contains("     Longest chain of steps: "), "{}", first.err);
    let log = place.run("logs app1/cp/init --simulate");
    assert!(log.code == 0 && log.out.contains("kubeadm init"), "{}{}", log.out, log.err);
    let again = place.run("bootstrap --simulate");
    assert_eq!(again.code, 0);
    assert!(!again.err.contains("Started") && last(&again.err).ends_with(", nothing to do"), "{}", again.err);
    assert_eq!(place.run("kubeconfig --simulate").out.trim(), place.root().join("out/simulation/kube/config.yaml"));
}

#[test]
fn a_machine_without_tools_is_told_once_and_left_alone() {
    let place = Place::new();
    let before = place.names();
    let ran = place.run("bootstrap");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("error: 6 tools are not ready\n"), "{}", ran.err);
    for tool in ["multipass", "helm", "kubectl", "cilium", "openssl", "curl"] {
        let row = ran.err.lines().find(|line| line.starts_with(&format!("  {tool} ")));
        assert!(row.is_some_and(|row| row.contains("not found on PATH")), "{tool}: {}", ran.err);
    }
    assert!(last(&ran.err).starts_with("      Failed bootstrap after "), "{}", ran.err);
    let made: Vec<String> = place.names().difference(&before).cloned().collect();
    assert_eq!(made, ["out"]);
}

#[test]
fn a_plan_is_the_same_bytes_each_time_and_touches_nothing() {
    let place = Place::new();
    let plan = place.run("plan bootstrap");
    assert_eq!((plan.code, plan.err.as_str()), (0, ""));
    for _ in 0..19 {
        assert!(place.run("plan bootstrap").out == plan.out);
    }
    let dry = place.run("bootstrap --dry-run");
    assert!(dry.code == 0 && dry.out == plan.out, "a dry run is the plan");
    assert!(!place.root().join("out").exists());
    let json: Value = serde_json::from_str(&place.run("plan bootstrap --format json").out).expect("one object");
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(plan.out.matches("\n  limits ").count()));
}

/// Each kind of event, with its fields: scripts rely on them.
#[test]
fn the_event_stream_has_a_fixed_form() {
    let place = Place::new();
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut lines = String::new();
    lines += &place.run("bootstrap --simulate --format json --until */launch").out;
    for seed in 1..=30 {
        lines += &place.run(&format!("bootstrap --simulate --format json --seed {seed}")).out;
    }
    lines += &place.run("simulate --format json --seed 1").out;
    lines += &place.run("simulate --format json --fault 17:crash").out;
    lines += &place.run("fleet check --format json --fleet nowhere.toml").out;
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let kind = event["event"].as_str().expect("a kind").to_owned();
        let fields = event.as_object().expect("an object").keys().filter(|key| *key != "event").cloned();
        kinds.entry(kind).or_default().extend(fields);
    }
    let table: String = kinds
        .into_iter()
        .map(|(kind, fields)| format!("{kind}: {}\n", fields.into_iter().collect::<Vec<_>>().join(" ")))
        .collect();
    settings().bind(|| insta::assert_snapshot!("events", table));
}

#[test]
fn exit_codes_tell_who_must_act() {
    let place = Place::new();
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
        let ran = place.run(line);
        assert_eq!(ran.code, code, "{line}: {}{}", ran.out, ran.err);
        assert_eq!(ran.err.contains("error:"), code != 0, "{line}: {}", ran.err);
    }
}

#[test]
fn rendered_files_are_as_rendered_until_someone_touches_one() {
    let place = Place::new();
    assert_eq!(place.run("render").code, 0);
    let check = place.run("render --check");
    assert!(check.code == 0 && check.err.contains("all as rendered"), "{}", check.err);
    let space = exec::workspace::Workspace::open(place.root(), Utf8Path::new("out"));
    space.keep("app1/cp/kubeadm-init.yaml", b"other").expect("written");
    let check = place.run("render --check");
    assert!(check.code == 1 && check.err.contains("differs  out/app1/cp/kubeadm-init.yaml"), "{}", check.err);
    assert!(place.run("render").err.contains("(1 changed)"));
}

#[test]
fn a_second_run_is_refused_by_name() {
    let place = Place::new();
    let space = exec::workspace::Workspace::open(place.root(), Utf8Path::new("out/simulation"));
    let _lock = space.lock("destroy").expect("free");
    let ran = place.run("bootstrap --simulate");
    assert!(ran.code == 3 && ran.err.contains("`destroy` since 20"), "{}", ran.err);
}

#[test]
fn a_reader_that_went_away_is_a_quiet_success() {
    let place = Place::new();
    let err = Page::default();
    let args = ["xtask", "plan", "bootstrap"].map(Into::into);
    assert_eq!(cmd::run(args, place.env("/nowhere", Box::new(Gone), Box::new(err.clone()))), 0);
    assert!(err.0.borrow().is_empty());
}

#[test]
fn a_fleet_is_found_from_where_the_user_stands() {
    let place = Place::new();
    let mut env = place.env("/nowhere", Box::new(io::sink()), Box::new(io::sink()));
    env.here = Utf8PathBuf::from_path_buf(golden::root().join("tests/fleets")).expect("UTF-8");
    assert_eq!(cmd::run(["xtask", "fleet", "check", "--fleet", "one.toml"].map(Into::into), env), 0);
}

/// A few seeds here; CI sweeps two hundred.
#[test]
fn seeds_with_faults_arrive_where_an_undisturbed_run_does() {
    let ran = Place::new().run("simulate --seeds 1..12");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(last(&ran.err).starts_with("   Simulated 12 seeds in ") && last(&ran.err).contains(" injection points, "));
}

/// A handful; CI takes more of them, and `--exhaustive` takes all.
#[test]
fn each_fault_alone_is_survived() {
    let ran = Place::new().run("simulate --exhaustive 400");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(last(&ran.err).contains("s, one at a time") && last(&ran.err).ends_with(", all converged"));
}
