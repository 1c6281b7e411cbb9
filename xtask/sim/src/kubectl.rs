//! kubectl as it is seen from its command line; texts and exit codes as measured with v1.35.2.
//! Knows nothing of how objects come to be ready.

use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{Answer, Ask, Disk, Go, refused, said};
use super::clockwork;
use super::flags::{Bad, Known, Parsed, parse};
use super::stage::Stage;
use desk::Desk;
use flags::known;
use tool::Output;

pub mod accept;
pub mod access;
mod desk;
mod drain;
mod exec;
mod flags;
mod gotemplate;
mod inside;
mod jsonpath;
pub mod kinds;
pub mod mesh;
pub mod objects;
mod read;
mod shapes;
mod states;
mod tried;
mod write;

const GLOBAL: Known = Known {
    takes: &["kubeconfig", "context", "request-timeout", "namespace", "cache-dir", "server", "tls-server-name"],
    bare: &["warnings-as-errors"],
    short: &[('n', "namespace"), ('s', "server")],
};

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration, disk: &mut dyn Disk) -> Answer {
    let (parsed, subcommand) = match understood(stage, ask) {
        Ok(understood) => understood,
        Err(output) => return Answer::Done(output),
    };
    if subcommand == "version" {
        return Answer::Done(version(stage, &parsed, now, disk));
    }
    let path = parsed.get("kubeconfig").or(ask.variable("KUBECONFIG")).unwrap_or("~/.kube/config").to_owned();
    let vm = match access::reach(stage, &path, parsed.get("context"), now, disk) {
        Ok(vm) => vm,
        Err(access::Closed::NoRoute(_)) if now < ask.since + clockwork::NO_ROUTE => {
            return Answer::Again(ask.since + clockwork::NO_ROUTE - now);
        }
        Err(closed) if subcommand == "diff" => {
            // Every failure of diff is above 1, which means "there is a difference" (upstream: CheckDiffErr).
            return Answer::Done(refused(2, closed.by_kubectl().stderr));
        }
        Err(closed) => return Answer::Done(closed.by_kubectl()),
    };
    stage.settle_cluster(&vm, now);
    let desk = Desk { ask, parsed: &parsed, now, vm };
    let outcome = match subcommand {
        "get" => read::get(stage, &desk).map(Answer::Done),
        "logs" => read::logs(stage, &desk).map(Answer::Done),
        "exec" => exec::exec(stage, &desk).map(Answer::Done),
        "wait" => read::wait(stage, &desk),
        "rollout" => read::rollout(stage, &desk),
        "drain" | "cordon" | "uncordon" => drain::drain(stage, &desk, subcommand),
        "apply" => write::apply(stage, &desk, disk).map(Answer::Done),
        "create" => tried::create(stage, &desk, disk).map(Answer::Done),
        "diff" => write::diff(stage, &desk, disk).map(Answer::Done),
        "delete" => write::delete(stage, &desk, disk).map(Answer::Done),
        _ => write::mark(stage, &desk, subcommand).map(Answer::Done),
    };
    outcome.unwrap_or_else(Answer::Done)
}

/// The flags and words of a command line; the subcommand may stand behind global flags, and is taken out of the words.
fn understood<'a>(stage: &mut Stage, ask: &'a Ask) -> Go<(Parsed<'a>, &'a str)> {
    let all = ask.args.iter().map(String::as_str).find(|a| known(a).is_some());
    let Some(subcommand) = all else {
        let words = parse(&ask.args, &[GLOBAL]).map(|parsed| parsed.words).unwrap_or_default();
        let first = words.first().copied().unwrap_or_default();
        return Err(stage.strange(ask, refused(1, format!("error: unknown command \"{first}\" for \"kubectl\""))));
    };
    let table = known(subcommand).unwrap_or(GLOBAL);
    let code = if subcommand == "diff" { 2 } else { 1 };
    match parse(&ask.args, &[table, GLOBAL]) {
        Ok(mut parsed) if parsed.word(0) == subcommand => {
            parsed.words.remove(0);
            Ok((parsed, subcommand))
        }
        Ok(parsed) => {
            let text = format!("error: unknown command \"{}\" for \"kubectl\"", parsed.word(0));
            Err(stage.strange(ask, refused(1, text)))
        }
        Err(Bad::Unknown(flag)) => {
            let text = format!("error: unknown flag: {flag}\nSee 'kubectl {subcommand} --help' for usage.");
            Err(stage.strange(ask, refused(code, text)))
        }
        Err(Bad::NoValue(flag)) => {
            Err(stage.strange(ask, refused(code, format!("error: flag needs an argument: {flag}"))))
        }
    }
}

/// `serverVersion` is absent, and the exit 1, when the server is (measured).
fn version(stage: &Stage, parsed: &Parsed, now: Duration, disk: &dyn Disk) -> Output {
    let known = |version: &str| {
        let mut parts = version.split('.');
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        json!({ "major": major, "minor": minor, "gitVersion": format!("v{version}"), "platform": "darwin/arm64" })
    };
    let mut all = json!({ "clientVersion": known(&stage.machine.tools["kubectl"]), "kustomizeVersion": "v5.7.1" });
    let show = |all: &Value| said(serde_json::to_string_pretty(all).unwrap_or_default() + "\n");
    if parsed.on("client") || parsed.get("kubeconfig").is_none() {
        return show(&all);
    }
    match access::reach(stage, parsed.get("kubeconfig").unwrap_or_default(), parsed.get("context"), now, disk) {
        Ok(vm) => {
            let version = stage.cluster(&vm).map(|c| c.version.trim_start_matches('v').to_owned());
            all["serverVersion"] = known(&version.unwrap_or_default());
            show(&all)
        }
        Err(closed) => Output { stdout: show(&all).stdout, ..closed.by_kubectl() },
    }
}
