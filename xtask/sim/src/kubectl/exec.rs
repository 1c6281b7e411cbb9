//! `kubectl exec`: into the pods whose inside the embedded world knows.
//! Knows nothing of what is done inside.

use std::borrow::Cow;

use super::super::ask::{Go, refused};
use super::super::stage::Stage;
use super::super::vault;
use super::desk::Desk;
use super::{inside, mesh};
use tool::Output;

/// Runs a command in a container. The exit code is the remote command's.
pub fn exec(stage: &mut Stage, desk: &Desk<'_>) -> Go<Output> {
    if let Some(answer) = mesh::exec(stage, desk).or_else(|| inside::exec(stage, desk)) {
        return answer;
    }
    let (pod, namespace) = (desk.parsed.word(0), desk.namespace());
    let absent = || refused(1, format!("Error from server (NotFound): pods \"{pod}\" not found"));
    let cluster = stage.cluster(&desk.vm).ok_or_else(|| refused(1, "error: the server is gone"))?;
    if (namespace, pod) != ("vault", "vault-0") {
        let output = absent();
        return Err(stage.strange(desk.ask, output));
    }
    let workload = cluster.workloads.get(vault::WORKLOAD).filter(|w| w.made).ok_or_else(absent)?;
    let Some(node) = workload.placed.first() else {
        return Err(refused(1, format!("Error from server (BadRequest): pod {pod} does not have a host assigned")));
    };
    let member = &cluster.nodes[node];
    if stage.vms.get(&member.vm).is_none_or(|vm| !vm.reachable(desk.now) || vm.ip != member.ip) {
        let why = format!("error dialing backend: dial tcp {}:10250: connect: no route to host", member.ip);
        return Err(refused(1, format!("Error from server: {why}")));
    }
    let container = desk.parsed.get("container").unwrap_or("vault");
    if stage.runs_on(cluster, workload, desk.now).is_none() || container != "vault" {
        return Err(refused(1, format!("error: unable to upgrade connection: container not found (\"{container}\")")));
    }
    // Without --stdin the remote command reads nothing.
    let stdin = if desk.parsed.on("stdin") { desk.ask.text() } else { Cow::Borrowed("") };
    let Some(mut output) = stage.in_vault(&desk.vm, &desk.parsed.rest, &stdin) else {
        let text = "sh: not found\ncommand terminated with exit code 127";
        return Err(stage.strange(desk.ask, refused(127, text)));
    };
    if let tool::Exit::Code(code @ 1..) = output.exit {
        output.stderr.push_str(&format!("command terminated with exit code {code}\n"));
    }
    Ok(output)
}
