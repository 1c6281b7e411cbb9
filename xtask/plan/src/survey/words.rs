//! What an answer means, in a sentence about the thing: `app1-w1: not joined to its cluster`. Probes speak of exit codes
//! and fields; who reads `status` or `doctor` need not know them.

use super::drift::CHANGED;
use super::{Answer, ProbeState};
use crate::{Scope, Step, StepKey};
use model::problem::Problem;
use tool::certificate::days_left;
use tool::{Exit, Output};

/// Characters of what a tool reported.
const SAID: usize = 100;
/// Of manifests.
const DIFFERS: &str = "differs from the files";

/// The state of a step's thing; none if it is as wanted, or was not asked.
pub fn sentence(id: &StepKey, answer: &Answer) -> Option<String> {
    let state = state(id, answer)?;
    Some(format!("{}: {state}", words(id).0))
}

/// The same without its thing.
pub fn state(id: &StepKey, answer: &Answer) -> Option<String> {
    let output = answer.output.as_ref();
    let none = |why: &String| why.starts_with("there is no revision");
    match &answer.state {
        ProbeState::Matches | ProbeState::NotAsked(_) => None,
        ProbeState::NoAnswer(_) if id.is_host() => {
            let reason = output.and_then(Output::reason).map_or(String::new(), |reason| format!(": {reason}"));
            Some(format!("no answer{reason}"))
        }
        ProbeState::NoAnswer(_) => Some(format!("no answer{}", because(id, output))),
        ProbeState::Differs { remedy: Some(remedy), why } if remedy.starts_with(CHANGED) => {
            Some(format!("{remedy}: {why}"))
        }
        ProbeState::Differs { remedy: Some("moved"), .. } => Some("it has another address".to_owned()),
        ProbeState::Differs { remedy: Some("another version"), .. } => {
            Some("it has another version than the fleet pins".to_owned())
        }
        ProbeState::Differs { remedy: Some(remedy), .. } if *remedy != "not yet" => Some((*remedy).to_owned()),
        ProbeState::Differs { why, .. } if why.starts_with("differs: ") => Some(why.clone()),
        ProbeState::Differs { why, .. } if why.contains("missing: ") => {
            why.split_once("missing: ").map(|(_, objects)| format!("missing: {objects}"))
        }
        ProbeState::Differs { remedy: None, why } if none(why) => Some("not installed yet".to_owned()),
        // Of `kubectl diff`, 1 means that it found differences, and more that it could not look.
        ProbeState::Differs { .. } if words(id).1 == DIFFERS && output.is_some_and(|o| !is_diff(o)) => {
            Some(format!("cannot be compared with the files{}", because(id, output)))
        }
        ProbeState::Differs { .. } => Some(format!("{}{}", words(id).1, because(id, output))),
    }
}

/// Days until the first certificate ends of which an answer knows, 0 if one has.
pub fn certificate_days(answer: &Answer) -> Option<u64> {
    let guest = answer.json();
    let of_node = ["certificates_days", "kubelet_days"].iter().filter_map(|field| guest[field].as_u64()).min();
    let text = || answer.output.as_ref().map(|output| output.stdout.replace("ca=", ""));
    of_node.or_else(|| days_left(&text()?))
}

fn is_diff(output: &Output) -> bool {
    matches!(output.exit, Exit::Code(0 | 1))
}

/// The last line of what a tool reported about a machine or a cluster, in brackets.
fn because(id: &StepKey, output: Option<&Output>) -> String {
    let Some(output) = output.filter(|_| matches!(id.scope(), Scope::Node { .. } | Scope::Cluster(_))) else {
        return String::new();
    };
    match output.exit {
        Exit::TimedOut => return " in time".to_owned(),
        Exit::Code(0) => return String::new(),
        _ => {}
    }
    let last = output.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let said = last.filter(|line| line.contains(": ") && !line.starts_with("error: no such file"));
    said.map_or(String::new(), |line| match line.char_indices().nth(SAID) {
        Some((end, _)) => format!(" ({}…)", &line[..end]),
        None => format!(" ({line})"),
    })
}

