//! `node-readdress`: a control plane that is made for the address which its machine has now.
//! Knows nothing of who asks for it; the script itself is in `infra/node/`.

use std::time::Duration;

use super::super::ask::{Answer, Ask, refused, said};
use super::super::clockwork;
use super::super::mishap::Mishap;
use super::super::stage::Stage;
use super::super::vms::{Control, Work};
use super::restart;
use tool::Output;

/// Behind the lock of another run, whose asker may be gone, it waits; then it finds everything done.
pub fn readdress(stage: &mut Stage, vm: &str, ip: &str, ask: &Ask, now: Duration) -> Answer {
    let machine = &stage.vms[vm];
    let Some(ip) = ip.parse().ok().filter(|ip| machine.ip == *ip) else {
        return Answer::Done(refused(1, format!("node-readdress: {ip} is not an address of this node")));
    };
    let jammed = stage.cluster(vm).is_some_and(|c| stage.mishaps(&c.name).any(|m| *m == Mishap::Jammed));
    if jammed {
        let why = format!("node-readdress: the API server does not answer on {ip}");
        return Answer::Done(refused(1, why));
    }
    let other = machine.guest.jobs.iter().find(|job| matches!(job.work, Work::Readdress(_)));
    if let Some(job) = other {
        return Answer::Again(job.next.saturating_sub(now).max(Duration::from_millis(1)));
    }
    stage.begin(vm, ask, Work::Readdress(ip), now, clockwork::READDRESS)
}

/// The control plane is made for another address, and the kubelet starts with it.
pub fn readdressed(stage: &mut Stage, vm: &str, ip: std::net::Ipv4Addr, now: Duration) -> Output {
    let renewed = stage.clock_of(vm, now);
    let Some(machine) = stage.vms.get_mut(vm) else { return refused(255, "") };
    machine.guest.node_ip = Some(ip);
    if let Control::Made(cluster) = &mut machine.guest.control {
        let old = std::mem::replace(&mut cluster.advertise, ip).to_string();
        if old != ip.to_string() {
            cluster.born = renewed;
        }
        cluster.sans.retain(|name| *name != old);
        cluster.sans.push(ip.to_string());
        cluster.api_from = now;
        cluster.nodes.values_mut().filter(|node| node.vm == vm).for_each(|node| node.ip = ip);
    }
    restart(stage, vm, true, now);
    said("node-readdress: done\n")
}
