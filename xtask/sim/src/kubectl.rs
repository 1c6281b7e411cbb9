//! kubectl; texts and exit codes as measured with v1.35.2.

use crate::argv;
use crate::prelude::*;

pub mod access;
pub mod admit;
mod create;
mod drain;
mod exec;
mod gotemplate;
mod jsonpath;
pub mod kinds;
mod kyverno;
mod manifests;
pub mod mesh;
pub mod objects;
mod pod_endpoints;
mod read;
mod write;

pub fn answer(sim: &mut SimState, request: &Request, now: Duration, disk: &mut dyn Disk) -> ToolResult<Response> {
    let (args, subcommand) = parse_command(sim, request)?;
    if subcommand == "version" {
        return Ok(Response::Done(version(sim, &args, now, disk)));
    }
    let no_route = request.since + timings::NO_ROUTE;
    let vm = match access::connect(sim, args.kubeconfig(request), args.get("context"), now, disk) {
        Ok(vm) => vm,
        Err(access::ConnectError::NoRoute(_)) if now < no_route => return Ok(Response::Pending(no_route - now)),
        // Every failure of diff is above 1, which means "there is a difference" (upstream: CheckDiffErr).
        Err(error) if subcommand == "diff" => return Err(failure(2, error.kubectl_error().stderr)),
        Err(error) => return Err(error.kubectl_error()),
    };
    sim.reconcile_cluster(&vm, now);
    let cmd = Invocation { request, args: &args, now, vm };
    let output = match subcommand {
        "wait" => return read::wait(sim, &cmd),
        "rollout" => return read::rollout(sim, &cmd),
        "drain" | "cordon" | "uncordon" => return drain::drain(sim, &cmd, subcommand),
        "get" if args.get("filename").is_some() => write::live(sim, &cmd, disk),
        "get" => read::get(sim, &cmd),
        "logs" => read::logs(sim, &cmd),
        "exec" => exec::exec(sim, &cmd),
        "apply" => write::apply(sim, &cmd, disk),
        "replace" => write::replace(sim, &cmd, disk),
        "patch" => write::patch(sim, &cmd),
        "create" => create::create(sim, &cmd, disk),
        "diff" => write::diff(sim, &cmd, disk),
        "delete" => write::delete(sim, &cmd, disk),
        _ => write::label_or_annotate(sim, &cmd, subcommand),
    };
    output.map(Response::Done)
}

/// The subcommand may follow global flags; it is removed from the words.
fn parse_command<'a>(sim: &mut SimState, request: &'a Request) -> ToolResult<(Args<'a>, &'a str)> {
    let unknown = |word: &str| failure(1, format!("error: unknown command \"{word}\" for \"kubectl\""));
    let mut all = request.args.iter().map(String::as_str);
    let Some(subcommand) = all.find(|word| argv::is_subcommand("kubectl", word)) else {
        let args = sim.parse_args(request, "kubectl", &[], &request.args).unwrap_or_default();
        return Err(sim.unsupported(request, unknown(args.word(0))));
    };
    let args = sim.parse_args(request, "kubectl", &[subcommand], &request.args);
    let mut args = args.map_err(|output| if subcommand == "diff" { failure(2, output.stderr) } else { output })?;
    if args.word(0) != subcommand {
        return Err(sim.unsupported(request, unknown(args.word(0))));
    }
    args.words.remove(0);
    Ok((args, subcommand))
}

/// `serverVersion` is missing, with exit 1, if the server does not answer (measured).
fn version(sim: &SimState, args: &Args, now: Duration, disk: &dyn Disk) -> Output {
    let known = |version: &str| {
        let mut parts = version.split('.');
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        json!({ "major": major, "minor": minor, "gitVersion": format!("v{version}"), "platform": "darwin/arm64" })
    };
    let mut all = json!({ "clientVersion": known(&sim.machine.tools["kubectl"]), "kustomizeVersion": "v5.7.1" });
    let show = |all: &Value| success(serde_json::to_string_pretty(all).unwrap_or_default() + "\n");
    if args.on("client") || args.get("kubeconfig").is_none() {
        return show(&all);
    }
    match access::connect(sim, args.get("kubeconfig").unwrap_or_default(), args.get("context"), now, disk) {
        Ok(vm) => {
            let version = sim.cluster(&vm).map(|c| c.version.trim_start_matches('v').to_owned());
            all["serverVersion"] = known(&version.unwrap_or_default());
            show(&all)
        }
        Err(closed) => Output { stdout: show(&all).stdout, ..closed.kubectl_error() },
    }
}
