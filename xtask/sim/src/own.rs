//! The small acts of our own tool that are the world's: what the machine has, whether a port answers, digests of
//! what was downloaded. Knows nothing of secrets and kept files; those are the driver's.

use std::time::Duration;

use serde_json::json;

use super::ask::{Answer, Ask, Disk, refused, said};
use super::stage::Stage;
use super::{catalog, clockwork, curl, pki};
use tool::Output;

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration, disk: &mut dyn Disk) -> Answer {
    let words: Vec<&str> = ask.args.iter().map(String::as_str).collect();
    Answer::Done(match words.as_slice() {
        ["machine"] => {
            let m = &stage.machine;
            // The VM network shows on the host as soon as there is a VM.
            let mut networks = m.networks.clone();
            if !stage.vms.is_empty() {
                networks.push(m.vm_network.to_string());
            }
            let all = json!({ "os": m.os, "arch": m.arch, "cpus": m.cpus, "memory_bytes": m.memory_bytes,
                "free_disk_bytes": m.free_disk_bytes, "networks": networks,
                "clock": stage.clock(now) });
            said(format!("{all}\n"))
        }
        ["dial", address, port] => return dial(stage, ask, address, port, now),
        ["sha256", path] => digest(stage, path, disk),
        ["check", path, digest] => check(path, digest, disk),
        ["place", from, to] => place(stage, from, to, disk),
        _ => stage.strange(ask, refused(2, "error: this act is not the world's")),
    })
}

fn dial(stage: &Stage, ask: &Ask, address: &str, port: &str, now: Duration) -> Answer {
    let found = address.parse().ok().and_then(|ip| stage.at(ip)).filter(|(_, vm)| vm.reachable(now));
    let Some((vm, _)) = found else {
        let end = ask.since + clockwork::NO_ROUTE;
        return if now < end { Answer::Again(end - now) } else { Answer::Done(refused(1, "no route to host")) };
    };
    let open = port == "22" || (port == "6443" && stage.api_up(vm, now));
    Answer::Done(if open { said("") } else { refused(1, "connection refused") })
}

/// The archives here are not the published ones, so a whole one answers with the digest that its server publishes;
/// a damaged one, or any other file, with its own.
fn digest(stage: &Stage, path: &str, disk: &dyn Disk) -> Output {
    let Some(bytes) = disk.read(path) else { return refused(1, format!("error: no such file `{path}`")) };
    let file = path.rsplit('/').next().unwrap_or(path);
    let whole = catalog::opened(&String::from_utf8_lossy(&bytes))
        .is_some_and(|(chart, version)| file == format!("{chart}-{version}.tgz"));
    let published = stage.published.get(file).filter(|_| whole || curl::serves(file, &bytes));
    said(format!("{}\n", published.cloned().unwrap_or_else(|| pki::sha256(&bytes))))
}

/// A whole archive is the published one; anything else is told by its own digest.
fn check(path: &str, want: &str, disk: &dyn Disk) -> Output {
    let Some(bytes) = disk.read(path) else { return refused(1, format!("error: no such file `{path}`")) };
    match curl::packs(path, &bytes) {
        true => said(""),
        false => refused(1, format!("{path} is another file\nwant {want}\ngot  sha256:{}", pki::sha256(&bytes))),
    }
}

/// From now on this program answers, in the version that it was unpacked from.
fn place(stage: &mut Stage, from: &str, to: &str, disk: &mut dyn Disk) -> Output {
    let found = disk.read(from).unwrap_or_default();
    let Some((tool, version)) = curl::packed(&found) else {
        return refused(1, format!("{from} to {to}: No such file or directory (os error 2)"));
    };
    stage.machine.tools.insert(tool.to_owned(), version.to_owned());
    match disk.write(to, &found) {
        Ok(()) => said(""),
        Err(why) => refused(1, why),
    }
}
