//! `kubectl exec` into simulated containers.

use std::borrow::Cow;

use super::{mesh, pod_endpoints};
use crate::prelude::*;
use crate::vault;

pub fn exec(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Output> {
    if let Some(answer) = mesh::exec(sim, cmd).or_else(|| pod_endpoints::exec(sim, cmd)) {
        return answer;
    }
    let (pod, namespace) = (cmd.args.word(0), cmd.namespace());
    let absent = || failure(1, format!("Error from server (NotFound): pods \"{pod}\" not found"));
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    if (namespace, pod) != ("vault", "vault-0") {
        let output = absent();
        return Err(sim.unsupported(cmd.request, output));
    }
    let workload = cluster.workloads.get(vault::WORKLOAD).filter(|w| w.admitted).ok_or_else(absent)?;
    let Some(node) = workload.placed.first() else {
        return Err(failure(1, format!("Error from server (BadRequest): pod {pod} does not have a host assigned")));
    };
    let member = &cluster.nodes[node];
    if sim.vms.get(&member.vm).is_none_or(|vm| !vm.reachable(cmd.now) || vm.ip != member.ip) {
        let why = format!("error dialing backend: dial tcp {}:10250: connect: no route to host", member.ip);
        return Err(failure(1, format!("Error from server: {why}")));
    }
    let container = cmd.args.get("container").unwrap_or("vault");
    if sim.runs_on(cluster, workload, cmd.now).is_none() || container != "vault" {
        return Err(failure(1, format!("error: unable to upgrade connection: container not found (\"{container}\")")));
    }
    // Without --stdin the remote command reads nothing.
    let stdin = if cmd.args.on("stdin") { cmd.request.text() } else { Cow::Borrowed("") };
    let Some(mut output) = sim.exec_in_vault(&cmd.vm, &cmd.args.rest, &stdin) else {
        let text = "sh: not found\ncommand terminated with exit code 127";
        return Err(sim.unsupported(cmd.request, failure(127, text)));
    };
    if let tool::Exit::Code(code @ 1..) = output.exit {
        output.stderr.push_str(&format!("command terminated with exit code {code}\n"));
    }
    Ok(output)
}
