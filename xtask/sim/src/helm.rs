//! Helm 3 and 4 as they are seen from their command line; states and texts as measured on real API servers.
//! Knows nothing of what the charts make ready, or when.

use std::rc::Rc;
use std::time::Duration;

use super::ask::{Answer, Ask, Disk, Go, refused, said};
use super::catalog;
use super::flags::{Bad, Known, Parsed, parse};
use super::kubectl::access;
use super::stage::Stage;
use desk::Desk;
use tool::{Exit, Output, Tool};

mod desk;
mod made;
mod release;
mod upgrade;

const GLOBAL: Known = Known {
    takes: &[
        "kubeconfig",
        "kube-context",
        "namespace",
        "registry-config",
        "repository-cache",
        "repository-config",
        "qps",
        "burst-limit",
    ],
    bare: &["debug"],
    short: &[('n', "namespace")],
};

const UPGRADE: Known = Known {
    takes: &[
        "values",
        "set",
        "set-string",
        "set-file",
        "set-json",
        "version",
        "repo",
        "timeout",
        "history-max",
        "labels",
        "description",
        "output",
    ],
    bare: &[
        "install",
        "create-namespace",
        "reset-values",
        "reuse-values",
        "reset-then-reuse-values",
        "skip-crds",
        "no-hooks",
        "cleanup-on-fail",
        "wait",
        "wait-for-jobs",
        "take-ownership",
        "dry-run",
        "devel",
    ],
    short: &[('i', "install"), ('f', "values"), ('l', "labels"), ('o', "output")],
};

/// Flags that only Helm 4 has (`helm upgrade --help` of 4.1.4). Helm 3 calls two of them `--atomic` and `--force`.
const UPGRADE_4: Known =
    Known { takes: &["server-side"], bare: &["rollback-on-failure", "force-conflicts", "force-replace"], short: &[] };
const UPGRADE_3: Known = Known { takes: &[], bare: &["atomic", "force"], short: &[] };

fn known(words: &[&str], three: bool) -> Option<Vec<Known>> {
    let with = |takes, bare, short| vec![Known { takes, bare, short }];
    Some(match words {
        ["version"] => with(&["template"], &["short"], &[]),
        ["pull"] => with(
            &["repo", "version", "destination", "untardir"],
            &["untar", "verify", "prov", "devel"],
            &[('d', "destination")],
        ),
        ["show", "chart" | "values"] => with(&["repo", "version"], &["devel"], &[]),
        ["template"] => with(&["kube-version", "values"], &["include-crds", "skip-tests"], &[]),
        ["upgrade"] => vec![UPGRADE, if three { UPGRADE_3 } else { UPGRADE_4 }],
        ["rollback"] => {
            let mut all = with(
                &["timeout", "history-max"],
                &["wait", "cleanup-on-fail", "no-hooks", "wait-for-jobs", "dry-run"],
                &[],
            );
            all.push(if three { UPGRADE_3 } else { UPGRADE_4 });
            all
        }
        ["uninstall"] => with(
            &["timeout", "description", "cascade"],
            &["wait", "ignore-not-found", "keep-history", "no-hooks", "dry-run"],
            &[],
        ),
        ["list"] => with(
            &["output", "filter", "max", "offset", "selector"],
            &["all-namespaces", "all", "pending", "failed", "deployed", "short"],
            &[('A', "all-namespaces"), ('a', "all"), ('o', "output"), ('l', "selector"), ('q', "short")],
        ),
        ["history"] => with(&["output", "max"], &[], &[('o', "output")]),
        ["status"] => with(&["output", "revision"], &[], &[('o', "output")]),
        ["get", "values"] => with(&["output", "revision"], &["all"], &[('o', "output"), ('a', "all")]),
        _ => return None,
    })
}

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration, disk: &mut dyn Disk) -> Answer {
    let version = stage.machine.tools[Tool::Helm.program()].clone();
    let three = version.starts_with('3');
    let words: Vec<&str> = ask.args.iter().map(String::as_str).collect();
    let two = words.first().is_some_and(|word| ["get", "show"].contains(word));
    let subcommand = &words[..words.len().min(if two { 2 } else { 1 })];
    let Some(mut tables) = known(subcommand, three) else {
        let text = format!("Error: unknown command \"{}\" for \"helm\"", subcommand.join(" "));
        return Answer::Done(stage.strange(ask, refused(1, text)));
    };
    tables.push(GLOBAL);
    let parsed = match parse(&ask.args[subcommand.len()..], &tables) {
        Ok(parsed) => parsed,
        Err(Bad::Unknown(flag)) => {
            return Answer::Done(stage.strange(ask, refused(1, format!("Error: unknown flag: {flag}"))));
        }
        Err(Bad::NoValue(flag)) => {
            return Answer::Done(stage.strange(ask, refused(1, format!("Error: flag needs an argument: {flag}"))));
        }
    };
    match subcommand {
        ["version"] => Answer::Done(match parsed.get("template") {
            None | Some("{{.Version}}") => said(format!("v{version}")),
            Some(_) => stage.strange(ask, refused(1, "Error: the embedded world knows the template {{.Version}} only")),
        }),
        // Archives of the embedded world hold no templates.
        ["template"] => Answer::Done(said("")),
        ["show", what] => Answer::Done(show(stage, ask, &parsed, what, disk).unwrap_or_else(|output| output)),
        ["pull"] => Answer::Done(pull(stage, ask, &parsed, three, disk).unwrap_or_else(|output| output)),
        _ => {
            let path = parsed.get("kubeconfig").or(ask.variable("KUBECONFIG")).unwrap_or("~/.kube/config");
            let vm = match access::reach(stage, path, parsed.get("kube-context"), now, disk) {
                Ok(vm) => vm,
                Err(closed) => return Answer::Done(upgrade::cut_off(stage, ask, closed.by_helm(three))),
            };
            stage.settle_cluster(&vm, now);
            let desk = Desk { ask, parsed: &parsed, now, vm, three };
            connected(stage, subcommand, &desk, disk).unwrap_or_else(Answer::Done)
        }
    }
}

