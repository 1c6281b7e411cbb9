//! Helm 3 and 4; states and texts as measured on real API servers.

use std::rc::Rc;

use crate::argv;
use crate::catalog;
use crate::kubectl::access;
use crate::prelude::*;
use tool::Exit;

mod chart_objects;
mod release;
mod upgrade;

pub fn answer(sim: &mut SimState, request: &Request, now: Duration, disk: &mut dyn Disk) -> ToolResult<Response> {
    let first = request.args.first().map_or("", String::as_str);
    let length = if ["get", "show"].contains(&first) { 2 } else { 1 };
    let (words, rest) = request.args.split_at(request.args.len().min(length));
    let subcommand = words.join(" ");
    if !argv::is_subcommand("helm", &subcommand) {
        let text = format!("Error: unknown command \"{subcommand}\" for \"helm\"");
        return Err(sim.unsupported(request, failure(1, text)));
    }
    let changes = ["upgrade", "rollback"].contains(&first);
    let of_major = (if sim.is_helm3() { "helm3" } else { "helm4" }).to_owned();
    let subcommands = [subcommand.as_str(), if changes { &of_major } else { "" }];
    let args = sim.parse_args(request, "helm", &subcommands, rest)?;
    let output = match subcommand.as_str() {
        "version" => match args.get("template") {
            None | Some("{{.Version}}") => success(format!("v{}", sim.machine.tools["helm"])),
            Some(_) => {
                sim.unsupported(request, failure(1, "Error: the simulator prints the template {{.Version}} only"))
            }
        },
        // Simulated archives hold no templates.
        "template" => success(""),
        "show chart" | "show values" => show(sim, request, &args, &words[1], disk)?,
        "pull" => pull(sim, request, &args, disk)?,
        _ => {
            let vm = access::connect(sim, args.kubeconfig(request), args.get("kube-context"), now, disk);
            let vm = vm.map_err(|error| {
                // The API server is gone under a running Helm: its revision stays pending.
                terminate(sim, request, true);
                error.helm_error(sim.is_helm3())
            })?;
            sim.reconcile_cluster(&vm, now);
            let cmd = Invocation { request, args: &args, now, vm };
            return match first {
                "upgrade" => upgrade::upgrade(sim, &cmd, disk),
                "rollback" => release::rollback(sim, &cmd),
                "uninstall" => release::uninstall(sim, &cmd),
                _ => release::read(sim, first, &cmd).map(Response::Done),
            };
        }
    };
    Ok(Response::Done(output))
}

/// `helm show chart|values` of an archive. Simulated ones have no values of their own.
fn show(sim: &mut SimState, request: &Request, args: &Args, what: &str, disk: &mut dyn Disk) -> ToolResult<Output> {
    let bytes = disk.read(args.word(0));
    let text = bytes.and_then(|bytes| String::from_utf8(Rc::unwrap_or_clone(bytes)).ok());
    match text.as_deref().and_then(catalog::parse_archive) {
        Some((name, version)) if what == "chart" => {
            Ok(success(format!("apiVersion: v2\nname: {name}\nversion: {version}\n")))
        }
        Some(_) => Ok(success("")),
        // Assumption: only `out/charts` is shown.
        None => Err(sim.unsupported(request, failure(1, format!("Error: path {:?} not found", args.word(0))))),
    }
}

/// `helm pull` writes the archive last.
fn pull(sim: &mut SimState, request: &Request, args: &Args, disk: &mut dyn Disk) -> ToolResult<Output> {
    let given = args.word(0);
    let version = args.get("version").unwrap_or_default();
    let (name, from) = match given.strip_prefix("oci://") {
        Some(path) => match path.rsplit_once('/') {
            Some((folder, name)) => (name.to_owned(), format!("oci://{folder}")),
            None => (path.to_owned(), String::new()),
        },
        None => (given.to_owned(), args.get("repo").unwrap_or_default().trim_end_matches('/').to_owned()),
    };
    if let Some(host) = sim.unresolvable_host(&from) {
        return Err(failure(1, unreachable(host, &from, &name, version, sim.is_helm3())));
    }
    let published = catalog::is_published(&name, &from) || sim.unknown_charts.contains_key(&format!("{from}/{name}"));
    if !published || semver::Version::parse(version).is_err() {
        let text = match from.strip_prefix("oci://") {
            Some(registry) => format!("Error: {registry}/{name}:{version}: not found"),
            None => format!("Error: chart \"{name}\" version \"{version}\" not found in {from} repository"),
        };
        return Err(sim.unsupported(request, failure(1, text)));
    }
    let folder = args.get("destination").unwrap_or(".").trim_end_matches('/');
    let path = format!("{folder}/{name}-{version}.tgz");
    disk.write(&path, catalog::archive(&name, version).as_bytes())
        .map_err(|why| failure(1, format!("Error: {why}")))?;
    let registry = from.strip_prefix("oci://");
    Ok(success(registry.map(|registry| format!("Pulled: {registry}/{name}:{version}\n")).unwrap_or_default()))
}

/// Text for a host that does not resolve (measured on 3.18 and 4.1 without a network).
fn unreachable(host: &str, from: &str, name: &str, version: &str, helm3: bool) -> String {
    let lookup = format!("dial tcp: lookup {host}: no such host");
    let Some(registry) = from.strip_prefix("oci://") else {
        return format!(
            "Error: looks like \"{from}\" is not a valid chart repository or cannot be reached: Get \
             \"{from}/index.yaml\": {lookup}"
        );
    };
    let path = registry.split_once('/').map_or("", |(_, path)| path);
    let get = format!("Get \"https://{host}/v2/{path}/{name}/manifests/{version}\": {lookup}");
    match helm3 {
        true => format!("Error: failed to resolve {registry}/{name}:{version}: {get}"),
        false => format!("Error: failed to perform \"FetchReference\" on source: {get}"),
    }
}

/// SIGTERM in an install or upgrade: the release becomes `failed`, exit 1; SIGKILL: it stays `pending-…` for ever (both
/// measured). Rollback and uninstall do not handle SIGTERM (upstream).
pub fn terminate(sim: &mut SimState, request: &Request, hard: bool) -> Output {
    let mut name = None;
    for vm in sim.vms.keys().cloned().collect::<Vec<_>>() {
        let Some(cluster) = sim.cluster_mut(&vm) else { continue };
        for revision in cluster.releases.iter_mut().filter(|r| r.run == Some(request.run)) {
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
            ..failure(1, "Error: UPGRADE FAILED: context canceled")
        },
        None => Output::of(Exit::Signal(if hard { 9 } else { 15 })),
    }
}
