//! The commands of golden plans given to the real helm and kubectl: each flag is accepted.
#![expect(clippy::disallowed_methods, reason = "lays out a folder in which real tools find what a plan names")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use ::tool::helm::{Helm, Release};
use ::tool::{Command, Stdin, Tool};
use contract::drill;
use model::token;
use plan::Plan;
use regex::Regex;
use render::Files;

use crate::golden::{self, commands, plan, root};
use crate::run_cli;

/// Messages of tools about a command line that they do not accept.
const REFUSED: &str = "unknown (flag|shorthand|command)|invalid (argument|value)|flag needs an argument|accepts |\
    requires (at least|exactly)|unable to match a printer|Usage:|error: unknown";
/// Messages about a cluster or network that is not there: the command line was accepted.
const UNREACHABLE: &str = "connection refused|cluster unreachable|proxyconnect|was refused|unable to connect";

/// A text with something harmless in place of what only a run knows.
fn filled(text: &str) -> String {
    token::complete(text, |_| Some("0a1b2c".to_owned())).expect("every token has a value")
}

fn input(command: &Command, files: &Files) -> String {
    filled(match &command.stdin {
        Stdin::Closed => "",
        Stdin::Text(text) => text,
        Stdin::File(file) => &files[file],
    })
}

/// A folder like the repository after a download: an archive of each name, and kubeconfigs that lead nowhere.
fn folder(helm: &Path, plan: &Plan) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("charts")).expect("a folder");
    fs::create_dir_all(out.join("kube")).expect("a folder");
    let (good, printed) = run_cli::run(
        run_cli::command(helm).arg("package").arg(root().join(CHART)).arg("--destination").arg(folder.path()),
    );
    assert!(good, "{printed}");
    for word in commands(plan).flat_map(|c| &c.args) {
        let path = folder.path().join(word);
        if word.starts_with("out/charts/") && word.ends_with(".tgz") {
            fs::copy(folder.path().join("tiny-1.0.0.tgz"), path).expect("a copy");
        } else if word.starts_with("out/charts/") {
            fs::write(path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n").expect("a file");
        } else if word.starts_with("out/kube/") {
            fs::write(path, KUBECONFIG).expect("a file");
        }
    }
    folder
}