fn connected(stage: &mut Stage, subcommand: &[&str], desk: &Desk<'_>, disk: &mut dyn Disk) -> Go<Answer> {
    match subcommand {
        ["upgrade"] => upgrade::upgrade(stage, desk, disk),
        ["rollback"] => release::rollback(stage, desk),
        ["uninstall"] => release::uninstall(stage, desk),
        _ => release::read(stage, subcommand, desk).map(Answer::Done),
    }
}

/// `helm show chart|values` of an archive. Those of the embedded world hold no values of their own.
fn show(stage: &mut Stage, ask: &Ask, parsed: &Parsed, what: &str, disk: &mut dyn Disk) -> Go<Output> {
    let bytes = disk.read(parsed.word(0));
    let text = bytes.and_then(|bytes| String::from_utf8(Rc::unwrap_or_clone(bytes)).ok());
    match text.as_deref().and_then(catalog::opened) {
        Some((name, version)) if what == "chart" => {
            Ok(said(format!("apiVersion: v2\nname: {name}\nversion: {version}\n")))
        }
        Some(_) => Ok(said("")),
        // assumed: nothing of ours shows what is not in `out/charts`
        None => Err(stage.strange(ask, refused(1, format!("Error: path {:?} not found", parsed.word(0))))),
    }
}

/// `helm pull`: the archive is written as the very last act.
fn pull(stage: &mut Stage, ask: &Ask, parsed: &Parsed, three: bool, disk: &mut dyn Disk) -> Go<Output> {
    let given = parsed.word(0);
    let version = parsed.get("version").unwrap_or_default();
    let (name, from) = match given.strip_prefix("oci://") {
        Some(path) => match path.rsplit_once('/') {
            Some((folder, name)) => (name.to_owned(), format!("oci://{folder}")),
            None => (path.to_owned(), String::new()),
        },
        None => (given.to_owned(), parsed.get("repo").unwrap_or_default().trim_end_matches('/').to_owned()),
    };
    if let Some(host) = stage.lost(&from) {
        return Err(refused(1, unreachable(host, &from, &name, version, three)));
    }
    let published = catalog::has(&name, &from) || stage.strangers.contains(&format!("{from}/{name}"));
    if !published || semver::Version::parse(version).is_err() {
        let text = match from.strip_prefix("oci://") {
            Some(registry) => format!("Error: {registry}/{name}:{version}: not found"),
            None => format!("Error: chart \"{name}\" version \"{version}\" not found in {from} repository"),
        };
        return Err(stage.strange(ask, refused(1, text)));
    }
    let folder = parsed.get("destination").unwrap_or(".").trim_end_matches('/');
    let path = format!("{folder}/{name}-{version}.tgz");
    disk.write(&path, catalog::archive(&name, version).as_bytes())
        .map_err(|why| refused(1, format!("Error: {why}")))?;
    let registry = from.strip_prefix("oci://");
    Ok(said(registry.map(|registry| format!("Pulled: {registry}/{name}:{version}\n")).unwrap_or_default()))
}

/// A server whose name nobody knows (measured on 3.18 and 4.1 without a network).
fn unreachable(host: &str, from: &str, name: &str, version: &str, three: bool) -> String {
    let lookup = format!("dial tcp: lookup {host}: no such host");
    let Some(registry) = from.strip_prefix("oci://") else {
        return format!(
            "Error: looks like \"{from}\" is not a valid chart repository or cannot be reached: Get \
             \"{from}/index.yaml\": {lookup}"
        );
    };
    let path = registry.split_once('/').map_or("", |(_, path)| path);
    let get = format!("Get \"https://{host}/v2/{path}/{name}/manifests/{version}\": {lookup}");
    match three {
        true => format!("Error: failed to resolve {registry}/{name}:{version}: {get}"),
        false => format!("Error: failed to perform \"FetchReference\" on source: {get}"),
    }
}

/// Helm is ended from outside. SIGTERM in an install or upgrade: the release becomes `failed`, exit 1; SIGKILL: it
/// stays `pending-…` for ever (both measured). Rollback and uninstall do not listen for SIGTERM (upstream).
pub fn killed(stage: &mut Stage, ask: &Ask, hard: bool) -> Output {
    let mut name = None;
    for vm in stage.vms.keys().cloned().collect::<Vec<_>>() {
        let Some(cluster) = stage.cluster_mut(&vm) else { continue };
        for revision in cluster.releases.iter_mut().filter(|r| r.run == Some(ask.run)) {
            revision.run = None;
            if !hard && ["pending-install", "pending-upgrade"].contains(&&*revision.status) {
                name = Some(revision.name.clone());
                revision.description = upgrade::CANCELLED.into();
                revision.status = "failed".into();
            }
        }
    }
    match name {
        Some(name) => Output {
            stdout: format!("Release {name} has been cancelled.\n"),
            ..refused(1, "Error: UPGRADE FAILED: context canceled")
        },
        None => Output::of(Exit::Signal(if hard { 9 } else { 15 })),
    }
}