/// A step's thing, and what is wrong with it where the step is not satisfied.
fn words(id: &StepKey) -> (String, String) {
    let parts: Vec<&str> = id.action().split('/').collect();
    let place = id.scope().name();
    let (thing, wrong) = match (id.scope(), &parts[..]) {
        (Scope::Host, ["machine"]) => ("this machine".to_owned(), "too little memory or free disk"),
        (Scope::Host, ["network"]) => ("this machine".to_owned(), "a network of it overlaps a range of the fleet"),
        (Scope::Host, [tool, ..]) => ((*tool).to_owned(), "not usable"),
        (Scope::Charts, _) => (id.action().to_owned(), "not downloaded yet"),
        (Scope::Tools, _) => (id.action().to_owned(), "not installed in out/bin yet"),
        (Scope::Fleet, _) => return fleet_words(&parts, id),
        (Scope::Node { machine, .. }, [action, ..]) => (machine.clone(), of_node(action)),
        (_, [workload, kind, name]) if ["daemonset", "deployment", "statefulset"].contains(kind) => {
            let of = if workload == name { String::new() } else { format!(" of {workload}") };
            (format!("{name}{of} on {place}"), "not all pods are ready")
        }
        (_, [release, "exact"]) => (format!("{release} on {place}"), "an object differs from the files"),
        (_, ["vault", part]) => (format!("Vault on {place}"), of_vault(part)),
        (_, ["secrets"]) => (place.to_owned(), "its join secret does not exist yet"),
        (_, ["kubeconfig"]) => (format!("API server of {place}"), "cannot be reached"),
        (_, ["nodes"]) => (place.to_owned(), "not all nodes are ready"),
        (_, ["control-plane"]) => (format!("the control plane of {place}"), "its node lacks the label"),
        (_, ["current"]) => (place.to_owned(), "not all pods are ready"),
        (_, ["cilium", "certificates"]) => (format!("certificates of the mesh on {place}"), "not issued yet"),
        (_, ["argocd-access", "token"]) => (format!("Argo CD's token on {place}"), "not read yet"),
        _ => (format!("{} on {place}", id.action()), DIFFERS),
    };
    (thing, wrong.to_owned())
}

fn of_node(action: &str) -> &'static str {
    match action {
        "launch" => "not created yet",
        "network" => "its network overlaps a range of the fleet",
        "reach" => "not reachable from this machine",
        "prep" => "not prepared for Kubernetes, or with other versions",
        "hosts" => "its address for the API server of its cluster is missing or another one",
        "ca" => "the CA of its cluster does not exist yet",
        "init" => "its control plane is not initialised yet",
        "join" => "not joined to its cluster yet",
        "claims" => "its volumes cannot be listed",
        "volumes" => "folders of its volumes are missing",
        "room" => "too little free disk",
        _ => "not done yet",
    }
}

fn of_vault(part: &str) -> &'static str {
    match part {
        "up" => "it does not answer",
        "init" => "not initialised yet",
        "keys" => "its keys are not stored here",
        "unseal" => "sealed",
        "forget" => "its keys are still on its volume",
        "secrets" => "its store of secrets does not exist yet",
        _ => "the sample secret does not exist yet",
    }
}

fn fleet_words(parts: &[&str], id: &StepKey) -> (String, String) {
    match parts {
        ["mesh-ca"] => ("the CA of the mesh".to_owned(), "does not exist yet".to_owned()),
        ["secrets", name] => (format!("secret {name}"), "does not exist yet".to_owned()),
        ["kubeconfig"] => {
            ("the kubeconfig of all clusters".to_owned(), "differs from those of the clusters".to_owned())
        }
        ["vault", cluster, "mount"] => ("Vault".to_owned(), format!("{cluster} cannot log in yet")),
        ["vault", cluster, part] => ("Vault".to_owned(), format!("the {part} of {cluster} differs")),
        ["argo-cd", cluster] => ("Argo CD".to_owned(), format!("{cluster} is not registered, or at another address")),
        _ => (id.action().to_owned(), "not done yet".to_owned()),
    }
}

/// Whether a step checks that a tool is there.
pub fn is_tool(step: &Step) -> bool {
    step.is_precondition() && step.done_when.ask.tool.program() == step.id.action()
}

/// Tools that are missing, of another version or do not answer: one problem with the commands for this system.
pub fn not_ready(tools: &[(&Step, &Output)]) -> Option<Problem> {
    let mut fixes: Vec<String> = Vec::new();
    let mut why = Vec::new();
    for (step, output) in tools {
        let (state, fix) = tool_state(step, output);
        why.push(format!("{}: {state}", step.id.action()));
        fixes.extend(fix.filter(|fix| !fixes.contains(fix)));
    }
    fixes.push("cargo xtask up --simulate   # needs none of them".to_owned());
    let what = match tools {
        [] => return None,
        [_] => "1 tool is not ready".to_owned(),
        more => format!("{} tools are not ready", more.len()),
    };
    Some(Problem { hint: Some(fixes.join("\n")), ..Problem::new(what).why(why.join("\n")) })
}