const CHART: &str = "tests/fixtures/chart";
/// Nothing listens at port 1.
const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
    clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\n\
    users: [{name: x, user: {token: x}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n";

/// Runs each different command of one tool, and says which were not understood.
fn misunderstood(real: &Path, of: Tool, plan: &Plan, folder: &Path) -> Vec<String> {
    let pattern = |text| Regex::new(text).expect("a pattern");
    let (refused, unreachable) = (pattern(REFUSED), pattern(UNREACHABLE));
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for command in commands(plan).filter(|c| c.tool == of) {
        // What is special to the second workload cluster has been tried on the first.
        if command.args.iter().any(|a| a.contains("app2")) || !seen.insert(command.args.clone()) {
            continue;
        }
        let stdin = folder.join("stdin");
        fs::write(&stdin, input(command, &plan.files)).expect("a file");
        let mut run = run_cli::command(real);
        run.args(command.args.iter().map(|a| filled(a))).current_dir(folder);
        run.stdin(Stdio::from(File::open(&stdin).expect("it was just written")));
        run.env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("NO_PROXY", "127.0.0.1");
        run.env("HOME", folder);
        let (good, printed) = run_cli::run(&mut run);
        if !good && !unreachable.is_match(&printed) || refused.is_match(&printed) {
            wrong.push(format!("{command}\n{printed}"));
        }
    }
    assert!(!seen.is_empty(), "the plan has commands for it");
    wrong
}

fn helm_understands(name: &str, version: Helm) {
    let Some(helm) = run_cli::find(name) else { return };
    let mut plan = plan("infra/fleet.toml", version);
    let releases = golden::load("infra/fleet.toml").1;
    let chart = releases.chart("loki").expect("a release");
    let release = Release { chart, cluster: "mgmt", kubeconfig: "out/kube/mgmt.yaml", helm: version };
    let loki = plan.steps.iter_mut().find(|step| step.id == "mgmt/loki").expect("its step");
    let planned = |merged| release.planned(&format!("out/charts/{}", chart.archive()), "mgmt/loki/values.yaml", merged);
    loki.act.extend([planned(false), planned(true), release.manifest()]);
    let folder = folder(&helm, &plan);
    assert_eq!(misunderstood(&helm, Tool::Helm, &plan, folder.path()), Vec::<String>::new());
}

#[test]
fn helm_4_understands_every_command() {
    helm_understands("helm", Helm::V4);
}

#[test]
fn helm_3_understands_every_command() {
    helm_understands("helm3", Helm::V3);
}

#[test]
fn kubectl_understands_every_command() {
    let (Some(kubectl), Some(helm)) = (run_cli::find("kubectl"), run_cli::find("helm")) else { return };
    let mut plan = plan("infra/fleet.toml", Helm::V4);
    plan.steps.extend(crate::contract::live::plan("infra/fleet.toml").steps);
    let (fleet, _) = golden::load("infra/fleet.toml");
    let files = render::drill::files(&golden::data()).expect("they render");
    let time = std::time::Duration::from_secs(600);
    for part in [
        drill::ready(&fleet, &files),
        drill::observe(&fleet, &files),
        drill::during(&fleet, &files),
        drill::tidy(&fleet, &files),
    ] {
        plan.steps.extend(part.steps);
    }
    plan.steps.extend(drill::after(&fleet, &files, time).steps);
    plan.steps.extend(drill::counted(&fleet, &files, time).steps);
    plan.files.extend(files);
    let folder = folder(&helm, &plan);
    assert_eq!(misunderstood(&kubectl, Tool::Kubectl, &plan, folder.path()), Vec::<String>::new());
}

/// A flag of Helm 4 is unknown to Helm 3.
#[test]
fn unknown_flags_are_detected() {
    let (Some(kubectl), Some(helm)) = (run_cli::find("kubectl"), run_cli::find("helm3")) else { return };
    let mut plan = plan("tests/fleets/one.toml", Helm::V4);
    let folder = folder(&helm, &plan);
    plan.steps.retain(|step| step.id == "mgmt/loki");
    assert!(!misunderstood(&helm, Tool::Helm, &plan, folder.path()).is_empty(), "--force-conflicts");
    plan.steps[0].done_when.ask.args.push("--no-such-flag".to_owned());
    assert!(!misunderstood(&kubectl, Tool::Kubectl, &plan, folder.path()).is_empty(), "--no-such-flag");
}

#[test]
fn chart_renders_with_values_from_stdin() {
    for helm in ["helm", "helm3"].into_iter().filter_map(run_cli::find) {
        let chart = root().join(CHART);
        let (good, printed) = run_cli::run(run_cli::command(&helm).arg("lint").arg("--strict").arg(&chart));
        assert!(good, "{printed}");
        let folder = tempfile::tempdir().expect("a folder");
        let values = folder.path().join("values");
        fs::write(&values, "cluster: {name: app1}\n").expect("a file");
        let mut template = run_cli::command(&helm);
        template.args(["template", "greeting"]).arg(&chart);
        template.args(["--namespace", "hall", "--kube-version", "1.35.7", "--values", "-"]);
        template.stdin(Stdio::from(File::open(&values).expect("it was just written")));
        let (good, printed) = run_cli::run(&mut template);
        assert!(good, "{printed}");
        for line in ["  name: greeting", "  namespace: hall", "  cluster: \"app1\"", "  kubernetes: \"v1.35.7\""] {
            assert!(printed.lines().any(|l| l == line), "{line} is not in {printed}");
        }
    }
}
