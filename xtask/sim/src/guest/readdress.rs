//! `node-readdress`: reconfigures a control plane for its machine's current address (`infra/node/`).

use super::restart_kubelet;
use crate::conditions::Condition;
use crate::prelude::*;
use crate::vms::{Control, Work};

/// Waits for the lock of another run, whose caller may be gone, and then finds nothing to do.
pub fn readdress(sim: &mut SimState, vm: &str, ip: &str, request: &Request, now: Duration) -> ToolResult<Response> {
    let machine = &sim.vms[vm];
    let Some(ip) = ip.parse().ok().filter(|ip| machine.ip == *ip) else {
        return Err(failure(1, format!("node-readdress: {ip} is not an address of this node")));
    };
    let jammed = sim.cluster(vm).is_some_and(|c| sim.conditions(&c.name).any(|m| *m == Condition::ReaddressFails));
    if jammed {
        return Err(failure(1, format!("node-readdress: the API server does not answer on {ip}")));
    }
    let other = machine.guest.jobs.iter().find(|job| matches!(job.work, Work::Readdress(_)));
    if let Some(job) = other {
        return Ok(Response::pending_until(job.next, now));
    }
    Ok(sim.start_job(vm, request, Work::Readdress(ip), now, timings::READDRESS))
}

pub fn finish_readdress(sim: &mut SimState, vm: &str, ip: std::net::Ipv4Addr, now: Duration) -> Output {
    let renewed = sim.clock_of(vm, now);
    let Some(machine) = sim.vms.get_mut(vm) else { return failure(255, "") };
    machine.guest.node_ip = Some(ip);
    if let Control::Made(cluster) = &mut machine.guest.control {
        let old = std::mem::replace(&mut cluster.advertise, ip).to_string();
        if old != ip.to_string() {
            cluster.certs_issued_at = renewed;
        }
        cluster.sans.retain(|name| *name != old);
        cluster.sans.push(ip.to_string());
        cluster.api_from = now;
        cluster.nodes.values_mut().filter(|node| node.vm == vm).for_each(|node| node.ip = ip);
    }
    restart_kubelet(sim, vm, true, now);
    success("node-readdress: done\n")
}