fn tool_state(step: &Step, output: &Output) -> (String, Option<String>) {
    let install = step.hint.as_deref().map(here);
    match &output.exit {
        Exit::Missing => ("not found on PATH".to_owned(), install),
        Exit::TimedOut => ("no answer in time".to_owned(), Some(step.done_when.ask.to_string())),
        Exit::NotStarted(reason) => (format!("it cannot be started: {reason}"), install),
        exit => match step.done_when.want.version_gap(output) {
            Some(gap) => {
                let age = if gap.too_old { "old" } else { "new" };
                (format!("{} is too {age}, {} is needed", gap.found, gap.range), install.map(|fix| upgraded(&fix)))
            }
            None if let Some(fix) = machines::service_hint(&step.done_when.ask, output) => {
                (output.reason_or_end(), Some(here(fix)))
            }
            None if output.ok() => {
                (format!("its answer cannot be read: {}", step.done_when.want.mismatch(output)), install)
            }
            None => {
                let last = output.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
                let state = last.map_or_else(|| tool::expect::ending(exit), str::to_owned);
                (format!("it does not run: {state}"), install)
            }
        },
    }
}

/// The part of an instruction that is for this system.
fn here(hint: &str) -> String {
    let system: &[&str] = if cfg!(target_os = "macos") { &["macOS: "] } else { &["Linux: ", "Debian, Ubuntu: "] };
    let command = hint.split("   #").next().unwrap_or_default();
    let own = command.split(" · ").find_map(|part| system.iter().find_map(|name| part.strip_prefix(name)));
    own.unwrap_or(command).to_owned()
}

/// The command that brings a newer version of what another one installs.
fn upgraded(install: &str) -> String {
    let upgrade = install.replace("brew install", "brew upgrade").replace("apt install", "apt install --only-upgrade");
    upgrade.replace("snap install", "snap refresh").replace(" --classic", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::host;
    use std::time::Duration;

    fn answer(state: ProbeState, output: Output) -> Answer {
        Answer { at: Duration::ZERO, output: Some(output), state }
    }

    fn differs(remedy: Option<&'static str>, why: &str) -> ProbeState {
        ProbeState::Differs { remedy, why: why.to_owned() }
    }

    #[test]
    fn sentences_are_about_things() {
        let output = || Output { stderr: "Error: x: y\n".to_owned(), ..Output::of(Exit::Code(1)) };
        for (id, state, want) in [
            ("app1/grafana", differs(None, "there is no revision of a/grafana"), "grafana on app1: not installed yet"),
            ("app1/sample", differs(None, "exit 1"), "sample on app1: differs from the files (Error: x: y)"),
            ("app1/nodes", differs(Some("not yet"), ""), "app1: not all nodes are ready (Error: x: y)"),
            ("app1/loki", differs(Some("pending upgrade"), ""), "loki on app1: pending upgrade"),
            ("app1/loki", differs(Some(CHANGED), "a, b differ"), "loki on app1: changed by hand: a, b differ"),
            (
                "app1/cilium/daemonset/cilium-envoy",
                differs(None, ""),
                "cilium-envoy of cilium on app1: not all pods are ready (Error: x: y)",
            ),
            ("fleet/secrets/s3-password", differs(None, "s3-password"), "secret s3-password: does not exist yet"),
            ("app1/kubeconfig", differs(None, ""), "API server of app1: cannot be reached (Error: x: y)"),
        ] {
            assert_eq!(sentence(&id.into(), &answer(state, output())).as_deref(), Some(want));
        }
        assert_eq!(sentence(&"app1/loki".into(), &answer(ProbeState::Matches, output())), None);
    }

    #[test]
    fn tools_have_their_state_and_the_command_that_helps() {
        let steps = host::steps(&model::samples::fleet());
        let step = |name: &str| steps.iter().find(|step| step.id.action() == name).expect("a check");
        let printed = |text: &str| Output { stdout: text.to_owned(), ..Output::of(Exit::Code(0)) };
        let state = |name: &str, output: Output| not_ready(&[(step(name), &output)]).expect("a problem");
        let old = state("helm", printed("v3.9.4"));
        assert!(old.why.as_deref().is_some_and(|why| why.starts_with("helm: 3.9.4 is too old, ")), "{old:?}");
        let old = state("multipass", printed(r#"{"multipass": "1.12.0", "multipassd": "1.12.0"}"#));
        assert!(
            old.hint.as_deref().is_some_and(|hint| hint.contains("refresh") || hint.contains("upgrade")),
            "{old:?}"
        );
        let missing = [(step("helm"), &Output::of(Exit::Missing)), (step("kubectl"), &Output::of(Exit::Missing))];
        let missing = not_ready(&missing).expect("a problem");
        assert_eq!(missing.what, "2 tools are not ready");
        assert!(
            missing.hint.as_deref().is_some_and(|hint| hint.starts_with("cargo xtask tools install\n")),
            "{missing:?}"
        );
    }
}
