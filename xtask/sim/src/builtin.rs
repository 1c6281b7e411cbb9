//! Built-in commands that concern the machine: its resources, open ports, digests of downloads, installed programs.

use crate::prelude::*;
use crate::{catalog, curl};
use tool::builtin::MISMATCH;

pub fn answer(sim: &mut SimState, request: &Request, now: Duration, disk: &mut dyn Disk) -> ToolResult<Response> {
    let words: Vec<&str> = request.args.iter().map(String::as_str).collect();
    let output = match words.as_slice() {
        ["machine", tool @ ..] => {
            let m = &sim.machine;
            // The VM network shows on the host as soon as there is a VM.
            let mut networks = m.networks.clone();
            if !sim.vms.is_empty() {
                networks.push(m.vm_network.to_string());
            }
            let all = json!({ "tool": tool.first(), "os": m.os, "arch": m.arch, "cpus": m.cpus, "memory_bytes": m.memory_bytes,
                "free_disk_bytes": m.free_disk_bytes, "networks": networks, "clock": sim.clock(now) });
            success(format!("{all}\n"))
        }
        ["dial", address, port] => return dial(sim, request, address, port, now),
        ["sha256", path] => digest(sim, path, disk)?,
        ["check", path, digest] => check(sim, path, digest, disk)?,
        ["place", from, to] => place(sim, from, to, disk)?,
        _ => sim.unsupported(request, failure(2, "error: not a command of the simulator")),
    };
    Ok(Response::Done(output))
}

fn dial(sim: &SimState, request: &Request, address: &str, port: &str, now: Duration) -> ToolResult<Response> {
    let found = address.parse().ok().and_then(|ip| sim.vm_at(ip)).filter(|(_, vm)| vm.reachable(now));
    let Some((vm, _)) = found else {
        let end = request.since + timings::NO_ROUTE;
        return if now < end { Ok(Response::Pending(end - now)) } else { Err(failure(1, "no route to host")) };
    };
    let open = port == "22" || (port == "6443" && sim.api_up(vm, now));
    Ok(Response::Done(if open { success("") } else { failure(1, "connection refused") }))
}

fn missing(path: &str) -> Output {
    failure(1, format!("error: no such file `{path}`"))
}

/// Simulated archives are not the published ones, so an intact one has the digest that its server publishes; a damaged
/// one, or any other file, has its own.
fn digest(sim: &SimState, path: &str, disk: &dyn Disk) -> ToolResult<Output> {
    let bytes = disk.read(path).ok_or_else(|| missing(path))?;
    let file = path.rsplit('/').next().unwrap_or(path);
    let intact = catalog::parse_archive(&String::from_utf8_lossy(&bytes))
        .is_some_and(|(chart, version)| file == format!("{chart}-{version}.tgz"));
    let published = sim.published.get(file).filter(|_| intact || curl::is_gateway_crds(file, &bytes));
    Ok(success(format!("{}\n", published.cloned().unwrap_or_else(|| pki::sha256(&bytes)))))
}

/// An intact archive of a tool has the published digest.
fn check(sim: &SimState, path: &str, want: &str, disk: &dyn Disk) -> ToolResult<Output> {
    let bytes = disk.read(path).ok_or_else(|| missing(path))?;
    let got = format!("sha256:{}", digest(sim, path, disk)?.stdout.trim());
    if curl::is_tool_archive(path, &bytes) || got == want {
        return Ok(success(""));
    }
    Err(failure(MISMATCH, format!("digest mismatch for {path}\nwant {want}\ngot  {got}")))
}

/// Installs a program: from now on it is there in the version of its archive.
fn place(sim: &mut SimState, from: &str, to: &str, disk: &mut dyn Disk) -> ToolResult<Output> {
    let found = disk.read(from).unwrap_or_default();
    let missing = || failure(1, format!("{from} to {to}: No such file or directory (os error 2)"));
    let (tool, version) = curl::tool_in_archive(&found).ok_or_else(missing)?;
    sim.machine.tools.insert(tool.to_owned(), version.to_owned());
    disk.write(to, &found).map_err(|why| failure(1, why))?;
    Ok(success(""))
}
